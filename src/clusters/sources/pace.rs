use std::time::Duration;

use crate::model::Backoff;

use super::connection::Failure;

/// Long enough not to hammer a hub that is starting, short enough not to be felt after a connection's hiccup. kube's
/// own backoff would be reset by each attempt to list, and goes up to a minute.
const FIRST: Duration = Duration::from_millis(200);
/// As client-go's reflectors: what the hub refuses or cannot finish has cost it work.
const LONGEST: Duration = Duration::from_secs(30);
/// A connection that is refused costs nobody anything, and a hub that is back is to be followed soon.
const LONGEST_AWAY: Duration = Duration::from_secs(5);

/// How soon the hub is asked again after a failure.
pub(super) struct Pace {
    refused: Backoff,
    away: Backoff,
    /// A list was asked for at once since anything worked: another one has to wait.
    relisted: bool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            refused: Backoff::new(FIRST, LONGEST),
            away: Backoff::new(FIRST, LONGEST_AWAY),
            relisted: false,
        }
    }

    /// A watch has begun.
    pub(super) fn works(&mut self) {
        *self = Self::new();
    }

    /// How long to wait after this failure.
    pub(super) fn after(&mut self, failure: &Failure) -> Duration {
        if let Failure::Unreachable(_) = failure {
            return self.away.after_failure();
        }
        self.away.reset();
        // A hub that was started anew has no history: what is in force may be long out of date.
        if failure.needs_list() && !std::mem::replace(&mut self.relisted, true) {
            return Duration::ZERO;
        }
        self.refused.after_failure()
    }
}
