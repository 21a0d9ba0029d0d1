use serde_json::{Map, Value, json};

use crate::model::{Answer, GroupName, Status};

use super::document::Document;
use super::{Request, VERSION, negotiation};

/// OpenAPI of the group's resources, version 2 and 3. The hub merges both into its own.
///
/// There is JSON only, which is what the hub asks for; who wants nothing but protobuf gets 406. Only our own group's
/// key is in the index, because the hub takes every key there for ours. A 404 here would make the hub convert version
/// 2 for good, so that this is served from the first moment on.
#[derive(Debug)]
pub(super) struct OpenApi {
    v2: Document,
    v3: Document,
    v3_group: Document,
}

impl OpenApi {
    pub(super) fn new(group: &GroupName) -> Self {
        let v3_group = Document::new(&v3(group));
        let key = format!("apis/{group}/{VERSION}");
        let url = format!("/openapi/v3/{key}?hash={}", v3_group.tag());
        Self {
            v2: Document::new(&v2(group)),
            v3: Document::new(&json!({"paths": {key: {"serverRelativeURL": url}}})),
            v3_group,
        }
    }

    /// `/openapi/v2`
    pub(super) fn v2(&self, request: &Request<'_>) -> Result<Answer, Status> {
        negotiation::json(request.headers)?;
        Ok(self.v2.tagged(request, "application/json"))
    }

    /// `/openapi/v3`
    pub(super) fn v3(&self, request: &Request<'_>) -> Result<Answer, Status> {
        negotiation::json(request.headers)?;
        Ok(self.v3.tagged(request, "application/json"))
    }

    /// `/openapi/v3/apis/GROUP/VERSION`, whatever its `hash`: a redirect would be 502 at the hub.
    pub(super) fn v3_group(&self, request: &Request<'_>) -> Result<Answer, Status> {
        negotiation::json(request.headers)?;
        Ok(self.v3_group.tagged(request, "application/json"))
    }
}

fn v2(group: &GroupName) -> Value {
    let schemas = schemas(group, "#/definitions/");
    let answer = |kind: &str| json!({"200": {"description": "OK", "schema": {"$ref": format!("#/definitions/{}", name(group, kind))}}});
    let mut paths = Map::new();
    for operation in operations(group) {
        let parameters = operation.parameters(|name| json!({"name": name, "in": "path", "required": true, "type": "string", "uniqueItems": true}));
        let mut get = operation.common(group);
        get["produces"] = json!(["application/json"]);
        get["schemes"] = json!(["https"]);
        get["responses"] = answer(operation.kind);
        paths.insert(operation.path, json!({"get": get, "parameters": parameters}));
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "cluster-gateway", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "definitions": schemas,
    })
}

