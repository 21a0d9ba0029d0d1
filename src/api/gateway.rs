//! A cluster as a ClusterGateway.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::clusters::{Cluster, CredentialState, EndpointType};
use crate::model::GroupName;

use super::VERSION;

/// `ClusterGateway`, with the fields of the Go gateway, less the credential itself, plus conditions.
#[derive(Debug, Serialize)]
pub(super) struct ClusterGateway<'a> {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: String,
    metadata: ObjectMeta<'a>,
    spec: Spec<'a>,
    status: Status<'a>,
}

/// `metav1.ObjectMeta`, as far as it is known.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ObjectMeta<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uid: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    resource_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_timestamp: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, &'a str>,
}

#[derive(Debug, Serialize)]
struct Spec<'a> {
    provider: &'static str,
    access: Access<'a>,
}

#[derive(Debug, Serialize)]
struct Access<'a> {
    endpoint: Endpoint<'a>,
    credential: Credential,
}

#[derive(Debug, Serialize)]
struct Endpoint<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "const", skip_serializing_if = "Option::is_none")]
    constant: Option<Constant<'a>>,
}

#[derive(Debug, Serialize)]
struct Constant<'a> {
    address: &'a str,
    #[serde(rename = "caBundle", skip_serializing_if = "Option::is_none")]
    ca_bundle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    insecure: Option<bool>,
    #[serde(rename = "proxy-url", skip_serializing_if = "Option::is_none")]
    proxy_url: Option<&'a str>,
}

/// The type only: tokens and keys are not to be had here.
#[derive(Debug, Serialize)]
struct Credential {
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    healthy: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    healthy_reason: &'a str,
    conditions: Vec<Condition<'a>>,
}

/// `metav1.Condition`, but for `lastTransitionTime`: nothing is stored here, so that nobody knows, and replicas
/// would contradict each other.
#[derive(Debug, Serialize)]
struct Condition<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: Cow<'a, str>,
}

/// A cluster as it is shown.
pub(super) fn show<'a>(cluster: &'a Cluster, group: &GroupName) -> ClusterGateway<'a> {
    let spec = &cluster.spec;
    ClusterGateway {
        kind: "ClusterGateway",
        api_version: format!("{group}/{VERSION}"),
        metadata: metadata(cluster, group),
        spec: Spec {
            provider: "",
            access: Access {
                endpoint: Endpoint {
                    kind: spec.endpoint_type.as_str(),
                    constant: (spec.endpoint_type == EndpointType::Const).then(|| Constant {
                        address: &spec.address,
                        ca_bundle: spec.ca_bundle.as_ref().map(|pem| STANDARD.encode(pem)),
                        insecure: spec.ca_bundle.is_none().then_some(true),
                        proxy_url: spec.proxy_url.as_deref(),
                    }),
                },
                credential: Credential { kind: spec.credential_type.as_str() },
            },
        },
        status: Status {
            healthy: cluster.health.healthy,
            healthy_reason: &cluster.health.reason,
            conditions: conditions(cluster, group),
        },
    }
}

/// A cluster's metadata. Of the Secret's annotations only those of the group: any other may hold anything, and
/// kubectl's `last-applied-configuration` holds the whole Secret.
pub(super) fn metadata<'a>(cluster: &'a Cluster, group: &GroupName) -> ObjectMeta<'a> {
    let from = &cluster.metadata;
    let is_ours = |key: &str| key.split_once('/').is_some_and(|(prefix, _)| is_under(prefix, group));
    ObjectMeta {
        name: cluster.name.as_str(),
        uid: &from.uid,
        resource_version: &from.resource_version,
        creation_timestamp: from.creation_timestamp.as_deref(),
        labels: &from.labels,
        annotations: from
            .annotations
            .iter()
            .filter(|(key, _)| is_ours(key))
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect(),
    }
}

/// The group itself or a domain below it (`status.cluster.core.oam.dev`).
fn is_under(prefix: &str, group: &GroupName) -> bool {
    prefix.strip_suffix(group.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn conditions<'a>(cluster: &'a Cluster, group: &GroupName) -> Vec<Condition<'a>> {
    let mut conditions = vec![match (&cluster.access, &cluster.problem) {
        (Ok(_), None) => condition("Usable", "True", "SecretAccepted", ""),
        (Ok(_), Some(problem)) => condition("Usable", "True", "EarlierSecretInForce", problem.as_str()),
        (Err(why), _) => condition("Usable", "False", "SecretRefused", why.as_str()),
    }];
    if let Ok(access) = &cluster.access {
        conditions.push(match access.verified {
            true => condition("Verified", "True", "CertificateAuthorityGiven", ""),
            false if cluster.spec.endpoint_type == EndpointType::ClusterProxy => condition(
                "Verified",
                "False",
                "ServerNameMissing",
                format!(
                    "behind Konnectivity whoever answers is taken for the cluster and is shown its credential: the \
                     annotation {group}/tls-server-name, with ca.crt, says what its certificate has to say"
                ),
            ),
            false => condition(
                "Verified",
                "False",
                "CertificateAuthorityMissing",
                "the Secret has no ca.crt: whoever answers at the endpoint is taken for the cluster and is shown its credential",
            ),
        });
        conditions.push(credential(access.credential_state(SystemTime::now())));
    }
    conditions
}

/// Of this replica's own, at this moment: each has its own credential where it has to be got.
fn credential(state: CredentialState) -> Condition<'static> {
    const KIND: &str = "CredentialReady";
    match state {
        CredentialState::Ready => condition(KIND, "True", "CredentialAvailable", ""),
        CredentialState::Endangered(why) => condition(KIND, "True", "CredentialEndangered", why),
        CredentialState::Missing(why) => condition(KIND, "False", "CredentialUnavailable", why),
        CredentialState::NotAskedFor => {
            condition(KIND, "Unknown", "CredentialNotAskedFor", "it is got when a request needs it")
        }
    }
}

fn condition<'a>(
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: impl Into<Cow<'a, str>>,
) -> Condition<'a> {
    Condition { kind, status, reason, message: message.into() }
}
