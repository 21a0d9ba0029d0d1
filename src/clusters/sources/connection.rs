use std::error::Error as _;
use std::time::{SystemTime, UNIX_EPOCH};

use kube::core::Status;
use thiserror::Error;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::super::metrics::SourceMetrics;

/// Why a source was lost or not reached.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The hub answered that it will not.
    #[error("the hub answers {} {}: {}", .0.code, .0.reason, .0.message)]
    Refused(Box<Status>),
    /// The hub cannot be reached, or goes away before it answers.
    #[error("{0}")]
    Unreachable(String),
    /// What the hub says breaks off, or cannot be read.
    #[error("{0}")]
    Broken(String),
    /// No answer in time.
    #[error("the hub does not answer")]
    Silent,
    /// The hub ends watches as soon as they begin.
    #[error("the hub ends watches at once")]
    EndedAtOnce,
    /// A list that nothing can be watched from.
    #[error("the hub's list has no resourceVersion that is a number")]
    NoResourceVersion,
}

/// What is known of the connection to a source: says once when it is lost and once when it is back.
#[derive(Debug)]
pub(super) struct Connection {
    source: &'static str,
    metrics: SourceMetrics,
    lost: Option<Lost>,
}

#[derive(Debug)]
struct Lost {
    since: Instant,
    said: u16,
}

impl Connection {
    pub(super) fn new(source: &'static str, metrics: SourceMetrics) -> Self {
        Self { source, metrics, lost: None }
    }

    /// It was lost, or could still not be reached. Another kind of failure than the last one is worth another line.
    pub(super) fn lost(&mut self, failure: &Failure) {
        self.metrics.restarts.inc();
        self.metrics.connected.set(0.0);
        let source = self.source;
        let kind = failure.kind();
        let since = self.lost.as_ref().map_or_else(Instant::now, |lost| lost.since);
        match self.lost.replace(Lost { since, said: kind }) {
            Some(lost) if lost.said == kind => debug!(source, error = %failure, "source still lost"),
            _ => warn!(source, error = %failure, "source lost, what is known stays in force"),
        }
    }

    /// It works.
    pub(super) fn established(&mut self) {
        self.metrics.connected.set(1.0);
        self.heard();
        if let Some(lost) = self.lost.take() {
            info!(source = self.source, after = ?lost.since.elapsed(), "source is back");
        }
    }

    /// It said something.
    pub(super) fn heard(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.metrics.synced.set(now.as_secs_f64());
    }
}

impl Failure {
    /// Whether what was asked for is no longer there (or not there yet, after the hub was restored from a backup),
    /// so that only another list helps.
    pub(super) fn needs_list(&self) -> bool {
        matches!(self, Self::Refused(status) if matches!(status.code, 400 | 410 | 504))
    }

    /// Failures of one kind are said once.
    fn kind(&self) -> u16 {
        match self {
            Self::Refused(status) => status.code,
            Self::Unreachable(_) | Self::Broken(_) | Self::Silent | Self::EndedAtOnce => 0,
            Self::NoResourceVersion => 1,
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused(status),
            // serde's own words may repeat what they could not read: a Secret's data.
            kube::Error::SerdeError(_) => Self::Broken("the hub's answer cannot be read".to_owned()),
            error @ kube::Error::Service(_) => Self::Unreachable(with_causes(&error)),
            error => Self::Broken(with_causes(&error)),
        }
    }
}

fn with_causes(error: &kube::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
