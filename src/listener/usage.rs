use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How often a worker looks at what it uses: long enough to be an average, short enough to follow a burst.
pub(super) const EVERY: Duration = Duration::from_millis(50);
/// A worker whose last look is older than this has not parked since, or has been parked all the time.
const FRESH: Duration = Duration::from_millis(100);

/// How much of a core a worker uses: what its own thread last saw, for every worker to read without waiting.
///
/// It is the thread's CPU time that is measured, not whether it has something to do: a worker that other processes
/// keep from its core has work all the time and no use for another worker, whose core is as busy. A worker looks
/// when it parks and when something comes, never because time has passed: idle ones sleep.
#[repr(align(128))] // Written often: no two of them, and nothing else, in a cache line or its neighbour.
#[derive(Debug)]
pub(super) struct Usage {
    epoch: Instant,
    /// When it looked last, in milliseconds since the epoch, and what it used until then, in thousandths of a core.
    seen: AtomicU64,
    /// Sleeps, until something comes.
    parked: AtomicBool,
    /// The thread's CPU time when it looked last, in nanoseconds. For itself only, as is the next.
    cpu: AtomicU64,
    /// When it looked last, in nanoseconds since the epoch.
    at: AtomicU64,
}

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    /// Of one core, 0 to 1.
    pub(super) used: f32,
    /// What the average is over.
    pub(super) over: Duration,
}

/// The thousandths below the milliseconds.
const SHARE_BITS: u32 = 16;

impl Usage {
    pub(super) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            seen: AtomicU64::new(0),
            parked: AtomicBool::new(false),
            cpu: AtomicU64::new(0),
            at: AtomicU64::new(0),
        }
    }

    /// Looks, if it is time to. To be called by the worker's own thread.
    pub(super) fn look(&self) -> Option<Look> {
        let now = self.epoch.elapsed();
        if now.saturating_sub(Duration::from_nanos(self.at.load(Ordering::Relaxed))) < EVERY {
            return None;
        }
        let cpu = clock_gettime(ClockId::ThreadCPUTime);
        let cpu = Duration::try_from(cpu).unwrap_or_default();
        Some(self.note(now, cpu))
    }

    /// Nothing is left to do. To be called by the worker's own thread.
    pub(super) fn parks(&self) {
        self.look();
        self.parked.store(true, Ordering::Relaxed);
    }

    /// Something has come. To be called by the worker's own thread.
    pub(super) fn wakes(&self) {
        self.parked.store(false, Ordering::Relaxed);
    }

    /// What it uses, as far as others can see; all of a core when nobody knows.
    pub(super) fn used(&self) -> f32 {
        self.used_at(self.epoch.elapsed())
    }

    fn note(&self, now: Duration, cpu: Duration) -> Look {
        let over = now.saturating_sub(Duration::from_nanos(self.at.load(Ordering::Relaxed)));
        let spent = cpu.saturating_sub(Duration::from_nanos(self.cpu.load(Ordering::Relaxed)));
        let used = (spent.as_secs_f32() / over.as_secs_f32().max(f32::EPSILON)).clamp(0.0, 1.0);
        self.at.store(nanoseconds(now), Ordering::Relaxed);
        self.cpu.store(nanoseconds(cpu), Ordering::Relaxed);
        let milliseconds = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        // One value, so that nobody reads half of it.
        self.seen.store(milliseconds << SHARE_BITS | (used * 1000.0) as u64, Ordering::Relaxed);
        Look { used, over }
    }

    fn used_at(&self, now: Duration) -> f32 {
        let seen = self.seen.load(Ordering::Relaxed);
        let at = Duration::from_millis(seen >> SHARE_BITS);
        if now.saturating_sub(at) <= FRESH {
            return (seen & ((1 << SHARE_BITS) - 1)) as f32 / 1000.0;
        }
        // It would have looked when it parked: asleep now, it has been asleep; awake now, it has been awake.
        if self.parked.load(Ordering::Relaxed) { 0.0 } else { 1.0 }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn usage() -> Usage {
        Usage::new(Instant::now())
    }

    #[test]
    fn what_counts_is_cpu_time_since_the_last_look() {
        let usage = usage();
        assert_eq!(usage.note(ms(100), ms(95)), Look { used: 0.95, over: ms(100) });
        // Runnable all the time, but something else had the core for half of it.
        assert_eq!(usage.note(ms(200), ms(145)), Look { used: 0.5, over: ms(100) });
        assert!((usage.used_at(ms(250)) - 0.5).abs() < 0.002);
    }

    #[test]
    fn an_old_look_means_idle_for_who_sleeps_and_busy_for_who_does_not() {
        let usage = usage();
        usage.note(ms(100), ms(50));
        usage.parked.store(true, Ordering::Relaxed);
        assert!((usage.used_at(ms(150)) - 0.5).abs() < 0.002, "it may have fallen asleep just now");
        assert_eq!(usage.used_at(ms(300)), 0.0);
        usage.wakes();
        assert_eq!(usage.used_at(ms(300)), 1.0);
    }

    #[test]
    fn a_worker_that_has_not_begun_has_room_for_nobody() {
        assert_eq!(usage().used_at(ms(5000)), 1.0);
    }

    #[test]
    fn a_thread_that_computes_uses_a_core_and_one_that_sleeps_none() {
        let usage = usage();
        // The thread may have run before this: the first look is from there to here.
        let before = Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        usage.note(usage.epoch.elapsed(), before);
        let mut spent = Duration::ZERO;
        while spent < ms(60) {
            spent = Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap() - before;
        }
        let busy = usage.look().expect("it is time to look");
        let expected = spent.as_secs_f32() / busy.over.as_secs_f32();
        assert!(busy.used >= expected - 0.01, "{busy:?}, at least {expected}");
        assert_eq!(usage.look(), None, "no look before it is time");
    }
}
