//! PUT and PATCH of the one subresource that is stored.

use super::super::row::{JSON, JSON_PATCH, MERGE, Peer, Row, YAML, patch, put};

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
        put("one?dryRun=All", JSON, object(VERSION, r#""healthy":true,"healthyReason":"dry""#)).head_only(),
        put("one", JSON, object(VERSION, r#""healthy":true,"healthyReason":"fine""#)).head_only(),
        put("one?fieldManager=somebody", JSON, object(VERSION, r#""healthy":false"#)).head_only(),
        put("one", JSON, object(r#","resourceVersion":"{rv}","uid":"{uid}""#, r#""healthy":true"#))
            .head_only(),
        put("one?pretty=true", "application/json; charset=utf-8", object(VERSION, "")).head_only(),
        put("one", "", object(VERSION, r#""healthy":true"#)).head_only(),
        put("one", YAML, yaml).head_only(),
        // Without a version, where that is allowed.
        put("one", JSON, object("", "")).peer(Peer::Nodes).head_only(),
        put("one", JSON, object(r#","namespace":"nope""#, "")).peer(Peer::Nodes).head_only(),
        put("one?fieldValidation=Warn", JSON, object("", r#""nope":5"#)).peer(Peer::Nodes).head_only(),
        put("one?fieldValidation=Ignore", JSON, object("", r#""nope":5"#)).peer(Peer::Nodes).head_only(),
        put("one", JSON, object(VERSION, r#""healthy":true"#)).accept(YAML).head_only(),
    ]
}

fn refused_puts() -> Vec<Row> {
    let long = "x".repeat(129);
    let mut rows = vec![
        put("one", JSON, object(r#","resourceVersion":"1""#, "")),
        put("one?dryRun=All", JSON, object(r#","resourceVersion":"1""#, "")),
        put("one", JSON, object(r#","uid":"x""#, "")),
        put("nope", JSON, object("", "").replace("one", "nope")),
        put("two", JSON, object("", "")),
        put("one", JSON, r#"{"kind":"{kind}","apiVersion":"{apiVersion}"}"#).peer(Peer::Nodes),
        put("one", JSON, r#"{"kind":"{kind}"}"#).peer(Peer::Nodes),
        put("one", JSON, r#"{"kind":"Foo","apiVersion":"{apiVersion}"}"#)
            .peer(Peer::Nodes)
            .differs("kube-apiserver names the version, which for nodes has no group"),
        put("one", JSON, "").peer(Peer::Nodes),
        put("one", JSON, "{").peer(Peer::Nodes),
        put("one", JSON, "[]").peer(Peer::Nodes),
        put("one", JSON, "null").peer(Peer::Nodes),
        put("one", JSON, "foo").peer(Peer::Nodes),
        put("one", JSON, r#"{"a":1} x"#).peer(Peer::Nodes),
        put("one", JSON, r#"{"kind": nonsense and more of it, and more"#).peer(Peer::Nodes),
        put("one?fieldValidation=Strict", JSON, object("", r#""nope":5"#)).peer(Peer::Nodes),
        put("one", "text/plain", "{}"),
        put("one", "application/cbor", "{}"),
        put("one", "application/vnd.kubernetes.protobuf", "{}").peer(Peer::Nodes),
        put("one", JSON, " ".repeat(3 * 1024 * 1024 + 1)),
    ];
    for query in [
        "dryRun=Foo".to_owned(),
        "dryRun=All&dryRun=Foo".to_owned(),
        "fieldValidation=Foo".to_owned(),
        format!("fieldManager={long}"),
        format!("fieldManager={long}&dryRun=Foo"),
    ] {
        rows.push(put(&format!("one?{query}"), JSON, object("", "")));
    }
    rows.push(put("one", JSON, object("", "")).accept("text/html"));
    rows
}

fn patches() -> Vec<Row> {
    vec![
        patch("one", MERGE, r#"{"status":{"healthy":true,"healthyReason":"merged"}}"#).head_only(),
        patch("one", MERGE, r#"{"metadata":{"resourceVersion":"{rv}"},"status":{"healthyReason":"again"}}"#)
            .head_only(),
        patch("one", MERGE, "{}").head_only(),
        patch("one", JSON_PATCH, r#"[{"op":"replace","path":"/status/healthy","value":false}]"#).head_only(),
        patch("one", JSON_PATCH, "[]").head_only(),
        patch("one?dryRun=All&fieldManager=me", MERGE, r#"{"status":{"healthy":true}}"#).head_only(),
        patch("one", "application/merge-patch+json; charset=utf-8", "{}").head_only(),
        patch("one?fieldValidation=Warn", MERGE, r#"{"status":{"nope":5}}"#).head_only(),
        patch("one?fieldValidation=Ignore", MERGE, r#"{"status":{"nope":5}}"#).head_only(),
    ]
}

fn refused_patches() -> Vec<Row> {
    let mut rows = vec![
        patch("one", MERGE, r#"{"metadata":{"resourceVersion":"1"},"status":{"healthy":true}}"#),
        patch("one", MERGE, r#"{"metadata":{"name":"x"}}"#),
        patch("nope", MERGE, "{}"),
        patch("nope", JSON_PATCH, "{"),
        patch("one", "application/strategic-merge-patch+json", "{}")
            .differs("server-side apply is not offered: nobody stores managed fields"),
        patch("one?fieldManager=x", "application/apply-patch+yaml", "{}")
            .differs("server-side apply is not offered: nobody stores managed fields"),
        patch("one", "application/nope", "{}").peer(Peer::Nodes),
        patch("one", "", "{}").peer(Peer::Nodes),
        patch("one?force=true", MERGE, "{}"),
        patch("one?force=nonsense", MERGE, "{}"),
        patch("one?dryRun=Foo", MERGE, "{}"),
        patch("one?fieldValidation=Foo", JSON_PATCH, "[]"),
        patch("one", MERGE, " ".repeat(3 * 1024 * 1024 + 1)),
        patch("one", MERGE, "{}").accept("text/html"),
        patch("nope", MERGE, "").accept("application/yaml"),
    ];
    for body in ["", "{", "[]", "null", "\"a\"", "nul"] {
        rows.push(patch("one", MERGE, body));
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
        rows.push(patch("one", JSON_PATCH, body));
    }
    rows
}
