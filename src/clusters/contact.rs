use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use k8s_openapi::jiff::Timestamp;
use parking_lot::Mutex;

use crate::upstream::UpstreamError;

/// How a cluster was found by whoever went there last, as far as somebody should know of it.
///
/// Told by all workers, looked at by the writer every few seconds. While all is well nobody writes, so that workers
/// do not hold each other up.
#[derive(Debug, Default)]
pub(super) struct Contact {
    /// Whether `last` is trouble: all that a request looks at that goes well.
    is_troubled: AtomicBool,
    last: Mutex<Found>,
}

/// What there is to say. Times are whole seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Found {
    /// Nobody went there, or there never was anything wrong.
    #[default]
    Nothing,
    /// No request gets there.
    Unreachable {
        /// The first that did not.
        since: u64,
        /// In one word.
        reason: &'static str,
        /// What the first said that failed for this reason: the same words as long as it lasts.
        why: String,
    },
    /// They get there, and our credential is refused.
    Refused {
        /// The first that was.
        since: u64,
        /// How it was refused.
        why: String,
    },
    /// It answers again.
    Answering {
        /// The first answer.
        since: u64,
    },
}

/// For how long nobody may have been answered before a refusal is one of all, in seconds.
const SETTLED: u64 = 5;

impl Contact {
    /// The cluster answers, and not that it refuses us.
    pub(super) fn answered(&self, now: impl FnOnce() -> SystemTime) {
        if !self.is_troubled.load(Ordering::Relaxed) {
            return;
        }
        let mut last = self.last.lock();
        *last = match &*last {
            Found::Unreachable { .. } => Found::Answering { since: seconds(now()) },
            Found::Refused { .. } => Found::Nothing,
            Found::Nothing | Found::Answering { .. } => return,
        };
        self.is_troubled.store(false, Ordering::Relaxed);
    }

    /// The cluster could not be asked. What may befall a single request of a cluster that is well says nothing.
    pub(super) fn failed(&self, error: &UpstreamError, now: SystemTime) {
        let reason = match error {
            UpstreamError::Resolve(_) | UpstreamError::NoAddress { .. } => "NameNotResolved",
            UpstreamError::Connect { .. }
            | UpstreamError::ConnectTimeout { .. }
            | UpstreamError::Unreached { .. } => "Unreachable",
            UpstreamError::Proxy { .. } => "ProxyFailed",
            UpstreamError::NotTrusted { .. } => "CertificateNotTrusted",
            UpstreamError::Tls { .. } => "HandshakeFailed",
            UpstreamError::CredentialRefused { .. } => return self.refused(&error.to_string(), now),
            UpstreamError::Busy { .. } | UpstreamError::Broken { .. } | UpstreamError::Deadline { .. } => {
                return;
            }
        };
        self.trouble(|last| match last {
            Found::Unreachable { reason: known, .. } if *known == reason => None,
            Found::Unreachable { since, .. } => {
                Some(Found::Unreachable { since: *since, reason, why: error.to_string() })
            }
            _ => Some(Found::Unreachable { since: seconds(now), reason, why: error.to_string() }),
        });
    }

    /// The cluster refused our credential.
    pub(super) fn refused(&self, how: &str, now: SystemTime) {
        self.trouble(|last| match last {
            Found::Refused { .. } => None,
            _ => Some(Found::Refused { since: seconds(now), why: how.to_owned() }),
        });
    }

    /// What there is to say now. Of a refusal not at once: a 401 may be an aggregated API's, and then the cluster
    /// answers others, which takes it back.
    pub(super) fn found(&self, now: SystemTime) -> Found {
        match &*self.last.lock() {
            Found::Refused { since, .. } if seconds(now) < since + SETTLED => Found::Nothing,
            found => found.clone(),
        }
    }

    fn trouble(&self, next: impl FnOnce(&Found) -> Option<Found>) {
        let mut last = self.last.lock();
        if let Some(next) = next(&last) {
            *last = next;
            self.is_troubled.store(true, Ordering::Relaxed);
        }
    }
}

/// As people read it.
pub(super) fn rfc3339(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn connect(cause: &str) -> UpstreamError {
        let cause = std::io::Error::other(cause.to_owned()).into();
        UpstreamError::Connect { address: "a:1".to_owned(), cause }
    }

    fn unreachable(since: u64, reason: &'static str, why: &str) -> Found {
        Found::Unreachable { since, reason, why: why.to_owned() }
    }

    #[test]
    fn what_lasts_is_said_in_the_same_words_since_the_first_time() {
        let contact = Contact::default();
        contact.answered(|| at(1));
        assert_eq!(contact.found(at(100)), Found::Nothing);
        contact.failed(&connect("refused"), at(2));
        contact.failed(&connect("no route"), at(3));
        let first = unreachable(2, "Unreachable", "cannot connect to a:1: refused");
        assert_eq!(contact.found(at(100)), first);
        contact.failed(&UpstreamError::NoAddress { host: "a".to_owned() }, at(4));
        assert_eq!(contact.found(at(100)), unreachable(2, "NameNotResolved", "a has no address"));
        contact.answered(|| at(5));
        contact.answered(|| at(6));
        assert_eq!(contact.found(at(100)), Found::Answering { since: 5 });
        contact.failed(&connect("refused"), at(7));
        assert_eq!(contact.found(at(100)), unreachable(7, "Unreachable", "cannot connect to a:1: refused"));
    }

    #[test]
    fn a_refused_credential_was_refused_by_somebody_who_was_reached() {
        let contact = Contact::default();
        contact.failed(&connect("refused"), at(1));
        contact.refused("it answered 401", at(2));
        contact.refused("it answered 401", at(3));
        let refused = Found::Refused { since: 2, why: "it answered 401".to_owned() };
        assert_eq!(contact.found(at(100)), refused);
        assert_eq!(contact.found(at(6)), Found::Nothing, "too soon to tell");
        contact.answered(|| at(4));
        assert_eq!(contact.found(at(100)), Found::Nothing);
        let alert =
            UpstreamError::CredentialRefused { address: "a:1".to_owned(), cause: "expired".to_owned() };
        contact.failed(&alert, at(5));
        let why = "a:1 refused the client certificate: expired".to_owned();
        assert_eq!(contact.found(at(100)), Found::Refused { since: 5, why });
    }

    #[test]
    fn what_befalls_one_request_says_nothing_about_the_cluster() {
        let contact = Contact::default();
        for error in [
            UpstreamError::Busy { address: "a:1".to_owned() },
            UpstreamError::Broken { cause: "reset".to_owned(), unprocessed: false },
            UpstreamError::Deadline { seconds: 65 },
        ] {
            contact.failed(&error, at(1));
            assert_eq!(contact.found(at(100)), Found::Nothing, "{error}");
        }
    }
}
