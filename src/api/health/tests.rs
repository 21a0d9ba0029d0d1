use http::{HeaderMap, HeaderName};
use k8s_openapi::api::core::v1::Secret;
use prometheus::Registry;
use serde_json::json;

use super::*;
use crate::api::Metrics;
use crate::clusters::fixtures::options;
use crate::clusters::{self, Tables, Writer};
use crate::model::GroupName;

const PATH: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/one/health";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";

fn api() -> Api {
    Api::new(GroupName::default(), true, Metrics::register(&Registry::new()).unwrap())
}

/// A healthy cluster `one`, whose uid is `uid`.
fn cluster() -> Arc<Cluster> {
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {
            "name": "one", "uid": "uid", "resourceVersion": "7",
            "labels": {"cluster.core.oam.dev/cluster-credential-type": "ServiceAccountToken"},
            "annotations": {"status.cluster.core.oam.dev/healthy": "true"},
        },
    }))
    .unwrap();
    let tables = Tables::default();
    let mut writer =
        Writer::new(tables.clone(), options(), clusters::Metrics::new(&Registry::new()).unwrap());
    writer.begin();
    writer.stage(&[secret]);
    writer.finish("7");
    tables.get("one").unwrap()
}

/// What comes of a write.
fn wanted(
    method: Method,
    query: &str,
    content_type: &str,
    body: impl Into<Bytes>,
) -> Result<(HealthWanted, Warnings), Status> {
    let api = api();
    let headers: HeaderMap = [(CONTENT_TYPE, content_type)]
        .map(|(name, value)| (name, value.parse().unwrap()))
        .into_iter()
        .collect();
    let request = Request { method: &method, path: PATH, query: Some(query), headers: &headers };
    let write = api.health_write(&request).unwrap()?;
    assert_eq!(write.name(), "one");
    let mut warnings = Warnings::default();
    let change = write.read(body.into(), &mut warnings)?;
    Ok((write.apply(&change, &cluster(), &mut warnings)?, warnings))
}

fn object(fields: Value) -> String {
    let mut object = json!({
        "kind": "ClusterGateway", "apiVersion": "cluster.core.oam.dev/v1alpha1", "metadata": {"name": "one"},
    });
    json_patch::merge(&mut object, &fields);
    object.to_string()
}

fn put(query: &str, fields: Value) -> Result<(HealthWanted, Warnings), Status> {
    wanted(Method::PUT, query, "application/json", object(fields))
}

#[test]
fn only_writes_of_health_are_taken() {
    let api = api();
    let headers = HeaderMap::from_iter([(HeaderName::from_static("content-type"), MERGE.parse().unwrap())]);
    let is_taken = |method: Method, path: &str| {
        api.health_write(&Request { method: &method, path, query: None, headers: &headers }).is_some()
    };
    assert!(is_taken(Method::PUT, PATH) && is_taken(Method::PATCH, PATH));
    assert!(!is_taken(Method::GET, PATH) && !is_taken(Method::POST, PATH));
    for path in [
        PATH.strip_suffix("/health").unwrap(),
        "/apis/cluster.core.oam.dev/v1alpha1/virtualclusters/one/health",
        "/apis/cluster.core.oam.dev/v1alpha1/clustergateways//health",
        "/apis/other/v1alpha1/clustergateways/one/health",
        "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/one/health/x",
    ] {
        assert!(!is_taken(Method::PUT, path), "{path}");
    }
}

