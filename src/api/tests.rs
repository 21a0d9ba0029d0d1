use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt;
use http::header::{ACCEPT, IF_NONE_MATCH, USER_AGENT};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::clusters::fixtures::options;
use crate::clusters::{
    Access, Cluster, CredentialType, EndpointType, Grant, Health, Metadata, Pairs, Spec, Table, Tables, View,
};
use crate::model::ClusterName;
use crate::upstream::{Endpoint, Route, Speaks, Trust, Upstream, UpstreamSpec};

use super::*;

const BASE: &str = "/apis/cluster.core.oam.dev/v1alpha1";
const HUB: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
const KUBECTL: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

fn cluster(label: &str, verified: bool) -> Cluster {
    let endpoint = Endpoint::parse("https://10.0.0.1:6443").unwrap();
    let options = options();
    let spec = UpstreamSpec {
        endpoint,
        trust: Trust::Unverified,
        identity: None,
        server_name: None,
        route: Route::Direct,
        speaks: Speaks::Http,
    };
    let grant = Grant {
        upstream: Arc::new(Upstream::new(spec, &options.network).unwrap()),
        authorization: Some(HeaderValue::from_static("Bearer c2VjcmV0")),
    };
    let name = ClusterName::parse(label).unwrap();
    let view = View {
        name: name.clone(),
        version: 7,
        metadata: Metadata {
            uid: "uid".to_owned(),
            resource_version: "7".to_owned(),
            creation_timestamp: Some("2026-01-02T03:04:05Z".to_owned()),
            labels: Pairs::from_iter([("env", label)]),
            annotations: Pairs::from_iter([
                ("kubectl.kubernetes.io/last-applied-configuration", "{\"data\":{\"token\":\"c2VjcmV0\"}}"),
                ("cluster.core.oam.dev/cluster-alias", "alias"),
                ("status.cluster.core.oam.dev/healthy", "true"),
                ("notcluster.core.oam.dev/x", "y"),
            ]),
        },
        spec: Spec {
            endpoint_type: EndpointType::Const,
            address: "https://10.0.0.1:6443".to_owned(),
            ca_bundle: verified.then(|| b"PEM".to_vec()),
            proxy_url: None,
            credential_type: CredentialType::ServiceAccountToken,
        },
        exposed: None,
        health: Health { healthy: true, reason: String::new() },
        conditions: Vec::new(),
    };
    let cluster = Cluster {
        rules: Ok(None),
        series: options.telemetry.cluster(&name),
        streams: Arc::default(),
        view: Arc::new(view),
        access: Ok(Arc::new(Access::fixed(grant, verified, None, None))),
        problem: None,
    };
    cluster.looked_at()
}

fn table(clusters: impl IntoIterator<Item = Cluster>) -> Table {
    let clusters: HashMap<_, _> =
        clusters.into_iter().map(|cluster| (cluster.name.clone(), Arc::new(cluster))).collect();
    Table::new(clusters, 42)
}

fn ask_with(method: Method, target: &str, headers: &[(HeaderName, &str)], table: &Table) -> Answer {
    let api = api(GroupName::default());
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
    let request = Request { method: &method, path, query, headers: &headers };
    answered(&api, &request, table)
}

fn api(group: GroupName) -> Arc<Api> {
    Arc::new(Api::new(group, true, Metrics::register(&prometheus::Registry::new()).unwrap()))
}

const LOOKED_AT: &str = "2026-01-02T03:04:06Z";

/// A whole answer that waits for nothing.
fn answered(api: &Arc<Api>, request: &Request<'_>, table: &Table) -> Answer {
    let tables = Tables::holding(table.clone());
    match api.answer(request, &tables).now_or_never().expect("the table is new enough") {
        Outcome::Answer(answer) => answer,
        long => panic!("{long:?}"),
    }
}

