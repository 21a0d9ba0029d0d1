//! The few messages of meta.k8s.io that are written in Kubernetes' protobuf: failures, and objects of which only the
//! metadata is wanted. Objects themselves have no protobuf form, as custom resources have none.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::Status;

/// In front of every message (apimachinery, pkg/runtime/serializer/protobuf).
const MAGIC: &[u8] = b"k8s\0";

/// A field of a message: its key in JSON, its number, what it holds (apimachinery, generated.proto).
type Field = (&'static str, u8, Kind);

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    /// RFC 3339 in JSON, seconds here.
    Time,
    Message(&'static [Field]),
    /// Repeated.
    Messages(&'static [Field]),
    /// Of text to text.
    Map,
}

const TYPE_META: &[Field] = &[("apiVersion", 1, Kind::Text), ("kind", 2, Kind::Text)];
const LIST_META: &[Field] = &[
    ("resourceVersion", 2, Kind::Text),
    ("continue", 3, Kind::Text),
    ("remainingItemCount", 4, Kind::Number),
];
const OBJECT_META: &[Field] = &[
    ("name", 1, Kind::Text),
    ("uid", 5, Kind::Text),
    ("resourceVersion", 6, Kind::Text),
    ("creationTimestamp", 8, Kind::Time),
    ("labels", 11, Kind::Map),
    ("annotations", 12, Kind::Map),
];
const PARTIAL: &[Field] = &[("metadata", 1, Kind::Message(OBJECT_META))];
const PARTIAL_LIST: &[Field] =
    &[("metadata", 1, Kind::Message(LIST_META)), ("items", 2, Kind::Messages(PARTIAL))];
const CAUSE: &[Field] = &[("reason", 1, Kind::Text), ("message", 2, Kind::Text), ("field", 3, Kind::Text)];
const DETAILS: &[Field] = &[
    ("name", 1, Kind::Text),
    ("group", 2, Kind::Text),
    ("kind", 3, Kind::Text),
    ("causes", 4, Kind::Messages(CAUSE)),
    ("retryAfterSeconds", 5, Kind::Number),
];
const STATUS: &[Field] = &[
    ("metadata", 1, Kind::Message(LIST_META)),
    ("status", 2, Kind::Text),
    ("message", 3, Kind::Text),
    ("reason", 4, Kind::Text),
    ("details", 5, Kind::Message(DETAILS)),
    ("code", 6, Kind::Number),
];

/// A failure.
pub(super) fn status(status: &Status) -> Vec<u8> {
    // Texts and numbers only: what cannot fail.
    envelope(&serde_json::to_value(status).unwrap_or_default(), STATUS)
}

/// A PartialObjectMetadata.
pub(super) fn partial(object: &Value) -> Vec<u8> {
    envelope(object, PARTIAL)
}

/// A PartialObjectMetadataList.
pub(super) fn partial_list(list: &Value) -> Vec<u8> {
    envelope(list, PARTIAL_LIST)
}

/// `runtime.Unknown`, which says what is in it.
fn envelope(value: &Value, fields: &[Field]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    put_bytes(&mut bytes, 1, &message(value, TYPE_META));
    put_bytes(&mut bytes, 2, &message(value, fields));
    bytes
}

fn message(value: &Value, fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, number, kind) in fields {
        let Some(value) = value.get(key) else { continue };
        match kind {
            Kind::Text => put_bytes(&mut bytes, *number, value.as_str().unwrap_or_default().as_bytes()),
            Kind::Number => put_number(&mut bytes, *number, value.as_u64().unwrap_or_default()),
            Kind::Time => {
                let time = value.as_str().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
                let Some(seconds) = time.and_then(|time| u64::try_from(time.unix_timestamp()).ok()) else {
                    continue;
                };
                let mut time = Vec::new();
                put_number(&mut time, 1, seconds);
                put_bytes(&mut bytes, *number, &time);
            }
            Kind::Message(fields) => put_bytes(&mut bytes, *number, &message(value, fields)),
            Kind::Messages(fields) => {
                for item in value.as_array().into_iter().flatten() {
                    put_bytes(&mut bytes, *number, &message(item, fields));
                }
            }
            Kind::Map => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    let mut entry = Vec::new();
                    put_bytes(&mut entry, 1, key.as_bytes());
                    put_bytes(&mut entry, 2, value.as_str().unwrap_or_default().as_bytes());
                    put_bytes(&mut bytes, *number, &entry);
                }
            }
        }
    }
    bytes
}

fn put_bytes(bytes: &mut Vec<u8>, field: u8, value: &[u8]) {
    bytes.push(field << 3 | 2);
    put_varint(bytes, value.len() as u64);
    bytes.extend_from_slice(value);
}

fn put_number(bytes: &mut Vec<u8>, field: u8, value: u64) {
    bytes.push(field << 3);
    put_varint(bytes, value);
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failure_is_the_message_that_kube_apiserver_writes() {
        // The body of a 406 from kube-apiserver 1.35, less the empty fields that it writes too.
        let written = status(&Status::new(crate::model::Reason::NotFound, "gone"));
        assert_eq!(
            written,
            b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Status\x12\x1e\x0a\0\x12\x07Failure\x1a\x04gone\x22\x08NotFound\x30\x94\x03"
        );
    }

    #[test]
    fn metadata_has_its_times_in_seconds_and_its_maps_in_entries() {
        let written = partial(&json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "a", "creationTimestamp": "1970-01-01T00:05:00Z", "labels": {"k": "v"}},
        }));
        let inner = b"\x0a\x01a\x42\x03\x08\xac\x02\x5a\x06\x0a\x01k\x12\x01v";
        assert!(written.ends_with(inner), "{written:?}");
    }
}
