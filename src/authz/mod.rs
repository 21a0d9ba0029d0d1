//! May they: `system:masters`, paths open to all, and the hub's word by SubjectAccessReview.
//!
//! Promises: the hub decides with the attributes that it would itself read out of the request; its word is good for
//! 10 s, yes and no alike; a caller who comes again with the same request costs a look-up without allocation or
//! wait. Fails closed: what the hub cannot be asked about is 500, never yes, and is not remembered.

mod always;
mod authorizer;
mod forbidden;
mod impersonation;
mod metrics;
mod question;
mod reviewer;
mod subpath;
#[cfg(test)]
mod testing;

pub use always::InvalidPath;
pub use authorizer::{Authorizer, AuthorizerOptions, WorkerAuthorizer};
pub use impersonation::Impersonation;
pub use metrics::Metrics;
pub use question::Question;
pub use reviewer::{AccessReviewer, Decision, HubAccessReviewer};

use thiserror::Error;

use crate::model::Status;
use crate::reviews::Unanswered;

/// Why a request goes no further.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Denied {
    /// 403, or 400 for a request that cannot be decided on as it stands.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    /// 500: the hub could not be asked.
    #[error("SubjectAccessReview: {0}")]
    Unanswered(#[from] Unanswered),
}

impl Denied {
    /// The answer.
    pub fn status(&self) -> Status {
        match self {
            Self::Refused(status) => Status::clone(status),
            Self::Unanswered(unanswered) => unanswered.status("SubjectAccessReview"),
        }
    }
}

impl From<Status> for Denied {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}
