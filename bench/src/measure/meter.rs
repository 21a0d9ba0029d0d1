use std::time::Duration;

use anyhow::Result;
use e2e::lab::usage::Usage;

/// Processes and their descendants, whose use of the machine is read from /proc.
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
        Ok(self.usages()?.iter().map(|usage| usage.cpu).sum())
    }

    /// Resident memory in kB (1024 bytes).
    pub(crate) fn rss_kb(&self) -> Result<u64> {
        Ok(self.usages()?.iter().map(|usage| usage.rss_kb).sum())
    }

    fn usages(&self) -> Result<Vec<Usage>> {
        let mut all = self.0.clone();
        let mut next = 0;
        while next < all.len() {
            all.extend(children(all[next]));
            next += 1;
        }
        all.into_iter().map(Usage::of).collect()
    }
}

/// A process without children has an empty file; one that is gone is told by its usage.
fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let words = std::fs::read_to_string(path).unwrap_or_default();
    words.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}
