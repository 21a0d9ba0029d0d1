//! PUT and PATCH of the one subresource that is stored.

use super::super::part::Part;
use super::super::row::{JSON, JSON_PATCH, MERGE, Peer, Row, YAML, patch, put};

const TWICE: &str = r#"{"kind":"{kind}","kind":"{kind}","apiVersion":"{apiVersion}","zzz":1,"metadata":{"name":"one","nope":{"a":1,"a":2},"name":"one","labels":{"a":"b","a":"c"}},"aaa":[1],"zzz":2}"#;
const TWICE_YAML: &str = "kind: '{kind}'\napiVersion: '{apiVersion}'\nmetadata:\n  name: one\n  nope: 1\n  name: one\naaa: 1\nlist: []\n";

/// Warnings that are more than is written whole.
fn many_unknown() -> String {
    let fields = (0..150).map(|number| format!(r#","{}{number}":0"#, "x".repeat(30))).collect::<String>();
    format!(r#"{{"kind":"{{kind}}","apiVersion":"{{apiVersion}}","metadata":{{"name":"one"}}{fields}}}"#)
}

/// An object of the kind, with this of metadata and status besides.
fn object(metadata: &str, status: &str) -> String {
    format!(
        r#"{{"kind":"{{kind}}","apiVersion":"{{apiVersion}}","metadata":{{"name":"one"{metadata}}},"status":{{{status}}}}}"#
    )
}

pub(super) fn rows() -> Vec<Row> {
    [puts(), refused_puts(), patches(), refused_patches()].concat()
}

fn puts() -> Vec<Row> {
    const VERSION: &str = r#","resourceVersion":"{rv}""#;
    let yaml = "kind: '{kind}'\napiVersion: '{apiVersion}'\nmetadata:\n  name: one\n  resourceVersion: '{rv}'\nstatus:\n  healthy: true\n  healthyReason: yaml\n";
    vec![
        put("one?dryRun=All", JSON, object(VERSION, r#""healthy":true,"healthyReason":"dry""#)),
        put("one", JSON, object(VERSION, r#""healthy":true,"healthyReason":"fine""#)),
        put("one?fieldManager=somebody", JSON, object(VERSION, r#""healthy":false"#)),
        put("one", JSON, object(r#","resourceVersion":"{rv}","uid":"{uid}""#, r#""healthy":true"#)),
        put("one?pretty=true", "application/json; charset=utf-8", object(VERSION, r#""healthy":true"#)),
        put("one", "", object(VERSION, r#""healthy":true"#)),
        put("one", YAML, yaml),
        // Fields that nobody knows, or that are there twice.
        put("one?fieldValidation=Warn", JSON, TWICE).peer(Peer::Nodes).part(Part::Identity),
        put("one?fieldValidation=Ignore", JSON, TWICE).peer(Peer::Nodes).part(Part::Identity),
        put("one", JSON, TWICE).peer(Peer::Nodes).part(Part::Identity),
        put("one", JSON, many_unknown()).peer(Peer::Nodes).part(Part::Identity),
        put("one", YAML, TWICE_YAML).peer(Peer::Nodes).part(Part::Identity),
        put("one?fieldValidation=Ignore", YAML, TWICE_YAML).peer(Peer::Nodes).part(Part::Identity),
        // Without a version, where that is allowed.
        put("one", JSON, object("", "")).peer(Peer::Nodes).part(Part::Identity),
        put("one", JSON, object(r#","namespace":"nope""#, "")).peer(Peer::Nodes).part(Part::Identity),
        put("one?fieldValidation=Warn", JSON, object("", r#""nope":5"#))
            .peer(Peer::Nodes)
            .part(Part::Identity),
        put("one?fieldValidation=Ignore", JSON, object("", r#""nope":5"#))
            .peer(Peer::Nodes)
            .part(Part::Identity),
        put("one", JSON, object(VERSION, r#""healthy":true"#)).accept(YAML),
    ]
}

fn refused_puts() -> Vec<Row> {
    let long = "x".repeat(129);
    let mut rows = vec![
        put("one", JSON, object(r#","resourceVersion":"1""#, "")).peer(Peer::Namespaces),
        put("one?dryRun=All", JSON, object(r#","resourceVersion":"1""#, "")).peer(Peer::Namespaces),
        put("one", JSON, object(r#","uid":"x""#, "")).peer(Peer::Namespaces),
        put("nope", JSON, object("", "").replace("one", "nope")).peer(Peer::Namespaces),
        put("two", JSON, object("", "")).peer(Peer::Namespaces),
        put("one", JSON, r#"{"kind":"{kind}","apiVersion":"{apiVersion}"}"#).peer(Peer::Nodes),
        put("one", JSON, r#"{"kind":"{kind}"}"#).peer(Peer::Nodes),
        put("one", JSON, r#"{"kind":"Foo","apiVersion":"{apiVersion}"}"#).peer(Peer::FlowSchemas),
        put("one", JSON, "").peer(Peer::Nodes),
        put("one", JSON, "{").peer(Peer::Nodes),
        put("one", JSON, "[]").peer(Peer::Nodes),
        put("one", JSON, "null").peer(Peer::Nodes),
        put("one", JSON, "foo").peer(Peer::Nodes),
        put("one", JSON, r#"{"a":1} x"#).peer(Peer::Nodes),
        put("one", JSON, r#"{"kind": nonsense and more of it, and more"#).peer(Peer::Nodes),
        put("one?fieldValidation=Strict", JSON, object("", r#""nope":5"#)).peer(Peer::Nodes),
        put("one?fieldValidation=Strict", JSON, TWICE).peer(Peer::Nodes),
        put("one?fieldValidation=Strict", YAML, TWICE_YAML).peer(Peer::Nodes),
        put("one?fieldValidation=Strict", JSON, many_unknown()).peer(Peer::Nodes),
        // Warned of, and refused for something else.
        put("one", JSON, TWICE.replace("\"name\":\"one\"", "\"name\":\"other\"")).peer(Peer::Nodes),
        put("one", JSON, object(r#","uid":"x","nope":1"#, "")).peer(Peer::Nodes),
        put("one", JSON, r#"{"kind":5}"#).peer(Peer::Nodes),
        put("one", JSON, r#"{"apiVersion":[]}"#).peer(Peer::Nodes),
        put("one", JSON, object(r#","labels":{"a":5}"#, "")).peer(Peer::Nodes),
        put("one", JSON, object(r#","labels":"a""#, "")).peer(Peer::Nodes),
        put("one", JSON, object(r#","finalizers":[5]"#, "")).peer(Peer::Nodes),
        put("one", JSON, object(r#","finalizers":{}"#, "")).peer(Peer::Nodes),
        put("one", JSON, object(r#","ownerReferences":[5]"#, "")).peer(Peer::Nodes),
        put("one", JSON, object(r#","ownerReferences":[{"name":true}]"#, "")).peer(Peer::Nodes),
        put("one", JSON, object(r#","generation":1.5"#, "")).peer(Peer::Nodes),
        put("one", JSON, object(r#","generation":"1""#, "")).peer(Peer::Nodes),
        put("one", JSON, r#"{"kind":"{kind}","apiVersion":"{apiVersion}","metadata":5}"#).peer(Peer::Nodes),
        put("one", YAML, "- a").peer(Peer::Nodes),
        put("one", YAML, "").peer(Peer::Nodes),
        put("one", "text/plain", "{}").peer(Peer::Namespaces),
        put("one", "application/cbor", "{}").peer(Peer::Namespaces),
        put("one", "application/vnd.kubernetes.protobuf", "{}").peer(Peer::Nodes),
        put("one", JSON, " ".repeat(3 * 1024 * 1024 + 1)).peer(Peer::Namespaces),
    ];
    for query in [
        "dryRun=Foo".to_owned(),
        "dryRun=All&dryRun=Foo".to_owned(),
        "fieldValidation=Foo".to_owned(),
        format!("fieldManager={long}"),
        format!("fieldManager={long}&dryRun=Foo"),
    ] {
        rows.push(put(&format!("one?{query}"), JSON, object("", "")).peer(Peer::Namespaces));
    }
    rows.push(put("one", JSON, object("", "")).accept("text/html").peer(Peer::Namespaces));
    rows
}

fn patches() -> Vec<Row> {
    vec![
        patch("one", MERGE, r#"{"status":{"healthy":true,"healthyReason":"merged"}}"#),
        patch("one", MERGE, r#"{"metadata":{"resourceVersion":"{rv}"},"status":{"healthyReason":"again"}}"#),
        patch("one", MERGE, "{}"),
        patch("one", JSON_PATCH, r#"[{"op":"replace","path":"/status/healthy","value":false}]"#),
        patch("one", JSON_PATCH, "[]"),
        patch("one?dryRun=All&fieldManager=me", MERGE, r#"{"status":{"healthy":true}}"#),
        patch("one", "application/merge-patch+json; charset=utf-8", "{}"),
        patch("one?fieldValidation=Warn", MERGE, r#"{"status":{"nope":5}}"#),
        patch("one?fieldValidation=Ignore", MERGE, r#"{"status":{"nope":5}}"#),
        patch(
            "one",
            MERGE,
            r#"{"zzz":1,"status":{"healthy":true,"nope":{"a":1,"a":2},"healthy":false},"zzz":2}"#,
        ),
        patch(
            "one",
            JSON_PATCH,
            r#"[{"op":"add","path":"/status/healthy","value":true,"path":"/status/healthy","x":1},{"op":"add","path":"/status/nope","value":1}]"#,
        ),
        patch(
            "one?fieldValidation=Ignore",
            JSON_PATCH,
            r#"[{"op":"add","path":"/status/healthy","value":false,"x":1,"x":2}]"#,
        ),
        patch("one", MERGE, r#"{"metadata":{"uid":""}}"#),
        patch("one", MERGE, r#"{"metadata":{"uid":null,"resourceVersion":null}}"#)
            .peer(Peer::Nodes)
            .part(Part::Identity),
        patch("one", MERGE, r#"{"spec":{"provider":"x"},"metadata":{"labels":{"a":"b"}}}"#)
            .peer(Peer::Custom),
    ]
}

fn refused_patches() -> Vec<Row> {
    let mut rows = vec![
        patch("one", MERGE, r#"{"metadata":{"resourceVersion":"1"},"status":{"healthy":true}}"#),
        patch("one", MERGE, r#"{"metadata":{"resourceVersion":"1"}}"#).peer(Peer::Namespaces),
        patch("one", MERGE, r#"{"metadata":{"name":"x"}}"#).peer(Peer::Namespaces),
        patch("one", MERGE, r#"{"metadata":{"uid":"x"}}"#).peer(Peer::Namespaces),
        patch("one", JSON_PATCH, r#"[{"op":"replace","path":"/metadata/uid","value":"x"}]"#)
            .peer(Peer::Namespaces),
        patch("one?fieldValidation=Strict", MERGE, r#"{"status":{"nope":5,"nope":6},"zzz":1}"#)
            .peer(Peer::Nodes),
        patch("one?fieldValidation=Strict", JSON_PATCH, r#"[{"op":"add","path":"/zzz","value":{},"x":1}]"#)
            .peer(Peer::Nodes),
        patch("one", MERGE, r#"{"metadata":{"labels":5}}"#).peer(Peer::Nodes),
        patch("one", MERGE, r#"{"metadata":5}"#).peer(Peer::Nodes),
        patch("one", MERGE, r#"{"metadata":{"name":null}}"#).peer(Peer::Namespaces),
        patch("one", MERGE, r#"{"nope":1,"metadata":{"resourceVersion":"1"}}"#).peer(Peer::Namespaces),
        patch("nope", MERGE, "{}").peer(Peer::Namespaces),
        patch("nope", JSON_PATCH, "{").peer(Peer::Namespaces),
        patch("one", "application/strategic-merge-patch+json", "{}")
            .differs("kube-apiserver names server-side apply as well, which is not offered here"),
        patch("one?fieldManager=x", "application/apply-patch+yaml", "{}")
            .differs("server-side apply is not offered: nobody stores managed fields"),
        patch("one", "application/nope", "{}").peer(Peer::Nodes),
        patch("one", "", "{}").peer(Peer::Nodes),
        patch("one?force=true", MERGE, "{}").peer(Peer::Namespaces),
        patch("one?force=nonsense", MERGE, "{}").peer(Peer::Namespaces),
        patch("one?dryRun=Foo", MERGE, "{}").peer(Peer::Namespaces),
        patch("one?fieldValidation=Foo", JSON_PATCH, "[]").peer(Peer::Namespaces),
        patch("one", MERGE, " ".repeat(3 * 1024 * 1024 + 1)).peer(Peer::Namespaces),
        patch("one", MERGE, "{}").accept("text/html").peer(Peer::Namespaces),
        patch("nope", MERGE, "").accept("application/yaml").peer(Peer::Namespaces),
    ];
    for body in ["", "{", "[]", "null", "\"a\"", "nul"] {
        rows.push(patch("one", MERGE, body).peer(Peer::Namespaces));
    }
    for body in [
        "",
        "{}",
        "foo",
        "\"a\"",
        r#"[{"op":"foo","path":"/status"}]"#,
        r#"[{"op":"test","path":"/metadata/name","value":"x"}]"#,
        r#"[{"op":"remove","path":"/status/nope/x"}]"#,
        r#"[{"op":"replace","path":"/metadata/name","value":"x"}]"#,
    ] {
        rows.push(patch("one", JSON_PATCH, body).peer(Peer::Namespaces));
    }
    rows
}