fn ask(target: &str, accept: &str, table: &Table) -> (u16, Value) {
    let answer = ask_with(Method::GET, target, &[(ACCEPT, accept)], table);
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

#[test]
fn the_hub_discovers_the_group_at_once_and_is_told_when_nothing_changed() {
    let empty = Table::default();
    let answer = ask_with(Method::GET, "/apis", &[(ACCEPT, HUB)], &empty);
    assert_eq!(answer.status(), 200);
    let headers = answer.headers();
    assert_eq!(
        headers["content-type"],
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    );
    assert_eq!(
        (&headers["vary"], &headers["cache-control"]),
        (&"Accept".parse().unwrap(), &"public".parse().unwrap())
    );
    let tag = headers["etag"].to_str().unwrap();
    assert_eq!(tag.len(), 130, "SHA-512 in hexadecimal, quoted");
    assert!(tag.trim_matches('"').bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()));
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["items"][0]["metadata"]["name"], "cluster.core.oam.dev");
    let resource = &body["items"][0]["versions"][0]["resources"][0];
    assert_eq!(
        (&resource["resource"], &resource["verbs"]),
        (&json!("clustergateways"), &json!(["get", "list", "watch"]))
    );
    assert_eq!(resource["subresources"][0]["verbs"], json!(["get", "patch", "update"]));
    assert_eq!(resource["subresources"][1]["verbs"], json!(["create", "delete", "get", "patch", "update"]));
    assert_eq!(resource["shortNames"], json!(["cg"]));

    let again = ask_with(Method::GET, "/apis", &[(ACCEPT, HUB), (IF_NONE_MATCH, tag)], &empty);
    assert_eq!((again.status().as_u16(), again.body().len()), (304, 0));
    assert_eq!(again.headers()["etag"], tag);
}

#[test]
fn discovery_has_the_same_answers_with_and_without_a_slash_at_its_end() {
    let empty = Table::default();
    for (path, kind) in
        [("/apis", "APIGroupList"), ("/apis/cluster.core.oam.dev", "APIGroup"), (BASE, "APIResourceList")]
    {
        let (code, body) = ask(path, "application/json", &empty);
        assert_eq!((code, body["kind"].as_str()), (200, Some(kind)), "{path}");
        assert_eq!(ask(&format!("{path}/"), "application/json", &empty), (code, body), "{path}/");
    }
    let (_, body) = ask(BASE, "", &empty);
    assert_eq!(body["groupVersion"], "cluster.core.oam.dev/v1alpha1");
    assert_eq!(
        body["resources"].as_array().unwrap().iter().map(|resource| &resource["name"]).collect::<Vec<_>>(),
        ["clustergateways", "clustergateways/health", "clustergateways/proxy", "virtualclusters"]
    );
}

#[test]
fn a_cluster_is_shown_without_its_credential() {
    let table = table([cluster("one", true)]);
    let answer = ask_with(Method::GET, &format!("{BASE}/clustergateways/one"), &[], &table);
    assert!(!String::from_utf8_lossy(answer.body()).contains("c2VjcmV0"), "a secret got out");
    let (code, body) = ask(&format!("{BASE}/clustergateways/one"), "", &table);
    assert_eq!(code, 200);
    assert_eq!(
        body,
        json!({
            "kind": "ClusterGateway",
            "apiVersion": "cluster.core.oam.dev/v1alpha1",
            "metadata": {
                "name": "one",
                "uid": "uid",
                "resourceVersion": "7",
                "creationTimestamp": "2026-01-02T03:04:05Z",
                "labels": {"env": "one"},
                "annotations": {
                    "cluster.core.oam.dev/cluster-alias": "alias",
                    "status.cluster.core.oam.dev/healthy": "true",
                },
            },
            "spec": {
                "provider": "",
                "access": {
                    "endpoint": {"type": "Const", "const": {"address": "https://10.0.0.1:6443", "caBundle": "UEVN"}},
                    "credential": {"type": "ServiceAccountToken"},
                },
            },
            "status": {"healthy": true, "conditions": [
                {"type": "Usable", "status": "True", "lastTransitionTime": LOOKED_AT, "reason": "SecretAccepted", "message": ""},
                {"type": "Verified", "status": "True", "lastTransitionTime": LOOKED_AT, "reason": "CertificateAuthorityGiven", "message": ""},
                {"type": "CredentialReady", "status": "True", "lastTransitionTime": LOOKED_AT, "reason": "CredentialAvailable", "message": ""},
            ]},
        })
    );
}

