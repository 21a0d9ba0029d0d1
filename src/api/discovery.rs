use serde_json::{Map, Value, json};

use crate::model::{Answer, GroupName, Status};

use super::document::Document;
use super::encode::Format;
use super::{Request, VERSION, negotiation, protobuf};

/// What this server serves, in the three forms that there are (aggregated since KEP-3352).
#[derive(Debug)]
pub(super) struct Discovery {
    /// `/`
    paths: Document,
    groups: Document,
    aggregated: Document,
    group: Document,
    resources: Document,
}

/// A resource and what is below it.
struct Resource {
    name: &'static str,
    singular: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
    short_names: &'static [&'static str],
    subresources: &'static [Subresource],
}

/// Something below an object.
struct Subresource {
    name: &'static str,
    kind: &'static str,
    verbs: &'static [&'static str],
}

/// Watch, but not delete: so garbage collector and quota controllers stay away.
const READ: &[&str] = &["get", "list", "watch"];

const RESOURCES: &[Resource] = &[
    Resource {
        name: "clustergateways",
        singular: "clustergateway",
        kind: "ClusterGateway",
        verbs: READ,
        short_names: &["cg"],
        subresources: &[
            Subresource { name: "health", kind: "ClusterGateway", verbs: &["get", "patch", "update"] },
            // As the Go gateway lists it: HEAD and OPTIONS have no verb of their own.
            Subresource {
                name: "proxy",
                kind: "ClusterGatewayProxyOptions",
                verbs: &["create", "delete", "get", "patch", "update"],
            },
        ],
    },
    Resource {
        name: "virtualclusters",
        singular: "virtualcluster",
        kind: "VirtualCluster",
        verbs: READ,
        short_names: &["vc", "vcluster", "vclusters", "virtual-cluster", "virtual-clusters"],
        subresources: &[],
    },
];

impl Discovery {
    pub(super) fn new(group: &GroupName) -> Self {
        let group_version = format!("{group}/{VERSION}");
        let version = json!({"groupVersion": group_version, "version": VERSION});
        let api_group = json!({"name": group.as_str(), "versions": [version], "preferredVersion": version});
        Self {
            paths: Document::new(json!({"paths": [
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
            ]})),
            groups: Document::of_message(
                json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [api_group]}),
                protobuf::API_GROUP_LIST,
            ),
            aggregated: Document::of_message(aggregated(group), protobuf::DISCOVERY),
            group: Document::of_message(with_kind("APIGroup", api_group), protobuf::API_GROUP),
            resources: Document::of_message(
                json!({
                    "kind": "APIResourceList",
                    "apiVersion": "v1",
                    "groupVersion": group_version,
                    "resources": RESOURCES.iter().flat_map(listed).collect::<Vec<_>>(),
                }),
                protobuf::API_RESOURCE_LIST,
            ),
        }
    }

    /// `/`, always indented JSON, as kube-apiserver's.
    pub(super) fn paths(&self) -> Result<Answer, Status> {
        self.paths.plain(Format { pretty: true, ..Format::JSON })
    }

    /// `/apis`
    pub(super) fn groups(&self, request: &Request<'_>) -> Result<Answer, Status> {
        match negotiation::aggregated(request)? {
            (true, format) => {
                const AS: &str = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
                self.aggregated.tagged(request, format, AS, "public")
            }
            (false, format) => self.groups.plain(format),
        }
    }

    /// `/apis/GROUP`
    pub(super) fn group(&self, request: &Request<'_>) -> Result<Answer, Status> {
        self.group.plain(negotiation::document(request)?)
    }

    /// `/apis/GROUP/VERSION`
    pub(super) fn resources(&self, request: &Request<'_>) -> Result<Answer, Status> {
        self.resources.plain(negotiation::document(request)?)
    }
}

/// `APIResource` of a resource and of what is below it.
fn listed(resource: &Resource) -> Vec<Value> {
    let mut own = json!({
        "name": resource.name,
        "singularName": resource.singular,
        "namespaced": false,
        "kind": resource.kind,
        "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        own["shortNames"] = resource.short_names.into();
    }
    let below = resource.subresources.iter().map(|below| {
        json!({
            "name": format!("{}/{}", resource.name, below.name),
            "singularName": "",
            "namespaced": false,
            "kind": below.kind,
            "verbs": below.verbs,
        })
    });
    std::iter::once(own).chain(below).collect()
}

fn aggregated(group: &GroupName) -> Value {
    // Group and version are left empty where they are those that the kind is listed under.
    let kind = |kind: &str| json!({"group": "", "version": "", "kind": kind});
    let resource = |resource: &Resource| {
        let mut own = json!({
            "resource": resource.name,
            "responseKind": kind(resource.kind),
            "scope": "Cluster",
            "singularResource": resource.singular,
            "verbs": resource.verbs,
        });
        if !resource.short_names.is_empty() {
            own["shortNames"] = resource.short_names.into();
        }
        let below: Vec<Value> = resource
            .subresources
            .iter()
            .map(|below| json!({"subresource": below.name, "responseKind": kind(below.kind), "verbs": below.verbs}))
            .collect();
        if !below.is_empty() {
            own["subresources"] = below.into();
        }
        own
    };
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [{
            "metadata": {"name": group.as_str()},
            "versions": [{
                "version": VERSION,
                "resources": RESOURCES.iter().map(resource).collect::<Vec<_>>(),
                "freshness": "Current",
            }],
        }],
    })
}

fn with_kind(kind: &str, value: Value) -> Value {
    let mut with = Map::from_iter([("kind".to_owned(), kind.into()), ("apiVersion".to_owned(), "v1".into())]);
    with.extend(value.as_object().cloned().unwrap_or_default());
    Value::Object(with)
}
