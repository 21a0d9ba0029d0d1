use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::model::{Answer, Reason, Status, answer};
use crate::telemetry::Metrics;

/// Texts that there are at one time, being written or on their way. At ten thousand clusters one is ten megabytes and
/// more, and whoever reads slowly holds it: two Prometheus servers and two people are let in, others wait.
const TEXTS: usize = 4;
/// For a place among them; Prometheus itself gives up after ten seconds.
const WAIT: Duration = Duration::from_secs(5);

/// Writes metrics, on a thread that carries no requests: with ten thousand clusters it takes longer than anybody's
/// request may be held up. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Scrape {
    metrics: Metrics,
    control: Handle,
    places: Arc<Semaphore>,
}

/// A text and its place, which is free when nobody holds the text any more.
struct Text {
    bytes: String,
    _place: OwnedSemaphorePermit,
}

impl Scrape {
    pub(super) fn new(metrics: Metrics, control: Handle) -> Self {
        Self { metrics, control, places: Arc::new(Semaphore::new(TEXTS)) }
    }

    pub(super) async fn answer(&self) -> Answer {
        // The semaphore is never closed.
        let Ok(Ok(place)) = timeout(WAIT, Arc::clone(&self.places).acquire_owned()).await else {
            let status = Status::new(
                Reason::TooManyRequests,
                "too many are reading the metrics, please try again later",
            );
            return Answer::from(&status.with_retry_after(Duration::from_secs(1)));
        };
        let metrics = self.metrics.clone();
        let written = self.control.spawn_blocking(move || {
            let text = metrics.text().map_err(|error| error.to_string())?;
            Ok(Bytes::from_owner(Text { bytes: text, _place: place }))
        });
        match written.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(text) => answer(StatusCode::OK, HeaderValue::from_static(prometheus::TEXT_FORMAT), text),
            Err(error) => {
                let message = format!("the metrics cannot be written: {error}");
                Answer::from(&Status::new(Reason::InternalError, message))
            }
        }
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn texts_that_somebody_holds_keep_others_waiting_and_are_given_back() {
        let scrape = Scrape::new(Metrics::new(&Registry::new()).unwrap(), Handle::current());
        let mut held = Vec::new();
        for _ in 0..TEXTS {
            let answer = scrape.answer().await;
            assert_eq!(answer.status(), 200);
            assert!(answer.body().starts_with(b"# HELP "));
            held.push(answer);
        }
        let refused = scrape.answer().await;
        assert_eq!(
            (refused.status(), &refused.headers()["retry-after"]),
            (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap())
        );
        let part = held.pop().unwrap().into_body().slice(..7);
        assert_eq!(scrape.answer().await.status(), 429, "a part of it is still held");
        drop(part);
        assert_eq!(scrape.answer().await.status(), 200);
    }
}
