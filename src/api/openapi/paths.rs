//! What can be asked, in the words of OpenAPI 2.

use serde_json::{Map, Value, json};

use crate::model::GroupName;

use super::super::VERSION;
use super::schemas::{META, name};

/// A resource as its paths name it.
struct Resource {
    plural: &'static str,
    kind: &'static str,
}

const RESOURCES: [Resource; 2] = [
    Resource { plural: "clustergateways", kind: "ClusterGateway" },
    Resource { plural: "virtualclusters", kind: "VirtualCluster" },
];

const WRITTEN: [&str; 2] = ["application/json", "application/yaml"];
/// Of the methods that a proxied request may have, those that OpenAPI knows.
const PROXIED: [&str; 7] = ["delete", "get", "head", "options", "patch", "post", "put"];

/// All paths.
pub(super) fn of(group: &GroupName) -> Value {
    let mut paths = Map::new();
    for resource in &RESOURCES {
        let base = format!("/apis/{group}/{VERSION}/{}", resource.plural);
        let list =
            operation(group, "list", "list", resource.kind, "", &list_name(resource.kind), list_options());
        paths.insert(base.clone(), json!({"get": list, "parameters": [pretty()]}));
        let read = operation(group, "read", "get", resource.kind, "", resource.kind, Vec::new());
        paths.insert(
            format!("{base}/{{name}}"),
            json!({"get": read, "parameters": [named(resource.kind), pretty()]}),
        );
    }
    let base = format!("/apis/{group}/{VERSION}/clustergateways/{{name}}");
    paths.insert(format!("{base}/health"), health(group));
    let path = json!({
        "name": "path", "in": "path", "required": true, "type": "string", "uniqueItems": true,
        "description": "What is asked of the cluster, for instance api/v1/namespaces",
    });
    let own = named("ClusterGateway");
    paths.insert(format!("{base}/proxy"), proxy(group, "", json!([own])));
    paths.insert(format!("{base}/proxy/{{path}}"), proxy(group, "WithPath", json!([own, path])));
    Value::Object(paths)
}

fn list_name(kind: &str) -> String {
    format!("{kind}List")
}

fn health(group: &GroupName) -> Value {
    let kind = "ClusterGateway";
    let read = operation(group, "read", "get", kind, "Health", kind, Vec::new());
    let mut put_options = write_options();
    put_options.push(json!({
        "name": "body", "in": "body", "required": true,
        "schema": {"$ref": format!("#/definitions/{}", name(group, kind))},
    }));
    let mut put = operation(group, "replace", "put", kind, "Health", kind, put_options);
    put["consumes"] = json!(WRITTEN);
    let mut patch_options = write_options();
    patch_options.push(json!({
        "name": "body", "in": "body", "required": true, "schema": {"$ref": format!("#/definitions/{META}Patch")},
    }));
    let mut patch = operation(group, "patch", "patch", kind, "Health", kind, patch_options);
    patch["consumes"] = json!(["application/json-patch+json", "application/merge-patch+json"]);
    json!({"get": read, "put": put, "patch": patch, "parameters": [named(kind), pretty()]})
}

fn proxy(group: &GroupName, suffix: &str, parameters: Value) -> Value {
    let mut item = Map::new();
    for method in PROXIED {
        let mut connect = json!({
            "description": format!("connect {} requests to a cluster", method.to_uppercase()),
            "operationId": operation_id(group, &format!("connect{}", capitalized(method)), "ClusterGateway", &format!("Proxy{suffix}")),
            "tags": [tag(group)],
            "schemes": ["https"],
            "consumes": ["*/*"],
            "produces": ["*/*"],
            "responses": {
                "200": {"description": "OK", "schema": {"type": "string"}},
                "401": {"description": "Unauthorized"},
            },
            "x-kubernetes-action": "connect",
        });
        connect["x-kubernetes-group-version-kind"] = kind_of(group, "ClusterGatewayProxyOptions");
        item.insert(method.to_owned(), connect);
    }
    item.insert("parameters".to_owned(), parameters);
    Value::Object(item)
}

fn operation(
    group: &GroupName,
    word: &str,
    action: &str,
    kind: &str,
    subresource: &str,
    answer: &str,
    parameters: Vec<Value>,
) -> Value {
    let what = match (word, subresource) {
        ("list", _) => format!("list objects of kind {kind}"),
        ("patch", _) => format!("partially update {} of the specified {kind}", subresource.to_lowercase()),
        (_, "") => format!("{word} the specified {kind}"),
        _ => format!("{word} {} of the specified {kind}", subresource.to_lowercase()),
    };
    json!({
        "description": what,
        "operationId": operation_id(group, word, kind, subresource),
        "tags": [tag(group)],
        "schemes": ["https"],
        "consumes": ["*/*"],
        "produces": WRITTEN,
        "parameters": parameters,
        "responses": {
            "200": {"description": "OK", "schema": {"$ref": format!("#/definitions/{}", name(group, answer))}},
            "401": {"description": "Unauthorized"},
        },
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind_of(group, kind),
    })
}

/// Kubernetes' own form: listClusterCoreOamDevV1alpha1ClusterGateway.
fn operation_id(group: &GroupName, word: &str, kind: &str, subresource: &str) -> String {
    let group_words: String = group.as_str().split(['.', '-']).map(capitalized).collect();
    format!("{word}{group_words}{}{kind}{subresource}", capitalized(VERSION))
}

fn tag(group: &GroupName) -> String {
    let mut words = group.as_str().split(['.', '-']);
    let first = words.next().unwrap_or_default();
    format!("{first}{}_{VERSION}", words.map(capitalized).collect::<String>())
}

fn kind_of(group: &GroupName, kind: &str) -> Value {
    json!({"group": group.as_str(), "version": VERSION, "kind": kind})
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    characters
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + characters.as_str())
        .unwrap_or_default()
}

fn named(kind: &str) -> Value {
    json!({
        "name": "name", "in": "path", "required": true, "type": "string", "uniqueItems": true,
        "description": format!("name of the {kind}"),
    })
}

fn pretty() -> Value {
    query(
        "pretty",
        "string",
        "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent indicates a browser or command-line HTTP tool (curl and wget).",
    )
}

fn query(name: &str, kind: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "type": kind, "uniqueItems": true, "description": description})
}

fn write_options() -> Vec<Value> {
    vec![
        query(
            "dryRun",
            "string",
            "All: the request is processed as far as the hub goes without storing anything.",
        ),
        query(
            "fieldManager",
            "string",
            "Who changes the cluster's Secret, at most 128 printable characters.",
        ),
        query(
            "fieldValidation",
            "string",
            "What becomes of fields that are not known: Ignore, Warn (by a Warning header, the default) or Strict (an error).",
        ),
    ]
}

fn list_options() -> Vec<Value> {
    vec![
        query("allowWatchBookmarks", "boolean", "Whether a watch may have events of type BOOKMARK."),
        query("continue", "string", "Where an earlier list ended."),
        query("fieldSelector", "string", "Which objects by their fields; metadata.name is the only one."),
        query("labelSelector", "string", "Which objects by their labels."),
        query("limit", "integer", "The most objects to answer with."),
        query("resourceVersion", "string", "As of when; see the Kubernetes API concepts."),
        query("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
        query("sendInitialEvents", "boolean", "Whether a watch begins with the objects that there are."),
        query("timeoutSeconds", "integer", "When a watch ends."),
        query("watch", "boolean", "Whether to go on with what changes."),
    ]
}
