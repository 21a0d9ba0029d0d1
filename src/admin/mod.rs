//! Operations: health, readiness, version and metrics, as kube-apiserver has them.
//!
//! The secure port calls [`Operations::answer`] behind authentication and authorization. [`listen`] serves the same
//! paths in the clear and to everybody on an address of the operator's choice. Nothing here waits for the hub: a
//! gateway that has lost it still says so. Metrics are written on the control runtime, not by the worker that was
//! asked for them.

mod health;
mod listener;
mod readiness;
mod scrape;
mod version;

use http::{HeaderValue, Method, StatusCode};
use tokio::runtime::Handle;

use crate::model::{Answer, Status, answer};
use crate::telemetry::Metrics;

pub use listener::listen;
pub use readiness::{Condition, Readiness};

use health::Health;
use scrape::Scrape;

/// Answers for operations paths. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Operations {
    readiness: Readiness,
    scrape: Scrape,
}

impl Operations {
    /// Answers from what is ready and what was measured; metrics are written on `control`.
    pub fn new(readiness: Readiness, metrics: Metrics, control: Handle) -> Self {
        Self { readiness, scrape: Scrape::new(metrics, control) }
    }

    /// Whether a path (percent-decoded) is one of operations.
    pub fn is_path(path: &str) -> bool {
        matches!(path, "/metrics" | "/version") || Health::of(path).is_some()
    }

    /// The answer, complete but for what [`crate::model::local_headers`] adds; none when the path is somebody else's.
    /// Without its body (but with its length) to HEAD.
    pub async fn answer(&self, method: &Method, path: &str, query: Option<&str>) -> Option<Answer> {
        if !Self::is_path(path) {
            return None;
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Some(Answer::from(&Status::method_not_allowed()));
        }
        let mut answer = match path {
            "/metrics" => self.scrape.answer().await,
            "/version" => {
                answer(StatusCode::OK, HeaderValue::from_static("application/json"), version::json())
            }
            _ => Health::of(path)?.answer(&self.readiness, query),
        };
        if method == Method::HEAD {
            answer.body_mut().clear();
        }
        Some(answer)
    }
}

#[cfg(test)]
mod tests;
