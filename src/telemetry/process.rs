//! What the process itself uses, under the names that every Prometheus client library gives them.
//!
//! Read from `/proc/self` when somebody asks: the library's own collector would bring a second copy of a system
//! call crate for these six numbers. What cannot be read is left as it was.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, Result};

/// `USER_HZ`, which Linux has promised to user space as 100 on every architecture that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) struct Process {
    cpu: Counter,
    resident: Gauge,
    virtual_memory: Gauge,
    open_files: Gauge,
    most_files: Gauge,
    threads: Gauge,
    start: Gauge,
}

impl Process {
    pub(super) fn new() -> Result<Self> {
        let gauge = |name: &str, help: &str| Gauge::new(name, help);
        let process = Self {
            cpu: Counter::new("process_cpu_seconds_total", "User and system CPU time spent, in seconds")?,
            resident: gauge("process_resident_memory_bytes", "Resident memory size in bytes")?,
            virtual_memory: gauge("process_virtual_memory_bytes", "Virtual memory size in bytes")?,
            open_files: gauge("process_open_fds", "Number of open file descriptors")?,
            most_files: gauge("process_max_fds", "Maximum number of open file descriptors")?,
            threads: gauge("process_threads", "Number of threads")?,
            start: gauge(
                "process_start_time_seconds",
                "When the process started, in seconds since the epoch",
            )?,
        };
        // The metrics are made while the process starts; that is near enough.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        process.start.set(now.as_secs_f64().round());
        Ok(process)
    }

    fn all(&self) -> [&dyn Collector; 7] {
        [
            &self.cpu,
            &self.resident,
            &self.virtual_memory,
            &self.open_files,
            &self.most_files,
            &self.threads,
            &self.start,
        ]
    }

    fn read(&self) {
        if let Some(ticks) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(cpu_ticks) {
            self.cpu.inc_by((ticks / TICKS_PER_SECOND - self.cpu.get()).max(0.0));
        }
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            for (key, gauge, unit) in [
                ("VmRSS:", &self.resident, 1024.0),
                ("VmSize:", &self.virtual_memory, 1024.0),
                ("Threads:", &self.threads, 1.0),
            ] {
                if let Some(value) = number_after(&status, key) {
                    gauge.set(value * unit);
                }
            }
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            // Less the one that reads the directory.
            self.open_files.set(files.count().saturating_sub(1) as f64);
        }
        if let Some(most) = fs::read_to_string("/proc/self/limits")
            .ok()
            .and_then(|limits| number_after(&limits, "Max open files"))
        {
            self.most_files.set(most);
        }
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read();
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

/// utime and stime, fields 14 and 15 of proc_pid_stat(5); the second field may hold spaces and parentheses.
fn cpu_ticks(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn number_after(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 9 0 0 0 250 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu_ticks(stat), Some(300.0));
        assert_eq!(cpu_ticks("nonsense"), None);
    }

    #[test]
    fn this_process_has_memory_files_and_threads() {
        let process = Process::new().unwrap();
        process.read();
        for gauge in [&process.resident, &process.open_files, &process.most_files, &process.threads] {
            assert!(gauge.get() >= 1.0);
        }
        let before = process.cpu.get();
        process.read();
        assert!(process.cpu.get() >= before, "a counter never goes back");
    }
}
