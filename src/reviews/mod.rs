//! Questions to the hub that requests wait for: who is this, may they.
//!
//! Promises: a question is asked on the control runtime, never on a worker; it is asked once, however many workers
//! want to know; its answer is remembered for a bounded time and in a bounded place; it has a deadline that holds
//! for all its attempts together. Fails by saying [`Unanswered`], which is never remembered and never means yes.

mod flights;
mod retry;

pub use flights::{Answer, Flights, Limits};
pub use retry::{Again, Failed, with_retries};

use std::time::Duration;

use thiserror::Error;

use crate::model::{Cause, Details, Reason, Status};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unanswered {
    /// No answer in time, all attempts together.
    #[error("the hub did not answer within {0:?}")]
    TimedOut(Duration),
    /// More questions are waiting than is sensible.
    #[error("too many questions to the hub are waiting for an answer")]
    Busy,
    /// The gateway is ending.
    #[error("the gateway is shutting down")]
    Stopped,
    /// The hub refused to be asked.
    #[error(
        "the hub answered {code} to the gateway itself; is it bound to the ClusterRole system:auth-delegator?"
    )]
    Refused {
        /// HTTP status of the hub's answer.
        code: u16,
        /// The hub's message, for our own log.
        message: String,
    },
    /// There is no talking to it.
    #[error("the hub cannot be reached")]
    Unreachable(
        /// The cause, for our own log.
        String,
    ),
}

impl Unanswered {
    /// 500 as kube-apiserver's `NewInternalError` writes it. `question` names what was asked, for instance
    /// `TokenReview`. What is only for our own log is not in it.
    pub fn status(&self, question: &str) -> Status {
        let cause = format!("{question}: {self}");
        let details = Details {
            causes: vec![Cause { message: cause.clone(), ..Cause::default() }],
            ..Details::default()
        };
        Status::new(Reason::InternalError, format!("Internal error occurred: {cause}")).with_details(details)
    }

    /// What the log says beyond the text for callers.
    pub fn detail(&self) -> &str {
        match self {
            Self::Refused { message, .. } | Self::Unreachable(message) => message,
            Self::TimedOut(_) | Self::Busy | Self::Stopped => "",
        }
    }
}
