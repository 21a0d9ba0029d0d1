use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::exec::ExecError;
use super::files::FilesError;

/// Why a source has no new credential. For whoever may see the cluster: names commands and data keys, and repeats no
/// credential.
#[derive(Debug, Clone, Error)]
pub enum Failure {
    /// The command.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The files.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// It came, but too late.
    #[error("the credential that {from} gave expired at {at} already; are both clocks right?")]
    Expired {
        /// `command "x"` or the files' data key.
        from: String,
        /// RFC 3339.
        at: String,
    },
    /// It came, but no connection can be set up with it.
    #[error("{0}")]
    Unusable(String),
    /// The cluster or the gateway is going.
    #[error("it was not waited for any longer")]
    Stopped,
    /// A mistake of ours, which the log has in full.
    #[error("getting it was broken off by a bug of the gateway")]
    Bug,
}

/// Why a request gets no credential.
#[derive(Debug, Clone, Error)]
pub enum Unavailable {
    /// The source has none, and is not asked again before some time has passed.
    #[error("{problem}")]
    Failed {
        /// A [`Failure`]'s text.
        problem: Arc<str>,
        /// When asking again makes sense.
        retry_after: Duration,
    },
    /// The source has none yet.
    #[error("there was none within {0:?}")]
    TimedOut(Duration),
    /// More requests wait for it than is sensible.
    #[error("too many requests wait for it")]
    Busy,
    /// The cluster or the gateway is going.
    #[error("the gateway is shutting down, or the cluster has just been changed")]
    Stopped,
}

impl Failure {
    /// As it stands in metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Exec(error) => error.outcome(),
            Self::Files(_) => "unreadable",
            Self::Expired { .. } => "expired",
            Self::Unusable(_) => "unusable",
            Self::Stopped => "stopped",
            Self::Bug => "bug",
        }
    }
}
