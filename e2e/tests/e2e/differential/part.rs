//! What of two answers can be the same, where one is about more than the other: a reviewed list, each with its reason.

use serde_json::{Map, Value, json};

use super::row::GROUP;

/// What of a body is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Everything,
    /// Of what is served, our group, its collection and the subresource that is written.
    OwnGroup,
    /// Of OpenAPI, the operations on these, and what is above all.
    OwnOperations,
    /// Of an object, what names it.
    Identity,
    /// Of verbose checks, the one that all servers have, and the verdict.
    Ping,
    /// Of what a server says of itself, the fields that clients know.
    Version,
}

impl Part {
    /// Why not all of it.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Everything => None,
            Self::OwnGroup => Some(
                "a hub serves other groups; ours has proxy and virtualclusters besides, and is not to be created or deleted",
            ),
            Self::OwnOperations => {
                Some("the objects are others, and so are the words in which they are described")
            }
            Self::Identity => Some("only a built-in kind answers this so, and its status is another one"),
            Self::Ping => Some("the other checks are about what else the server does"),
            Self::Version => Some(
                "the values are the server's own, and kube-apiserver has newer ones about its own upgrades",
            ),
        }
    }

    /// The part of a text that is no JSON.
    pub(super) fn of_text(self, text: &str) -> String {
        match self {
            Self::Ping => {
                let lines = text.lines().filter(|line| !line.starts_with('[') || line.starts_with("[+]ping"));
                lines.map(|line| format!("{line}\n")).collect()
            }
            _ => text.to_owned(),
        }
    }

    /// The part of a document.
    pub(super) fn of(self, mut value: Value) -> Value {
        match self {
            Self::Everything | Self::Ping => value,
            Self::OwnGroup => {
                own_group(&mut value);
                value
            }
            Self::OwnOperations => own_operations(&value),
            Self::Identity => {
                let named = ["name", "uid", "resourceVersion", "creationTimestamp"];
                let named = named.map(|key| (key.to_owned(), value["metadata"][key].clone()));
                named.into_iter().collect::<Map<_, _>>().into()
            }
            Self::Version => {
                let kinds = VERSION.map(|key| (key.to_owned(), value[key].is_string().into()));
                kinds.into_iter().collect::<Map<_, _>>().into()
            }
        }
    }

    /// The part of a message, of which the fields' numbers are known.
    pub(super) fn of_message(self, mut message: Value) -> Value {
        // APIResourceList's resources: name, verbs, storageVersionHash.
        if message["1"][0]["2"][0] == "APIResourceList" && self == Self::OwnGroup {
            retain(&mut message["2"][0]["2"], |resource| {
                let name = resource["1"][0].as_str().unwrap_or_default().to_owned();
                if name == "clustergateways" {
                    retain(&mut resource["4"][0]["1"], |verb| READ.iter().any(|read| verb == read));
                }
                if name == "clustergateways/status" {
                    resource["1"][0] = "clustergateways/health".into();
                }
                resource["10"] = "*".into();
                COMPARED.contains(&name.as_str())
            });
        }
        message
    }
}

/// Resources that are on both sides.
const COMPARED: [&str; 3] = ["clustergateways", "clustergateways/status", "clustergateways/health"];
/// Fields of a version.
const VERSION: [&str; 9] = [
    "major",
    "minor",
    "gitVersion",
    "gitCommit",
    "gitTreeState",
    "buildDate",
    "goVersion",
    "compiler",
    "platform",
];
/// Verbs that our collection has.
const READ: [&str; 3] = ["get", "list", "watch"];
/// Paths that every server has.
const COMMON: [&str; 8] =
    ["/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"];

fn retain(value: &mut Value, keep: impl Fn(&mut Value) -> bool) {
    if let Value::Array(items) = value {
        let kept = items.iter_mut().filter_map(|item| keep(item).then(|| item.take()));
        *value = kept.collect();
    }
}

