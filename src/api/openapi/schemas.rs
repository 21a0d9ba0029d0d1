//! What objects consist of, in the words of OpenAPI 2.

use serde_json::{Map, Value, json};

use crate::model::GroupName;

use super::super::VERSION;

/// In front of the names of Kubernetes' own schemas.
pub(super) const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
/// Those that ours refer to, word for word as in kube-apiserver 1.35: a hub that has them already finds them equal.
const KUBERNETES: &str = include_str!("meta.json");

/// Reversed group, version, kind: what other servers' names cannot collide with.
pub(super) fn name(group: &GroupName, kind: &str) -> String {
    let mut words: Vec<&str> = group.as_str().split('.').collect();
    words.reverse();
    format!("{}.{VERSION}.{kind}", words.join("."))
}

/// All of them.
pub(super) fn of(group: &GroupName) -> Value {
    // A file of ours that a test reads: it is JSON.
    let mut schemas: Map<String, Value> = serde_json::from_str(KUBERNETES).unwrap_or_default();
    let kinds = [
        ("ClusterGateway", "A cluster that can be reached through its proxy subresource.", gateway()),
        (
            "VirtualCluster",
            "A cluster as everybody may see it: nothing here leads to it or lets anybody in.",
            virtual_cluster(),
        ),
    ];
    for (kind, description, properties) in kinds {
        schemas.insert(name(group, kind), object_of_kind(group, kind, description, properties));
        let items = json!({
            "items": {
                "type": "array",
                "description": format!("The objects of kind {kind}."),
                "items": {"$ref": format!("#/definitions/{}", name(group, kind))},
            },
            "metadata": reference("ListMeta", "Standard list's metadata."),
        });
        let mut list =
            object_of_kind(group, &format!("{kind}List"), &format!("Objects of kind {kind}."), items);
        list["required"] = json!(["items"]);
        schemas.insert(name(group, &format!("{kind}List")), list);
    }
    Value::Object(schemas)
}

fn object_of_kind(group: &GroupName, kind: &str, description: &str, mut properties: Value) -> Value {
    properties["apiVersion"] = string(
        "APIVersion defines the versioned schema of this representation of an object: the group and its version.",
    );
    properties["kind"] = string("Kind is the kind of this object, in CamelCase.");
    let mut schema = object(description, properties);
    schema["x-kubernetes-group-version-kind"] =
        json!([{"group": group.as_str(), "version": VERSION, "kind": kind}]);
    schema
}

fn gateway() -> Value {
    let constant = object(
        "The endpoint itself, for type Const.",
        json!({
            "address": string("URL of the cluster's API, with its path prefix if it has one."),
            "caBundle": bytes("CA of the cluster's certificate, PEM."),
            "insecure": boolean("True when there is no CA, so that nobody verifies the cluster."),
            "proxy-url": string("Forward proxy to go through, without its password."),
        }),
    );
    let endpoint = object(
        "Where the cluster is.",
        json!({
            "type": one_of(&["Const", "ClusterProxy"], "Const has an address, ClusterProxy is reached through Konnectivity."),
            "const": constant,
        }),
    );
    let pair = object(
        "Client certificate and key. Only shown where the gateway runs with --expose-credentials.",
        json!({
            "certificate": bytes("The certificate and its chain, PEM."),
            "privateKey": bytes("The certificate's private key, PEM."),
        }),
    );
    let credential = object(
        "What the cluster is shown.",
        json!({
            "type": one_of(&["ServiceAccountToken", "X509Certificate", "Dynamic"], "The credential's type."),
            "serviceAccountToken": string("Bearer token. Only shown where the gateway runs with --expose-credentials."),
            "x509": pair,
        }),
    );
    let access =
        object("How the cluster is reached.", json!({"endpoint": endpoint, "credential": credential}));
    let condition = object(
        "One aspect of the cluster's state.",
        json!({
            "type": string("What the condition is about, for instance Usable or Verified."),
            "status": string("True, False or Unknown."),
            "reason": string("Why, in one word for programs."),
            "message": string("Why, for people."),
            "lastTransitionTime": reference("Time", "When the status changed last, as far as the gateway that answers has seen it."),
            "observedGeneration": {"type": "integer", "format": "int64", "description": "Never set: Secrets have no generation."},
        }),
    );
    let status = object(
        "What is known of the cluster's state.",
        json!({
            "healthy": boolean("Whether the cluster was healthy when it was last looked at, as the subresource health was told."),
            "healthyReason": string("Why it is not."),
            "conditions": {"type": "array", "description": "Whether the cluster can be used, is verified, has a credential, and can be reached; why not where it is not so.", "items": condition},
        }),
    );
    json!({
        "metadata": reference("ObjectMeta", "Standard object's metadata, from the cluster's Secret."),
        "spec": object("What the cluster's Secret says.", json!({
            "provider": string("Always empty."),
            "access": access,
        })),
        "status": status,
    })
}

fn virtual_cluster() -> Value {
    json!({
        "metadata": reference("ObjectMeta", "Standard object's metadata, from what the cluster is known by."),
        "spec": object("What is known of the cluster.", json!({
            "alias": string("Another name, for people."),
            "accepted": boolean("Whether the cluster has been accepted by the hub."),
            "endpoint": string("Where the cluster is, or how it is reached."),
            "credential-type": string("What the cluster is shown: X509Certificate, ServiceAccountToken, Dynamic, Internal or ManagedCluster."),
        })),
    })
}

fn object(description: &str, properties: Value) -> Value {
    json!({"type": "object", "description": description, "properties": properties})
}

fn string(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn boolean(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

fn bytes(description: &str) -> Value {
    json!({"type": "string", "format": "byte", "description": description})
}

fn one_of(values: &[&str], description: &str) -> Value {
    json!({"type": "string", "enum": values, "description": description})
}

fn reference(kind: &str, description: &str) -> Value {
    json!({"$ref": format!("#/definitions/{META}{kind}"), "description": description})
}
