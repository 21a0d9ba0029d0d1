//! A cluster as a VirtualCluster: what users may see of it who may not see how it is reached.
//!
//! They are made of the same views as ClusterGateways, less those without an endpoint, as in the Go gateway; and
//! there is [`Local`], the hub itself.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::clusters::{Pairs, View};
use crate::model::GroupName;

use super::VERSION;
use super::meta::ObjectMeta;
use super::table::Column;

pub(super) const KIND: &str = "VirtualCluster";

/// `VirtualCluster`, with the fields of the Go gateway.
#[derive(Debug, Serialize)]
pub(super) struct VirtualCluster<'a> {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: String,
    metadata: ObjectMeta<'a>,
    spec: Spec<'a>,
}

#[derive(Debug, Serialize)]
struct Spec<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    alias: &'a str,
    accepted: bool,
    endpoint: &'a str,
    #[serde(rename = "credential-type")]
    credential_type: &'a str,
}

/// What it is made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// A cluster's Secret.
    Secret(&'a View),
    /// Nothing: it is the hub.
    Local,
}

/// The hub's name.
pub(super) const LOCAL: &str = "local";
/// A resourceVersion that no other object has, before that of any other.
const LOCAL_VERSION: u64 = 1;

impl<'a> Source<'a> {
    /// None where there is no endpoint to show.
    pub(super) fn secret(view: &'a View, group: &GroupName) -> Option<Self> {
        let source = Self::Secret(view);
        (!source.endpoint(group).is_empty()).then_some(source)
    }

    pub(super) fn name(&self) -> &'a str {
        match self {
            Self::Secret(view) => view.name.as_str(),
            Self::Local => LOCAL,
        }
    }

    pub(super) fn version(&self) -> u64 {
        match self {
            Self::Secret(view) => view.version,
            Self::Local => LOCAL_VERSION,
        }
    }

    pub(super) fn created(&self) -> Option<&'a str> {
        match self {
            Self::Secret(view) => view.metadata.creation_timestamp.as_deref(),
            Self::Local => None,
        }
    }

    /// The Secret's labels less those of the group, and whether it is the hub.
    pub(super) fn label(&self, key: &str, group: &GroupName) -> Option<&'a str> {
        match self {
            _ if key.strip_prefix(group.as_str()) == Some("/control-plane") => Some(self.is_control_plane()),
            Self::Secret(view) if !key.starts_with(group.as_str()) => view.metadata.labels.get(key),
            Self::Secret(_) | Self::Local => None,
        }
    }

    pub(super) fn metadata(&self, version: u64, group: &GroupName) -> ObjectMeta<'a> {
        let mut metadata = ObjectMeta {
            name: self.name(),
            resource_version: version,
            creation_timestamp: self.created(),
            labels: vec![(format!("{group}/control-plane").into(), self.is_control_plane())],
            ..ObjectMeta::default()
        };
        if let Self::Secret(view) = self {
            metadata.uid = &view.metadata.uid;
            let labels = view.metadata.labels.iter().filter(|(key, _)| !key.starts_with(group.as_str()));
            metadata.labels.extend(labels.map(|(key, value)| (Cow::from(key), value)));
            metadata.labels.sort_unstable();
        }
        metadata
    }

    /// The object, by this resourceVersion.
    pub(super) fn show(&self, version: u64, group: &GroupName) -> VirtualCluster<'a> {
        VirtualCluster {
            kind: KIND,
            api_version: format!("{group}/{VERSION}"),
            metadata: self.metadata(version, group),
            spec: Spec {
                alias: self.alias(group),
                // Whoever made the Secret has accepted it.
                accepted: true,
                endpoint: self.endpoint(group),
                credential_type: self.credential_type(group),
            },
        }
    }

    /// What stands in the [`COLUMNS`].
    pub(super) fn cells(&self, group: &GroupName) -> Vec<Value> {
        let labels = self.metadata(0, group).labels;
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        vec![
            self.name().into(),
            self.alias(group).into(),
            self.credential_type(group).into(),
            self.endpoint(group).into(),
            true.into(),
            labels.join(",").into(),
            self.created().into(),
        ]
    }

    fn is_control_plane(&self) -> &'static str {
        match self {
            Self::Secret(_) => "false",
            Self::Local => "true",
        }
    }

    fn alias(&self, group: &GroupName) -> &'a str {
        match self {
            Self::Secret(view) => text(&view.metadata.annotations, group, "cluster-alias"),
            Self::Local => "",
        }
    }

    /// What the endpoint-type label says, where there is one; else the address.
    fn endpoint(&self, group: &GroupName) -> &'a str {
        match self {
            Self::Secret(view) => match text(&view.metadata.labels, group, "cluster-endpoint-type") {
                "" => &view.spec.address,
                label => label,
            },
            Self::Local => "-",
        }
    }

    /// As the label says it, even if that means nothing to us.
    fn credential_type(&self, group: &GroupName) -> &'a str {
        match self {
            Self::Secret(view) => text(&view.metadata.labels, group, "cluster-credential-type"),
            Self::Local => "Internal",
        }
    }
}

/// The columns of the Go gateway.
pub(super) const COLUMNS: &[Column] = &[
    Column::new("Name", "string", "name", "the name of the cluster", 0),
    Column::new("Alias", "string", "", "the cluster provider type", 0),
    Column::new("Credential_Type", "string", "", "the credential type", 0),
    Column::new("Endpoint", "string", "", "the endpoint", 0),
    Column::new("Accepted", "boolean", "", "the acceptance of the cluster", 0),
    Column::new("Labels", "string", "", "the labels of the cluster", 0),
    Column::new("Creation_Timestamp", "dateTime", "", "the creation timestamp of the cluster", 10),
];

fn text<'a>(pairs: &'a Pairs, group: &GroupName, key: &str) -> &'a str {
    pairs.get(&format!("{group}/{key}")).unwrap_or_default()
}
