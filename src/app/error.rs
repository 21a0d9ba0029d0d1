use std::io;

use thiserror::Error as ThisError;

use crate::authn::HubConfigError;
use crate::config;
use crate::listener::WorkerError;

/// Why the gateway could not run.
#[derive(Debug, ThisError)]
pub enum Error {
    /// Something that the operator asked for cannot be had.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The system gives no threads.
    #[error("the control runtime cannot be started: {0}")]
    Runtime(io::Error),
    /// The same.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The hub does not let us know who its callers are.
    #[error(transparent)]
    Authentication(#[from] HubConfigError),
    /// Two metrics of one name: a mistake of ours.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// TLS cannot be set up: a mistake of ours, or a machine without randomness.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A task that keeps something true has ended, which is a bug.
    #[error("a control task ended: {0}")]
    Task(tokio::task::JoinError),
    /// Signals cannot be waited for.
    #[error("signals: {0}")]
    Signals(io::Error),
}
