use std::time::Duration;

use crate::credentials::Unavailable;
use crate::model::{ClusterName, Reason, Status};
use crate::upstream::UpstreamError;

/// What a caller is told when a cluster could not be asked: names the cluster and the cause, and no secret.
pub(super) fn unreachable(cluster: &ClusterName, error: &UpstreamError) -> Status {
    let (reason, what) = match error {
        UpstreamError::Resolve(_)
        | UpstreamError::NoAddress { .. }
        | UpstreamError::Connect { .. }
        | UpstreamError::ConnectTimeout { .. }
        | UpstreamError::Proxy { .. }
        | UpstreamError::Unreached { .. }
        | UpstreamError::Busy { .. } => (Reason::ServiceUnavailable, "cannot be reached"),
        UpstreamError::NotTrusted { .. } => (Reason::BadGateway, "is not to be trusted"),
        UpstreamError::CredentialRefused { .. } => (Reason::BadGateway, "refused the gateway's credential"),
        UpstreamError::Tls { .. } | UpstreamError::Broken { .. } => {
            (Reason::BadGateway, "did not answer as a cluster does")
        }
        UpstreamError::Deadline { .. } => (Reason::Timeout, "did not answer in time"),
    };
    let hint = match error {
        UpstreamError::NotTrusted { .. } => ": check ca.crt and endpoint of its Secret",
        UpstreamError::CredentialRefused { .. } => ": check the credential in its Secret",
        _ => "",
    };
    Status::new(reason, format!("cluster {:?} {what}: {error}{hint}", cluster.as_str()))
}

/// A cluster's 401 is about our credential, not about the caller's.
pub(super) fn credential_refused(cluster: &ClusterName) -> Status {
    Status::new(
        Reason::BadGateway,
        format!(
            "cluster {:?} answered 401: it refused the gateway's credential; renew the credential in its Secret",
            cluster.as_str()
        ),
    )
}

/// As many upgraded connections are open as may be.
pub(super) fn too_many_streams(cluster: &ClusterName, limit: usize) -> Status {
    let message = format!(
        "cluster {:?} has {limit} streams (exec, attach, port-forward) open through this replica of the gateway, \
         the most that --max-upgraded-streams-per-cluster allows: end some of them",
        cluster.as_str()
    );
    Status::new(Reason::TooManyRequests, message).with_retry_after(Duration::from_secs(5))
}

/// There is no credential to show to the cluster, or not yet.
pub(super) fn no_credential(cluster: &ClusterName, error: &Unavailable) -> Status {
    let message = format!("cluster {:?} has no credential: {error}", cluster.as_str());
    let status = Status::new(Reason::ServiceUnavailable, message);
    match error {
        Unavailable::Failed { retry_after, .. } => status.with_retry_after(*retry_after),
        Unavailable::TimedOut(_) | Unavailable::Busy | Unavailable::Stopped => status,
    }
}

/// The cluster is known, but its Secret cannot be used.
pub(super) fn not_usable(cluster: &ClusterName, why: &str) -> Status {
    Status::new(Reason::ServiceUnavailable, format!("cluster {:?} cannot be used: {why}", cluster.as_str()))
}
