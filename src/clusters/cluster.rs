use std::ops::Deref;
use std::sync::Arc;

use crate::exchange::Rules;
use crate::model::ClusterName;
use crate::telemetry::ClusterSeries;

use super::{Access, Condition, Exposed, Pairs, Streams};

/// One cluster as of one generation of its Secret: what our API shows of it, and what a request needs to reach it.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// What anybody who may read clusters may know. A cluster has all of its fields as if they were its own.
    pub view: Arc<View>,
    /// How to reach it, or why that is not possible.
    pub access: Result<Arc<Access>, String>,
    /// What is wrong with the latest Secret, for people to read: `access` may still be there, as that of an earlier
    /// one, or because the Secret can be used but is likely to be refused (an expired certificate).
    pub problem: Option<String>,
    /// Its own rules of who callers are there, when its Secret has any; or why they cannot be followed.
    pub rules: Result<Option<Arc<Rules>>, String>,
    /// Its metrics.
    pub series: Arc<ClusterSeries>,
    /// Its upgraded connections.
    pub streams: Arc<Streams>,
}

/// What there is to show of a cluster. Holds no credential, unless it is shown, and no
/// connection, so that histories may keep it.
#[derive(Debug, Clone)]
pub struct View {
    /// The Secret's name.
    pub name: ClusterName,
    /// The Secret's metadata.
    pub metadata: Metadata,
    /// The resourceVersion to show: the Secret's, or a later one of the hub's as of which time alone changed what
    /// there is to show. 0 where the Secret has none.
    pub version: u64,
    /// What ClusterGateway shows. Holds no credential.
    pub spec: Spec,
    /// The credential, where the operator wants it to be shown.
    pub exposed: Option<Arc<Exposed>>,
    /// From the Secret's annotations.
    pub health: Health,
    /// Whether it can be used, and why not.
    pub conditions: Vec<Condition>,
}

/// So that who reads `cluster.name` need not know which of its sides has it.
impl Deref for Cluster {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

/// What a Secret says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// As Kubernetes made it.
    pub uid: String,
    /// As Kubernetes made it: opaque.
    pub resource_version: String,
    /// RFC 3339, whole seconds, as in JSON.
    pub creation_timestamp: Option<String>,
    /// All of the Secret's.
    pub labels: Pairs,
    /// The Secret's, less `kubectl.kubernetes.io/last-applied-configuration`, which repeats its data.
    pub annotations: Pairs,
}

/// How a cluster is to be reached, as ClusterGateway's `spec.access` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The endpoint's type.
    pub endpoint_type: EndpointType,
    /// The endpoint as it stands in the Secret, less white space around it and a password in it.
    pub address: String,
    /// The CA as it stands in the Secret (PEM); none means that nobody verifies the cluster.
    pub ca_bundle: Option<Vec<u8>>,
    /// `proxy-url`, its password removed.
    pub proxy_url: Option<String>,
    /// The credential's type; the credential itself is not here.
    pub credential_type: CredentialType,
}

/// Label `cluster.core.oam.dev/cluster-endpoint-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndpointType {
    /// The Secret's `endpoint`.
    Const,
    /// Through Konnectivity.
    ClusterProxy,
    /// The label says something else.
    Unknown,
}

/// Label `cluster.core.oam.dev/cluster-credential-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialType {
    /// A client certificate.
    X509Certificate,
    /// A bearer token.
    ServiceAccountToken,
    /// What a command says.
    Dynamic,
    /// The label says something else.
    Unknown,
}

/// Annotations `status.cluster.core.oam.dev/healthy` and `…/healthy-reason`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// "true".
    pub healthy: bool,
    /// Free text.
    pub reason: String,
}

impl EndpointType {
    /// As it stands in labels and in ClusterGateway.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Const => "Const",
            Self::ClusterProxy => "ClusterProxy",
            Self::Unknown => "Unknown",
        }
    }
}

impl CredentialType {
    /// As it stands in labels and in ClusterGateway.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X509Certificate => "X509Certificate",
            Self::ServiceAccountToken => "ServiceAccountToken",
            Self::Dynamic => "Dynamic",
            Self::Unknown => "Unknown",
        }
    }
}

#[cfg(test)]
impl Cluster {
    /// The same with the conditions that it would have at 2026-01-02T03:04:06Z.
    pub(crate) fn looked_at(self) -> Self {
        let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_767_323_046);
        let state = super::condition::State {
            access: &self.access,
            problem: self.problem.as_deref(),
            failed: false,
            endpoint_type: self.spec.endpoint_type,
            group: "cluster.core.oam.dev",
        };
        let conditions = super::condition::conditions(&state, &[], then);
        let view = View { conditions, ..View::clone(&self.view) };
        Self { view: Arc::new(view), ..self }
    }
}