fn own_group(value: &mut Value) {
    retain(&mut value["paths"], |path| {
        let path = path.as_str().unwrap_or_default();
        COMMON.contains(&path) || path.starts_with("/apis/cluster.core.oam.dev")
    });
    if let Value::Object(paths) = &mut value["paths"] {
        paths.retain(|key, _| key.ends_with(&format!("/{GROUP}/v1alpha1")));
        for index in paths.values_mut() {
            let url = index["serverRelativeURL"].as_str().and_then(|url| url.split_once("?hash="));
            // SHA-512 of what is there.
            index["serverRelativeURL"] = url.map(|(path, hash)| format!("{path}?hash={}", hash.len())).into();
        }
    }
    retain(&mut value["groups"], |group| group["name"] == GROUP);
    retain(&mut value["resources"], own_resource);
    retain(&mut value["items"], |group| {
        for version in group["versions"].as_array_mut().into_iter().flatten() {
            retain(&mut version["resources"], own_resource);
        }
        group["metadata"] = json!({"name": group["metadata"]["name"]});
        group["metadata"]["name"] == GROUP
    });
    if let Value::Object(document) = value {
        document.retain(|_, part| !part.is_null());
    }
}

/// Of a resource in either form of discovery, what both sides have.
fn own_resource(resource: &mut Value) -> bool {
    let name = resource["name"].as_str().or(resource["resource"].as_str()).unwrap_or_default().to_owned();
    if name == "clustergateways" {
        retain(&mut resource["verbs"], |verb| READ.iter().any(|read| verb == read));
    }
    own_kind(&mut resource["responseKind"]);
    retain(&mut resource["subresources"], |below| {
        own_kind(&mut below["responseKind"]);
        if below["subresource"] == "status" {
            below["subresource"] = "health".into();
        }
        below["subresource"] == "health"
    });
    if let Value::Object(fields) = resource {
        fields.retain(|key, part| !part.is_null() && key != "storageVersionHash");
        if name == "clustergateways/status" {
            fields.insert("name".to_owned(), "clustergateways/health".into());
        }
    }
    COMPARED.contains(&name.as_str())
}

/// Built-in resources leave out that their kind is of the group and version that they are listed under.
fn own_kind(kind: &mut Value) {
    if kind["group"] == GROUP && kind["version"] == "v1alpha1" {
        kind["group"] = "".into();
        kind["version"] = "".into();
    }
}

fn own_operations(document: &Value) -> Value {
    let collection = format!("/apis/{GROUP}/v1alpha1/clustergateways");
    let object = format!("{collection}/{{name}}");
    let paths = &document["paths"];
    let below = [&paths[format!("{object}/health")], &paths[format!("{object}/status")]];
    let below = below.into_iter().find(|item| !item.is_null());
    // A PUT of ours makes nothing: 201 is not among its answers.
    let asked = [
        (&paths[&collection], "get"),
        (&paths[&object], "get"),
        (below.unwrap_or(&Value::Null), "get"),
        (below.unwrap_or(&Value::Null), "put"),
        (below.unwrap_or(&Value::Null), "patch"),
    ];
    let operations = asked.map(|(item, method)| {
        let operation = &item[method];
        let parameters = [&item["parameters"], &operation["parameters"]];
        let parameters = parameters.into_iter().filter_map(Value::as_array).flatten();
        let mut parameters: Vec<String> = parameters
            .map(|parameter| {
                // Version 2 has those that are the same everywhere in one place.
                let shared =
                    parameter["$ref"].as_str().and_then(|reference| document.pointer(&reference[1..]));
                let parameter = shared.unwrap_or(parameter);
                let schema = if parameter["schema"].is_null() { parameter } else { &parameter["schema"] };
                format!("{} {} {}", parameter["name"], parameter["in"], schema["type"])
            })
            .collect();
        // Custom resources have one for single objects that built-in ones have not; `force` is for server-side apply.
        let others = [r#""force""#, if item == &paths[&collection] { "none" } else { r#""resourceVersion""# }];
        parameters.retain(|parameter| !others.iter().any(|other| parameter.starts_with(other)));
        parameters.sort_unstable();
        json!({
            "id": operation["operationId"].as_str().map(|id| id.replace("Status", "Health")),
            "tags": operation["tags"],
            "action": operation["x-kubernetes-action"],
            "kind": operation["x-kubernetes-group-version-kind"],
            "responses": operation["responses"].as_object().map(|codes| codes.keys().filter(|code| *code != "201").collect::<Vec<_>>()),
            "parameters": parameters,
        })
    });
    let above: Vec<&String> = document.as_object().into_iter().flatten().map(|(key, _)| key).collect();
    let above: Vec<_> = above
        .into_iter()
        .filter(|key| !["securityDefinitions", "security", "parameters"].contains(&key.as_str()))
        .collect();
    json!({"above": above, "version": [document["swagger"], document["openapi"]], "operations": operations})
}
