use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Long enough not to hammer a hub that is starting, short enough not to be felt after a connection's hiccup.
const FIRST: Duration = Duration::from_millis(200);
/// As client-go's reflectors.
const LONGEST: Duration = Duration::from_secs(30);

/// How long to wait before the next try: doubled each time up to 30 s, and of that a random half to all, so that
/// replicas do not come in step.
///
/// kube's own would be reset by each attempt to list, and goes up to a minute.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It works (again).
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// After another failure.
    pub(super) fn next(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // Every RandomState has other keys: a random number without a generator to carry around.
        let random = RandomState::new().hash_one(()) % 1024;
        full / 2 + (full / 2).mul_f64(random as f64 / 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_half_a_minute_and_start_anew_when_it_works() {
        let mut backoff = Backoff::default();
        let mut expected = FIRST;
        for _ in 0..20 {
            let wait = backoff.next();
            assert!(wait >= expected / 2 && wait <= expected, "{wait:?} is not within {expected:?}");
            expected = (expected * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
