//! When a credential is got again.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Backoff, chance};

/// As the Go gateway: a credential is not used in its last minute if another can be had.
const MARGIN: Duration = Duration::from_secs(60);
/// Ten thousand clusters' tokens that were made in one minute are not all renewed in one.
const SPREAD: Duration = Duration::from_secs(600);
/// Between two runs, however short the lives are of what they give: some commands give what they keep themselves until it has expired.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// After a run that failed, and after how many it grows no more.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Between two runs for one cluster because it refuses what they give.
const REFUSED: Duration = Duration::from_secs(60);

/// How long after it was got a credential is to be renewed that lives for so long: a minute and a little before its
/// end, or in the last third of a short life, but not at once.
pub(super) fn refresh_after(life: Duration) -> Duration {
    let margin = MARGIN.min(life / 3);
    let spread = SPREAD.min(life / 10).mul_f64(chance());
    life.saturating_sub(margin + spread).max(PAUSE)
}

/// How long nothing is run after failures.
pub(super) fn backoff() -> Backoff {
    Backoff::new(FIRST, LONGEST)
}

/// How often a cluster's 401 makes us run something: the first time at once, then less and less often while new
/// credentials are refused as well. A cluster that always refuses costs a run a minute, however many ask.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    runs: u32,
    last: Option<Instant>,
}

impl Refusals {
    /// Whether to run now; takes it that this is then done.
    pub(super) fn may_run(&mut self, now: Instant) -> bool {
        let wait = match self.runs {
            0 => Duration::ZERO,
            runs => FIRST.saturating_mul(1 << (runs - 1).min(16)).min(REFUSED),
        };
        let since = self.last.map(|last| now.saturating_duration_since(last));
        if since.is_some_and(|since| since < wait) {
            return false;
        }
        // What was accepted for so long was good: this is another story.
        if since.is_some_and(|since| since >= 2 * wait.max(REFUSED / 2)) {
            self.runs = 0;
        }
        self.runs = self.runs.saturating_add(1);
        self.last = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_credential_is_renewed_a_minute_before_its_end_or_in_the_last_third_of_a_short_life() {
        for (life, earliest, latest) in [
            (86_400.0, 86_400.0 - 660.0, 86_400.0 - 60.0),
            (3_600.0, 3_600.0 - 420.0, 3_600.0 - 60.0),
            (60.0, 34.0, 40.0),
            (2.0, 1.13, 1.34),
            (1.0, 1.0, 1.0),
            (0.1, 1.0, 1.0),
        ] {
            for _ in 0..100 {
                let after = refresh_after(seconds(life));
                assert!(after >= seconds(earliest) && after <= seconds(latest), "{life}: {after:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_always_refuses_costs_a_run_a_minute() {
        let mut refusals = Refusals::default();
        let start = Instant::now();
        let runs: Vec<u64> =
            (0..600_u64).filter(|second| refusals.may_run(start + Duration::from_secs(*second))).collect();
        assert_eq!(runs[..6], [0, 1, 3, 7, 15, 31]);
        assert!(runs.len() <= 16, "{runs:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_after_a_good_while_is_acted_upon_at_once_and_so_is_the_next_but_one() {
        let mut refusals = Refusals::default();
        let start = Instant::now();
        assert!(refusals.may_run(start));
        assert!(!refusals.may_run(start));
        let later = start + Duration::from_secs(3600);
        assert!(refusals.may_run(later));
        assert!(refusals.may_run(later + Duration::from_secs(1)), "it has only begun to wait longer");
    }
}
