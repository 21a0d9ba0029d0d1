//! Whether anything else than what is to be measured keeps this machine busy.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::time::sleep;

/// For one look: a hub's own housekeeping does not show in it, a collection of garbage does.
const LOOK: Duration = Duration::from_millis(200);
/// Of all cores' time.
const IDLE: f64 = 0.9;
/// Looks in a row that have to find the machine at rest.
const LOOKS: u32 = 3;
/// Somebody else's work does not end by waiting for it.
const PATIENCE: Duration = Duration::from_secs(15);

/// Waits until the processors have next to nothing to do: what was stopped before has ended, and what it left to do
/// is done. False when they are as busy as before after a quarter of a minute.
pub(crate) async fn until_quiet() -> Result<bool> {
    let (began, mut quiet) = (Instant::now(), 0);
    let mut before = Times::read()?;
    while quiet < LOOKS {
        if began.elapsed() > PATIENCE {
            return Ok(false);
        }
        sleep(LOOK).await;
        let now = Times::read()?;
        quiet = if now.idle_since(&before) >= IDLE { quiet + 1 } else { 0 };
        before = now;
    }
    Ok(true)
}

/// Of all processors since the machine started, in ticks.
struct Times {
    idle: u64,
    all: u64,
}

impl Times {
    fn read() -> Result<Self> {
        let path = "/proc/stat";
        let text = std::fs::read_to_string(path).context(path)?;
        Self::parse(&text).with_context(|| format!("{path} has no line for all processors"))
    }

    /// The first line: `cpu user nice system idle iowait irq softirq steal …` (proc_stat(5)).
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> =
            line.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self { idle: ticks.get(3)? + ticks.get(4)?, all: ticks.iter().sum() })
    }

    fn idle_since(&self, before: &Self) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        self.idle.saturating_sub(before.idle) as f64 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_waiting_for_a_disk_are_rest_and_what_guests_use_is_counted_once() {
        let at = |line: &str| Times::parse(line).unwrap();
        let before = at("cpu  10 0 10 100 0 0 0 0 7 0\ncpu0 1 2 3");
        let after = at("cpu  15 0 10 180 10 0 0 5 900 0\ncpu0 1 2 3");
        assert_eq!(after.idle_since(&before), 0.9);
        assert_eq!(after.idle_since(&after), 0.0);
        assert!(Times::parse("intr 1 2 3").is_none());
    }
}
