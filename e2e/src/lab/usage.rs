//! What a process uses, read from /proc (Linux).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

/// Resources of a process at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Resident memory, kB (1024 bytes).
    pub rss_kb: u64,
    /// Processor time since its start, user and system.
    pub cpu: Duration,
    /// Open file descriptors.
    pub open_files: usize,
    /// Threads.
    pub threads: usize,
}

impl Usage {
    /// Of the process with this number.
    pub fn of(pid: u32) -> Result<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let status = std::fs::read_to_string(folder.join("status"))
            .with_context(|| format!("reading {}/status: the lab measures on Linux", folder.display()))?;
        let number = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such field")?;
            let word = line.split_whitespace().next().context("no value")?;
            word.parse().with_context(|| format!("{name} {word}"))
        };
        let stat = std::fs::read_to_string(folder.join("stat"))?;
        Ok(Self {
            rss_kb: number("VmRSS:")?,
            cpu: cpu(&stat).with_context(|| format!("{}/stat: {stat}", folder.display()))?,
            open_files: std::fs::read_dir(folder.join("fd"))?.count(),
            threads: number("Threads:")? as usize,
        })
    }
}

/// Processor time of each thread of a process whose name starts so, by its name.
pub fn threads(pid: u32, prefix: &str) -> Result<BTreeMap<String, Duration>> {
    let mut threads = BTreeMap::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = thread?.path();
        let name = std::fs::read_to_string(folder.join("comm"))?.trim().to_owned();
        if name.starts_with(prefix) {
            let stat = std::fs::read_to_string(folder.join("stat"))?;
            threads.insert(name, cpu(&stat).with_context(|| format!("{}/stat: {stat}", folder.display()))?);
        }
    }
    Ok(threads)
}

/// utime and stime, fields 14 and 15 of proc_pid_stat(5), in ticks of which Linux has 100 a second on every
/// architecture that it shows to programs.
fn cpu(stat: &str) -> Option<Duration> {
    // The second field is a name in parentheses that may hold anything.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
    }
}
