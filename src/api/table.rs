//! Objects as rows (meta.k8s.io Table), and as nothing but their metadata.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::clusters::Cluster;
use crate::model::{GroupName, Reason, Status};

use super::gateway::{self, ObjectMeta};
use crate::model::Query;

/// `includeObject`: how much of an object goes along with its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    None,
    Metadata,
    Object,
}

/// `PartialObjectMetadata`
#[derive(Debug, Serialize)]
pub(super) struct Partial<'a> {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: String,
    metadata: ObjectMeta<'a>,
}

impl Include {
    pub(super) fn of(query: &Query<'_>) -> Result<Self, Status> {
        match query.first("includeObject").as_deref() {
            None | Some("" | "Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(other) => Err(Status::new(
                Reason::BadRequest,
                format!(
                    "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', 'Object', 'None', or empty"
                ),
            )),
        }
    }
}

/// Only the metadata of a cluster, in a version of meta.k8s.io.
pub(super) fn partial<'a>(cluster: &'a Cluster, group: &GroupName, version: &str) -> Partial<'a> {
    Partial {
        kind: "PartialObjectMetadata",
        api_version: format!("meta.k8s.io/{version}"),
        metadata: gateway::metadata(cluster, group),
    }
}

/// Rows with the columns of the Go gateway.
pub(super) fn show(
    clusters: &[Arc<Cluster>],
    resource_version: &str,
    version: &str,
    include: Include,
    group: &GroupName,
) -> Value {
    let rows: Vec<Value> = clusters
        .iter()
        .map(|cluster| {
            let cells = json!([
                cluster.name.as_str(),
                "",
                cluster.spec.credential_type.as_str(),
                cluster.spec.endpoint_type.as_str(),
                cluster.health.healthy.to_string(),
            ]);
            match include {
                Include::None => json!({"cells": cells, "object": null}),
                Include::Metadata => json!({"cells": cells, "object": partial(cluster, group, version)}),
                Include::Object => json!({"cells": cells, "object": gateway::show(cluster, group)}),
            }
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": {"resourceVersion": resource_version},
        "columnDefinitions": [
            column("Name", "name", "the name of the cluster"),
            column("Provider", "", "the cluster provider type"),
            column("Credential-Type", "", "the credential type"),
            column("Endpoint-Type", "", "the endpoint type"),
            column("Healthy", "", "the healthiness of the gateway"),
        ],
        "rows": rows,
    })
}

fn column(name: &str, format: &str, description: &str) -> Value {
    json!({"name": name, "type": "string", "format": format, "description": description, "priority": 0})
}
