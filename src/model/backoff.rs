use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How long to wait before the next try: doubled each time up to a limit, and of that a random half to all, so that
/// those who failed together (replicas, clusters) do not come in step.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// At most `first` after the first failure, and never more than `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// It works (again).
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// After another failure.
    pub fn after_failure(&mut self) -> Duration {
        let full = self.first.saturating_mul(1 << self.failures.min(16)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        full / 2 + (full / 2).mul_f64(chance())
    }
}

/// From nine tenths to eleven tenths, so that what begins together does not come together for ever.
pub fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(0.9 + 0.2 * chance())
}

/// From 0 to 1, exclusive. Spreads what would else come at once; keeps no secret.
pub fn chance() -> f64 {
    // Every RandomState has other keys: a random number without a generator to carry around.
    (RandomState::new().hash_one(()) % 1024) as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_jittered_is_a_tenth_off_at_most_and_not_always_the_same() {
        let waits: Vec<Duration> = (0..100).map(|_| jittered(Duration::from_secs(10))).collect();
        let within = Duration::from_secs(9)..=Duration::from_secs(11);
        assert!(waits.iter().all(|wait| within.contains(wait)), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
    }

    #[test]
    fn waits_grow_to_the_limit_and_start_anew_when_it_works() {
        let (first, longest) = (Duration::from_millis(200), Duration::from_secs(30));
        let mut backoff = Backoff::new(first, longest);
        let mut expected = first;
        for _ in 0..20 {
            let wait = backoff.after_failure();
            assert!(wait >= expected / 2 && wait <= expected, "{wait:?} is not within {expected:?}");
            expected = (expected * 2).min(longest);
        }
        backoff.reset();
        assert!(backoff.after_failure() <= first);
    }
}
