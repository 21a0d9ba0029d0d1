use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::Unanswered;

/// Before the second attempt, and how it grows (k8s.io/apiserver, `webhook.DefaultRetryBackoffWithInitialDelay`).
const FIRST_DELAY: Duration = Duration::from_millis(500);
const GROWTH: f64 = 1.5;
const JITTER: f64 = 0.2;
const ATTEMPTS: u32 = 5;

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Why.
    pub reason: Unanswered,
    /// Whether another one could succeed.
    pub again: Again,
}

/// Whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It would fail in the same way.
    No,
    /// After the usual delay.
    Yes,
    /// The hub said after how long.
    After(Duration),
}

/// Attempts something up to five times, with growing delays, within `limit` altogether.
pub async fn with_retries<T, F>(limit: Duration, mut attempt: impl FnMut() -> F) -> Result<T, Unanswered>
where
    F: Future<Output = Result<T, Failed>>,
{
    let deadline = Instant::now() + limit;
    let mut delay = FIRST_DELAY;
    for number in 1.. {
        let failed = match timeout_at(deadline, attempt()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failed)) => failed,
            Err(_) => return Err(Unanswered::TimedOut(limit)),
        };
        let pause = match failed.again {
            Again::No => return Err(failed.reason),
            Again::Yes => delay.mul_f64(1.0 + JITTER * random_fraction()),
            Again::After(asked) => asked.max(delay),
        };
        // Waiting for a deadline that the pause passes would only hide why it failed.
        if number == ATTEMPTS || Instant::now() + pause >= deadline {
            return Err(failed.reason);
        }
        tracing::debug!(reason = %failed.reason, detail = failed.reason.detail(), "asking the hub again");
        sleep(pause).await;
        delay = delay.mul_f64(GROWTH);
    }
    Err(Unanswered::Stopped)
}

impl From<kube::Error> for Failed {
    /// What is worth another attempt: as `webhook.DefaultShouldRetry`, and whatever cut the connection.
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let again = match (&status.details, status.code) {
                    (Some(details), _) if details.retry_after_seconds > 0 => {
                        Again::After(Duration::from_secs(u64::from(details.retry_after_seconds)))
                    }
                    (_, 429 | 500 | 502 | 503 | 504) => Again::Yes,
                    _ => Again::No,
                };
                Self {
                    reason: Unanswered::Refused { code: status.code, message: status.message.clone() },
                    again,
                }
            }
            error @ (kube::Error::HyperError(_) | kube::Error::Service(_)) => {
                Self { reason: Unanswered::Unreachable(with_causes(&error)), again: Again::Yes }
            }
            error => Self { reason: Unanswered::Unreachable(with_causes(&error)), again: Again::No },
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// Between 0 and 1. Spreads replicas, keeps no secret: the hasher's random key is random enough.
fn random_fraction() -> f64 {
    let bits = (RandomState::new().hash_one(0_u8) >> 40) as u32;
    f64::from(bits) / f64::from(1_u32 << 24)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn failed(again: Again) -> Failed {
        Failed { reason: Unanswered::Unreachable("x".into()), again }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_attempted_five_times_with_growing_delays() {
        let attempts = Cell::new(0);
        let start = Instant::now();
        let result: Result<(), _> = with_retries(Duration::from_secs(10), || {
            attempts.set(attempts.get() + 1);
            async { Err(failed(Again::Yes)) }
        })
        .await;
        assert_eq!(result, Err(Unanswered::Unreachable("x".into())));
        assert_eq!(attempts.get(), 5);
        let waited = start.elapsed().as_millis();
        assert!((4062..=4880).contains(&waited), "waited {waited} ms");
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_fail_again_is_attempted_once() {
        let attempts = Cell::new(0);
        let result: Result<(), _> = with_retries(Duration::from_secs(10), || {
            attempts.set(attempts.get() + 1);
            async { Err(failed(Again::No)) }
        })
        .await;
        assert!(result.is_err());
        assert_eq!(attempts.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_holds_for_all_attempts_together() {
        let start = Instant::now();
        let result: Result<(), _> =
            with_retries(Duration::from_secs(10), std::future::pending::<Result<(), Failed>>).await;
        assert_eq!(result, Err(Unanswered::TimedOut(Duration::from_secs(10))));
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_that_the_hub_asks_for_beyond_the_deadline_ends_it_at_once() {
        let start = Instant::now();
        let result: Result<(), _> = with_retries(Duration::from_secs(10), || async {
            Err(failed(Again::After(Duration::from_secs(60))))
        })
        .await;
        assert!(result.is_err());
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[test]
    fn a_refusal_for_lack_of_rights_is_not_repeated_and_names_the_cure() {
        let status: kube::core::Status =
            serde_json::from_str(r#"{"code":403,"message":"secret detail","reason":"Forbidden"}"#).unwrap();
        let failed = Failed::from(kube::Error::Api(Box::new(status)));
        assert_eq!(failed.again, Again::No);
        let body = String::from_utf8(failed.reason.status("TokenReview").to_json()).unwrap();
        assert!(body.contains("system:auth-delegator") && body.contains("\"code\":500"), "{body}");
        assert!(!body.contains("secret detail"));
    }
}
