use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, StatusCode};

use crate::clusters::Cluster;
use crate::credentials::Unavailable;
use crate::model::{RequestInfo, User};
use crate::telemetry::{ErrorKind, InFlight, Metrics, Record, Resource, Target, Verb};
use crate::upstream::UpstreamError;

use super::client::Gone;
use super::stream::Ended;

/// nginx's code for a caller who left before there was an answer.
const LEFT: u16 = 499;

/// What is known of a request so far. Becomes one [`Record`] when the request ends.
pub(super) struct Progress {
    begun: Instant,
    remote: SocketAddr,
    target: Target,
    user: Option<Arc<User>>,
    cluster: Option<(Arc<Cluster>, InFlight)>,
    resource: Resource,
    verb: Verb,
    code: u16,
    received: u64,
    sent: u64,
    streamed: bool,
    upstream: Option<Duration>,
    error: Option<ErrorKind>,
}

/// What went by between the caller and a cluster.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Traffic {
    /// Bytes of the request's body.
    pub(super) received: u64,
    /// Bytes of the answer's body.
    pub(super) sent: u64,
    /// From sending the request to the header of its answer.
    pub(super) header: Option<Duration>,
}

impl Progress {
    pub(super) fn begin(remote: SocketAddr) -> Self {
        Self {
            begun: Instant::now(),
            remote,
            target: Target::Api,
            user: None,
            cluster: None,
            resource: Resource::NONE,
            verb: Verb::Other,
            code: LEFT,
            received: 0,
            sent: 0,
            streamed: false,
            upstream: None,
            error: None,
        }
    }

    pub(super) fn user(&mut self, user: &Arc<User>) {
        self.user = Some(Arc::clone(user));
    }

    pub(super) fn target(&mut self, target: Target) {
        self.target = target;
    }

    /// What is asked of the cluster.
    pub(super) fn asked(&mut self, info: &RequestInfo<'_>) {
        self.resource = Resource::of(info.resource);
        self.verb = Verb::of(&info.verb);
    }

    pub(super) fn cluster(&mut self, cluster: &Arc<Cluster>) {
        let in_flight = cluster.series.begin();
        self.cluster = Some((Arc::clone(cluster), in_flight));
    }

    pub(super) fn code(&mut self, code: StatusCode) {
        self.code = code.as_u16();
    }

    pub(super) fn traffic(&mut self, traffic: Traffic) {
        self.received = traffic.received;
        self.sent = traffic.sent;
        self.upstream = traffic.header;
    }

    /// A stream that the cluster switched to has ended.
    pub(super) fn streamed(&mut self, ended: &Ended) {
        self.code(StatusCode::SWITCHING_PROTOCOLS);
        self.streamed = true;
        self.received += ended.received;
        self.sent += ended.sent;
        self.error = ended.error;
    }

    pub(super) fn gone(&mut self, gone: &Gone) {
        if let Gone::Unmade(error) = gone {
            // Ours, not the caller's.
            tracing::error!(remote = %self.remote, %error, "an answer of our own broke off: it could not be made");
            self.error = Some(ErrorKind::Broken);
            return;
        }
        tracing::debug!(remote = %self.remote, %gone, "a caller left before the end of its answer");
        self.error = Some(ErrorKind::ClientGone);
    }

    pub(super) fn credential_refused(&mut self) {
        self.error = Some(ErrorKind::CredentialRefused);
    }

    pub(super) fn no_credential(&mut self, error: &Unavailable) {
        self.error = Some(ErrorKind::NoCredential);
        if let Some((cluster, _)) = &self.cluster {
            tracing::debug!(cluster = %cluster.name, %error, "there is no credential for a cluster");
        }
    }

    pub(super) fn failed(&mut self, error: &UpstreamError) {
        self.error = Some(kind(error));
        if let Some((cluster, _)) = &self.cluster {
            tracing::debug!(cluster = %cluster.name, %error, "a cluster could not be asked");
        }
    }

    pub(super) fn end(self, metrics: &Metrics, method: &Method, path: &str, audit_id: &HeaderValue) {
        metrics.record(&Record {
            target: self.target,
            cluster: self.cluster.as_ref().map(|(cluster, _)| &cluster.series),
            resource: self.resource,
            verb: self.verb,
            code: self.code,
            method,
            path,
            user: self.user.as_ref().map_or("", |user| &user.name),
            remote: Some(self.remote),
            audit_id: audit_id.to_str().unwrap_or_default(),
            received: self.received,
            sent: self.sent,
            streamed: self.streamed,
            duration: self.begun.elapsed(),
            upstream: self.upstream,
            error: self.error,
        });
    }
}

fn kind(error: &UpstreamError) -> ErrorKind {
    match error {
        UpstreamError::Resolve(_) | UpstreamError::NoAddress { .. } => ErrorKind::Unresolved,
        UpstreamError::Connect { .. }
        | UpstreamError::ConnectTimeout { .. }
        | UpstreamError::Unreached { .. } => ErrorKind::Unreachable,
        UpstreamError::Proxy { .. } => ErrorKind::Proxy,
        UpstreamError::NotTrusted { .. } | UpstreamError::Tls { .. } => ErrorKind::Untrusted,
        UpstreamError::CredentialRefused { .. } => ErrorKind::CredentialRefused,
        UpstreamError::Busy { .. } => ErrorKind::Overloaded,
        UpstreamError::Broken { .. } => ErrorKind::Broken,
        UpstreamError::Deadline { .. } => ErrorKind::Timeout,
    }
}
