//! What is compared of two answers, and what is made equal before. This list is meant to be read:
//!
//! 1. the names: kube-apiserver's resource is called what ours is, also in the camel case of OpenAPI;
//! 2. what no two objects share: uid, resourceVersion, creationTimestamp, in metadata and where a message names them;
//!    and what a token to go on with a list is made of;
//! 3. what only stored objects have: generation, managedFields; and the empty `continue` of lists of custom resources,
//!    which kube-apiserver writes for those and for no built-in kind;
//! 4. what only ours have: status.conditions, and annotations of the domain `status.` in which health is kept;
//! 5. names of Go's types and of its schemes in messages, keys of etcd, and what OpenAPI's hash is;
//! 6. in refusals of patches, the object that the patch would have made: there it is kube-apiserver's;
//! 7. in objects of built-in kinds, all but kind, apiVersion and metadata, and a Secret's namespace; in their lists also
//!    kind and apiVersion of the items, which kube-apiserver writes for custom resources (and is compared with there);
//! 8. bookmarks that come by the clock and not at the end of what there was: kube-apiserver sends them as it happens;
//! 9. a Table's columns and cells behind the first, and what is said of the first: they are the resource's own.
//!
//! Bodies are compared whole, compressed ones decompressed and protobuf by the numbers of its fields; where there is
//! more on one side, [`Part`](super::part::Part) says what is compared, and why no more. Events of a watch have an
//! order: those of the objects that there were too, because kube-apiserver sorts them by name.

use std::io::Read as _;

use anyhow::{Context as _, Result, ensure};
use e2e::client::Answer;
use serde_json::{Value, json};

use super::names::renamed;
use super::part::Part;
use super::peer::{Peer, Place};
use super::row::{CUSTOM_GROUP, GROUP, Row};
use super::wire;

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

/// By what a bookmark says that everything there was has been told.
pub(super) const INITIAL_END: &str = "k8s.io/initial-events-end";

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
                values.map(|value| header(&String::from_utf8_lossy(value.as_bytes()), row.peer)).collect();
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
    let (ours, theirs) = (read(ours, row)?, read(theirs, row)?);
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

/// A header as it is compared. What OpenAPI's hash is made of is compared elsewhere.
fn header(text: &str, peer: Peer) -> String {
    match text.split_once("?hash=") {
        Some((path, hash)) => renamed(&format!("{path}?hash={}", hash.len()), peer),
        None => renamed(text, peer),
    }
}

/// A body as it is compared. Failures byte for byte, but for names; objects by what is in them.
fn read(answer: &Answer, row: &Row) -> Result<String> {
    let mut plain = Vec::new();
    let body = match answer.header("content-encoding") {
        Some("gzip") => {
            flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut plain)?;
            &plain[..]
        }
        _ => &answer.body[..],
    };
    let content_type = answer.header("content-type").unwrap_or_default();
    if content_type.starts_with("application/vnd.kubernetes.protobuf") && !body.is_empty() {
        let message = match content_type.ends_with(";stream=watch") {
            true => wire::events(body)?,
            false => wire::read(body)?,
        };
        let message = renamed(&message.to_string(), row.peer);
        return Ok(format!("{:#}", row.part.of_message(serde_json::from_str(&message)?)));
    }
    let text = std::str::from_utf8(body).context("no text")?;
    let text = match row.part == Part::OwnGroup && text.contains(CUSTOM_GROUP) {
        // What a hub says of our group is not what ours is compared with.
        true => renamed(&text.replace(GROUP, "aggregated.example.com"), row.peer),
        false => renamed(text, row.peer),
    };
    if text.starts_with("{\"type\":\"") {
        return events(&text, row.peer);
    }
    let is_json = content_type.starts_with("application/json") || text.starts_with("{\"");
    let value: Value = match content_type {
        _ if text.is_empty() => return Ok(text),
        _ if is_json => serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))?,
        _ if content_type.starts_with("application/yaml") => {
            serde_saphyr::from_str(&text).with_context(|| format!("no YAML: {text}"))?
        }
        _ => return Ok(row.part.of_text(&text)),
    };
    if is_json && value["kind"] == "Status" {
        return Ok(text);
    }
    let indented = text.contains("\n  \"");
    Ok(format!("{}indented {:#}", if indented { "" } else { "not " }, row.part.of(object(value, row.peer))))
}

/// The events of a watch, one to a line.
pub(super) fn events(text: &str, peer: Peer) -> Result<String> {
    ensure!(text.ends_with('\n'), "the last event is cut: {text:.300}");
    let mut events = String::new();
    for line in text.lines() {
        if line.starts_with("{\"type\":\"BOOKMARK\"") && !line.contains(INITIAL_END) {
            continue;
        }
        let mut event: Value =
            serde_json::from_str(line).with_context(|| format!("no event: {line:.300}"))?;
        event["object"] = object(event["object"].take(), peer);
        events.push_str(&format!("{event:#}\n"));
    }
    Ok(events)
}

/// An object, a list or a Table, less what cannot be equal.
fn object(mut value: Value, peer: Peer) -> Value {
    if peer.is_built_in() {
        of_our_kind(&mut value, peer);
    }
    if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
        for key in ["uid", "resourceVersion", "creationTimestamp"] {
            if metadata.contains_key(key) {
                metadata.insert(key.to_owned(), "*".into());
            }
        }
        for key in ["generation", "managedFields"] {
            metadata.remove(key);
        }
        match metadata.get_mut("continue") {
            Some(place) if place == "" && peer == Peer::Custom => _ = metadata.remove("continue"),
            Some(place) if place != "" => *place = "*".into(),
            _ => {}
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
            row["object"] = object(row["object"].take(), peer);
        }
    }
    if let Some(Value::Array(items)) = value.get_mut("items") {
        items.iter_mut().for_each(|item| *item = object(item.take(), peer));
    }
    value
}

/// Renames a built-in object, or a list of such, and leaves what all kinds have: the rest is the kind's own.
fn of_our_kind(value: &mut Value, peer: Peer) {
    let (theirs, ours) = (peer.place(), Place::ours());
    for list in ["", "List"] {
        let (their_kind, our_kind) = (format!("{}{list}", theirs.kind), format!("{}{list}", ours.kind));
        if value["kind"] == their_kind && value["apiVersion"] == theirs.api_version {
            (value["kind"], value["apiVersion"]) = (our_kind.into(), ours.api_version.as_str().into());
        }
    }
    let is_ours = value["apiVersion"] == ours.api_version;
    if let Some(items) = value["items"].as_array_mut().filter(|_| is_ours) {
        items.iter_mut().for_each(|item| *item = json!({"metadata": item["metadata"].take()}));
    }
    if value["kind"] == ours.kind && is_ours {
        let kept = ["kind", "apiVersion", "metadata"];
        value
            .as_object_mut()
            .into_iter()
            .for_each(|fields| fields.retain(|key, _| kept.contains(&key.as_str())));
    }
    if let Some(metadata) = value["metadata"].as_object_mut().filter(|_| peer == Peer::Secrets) {
        metadata.remove("namespace");
    }
}