#[test]
fn what_is_wrong_with_a_cluster_is_said_in_its_status() {
    let unverified = cluster("one", false);
    let broken = Cluster {
        access: Err("no endpoint".to_owned()),
        problem: Some("no endpoint".to_owned()),
        ..cluster("two", true)
    };
    let stale = Cluster { problem: Some("bad CA".to_owned()), ..cluster("three", true) };
    let mut tunnelled = cluster("four", false);
    Arc::make_mut(&mut tunnelled.view).spec.endpoint_type = EndpointType::ClusterProxy;
    let table = table([unverified, broken.looked_at(), stale.looked_at(), tunnelled.looked_at()]);
    let conditions = |name: &str| {
        let (_, body) = ask(&format!("{BASE}/clustergateways/{name}"), "", &table);
        let conditions = body["status"]["conditions"].as_array().unwrap().clone();
        conditions
            .iter()
            .map(|c| format!("{}={} {}", c["type"], c["status"], c["message"]).replace('"', ""))
            .collect::<Vec<_>>()
    };
    assert!(conditions("one")[1].starts_with("Verified=False the Secret has no ca.crt"));
    assert_eq!(conditions("two"), ["Usable=False no endpoint"]);
    assert_eq!(conditions("three")[0], "Usable=True bad CA");
    assert!(conditions("four")[1].contains("annotation cluster.core.oam.dev/tls-server-name"));
    let (_, body) = ask(&format!("{BASE}/clustergateways/one"), "", &table);
    assert_eq!(body["spec"]["access"]["endpoint"]["const"]["insecure"], true);
}