#[test]
fn a_put_says_all_of_the_health_and_a_patch_what_changes() {
    let (written, warnings) = put("", json!({"status": {"healthy": true, "healthyReason": "fine"}})).unwrap();
    assert_eq!(written.health, Health { healthy: true, reason: "fine".to_owned() });
    assert!(!written.dry_run && written.resource_version.is_none());
    assert_eq!(warnings, Warnings::default());
    assert!(!put("", json!({})).unwrap().0.health.healthy);

    // The cluster of these tests is healthy.
    let (merged, _) =
        wanted(Method::PATCH, "dryRun=All&fieldManager=me", MERGE, r#"{"status":{"healthyReason":"x"}}"#)
            .unwrap();
    assert_eq!(merged.health, Health { healthy: true, reason: "x".to_owned() });
    assert!(merged.dry_run && merged.field_manager.as_deref() == Some("me"));
    let patch = r#"[{"op":"test","path":"/status/healthy","value":true},{"op":"replace","path":"/status/healthy","value":false}]"#;
    assert!(!wanted(Method::PATCH, "", JSON_PATCH, patch).unwrap().0.health.healthy);
}

#[test]
fn who_names_a_version_insists_on_it() {
    let version = |fields| put("", fields).unwrap().0.resource_version;
    assert_eq!(version(json!({"metadata": {"resourceVersion": "5"}})).as_deref(), Some("5"));
    assert_eq!(version(json!({"metadata": {"resourceVersion": "0"}})), None);
    let (patched, _) = wanted(Method::PATCH, "", MERGE, r#"{"metadata":{"resourceVersion":"5"}}"#).unwrap();
    assert_eq!(patched.resource_version.as_deref(), Some("5"));
    let status = put("", json!({"metadata": {"uid": "another"}})).unwrap_err();
    assert_eq!(status.code(), 409);
    assert!(put("", json!({"metadata": {"uid": "uid"}})).is_ok());
}

#[test]
fn fields_that_nobody_knows_are_warned_of_refused_or_ignored() {
    let warned = |texts: &[&str]| {
        let mut warnings = Warnings::default();
        texts.iter().for_each(|text| warnings.add(*text));
        warnings
    };
    let unknown = json!({"status": {"nope": 1}, "spec": {"access": {"x": 1}}});
    let expected = warned(&[r#"unknown field "spec.access.x""#, r#"unknown field "status.nope""#]);
    assert_eq!(put("", unknown.clone()).unwrap().1, expected);
    assert_eq!(put("fieldValidation=Ignore", unknown.clone()).unwrap().1, Warnings::default());
    let status = put("fieldValidation=Strict", unknown).unwrap_err();
    assert!(status.code() == 400 && status.message().contains("strict decoding error: unknown field"));
    let patch = r#"{"status":{"nope":1,"healthy":true,"healthy":false}}"#;
    assert_eq!(wanted(Method::PATCH, "fieldValidation=Strict", MERGE, patch).unwrap_err().code(), 422);
    let expected = warned(&[r#"duplicate field "status.healthy""#, r#"unknown field "status.nope""#]);
    assert_eq!(wanted(Method::PATCH, "", MERGE, patch).unwrap().1, expected);
    let patch = r#"[{"op":"test","op":"add","path":"/status/healthy","value":true,"x":1}]"#;
    let expected = warned(&[r#"json patch duplicate field "[0].op""#, r#"json patch unknown field "[0].x""#]);
    assert_eq!(wanted(Method::PATCH, "", JSON_PATCH, patch).unwrap().1, expected);
}

#[test]
fn fields_that_are_there_twice_are_found_in_yaml_by_their_lines() {
    let yaml = "metadata:\n  name: one\n  name: one\nstatus:\n  nope: 1\n  healthy: true\n  healthy: false\n";
    let (written, warnings) = wanted(Method::PUT, "", "application/yaml", yaml).unwrap();
    let mut expected = Warnings::default();
    for text in [
        r#"line 3: key "name" already set in map"#,
        r#"line 7: key "healthy" already set in map"#,
        r#"unknown field "status.nope""#,
    ] {
        expected.add(text);
    }
    assert_eq!(warnings, expected);
    assert!(!written.health.healthy, "the last one counts");
    let status = wanted(Method::PUT, "fieldValidation=Strict", "application/yaml", yaml).unwrap_err();
    let text = "strict decoding error: yaml: unmarshal errors:\n  line 3: key \"name\" already set in map\n  line 7: ";
    assert!(status.message().contains(text), "{}", status.message());
}

#[test]
fn values_of_another_type_are_refused_by_their_field() {
    let status = put("", json!({"status": {"healthy": "yes"}})).unwrap_err();
    assert_eq!(
        status.message(),
        r#"ClusterGateway in version "v1alpha1" cannot be handled as a ClusterGateway: json: cannot unmarshal string into Go struct field ClusterGatewayStatus.status.healthy of type bool"#
    );
    let patch = r#"{"status":{"healthy":1}}"#;
    assert_eq!(wanted(Method::PATCH, "", MERGE, patch).unwrap_err().code(), 422);
}

#[test]
fn copies_of_copies_end() {
    let mut operations =
        vec![json!({"op": "add", "path": "/status/healthyReason", "value": "x".repeat(1024)})];
    operations.extend(
        (0..60).map(|number| json!({"op": "copy", "from": "/status", "path": format!("/status/c{number}")})),
    );
    let status =
        wanted(Method::PATCH, "fieldValidation=Ignore", JSON_PATCH, Value::from(operations).to_string());
    assert_eq!(status.unwrap_err().code(), 422);
    let many = Value::from(vec![json!({"op": "test", "path": "/kind", "value": "x"}); 10_001]).to_string();
    assert_eq!(wanted(Method::PATCH, "", JSON_PATCH, many).unwrap_err().code(), 413);
}

#[test]
fn what_is_no_json_is_told_in_gos_words() {
    let refused = |content_type: &str, body: &str| {
        let status = wanted(Method::PUT, "", content_type, body.to_owned()).unwrap_err();
        (status.code().as_u16(), status.message().to_owned())
    };
    let (code, message) = refused("application/json", "{");
    assert!(
        code == 400 && message.ends_with("json parse error: unexpected end of JSON input ({)"),
        "{message}"
    );
    let (code, message) = refused("application/yaml", "a: [}");
    assert!(code == 400 && message.contains("yaml: ") && message.ends_with("(613a205b7d)"), "{message}");
    assert_eq!(refused("text/plain", "{}").0, 415);
    let deep = "[".repeat(100_000);
    assert_eq!(refused("application/json", &deep).0, 400);
}
