use std::time::Duration;

use thiserror::Error;

use crate::model::{Reason, Status};
use crate::reviews::Unanswered;

use super::ChainError;

/// Why nobody knows who calls.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AuthnError {
    /// 401. The caller is not told why, on purpose; the log is.
    #[error("not authenticated: {0}")]
    Unauthorized(#[from] Refusal),
    /// 500: not knowing is not a no, and a client that took it for one would throw a good token away.
    #[error("TokenReview: {0}")]
    Unanswered(#[from] Unanswered),
    /// 503: a certificate cannot be judged before the hub's configuration was loaded once.
    #[error("the hub's authentication configuration has not been loaded yet")]
    NotReady,
}

/// What was wrong with what the caller showed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Its certificate.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Its token.
    #[error("the bearer token is not valid")]
    Token,
    /// The way it shows its token.
    #[error("the bearer token is malformed: {0}")]
    Malformed(&'static str),
    /// The front proxy's headers.
    #[error("header {0} of the front proxy is not valid UTF-8")]
    Header(String),
    /// It showed nothing, and anonymous callers are refused.
    #[error("no credentials, and anonymous requests are not allowed")]
    Anonymous,
}

impl AuthnError {
    /// The answer.
    pub fn status(&self) -> Status {
        match self {
            Self::Unauthorized(_) => Status::unauthorized(),
            Self::Unanswered(unanswered) => unanswered.status("TokenReview"),
            Self::NotReady => Status::new(Reason::ServiceUnavailable, self.to_string())
                .with_retry_after(Duration::from_secs(1)),
        }
    }
}
