use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::lab::usage::Usage;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Processes and their descendants, and what they use of the machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Vec<u32>);

impl Meter {
    /// Of one process and what it starts.
    pub(crate) fn of(pid: u32) -> Self {
        Self(vec![pid])
    }

    /// Of none: zero of everything.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Processor time so far, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.processes()?.into_iter().map(cpu).sum()
    }

    /// Resident memory in kB (1024 bytes).
    pub(crate) fn rss_kb(&self) -> Result<u64> {
        self.processes()?.into_iter().map(rss_kb).sum()
    }

    fn processes(&self) -> Result<Vec<u32>> {
        let mut all = self.0.clone();
        let mut next = 0;
        while next < all.len() {
            all.extend(children(all[next])?);
            next += 1;
        }
        Ok(all)
    }
}

/// By the process's own clock: nanoseconds, with the threads that have ended and what the running ones used up to
/// now. /proc/PID/stat says the same in ticks of 10 ms, and the schedstat of threads forgets those that ended.
fn cpu(pid: u32) -> Result<Duration> {
    let number = Pid::from_raw(i32::try_from(pid)?);
    match clock_getcpuclockid(number).and_then(clock_gettime) {
        Ok(time) => Ok(time.into()),
        // A sandbox may have no such clocks; whoever is gone is told here as well.
        Err(_) => Ok(Usage::of(pid)?.cpu),
    }
}

fn rss_kb(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number =
        line.and_then(|line| line.split_whitespace().next()).with_context(|| format!("{path}: no VmRSS"))?;
    number.parse().with_context(|| format!("{path}: VmRSS {number}"))
}

/// Any thread may be the parent; one that ends meanwhile leaves its children to another.
fn children(pid: u32) -> Result<HashSet<u32>> {
    let folder = format!("/proc/{pid}/task");
    let threads = std::fs::read_dir(&folder).with_context(|| format!("reading {folder}"))?;
    let mut all = HashSet::new();
    for thread in threads {
        let thread = thread?.path();
        let words = match std::fs::read_to_string(thread.join("children")) {
            Ok(words) => words,
            Err(_) if !thread.exists() => continue,
            Err(error) => return Err(unreadable(error, &thread)),
        };
        all.extend(words.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    Ok(all)
}

fn unreadable(error: std::io::Error, thread: &Path) -> anyhow::Error {
    let cure = match error.kind() {
        ErrorKind::NotFound => ": the kernel lacks CONFIG_PROC_CHILDREN, and children cannot be counted",
        _ => "",
    };
    anyhow::Error::new(error).context(format!("reading {}/children{cure}", thread.display()))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::*;

    #[test]
    fn time_is_finer_than_a_tick_and_keeps_that_of_threads_that_ended() {
        let meter = Meter::of(std::process::id());
        let before = meter.cpu().unwrap();
        let busy = || {
            let own = Instant::now();
            while own.elapsed() < Duration::from_millis(5) {}
        };
        std::thread::spawn(busy).join().unwrap();
        let first = meter.cpu().unwrap();
        assert!(first > before, "{before:?} {first:?}");
        assert!(meter.cpu().unwrap() >= first, "it went backwards");
        assert_ne!(first.as_nanos() % 10_000_000, 0, "ticks: {first:?}");
    }

    #[test]
    fn children_of_any_thread_count() {
        let meter = Meter::of(std::process::id());
        // From a thread that is not the main one: tests never are.
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(meter.processes().unwrap().contains(&child.id()));
        assert!(meter.rss_kb().unwrap() > Meter::of(child.id()).rss_kb().unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(Meter::of(pid).cpu().is_err());
        assert!(Meter::of(pid).rss_kb().is_err());
    }
}
