//! Operations: health, readiness, version and metrics, as kube-apiserver has them.
//!
//! [`Operations::answer`] is a pure function; the secure port calls it behind authentication and authorization.
//! [`listen`] serves the same paths in the clear and to everybody on an address of the operator's choice. Nothing
//! here waits for anybody: a gateway that has lost its hub still says so.

mod health;
mod listener;
mod readiness;
mod version;

use http::{HeaderValue, Method, StatusCode};
use prometheus::{Registry, TextEncoder};

use crate::model::{Answer, Reason, Status, answer};

pub use listener::listen;
pub use readiness::{Condition, Readiness};

use health::Health;

/// Answers for operations paths. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Operations {
    readiness: Readiness,
    registry: Registry,
}

impl Operations {
    /// Answers from what is ready and what was measured.
    pub fn new(readiness: Readiness, registry: Registry) -> Self {
        Self { readiness, registry }
    }

    /// Whether a path (percent-decoded) is one of operations.
    pub fn is_path(path: &str) -> bool {
        matches!(path, "/metrics" | "/version") || Health::of(path).is_some()
    }

    /// The answer, complete but for what [`crate::model::local_headers`] adds; none when the path is somebody else's.
    /// Without its body (but with its length) to HEAD.
    pub fn answer(&self, method: &Method, path: &str, query: Option<&str>) -> Option<Answer> {
        if !Self::is_path(path) {
            return None;
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Some(Answer::from(&Status::method_not_allowed()));
        }
        let mut answer = match path {
            "/metrics" => self.metrics(),
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

    fn metrics(&self) -> Answer {
        match TextEncoder::new().encode_to_string(&self.registry.gather()) {
            Ok(text) => answer(StatusCode::OK, HeaderValue::from_static(prometheus::TEXT_FORMAT), text),
            Err(error) => {
                let message = format!("the metrics cannot be written: {error}");
                Answer::from(&Status::new(Reason::InternalError, message))
            }
        }
    }
}

#[cfg(test)]
mod tests;