fn v3(group: &GroupName) -> Value {
    let schemas = schemas(group, "#/components/schemas/");
    let mut paths = Map::new();
    for operation in operations(group) {
        let parameters = operation.parameters(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}}));
        let schema = json!({"$ref": format!("#/components/schemas/{}", name(group, operation.kind))});
        let mut get = operation.common(group);
        get["responses"] =
            json!({"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}});
        paths.insert(operation.path, json!({"get": get, "parameters": parameters}));
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "cluster-gateway", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// A path that can be read.
struct Operation {
    path: String,
    id: &'static str,
    action: &'static str,
    kind: &'static str,
    named: bool,
}

fn operations(group: &GroupName) -> [Operation; 2] {
    let base = format!("/apis/{group}/{VERSION}/clustergateways");
    [
        Operation {
            path: base.clone(),
            id: "list",
            action: "list",
            kind: "ClusterGatewayList",
            named: false,
        },
        Operation {
            path: format!("{base}/{{name}}"),
            id: "read",
            action: "get",
            kind: "ClusterGateway",
            named: true,
        },
    ]
}

impl Operation {
    fn parameters(&self, parameter: impl Fn(&str) -> Value) -> Vec<Value> {
        if self.named { vec![parameter("name")] } else { Vec::new() }
    }

    fn common(&self, group: &GroupName) -> Value {
        // Kubernetes' own form: listClusterCoreOamDevV1alpha1ClusterGateway.
        let group_words: String = group.as_str().split(['.', '-']).map(capitalized).collect();
        json!({
            "description": format!("{} objects of kind ClusterGateway", self.id),
            "operationId": format!("{}{group_words}{}ClusterGateway", self.id, capitalized(VERSION)),
            "tags": [format!("{}_{VERSION}", group.as_str().replace(['.', '-'], ""))],
            "x-kubernetes-action": self.action,
            "x-kubernetes-group-version-kind": kind(group, "ClusterGateway"),
        })
    }
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    characters
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + characters.as_str())
        .unwrap_or_default()
}

/// Reversed group, version, kind: what other servers' names cannot collide with.
fn name(group: &GroupName, kind: &str) -> String {
    let mut words: Vec<&str> = group.as_str().split('.').collect();
    words.reverse();
    format!("{}.{VERSION}.{kind}", words.join("."))
}

fn kind(group: &GroupName, kind: &str) -> Value {
    json!({"group": group.as_str(), "version": VERSION, "kind": kind})
}

fn schemas(group: &GroupName, prefix: &str) -> Value {
    let string = |description: &str| json!({"type": "string", "description": description});
    let object = |description: &str, properties: Value| json!({"type": "object", "description": description, "properties": properties});
    let with_kind = |own: &str, description: &str, mut properties: Value| {
        properties["kind"] = string("Always the kind's own name.");
        properties["apiVersion"] = string("Group and version.");
        let mut schema = object(description, properties);
        schema["x-kubernetes-group-version-kind"] = json!([kind(group, own)]);
        schema
    };
    let constant = object(
        "The endpoint itself, for type Const.",
        json!({
            "address": string("URL of the cluster's API, with its path prefix if it has one."),
            "caBundle": {"type": "string", "format": "byte", "description": "CA of the cluster's certificate, PEM."},
            "insecure": {"type": "boolean", "description": "True when there is no CA, so that nobody verifies the cluster."},
            "proxy-url": string("Forward proxy to go through, without its password."),
        }),
    );
    let access = object(
        "How the cluster is reached.",
        json!({
            "endpoint": object("Where the cluster is.", json!({
                "type": {"type": "string", "enum": ["Const", "ClusterProxy"], "description": "Const has an address, ClusterProxy is reached through Konnectivity."},
                "const": constant,
            })),
            "credential": object("What the cluster is shown.", json!({
                "type": {"type": "string", "enum": ["ServiceAccountToken", "X509Certificate", "Dynamic"], "description": "The credential's type. The credential itself is not shown."},
            })),
        }),
    );
    let condition = object(
        "One aspect of the cluster's state.",
        json!({
            "type": string("Usable or Verified."),
            "status": string("True or False."),
            "reason": string("For programs."),
            "message": string("For people."),
        }),
    );
    let status = object(
        "What is known of the cluster's state.",
        json!({
            "healthy": {"type": "boolean", "description": "Whether the cluster was healthy when it was last looked at."},
            "healthyReason": string("Why it is not."),
            "conditions": {"type": "array", "description": "Whether the cluster can be used, is verified, and has a credential.", "items": condition},
        }),
    );
    let metadata = json!({"type": "object", "description": "Standard object's metadata, from the cluster's Secret.", "x-kubernetes-preserve-unknown-fields": true});
    let spec = object(
        "What the cluster's Secret says.",
        json!({"provider": string("Always empty."), "access": access}),
    );
    let mut schemas = Map::new();
    schemas.insert(
        name(group, "ClusterGateway"),
        with_kind(
            "ClusterGateway",
            "A cluster that can be reached through its proxy subresource.",
            json!({"metadata": metadata.clone(), "spec": spec, "status": status}),
        ),
    );
    let items = json!({"type": "array", "description": "In the order of their names.", "items": {"$ref": format!("{prefix}{}", name(group, "ClusterGateway"))}});
    schemas.insert(
        name(group, "ClusterGatewayList"),
        with_kind("ClusterGatewayList", "Clusters.", json!({"metadata": metadata, "items": items})),
    );
    Value::Object(schemas)
}
