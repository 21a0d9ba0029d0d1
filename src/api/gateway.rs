//! A cluster as a ClusterGateway.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::clusters::{self, EndpointType, Exposed, View};
use crate::model::GroupName;

use super::VERSION;
use super::meta::ObjectMeta;
use super::table::Column;

pub(super) const KIND: &str = "ClusterGateway";

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

#[derive(Debug, Serialize)]
struct Spec<'a> {
    provider: &'static str,
    access: Access<'a>,
}

#[derive(Debug, Serialize)]
struct Access<'a> {
    endpoint: Endpoint<'a>,
    credential: Credential<'a>,
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

/// The type only, unless the operator wants tokens and keys to be had here.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Credential<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_account_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x509: Option<Box<X509>>,
}

/// Not what is shown to callers only.
impl fmt::Debug for Credential<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credential").field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct X509 {
    certificate: String,
    private_key: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    healthy: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    healthy_reason: &'a str,
    conditions: Vec<Condition<'a>>,
}

/// `metav1.Condition`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Condition<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    /// As far as this replica knows: nothing is stored, so that another one, or this one after it was started anew,
    /// says something else.
    last_transition_time: String,
    reason: &'static str,
    message: &'a str,
}

/// A cluster as it is shown, by this resourceVersion.
pub(super) fn show<'a>(view: &'a View, version: u64, group: &GroupName) -> ClusterGateway<'a> {
    let spec = &view.spec;
    ClusterGateway {
        kind: KIND,
        api_version: format!("{group}/{VERSION}"),
        metadata: metadata(view, version, group),
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
                credential: credential(view),
            },
        },
        status: Status {
            healthy: view.health.healthy,
            healthy_reason: &view.health.reason,
            conditions: view.conditions.iter().map(condition).collect(),
        },
    }
}

fn credential(view: &View) -> Credential<'_> {
    let (service_account_token, x509) = match view.exposed.as_deref() {
        None => (None, None),
        Some(Exposed::Token(token)) => (Some(token.as_str()), None),
        Some(Exposed::Certificate { certificate, key }) => {
            let (certificate, private_key) = (STANDARD.encode(certificate), STANDARD.encode(key));
            (None, Some(Box::new(X509 { certificate, private_key })))
        }
    };
    Credential { kind: view.spec.credential_type.as_str(), service_account_token, x509 }
}

/// A cluster's metadata. Of the Secret's annotations only those of the group: any other may hold anything, and
/// kubectl's `last-applied-configuration` holds the whole Secret.
pub(super) fn metadata<'a>(view: &'a View, version: u64, group: &GroupName) -> ObjectMeta<'a> {
    let from = &view.metadata;
    let is_ours = |key: &str| key.split_once('/').is_some_and(|(prefix, _)| is_under(prefix, group));
    let pair = |(key, value): (&'a str, &'a str)| (key.into(), value);
    ObjectMeta {
        name: view.name.as_str(),
        uid: &from.uid,
        resource_version: version,
        creation_timestamp: from.creation_timestamp.as_deref(),
        labels: from.labels.iter().map(pair).collect(),
        annotations: from.annotations.iter().filter(|(key, _)| is_ours(key)).map(pair).collect(),
    }
}

/// The columns of the Go gateway.
pub(super) const COLUMNS: &[Column] = &[
    Column::new("Name", "string", "name", "the name of the cluster", 0),
    Column::new("Provider", "string", "", "the cluster provider type", 0),
    Column::new("Credential-Type", "string", "", "the credential type", 0),
    Column::new("Endpoint-Type", "string", "", "the endpoint type", 0),
    Column::new("Healthy", "string", "", "the healthiness of the gateway", 0),
    Column::new("Usable", "string", "", "whether requests can be sent to the cluster", 0),
    Column::new("Reason", "string", "", "what is wrong with the cluster, in one word", 0),
    Column::new("Message", "string", "", "what is wrong with the cluster, and what to do about it", 1),
];

/// Without a condition of that name nothing is known.
fn usable(view: &View) -> &'static str {
    let usable = view.conditions.iter().find(|condition| condition.kind == "Usable");
    usable.map_or("Unknown", |condition| condition.status)
}

/// What somebody should look at first: what keeps requests from being answered, then what does not hold, then what will
/// not hold for long.
fn trouble(conditions: &[clusters::Condition]) -> Option<&clusters::Condition> {
    let broken = conditions.iter().filter(|condition| condition.status == "False");
    // A cluster that nobody verifies answers.
    let broken = broken.min_by_key(|condition| condition.kind == "Verified");
    broken.or_else(|| {
        conditions.iter().find(|condition| condition.status == "True" && !condition.message.is_empty())
    })
}

/// What stands in them.
pub(super) fn cells(view: &View) -> Vec<Value> {
    let trouble = trouble(&view.conditions);
    vec![
        view.name.as_str().into(),
        "".into(),
        view.spec.credential_type.as_str().into(),
        view.spec.endpoint_type.as_str().into(),
        view.health.healthy.to_string().into(),
        usable(view).into(),
        trouble.map_or("", |condition| condition.reason).into(),
        trouble.map_or("", |condition| &condition.message).into(),
    ]
}

/// The group itself or a domain below it (`status.cluster.core.oam.dev`).
fn is_under(prefix: &str, group: &GroupName) -> bool {
    prefix.strip_suffix(group.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn condition(condition: &clusters::Condition) -> Condition<'_> {
    Condition {
        kind: condition.kind,
        status: condition.status,
        last_transition_time: rfc3339(condition.since),
        reason: condition.reason,
        message: &condition.message,
    }
}

fn rfc3339(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}
