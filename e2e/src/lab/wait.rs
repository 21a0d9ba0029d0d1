//! Waiting for a condition, with a deadline and the last reason why it did not hold.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// How often a condition is asked: short enough that a wait costs a test nothing noticeable.
const INTERVAL: Duration = Duration::from_millis(25);

/// Asks `check` until it gives a value; after `limit` fails with `what` and the last reason.
///
/// `Err` from `check` means "not yet". One question may take as long as `limit` lasts: a peer that does not
/// answer does not outlast the deadline.
pub async fn until<T, F, Answer>(what: &str, limit: Duration, check: F) -> Result<T>
where
    F: FnMut() -> Answer,
    Answer: Future<Output = Result<T>>,
{
    until_every(INTERVAL, what, limit, check).await
}

/// [`until`] with another interval, for questions that cost something and waits that take minutes.
pub async fn until_every<T, F, Answer>(
    interval: Duration,
    what: &str,
    limit: Duration,
    mut check: F,
) -> Result<T>
where
    F: FnMut() -> Answer,
    Answer: Future<Output = Result<T>>,
{
    let start = Instant::now();
    let mut last = anyhow!("it was not answered in time");
    loop {
        let left = limit.saturating_sub(start.elapsed());
        match tokio::time::timeout(left, check()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => last = error,
            Err(_) => {}
        }
        if start.elapsed() >= limit {
            return Err(last.context(format!("waited {limit:?} in vain: {what}")));
        }
        tokio::time::sleep(interval).await;
    }
}
