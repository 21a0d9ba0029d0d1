//! Capacity in an open loop: the highest rate that is answered as it comes. A closed loop's rate says more than that,
//! since it never has to catch up.

use super::Tally;

/// What is answered of what is due, at least.
const ANSWERED: f64 = 0.97;
/// Where the slowest hundredth waits longer, queues grow. Milliseconds.
const PATIENCE: f64 = 20.0;
/// A rate is given up after so many failures in a row: one or two may be the machine's.
const FAILURES: u32 = 3;
/// How often a first rate that is too high is halved.
const HALVINGS: u32 = 6;

/// Rates, one after the other, until one is too high.
#[derive(Debug)]
pub(crate) struct Ramp {
    rate: f64,
    growth: f64,
    capacity: Option<f64>,
    failures: u32,
    halvings: u32,
}

impl Ramp {
    /// From a rate that should be easy, each so many times the one before.
    pub(crate) fn new(rate: f64, growth: f64) -> Self {
        Self { rate, growth, capacity: None, failures: 0, halvings: 0 }
    }

    /// The rate to try now; `None` when capacity is known, or that there is none.
    pub(crate) fn next(&self) -> Option<f64> {
        (self.failures < FAILURES && self.halvings <= HALVINGS).then_some(self.rate)
    }

    /// What came of it.
    pub(crate) fn tried(&mut self, kept_up: bool) {
        if kept_up {
            self.capacity = Some(self.rate);
            self.failures = 0;
            self.rate *= self.growth;
            return;
        }
        self.failures += 1;
        if self.failures == FAILURES && self.capacity.is_none() {
            self.failures = 0;
            self.halvings += 1;
            self.rate /= 2.0;
        }
    }

    /// The highest rate that was kept up with.
    pub(crate) fn capacity(&self) -> Option<f64> {
        self.capacity
    }
}

/// Whether a server kept up with an open loop.
pub(crate) fn kept_up(tally: &Tally) -> bool {
    tally.requests as f64 >= ANSWERED * tally.offered as f64
        && tally.failed_requests() == 0
        && tally.percentile(99.0) <= PATIENCE
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn capacity(first: f64, true_one: f64) -> Option<f64> {
        let mut ramp = Ramp::new(first, 1.1);
        let mut tries = 0;
        while let Some(rate) = ramp.next() {
            ramp.tried(rate <= true_one);
            tries += 1;
            assert!(tries < 50, "{ramp:?}");
        }
        ramp.capacity()
    }

    #[test]
    fn it_climbs_to_the_last_rate_that_is_kept_up_with() {
        let found = capacity(10.0, 20.0).unwrap();
        assert!(found <= 20.0 && found * 1.1 > 20.0, "{found}");
    }

    #[test]
    fn a_first_rate_that_is_too_high_is_halved_and_hopeless_ones_end() {
        assert!(capacity(100.0, 30.0).unwrap() <= 30.0);
        assert_eq!(capacity(100.0, 0.0), None);
    }

    #[test]
    fn a_failure_or_two_may_be_the_machines() {
        let mut ramp = Ramp::new(10.0, 2.0);
        for kept in [true, false, false, true, false, false] {
            assert!(ramp.next().is_some());
            ramp.tried(kept);
        }
        assert_eq!((ramp.capacity(), ramp.next()), (Some(20.0), Some(40.0)));
        ramp.tried(false);
        assert_eq!((ramp.capacity(), ramp.next()), (Some(20.0), None));
    }

    #[test]
    fn queues_and_losses_are_not_keeping_up() {
        let tally = |answered: u64, milliseconds| {
            let mut tally = Tally::new();
            tally.offered = 1000;
            for _ in 0..answered {
                tally.succeeded(1, Duration::from_millis(milliseconds));
            }
            tally
        };
        assert!(kept_up(&tally(980, 1)));
        assert!(!kept_up(&tally(960, 1)));
        assert!(!kept_up(&tally(1000, 30)));
        let mut failing = tally(1000, 1);
        failing.failed(&anyhow::anyhow!("once"));
        assert!(!kept_up(&failing));
    }
}