#[test]
fn lists_are_in_the_order_of_names_and_obey_selectors() {
    let table = table(["b", "a", "c"].map(|name| cluster(name, true)));
    let names = |target: &str| {
        let (code, body) = ask(&format!("{BASE}/clustergateways{target}"), "", &table);
        assert_eq!((code, &body["metadata"]["resourceVersion"]), (200, &json!("42")));
        let items = body["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["a", "b", "c"]);
    assert_eq!(names("?labelSelector=env+in+(b,c)&limit=500"), ["b", "c"]);
    assert_eq!(names("?fieldSelector=metadata.name%3Da"), ["a"]);
    assert_eq!(names("?watch=false&fieldSelector=metadata.name%3Dnone"), Vec::<String>::new());
}

#[test]
fn kubectl_gets_columns() {
    let table = table([cluster("one", true)]);
    for target in ["/clustergateways?limit=500", "/clustergateways/one"] {
        let (_, body) = ask(&format!("{BASE}{target}"), KUBECTL, &table);
        assert_eq!((&body["kind"], &body["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
        assert_eq!(
            body["rows"][0]["cells"],
            json!(["one", "", "ServiceAccountToken", "Const", "true", "True", "", ""])
        );
        assert_eq!(body["rows"][0]["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(body["columnDefinitions"][2]["name"], "Credential-Type");
    }
    let object = |value: &str| ask(&format!("{BASE}/clustergateways?includeObject={value}"), KUBECTL, &table);
    assert_eq!(object("Object").1["rows"][0]["object"]["kind"], "ClusterGateway");
    assert_eq!(object("None").1["rows"][0]["object"], Value::Null);
    assert_eq!(object("All").0, 400);
    let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    let (_, body) = ask(&format!("{BASE}/clustergateways"), partial, &table);
    assert_eq!(
        (&body["kind"], &body["items"][0]["metadata"]["name"]),
        (&json!("PartialObjectMetadataList"), &json!("one"))
    );
}

#[test]
fn what_is_not_there_or_not_allowed_is_a_status() {
    let table = table([cluster("one", true)]);
    let status = |method: Method, target: &str, accept: &str| {
        let answer = ask_with(method, target, &[(ACCEPT, accept)], &table);
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(
            (body["kind"].as_str(), body["code"].as_u64()),
            (Some("Status"), Some(answer.status().as_u16().into()))
        );
        (answer.status().as_u16(), body["message"].as_str().unwrap().to_owned())
    };
    let gateways = format!("{BASE}/clustergateways");
    assert_eq!(
        status(Method::GET, &format!("{gateways}/two"), ""),
        (404, "clustergateways.cluster.core.oam.dev \"two\" not found".to_owned())
    );
    // Outside of the group it is the mux that answers.
    for unknown in ["/apis/other/v1", "/api", "//apis", "/apis//", "/x"] {
        let answer = ask_with(Method::GET, unknown, &[], &table);
        assert_eq!(
            (answer.status().as_u16(), &answer.body()[..]),
            (404, &b"404 page not found\n"[..]),
            "{unknown}"
        );
    }
    assert_eq!(status(Method::GET, "/apis/cluster.core.oam.dev/v1", "").0, 404);
    for resource in ["nothing", "clustergateways/two/health", "clustergateways/one/proxy/x/y/z/w/v"] {
        assert_eq!(status(Method::GET, &format!("{BASE}/{resource}"), "").0, 404, "{resource}");
    }
    for (method, target) in [
        (Method::POST, gateways.clone()),
        (Method::DELETE, format!("{gateways}/one")),
        (Method::PUT, BASE.to_owned()),
        (Method::POST, "/apis".to_owned()),
    ] {
        assert_eq!(status(method, &target, "").0, 405, "{target}");
    }
    for target in [BASE, "/apis", &gateways] {
        assert_eq!(status(Method::GET, target, "text/html").0, 406, "{target}");
    }
    assert_eq!(status(Method::GET, &format!("{gateways}?labelSelector=a+b"), "").0, 400);
}

#[test]
fn before_the_first_list_nobody_is_told_that_there_are_no_clusters() {
    for target in ["/clustergateways", "/clustergateways/one"] {
        let answer = ask_with(Method::GET, &format!("{BASE}{target}"), &[], &Table::default());
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (503, &"1".parse().unwrap())
        );
    }
}

#[test]
fn head_gets_everything_but_the_body_where_it_is_served_at_all() {
    let table = table([cluster("one", true)]);
    for target in ["/apis", BASE.rsplit_once('/').unwrap().0, "/nothing"] {
        let get = ask_with(Method::GET, target, &[], &table);
        let head = ask_with(Method::HEAD, target, &[], &table);
        assert_eq!((get.status(), get.headers()), (head.status(), head.headers()), "{target}");
        assert!(head.body().is_empty() && !get.body().is_empty());
    }
    // As kube-apiserver has it for what is built in.
    for below in ["", "/clustergateways", "/clustergateways/one", "/clustergateways/one/health"] {
        let head = ask_with(Method::HEAD, &format!("{BASE}{below}"), &[], &table);
        assert_eq!((head.status().as_u16(), head.body().len()), (405, 0), "{below}");
    }
}

#[test]
fn people_get_indented_json() {
    let table = table([cluster("one", true)]);
    for target in [BASE.to_owned(), format!("{BASE}/clustergateways/one")] {
        let lines = |query: &str, agent: &str| {
            let answer = ask_with(Method::GET, &format!("{target}{query}"), &[(USER_AGENT, agent)], &table);
            String::from_utf8_lossy(answer.body()).lines().count()
        };
        assert_eq!(lines("", "kubectl/v1.35.4"), 1);
        assert!(lines("", "curl/8") > 5 && lines("?pretty=true", "kubectl") > 5);
        assert_eq!(lines("?pretty=0", "curl/8"), 1);
    }
}

#[test]
fn openapi_is_there_from_the_first_moment_and_names_only_our_group() {
    let empty = Table::default();
    let (code, index) = ask("/openapi/v3", "application/json", &empty);
    let paths = index["paths"].as_object().unwrap();
    assert_eq!((code, paths.len()), (200, 1));
    let url = paths["apis/cluster.core.oam.dev/v1alpha1"]["serverRelativeURL"].as_str().unwrap();
    let (path, hash) = url.split_once("?hash=").unwrap();
    assert_eq!(path, "/openapi/v3/apis/cluster.core.oam.dev/v1alpha1");
    let document = ask_with(Method::GET, url, &[], &empty);
    assert_eq!(document.headers()["etag"], format!("\"{hash}\""));
    let protobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    let refused = ask_with(Method::GET, "/openapi/v2", &[(ACCEPT, protobuf)], &empty);
    assert_eq!(refused.status(), 406, "JSON would be decoded as what it is not");
    assert!(refused.body().is_empty());
    for (path, accept, schemas) in
        [(url, "*/*", "/components/schemas"), ("/openapi/v2", "application/json", "/definitions")]
    {
        let (code, body) = ask(path, accept, &empty);
        let gateway = &body.pointer(schemas).unwrap()["dev.oam.core.cluster.v1alpha1.ClusterGateway"];
        assert_eq!(
            (code, &gateway["x-kubernetes-group-version-kind"][0]["kind"]),
            (200, &json!("ClusterGateway"))
        );
    }
}

#[test]
fn the_group_is_the_operators_choice() {
    let api = api("clusters.example.com".parse().unwrap());
    let ask = |path: &str| {
        let request = Request { method: &Method::GET, path, query: None, headers: &HeaderMap::new() };
        let answer = answered(&api, &request, &table([cluster("one", true)]));
        (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
    };
    for path in ["/apis", "/openapi/v2", "/openapi/v3", "/apis/clusters.example.com/v1alpha1/clustergateways"]
    {
        let (code, body) = ask(path);
        assert!(code == 200 && body.contains("clusters.example.com/v1alpha1"), "{path}: {body}");
        assert!(!body.contains("cluster.core.oam.dev"), "{path}: {body}");
    }
    assert_eq!(ask("/apis/cluster.core.oam.dev").0, 404);
}
