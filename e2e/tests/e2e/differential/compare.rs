//! What is compared of two answers, and what is made equal before. This list is meant to be read:
//!
//! 1. the names: kube-apiserver's resource is called what ours is;
//! 2. what no two objects share: uid, resourceVersion, creationTimestamp, in metadata and where a message names them;
//! 3. what only stored objects have: generation, managedFields; and the empty `continue` of lists of custom resources;
//! 4. what only ours have: status.conditions, and annotations of the domain `status.` in which health is kept;
//! 5. names of Go's types and of its schemes in messages;
//! 6. a Table's columns and cells behind the first, and what is said of the first.

use anyhow::{Context as _, Result, ensure};
use e2e::client::Answer;
use serde_json::Value;

use super::row::{CUSTOM_GROUP, Compared, GROUP, Peer, Row};

/// Headers that clients act upon, compared as they are.
const HEADERS: [&str; 9] = [
    "content-type",
    "cache-control",
    "vary",
    "warning",
    "retry-after",
    "x-content-type-options",
    "content-encoding",
    "allow",
    "location",
];
/// Headers that both have or neither.
const PRESENT: [&str; 2] = ["etag", "audit-id"];

/// Whether two answers are the same.
pub(super) fn same(row: &Row, ours: &Answer, theirs: &Answer) -> Result<()> {
    ensure!(
        ours.status == theirs.status,
        "status {} and not {}:\n  ours   {:.600}\n  theirs {:.600}",
        ours.status,
        theirs.status,
        ours.text(),
        theirs.text()
    );
    for name in HEADERS {
        let values = |answer: &Answer| {
            let values = answer.headers.get_all(name).iter();
            let mut values: Vec<_> =
                values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
            // A hub says some of its own again, whatever an aggregated apiserver said.
            values.dedup();
            values
        };
        let (ours, theirs) = (values(ours), values(theirs));
        ensure!(ours == theirs, "{name}: {ours:?} and not {theirs:?}");
    }
    for name in PRESENT {
        let has = |answer: &Answer| answer.headers.contains_key(name);
        ensure!(has(ours) == has(theirs), "{name}: {:?} and {:?}", ours.header(name), theirs.header(name));
    }
    if row.compared == Compared::Head {
        ensure!(ours.body.is_empty() == theirs.body.is_empty(), "one has a body and the other has none");
        return Ok(());
    }
    let (ours, theirs) = (read(ours, row.peer)?, read(theirs, row.peer)?);
    let first = ours.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
    let (our_line, their_line) = first.unwrap_or(("…", "…"));
    ensure!(
        ours == theirs,
        "the bodies differ ({} and {} lines):\n  ours   {our_line:.900}\n  theirs {their_line:.900}",
        ours.lines().count(),
        theirs.lines().count()
    );
    Ok(())
}

/// A body as it is compared. Failures byte for byte, but for names; objects by what is in them.
fn read(answer: &Answer, peer: Peer) -> Result<String> {
    let body = match answer.header("content-encoding") {
        Some("gzip") => {
            return Ok(format!("{} bytes compressed", if answer.body.is_empty() { "no" } else { "some" }));
        }
        _ => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    let text = renamed(&body, peer);
    if text.starts_with("{\"type\":\"") {
        return events(&text);
    }
    let value: Value = match answer.header("content-type").unwrap_or_default() {
        "application/json" if !text.is_empty() => {
            serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))?
        }
        "application/yaml" => serde_saphyr::from_str(&text).with_context(|| format!("no YAML: {text}"))?,
        _ => return Ok(text),
    };
    if value["kind"] == "Status" {
        return Ok(text);
    }
    let indented = text.contains("\n  \"");
    Ok(format!("{}indented {:#}", if indented { "" } else { "not " }, object(value)))
}

/// The events of a watch, one to a line. Those of the objects that there were come in any order.
fn events(text: &str) -> Result<String> {
    ensure!(text.ends_with('\n'), "the last event is cut: {text:.300}");
    let mut events = Vec::new();
    for line in text.lines() {
        let mut event: Value =
            serde_json::from_str(line).with_context(|| format!("no event: {line:.300}"))?;
        event["object"] = object(event["object"].take());
        events.push(format!("{event:#}"));
    }
    events.sort_unstable();
    Ok(events.join("\n"))
}

/// Everything that has another name on the other side.
fn renamed(text: &str, peer: Peer) -> String {
    let mut text = text.replace(CUSTOM_GROUP, GROUP);
    if peer == Peer::Nodes {
        for (theirs, ours) in [
            ("nodes \\\"", "clustergateways.cluster.core.oam.dev \\\""),
            ("\"kind\":\"nodes\"", "\"group\":\"cluster.core.oam.dev\",\"kind\":\"clustergateways\""),
            ("type Node)", "type ClusterGateway)"),
            ("as a Node:", "as a ClusterGateway:"),
            ("Node in version \\\"v1\\\"", "ClusterGateway in version \\\"v1alpha1\\\""),
        ] {
            text = text.replace(theirs, ours);
        }
    }
    // A Go type in parentheses, a scheme's place in Go's sources, a key of etcd, a UID.
    for (start, end, instead) in [
        ("(*", ")", "(type)"),
        (" in scheme \\\"", "\\\"", ""),
        ("Key: ", ",", "Key,"),
        ("UID in object meta: ", "\"", "UID\""),
    ] {
        if let Some((before, rest)) = text.split_once(start)
            && let Some((_, after)) = rest.split_once(end)
        {
            text = format!("{before}{instead}{after}");
        }
    }
    text
}

/// An object, a list or a Table, less what cannot be equal.
fn object(mut value: Value) -> Value {
    if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
        for key in ["uid", "resourceVersion", "creationTimestamp"] {
            if metadata.contains_key(key) {
                metadata.insert(key.to_owned(), "*".into());
            }
        }
        for key in ["generation", "managedFields"] {
            metadata.remove(key);
        }
        if metadata.get("continue").is_some_and(|place| place == "") {
            metadata.remove("continue");
        }
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            annotations.retain(|key, _| !key.starts_with("status."));
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    if let Some(Value::Object(status)) = value.get_mut("status") {
        status.remove("conditions");
    }
    if let Some(Value::Array(columns)) = value.get_mut("columnDefinitions") {
        columns.truncate(1);
        columns.iter_mut().for_each(|column| column["description"] = "*".into());
    }
    if let Some(Value::Array(rows)) = value.get_mut("rows") {
        for row in rows {
            if let Some(Value::Array(cells)) = row.get_mut("cells") {
                cells.truncate(1);
            }
            row["object"] = object(row["object"].take());
        }
    }
    if let Some(Value::Array(items)) = value.get_mut("items") {
        items.iter_mut().for_each(|item| *item = object(item.take()));
    }
    value
}
