//! Kubernetes' protobuf without its schemas: what is written, by the numbers of its fields.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value, json};

use super::compare::INITIAL_END;

/// The fields of a message and of what is in it. A text is what has no control characters: a message begins with one.
pub(super) fn read(body: &[u8]) -> Result<Value> {
    let body = body.strip_prefix(b"k8s\0").context("no Kubernetes protobuf")?;
    let mut envelope = message(body)?;
    let kind = envelope["1"][0]["2"][0].as_str().unwrap_or_default().to_owned();
    let raw = &mut envelope["2"][0];
    match kind.as_str() {
        "PartialObjectMetadata" => named(&mut raw["1"][0]),
        "PartialObjectMetadataList" => {
            // resourceVersion
            raw["1"][0]["2"] = "*".into();
            let items = raw["2"].as_array_mut().into_iter().flatten();
            items.for_each(|item| named(&mut item["1"][0]));
        }
        _ => {}
    }
    Ok(envelope)
}

/// An ObjectMeta less what no two objects share, and what only stored objects have.
fn named(metadata: &mut Value) {
    // uid, resourceVersion, creationTimestamp; generation.
    for number in ["5", "6", "8", "7"] {
        metadata[number] = format!("{} *", metadata[number].as_array().map_or(0, Vec::len)).into();
    }
    if let Value::Object(fields) = metadata {
        // Ours have no namespace.
        fields.insert("3".to_owned(), "*".into());
        // managedFields
        fields.remove("17");
        // Annotations in which our health is kept.
        if let Some(Value::Array(annotations)) = fields.get_mut("12") {
            annotations.retain(|entry| !entry["1"][0].as_str().unwrap_or_default().starts_with("status."));
        }
        if fields.get("12").is_some_and(|annotations| annotations == &json!([])) {
            fields.remove("12");
        }
    }
}

/// The events of a watch, each with its length in front, less the bookmarks that come by the clock.
pub(super) fn events(mut rest: &[u8]) -> Result<Value> {
    let mut events = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length))?;
        let (event, after) = after.split_at_checked(length).context("an event is cut")?;
        let event = message(event)?;
        if event["1"][0] != "BOOKMARK" || event.to_string().contains(INITIAL_END) {
            events.push(event);
        }
        rest = after;
    }
    ensure!(rest.is_empty(), "a length is cut");
    Ok(events.into())
}

fn message(mut rest: &[u8]) -> Result<Value> {
    let mut fields: Map<String, Value> = Map::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => varint(&mut rest)?.into(),
            2 => {
                let length = usize::try_from(varint(&mut rest)?)?;
                ensure!(length <= rest.len(), "a field is cut");
                let (field, after) = rest.split_at(length);
                rest = after;
                match std::str::from_utf8(field) {
                    _ if field.starts_with(b"k8s\0") => read(field)?,
                    Ok(text) if !text.chars().any(char::is_control) => text.into(),
                    _ => message(field)?,
                }
            }
            kind => bail!("a field of kind {kind}"),
        };
        let values = fields.entry((tag >> 3).to_string()).or_insert_with(|| json!([]));
        values.as_array_mut().context("no list")?.push(value);
    }
    Ok(Value::Object(fields))
}

fn varint(rest: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, after) = rest.split_first().context("a number is cut")?;
        *rest = after;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a number has no end")
}
