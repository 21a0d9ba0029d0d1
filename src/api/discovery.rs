use serde_json::{Value, json};

use crate::model::{Answer, GroupName, Status};

use super::document::Document;
use super::{Request, VERSION, negotiation};

/// What this server serves, in the three forms that there are (aggregated since KEP-3352).
#[derive(Debug)]
pub(super) struct Discovery {
    /// `/`
    pub(super) paths: Value,
    groups: Document,
    aggregated: Document,
    group: Document,
    resources: Document,
}

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// What may be done with a cluster's proxy, as the Go gateway lists it: HEAD and OPTIONS have no verb of their own.
const PROXY_VERBS: [&str; 5] = ["create", "delete", "get", "patch", "update"];
/// No watch as long as none is served: clients take this list at its word.
const VERBS: [&str; 2] = ["get", "list"];

impl Discovery {
    pub(super) fn new(group: &GroupName) -> Self {
        let group_version = format!("{group}/{VERSION}");
        let version = json!({"groupVersion": group_version, "version": VERSION});
        let api_group = json!({"name": group.as_str(), "versions": [version], "preferredVersion": version});
        Self {
            paths: json!({"paths": [
                "/apis",
                format!("/apis/{group}"),
                format!("/apis/{group_version}"),
                "/healthz",
                "/livez",
                "/metrics",
                "/openapi/v2",
                "/openapi/v3",
                format!("/openapi/v3/apis/{group_version}"),
                "/readyz",
                "/version",
            ]}),
            groups: Document::new(
                &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [api_group]}),
            ),
            aggregated: Document::new(&aggregated(group)),
            group: Document::new(&with_kind("APIGroup", api_group)),
            resources: Document::new(&json!({
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": group_version,
                "resources": [
                    {
                        "name": "clustergateways",
                        "singularName": "clustergateway",
                        "namespaced": false,
                        "kind": "ClusterGateway",
                        "verbs": VERBS,
                    },
                    {
                        "name": "clustergateways/proxy",
                        "singularName": "",
                        "namespaced": false,
                        "kind": "ClusterGatewayProxyOptions",
                        "verbs": PROXY_VERBS,
                    },
                ],
            })),
        }
    }

    /// `/apis`
    pub(super) fn groups(&self, request: &Request<'_>) -> Result<Answer, Status> {
        Ok(match negotiation::aggregated(request.headers)? {
            true => self.aggregated.tagged(request, AGGREGATED),
            false => self.groups.plain(request),
        })
    }

    /// `/apis/GROUP`
    pub(super) fn group(&self, request: &Request<'_>) -> Result<Answer, Status> {
        negotiation::json(request.headers)?;
        Ok(self.group.plain(request))
    }

    /// `/apis/GROUP/VERSION`
    pub(super) fn resources(&self, request: &Request<'_>) -> Result<Answer, Status> {
        negotiation::json(request.headers)?;
        Ok(self.resources.plain(request))
    }
}

fn aggregated(group: &GroupName) -> Value {
    // Group and version are left empty where they are those that the kind is listed under.
    let kind = |kind: &str| json!({"group": "", "version": "", "kind": kind});
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [{
            "metadata": {"name": group.as_str(), "creationTimestamp": null},
            "versions": [{
                "version": VERSION,
                "resources": [{
                    "resource": "clustergateways",
                    "responseKind": kind("ClusterGateway"),
                    "scope": "Cluster",
                    "singularResource": "clustergateway",
                    "verbs": VERBS,
                    "subresources": [{
                        "subresource": "proxy",
                        "responseKind": kind("ClusterGatewayProxyOptions"),
                        "verbs": PROXY_VERBS,
                    }],
                }],
                "freshness": "Current",
            }],
        }],
    })
}

fn with_kind(kind: &str, mut value: Value) -> Value {
    value["kind"] = kind.into();
    value["apiVersion"] = "v1".into();
    value
}
