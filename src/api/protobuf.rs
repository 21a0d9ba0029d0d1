//! The few messages of meta.k8s.io and apidiscovery.k8s.io that are written in Kubernetes' protobuf: failures,
//! discovery, and objects of which only the metadata is wanted. Objects themselves have no protobuf form, as custom
//! resources have none.
//!
//! Byte for byte what Go's generated code makes: fields by their numbers, and texts, numbers and times that cannot be
//! left out in Go also where they are empty.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::Status;

/// In front of every message (apimachinery, pkg/runtime/serializer/protobuf).
const MAGIC: &[u8] = b"k8s\0";

/// A field of a message: its key in JSON, its number, what it holds (apimachinery, generated.proto).
pub(super) type Field = (&'static str, u8, Kind);

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Number,
    /// A number that may be left out.
    SomeNumber,
    Bool,
    /// RFC 3339 in JSON, seconds here.
    Time,
    /// Repeated.
    Texts,
    /// Repeated, in a message that holds nothing else.
    Verbs,
    Message(&'static [Field]),
    /// Repeated.
    Messages(&'static [Field]),
    /// Of text to text.
    Map,
}

const TYPE_META: &[Field] = &[("apiVersion", 1, Kind::Text), ("kind", 2, Kind::Text)];
const LIST_META: &[Field] = &[
    ("selfLink", 1, Kind::Text),
    ("resourceVersion", 2, Kind::Text),
    ("continue", 3, Kind::Text),
    ("remainingItemCount", 4, Kind::SomeNumber),
];
const OBJECT_META: &[Field] = &[
    ("name", 1, Kind::Text),
    ("generateName", 2, Kind::Text),
    ("namespace", 3, Kind::Text),
    ("selfLink", 4, Kind::Text),
    ("uid", 5, Kind::Text),
    ("resourceVersion", 6, Kind::Text),
    ("generation", 7, Kind::Number),
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
    ("uid", 6, Kind::Text),
];
const STATUS: &[Field] = &[
    ("metadata", 1, Kind::Message(LIST_META)),
    ("status", 2, Kind::Text),
    ("message", 3, Kind::Text),
    ("reason", 4, Kind::Text),
    ("details", 5, Kind::Message(DETAILS)),
    ("code", 6, Kind::Number),
];

const GROUP_VERSION: &[Field] = &[("groupVersion", 1, Kind::Text), ("version", 2, Kind::Text)];
/// metav1.APIGroup
pub(super) const API_GROUP: &[Field] = &[
    ("name", 1, Kind::Text),
    ("versions", 2, Kind::Messages(GROUP_VERSION)),
    ("preferredVersion", 3, Kind::Message(GROUP_VERSION)),
];
/// metav1.APIGroupList
pub(super) const API_GROUP_LIST: &[Field] = &[("groups", 1, Kind::Messages(API_GROUP))];
const API_RESOURCE: &[Field] = &[
    ("name", 1, Kind::Text),
    ("namespaced", 2, Kind::Bool),
    ("kind", 3, Kind::Text),
    ("verbs", 4, Kind::Verbs),
    ("shortNames", 5, Kind::Texts),
    ("singularName", 6, Kind::Text),
    ("categories", 7, Kind::Texts),
    ("group", 8, Kind::Text),
    ("version", 9, Kind::Text),
    ("storageVersionHash", 10, Kind::Text),
];
/// metav1.APIResourceList
pub(super) const API_RESOURCE_LIST: &[Field] =
    &[("groupVersion", 1, Kind::Text), ("resources", 2, Kind::Messages(API_RESOURCE))];
const RESPONSE_KIND: &[Field] =
    &[("group", 1, Kind::Text), ("version", 2, Kind::Text), ("kind", 3, Kind::Text)];
const DISCOVERED_BELOW: &[Field] = &[
    ("subresource", 1, Kind::Text),
    ("responseKind", 2, Kind::Message(RESPONSE_KIND)),
    ("verbs", 4, Kind::Texts),
];
const DISCOVERED_RESOURCE: &[Field] = &[
    ("resource", 1, Kind::Text),
    ("responseKind", 2, Kind::Message(RESPONSE_KIND)),
    ("scope", 3, Kind::Text),
    ("singularResource", 4, Kind::Text),
    ("verbs", 5, Kind::Texts),
    ("shortNames", 6, Kind::Texts),
    ("categories", 7, Kind::Texts),
    ("subresources", 8, Kind::Messages(DISCOVERED_BELOW)),
];
const DISCOVERED_VERSION: &[Field] = &[
    ("version", 1, Kind::Text),
    ("resources", 2, Kind::Messages(DISCOVERED_RESOURCE)),
    ("freshness", 3, Kind::Text),
];
const DISCOVERED_GROUP: &[Field] =
    &[("metadata", 1, Kind::Message(OBJECT_META)), ("versions", 2, Kind::Messages(DISCOVERED_VERSION))];
/// apidiscovery/v2.APIGroupDiscoveryList
pub(super) const DISCOVERY: &[Field] =
    &[("metadata", 1, Kind::Message(LIST_META)), ("items", 2, Kind::Messages(DISCOVERED_GROUP))];

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

/// metav1.WatchEvent of an object that is written already.
pub(super) fn event(kind: &str, object: &[u8]) -> Vec<u8> {
    let (mut raw, mut bytes) = (Vec::with_capacity(object.len() + 8), Vec::with_capacity(object.len() + 24));
    put_bytes(&mut raw, 1, object);
    put_bytes(&mut bytes, 1, kind.as_bytes());
    put_bytes(&mut bytes, 2, &raw);
    bytes
}

/// `runtime.Unknown`, which says what is in it.
pub(super) fn envelope(value: &Value, fields: &[Field]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    put_bytes(&mut bytes, 1, &message(value, TYPE_META));
    put_bytes(&mut bytes, 2, &message(value, fields));
    // How it is compressed, and its type: not said.
    put_bytes(&mut bytes, 3, b"");
    put_bytes(&mut bytes, 4, b"");
    bytes
}

fn message(value: &Value, fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, number, kind) in fields {
        let value = &value[*key];
        let texts = || value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap_or_default());
        match kind {
            Kind::Text => put_bytes(&mut bytes, *number, value.as_str().unwrap_or_default().as_bytes()),
            Kind::Number => put_number(&mut bytes, *number, value.as_u64().unwrap_or_default()),
            Kind::Bool => put_number(&mut bytes, *number, u64::from(value.as_bool().unwrap_or_default())),
            Kind::Time => put_bytes(&mut bytes, *number, &time(value)),
            Kind::Texts => texts().for_each(|text| put_bytes(&mut bytes, *number, text.as_bytes())),
            Kind::Verbs => {
                let mut items = Vec::new();
                texts().for_each(|text| put_bytes(&mut items, 1, text.as_bytes()));
                put_bytes(&mut bytes, *number, &items);
            }
            // What may be left out, and is.
            Kind::SomeNumber | Kind::Message(_) | Kind::Messages(_) | Kind::Map if value.is_null() => {}
            Kind::SomeNumber => put_number(&mut bytes, *number, value.as_u64().unwrap_or_default()),
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

/// Seconds since 1970 and nanoseconds; nothing for no time.
fn time(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let time = value.as_str().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    if let Some(seconds) = time.and_then(|time| u64::try_from(time.unix_timestamp()).ok()) {
        put_number(&mut bytes, 1, seconds);
        put_number(&mut bytes, 2, 0);
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
        // The body of a 404 from kube-apiserver 1.35, with other words.
        let written = status(&Status::new(crate::model::Reason::NotFound, "gone"));
        let inner = b"\x0a\x06\x0a\0\x12\0\x1a\0\x12\x07Failure\x1a\x04gone\x22\x08NotFound\x30\x94\x03";
        let mut expected = b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Status\x12\x24".to_vec();
        expected.extend_from_slice(inner);
        expected.extend_from_slice(b"\x1a\0\x22\0");
        assert_eq!(written, expected);
    }

    #[test]
    fn metadata_has_its_times_in_seconds_and_its_maps_in_entries() {
        let written = partial(&json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "a", "creationTimestamp": "1970-01-01T00:05:00Z", "labels": {"k": "v"}},
        }));
        let inner = b"\x0a\x01a\x12\0\x1a\0\x22\0\x2a\0\x32\0\x38\0\x42\x05\x08\xac\x02\x10\0\x5a\x06\x0a\x01k\x12\x01v";
        assert!(written.windows(inner.len()).any(|part| part == inner), "{written:?}");
    }

    #[test]
    fn discovery_is_the_message_that_kube_apiserver_writes() {
        let version = json!({"groupVersion": "batch/v1", "version": "v1"});
        let group = json!({
            "kind": "APIGroup", "apiVersion": "v1", "name": "batch", "versions": [version], "preferredVersion": version,
        });
        // GET /apis/batch of kube-apiserver 1.35.
        let expected = b"k8s\0\x0a\x0e\x0a\x02v1\x12\x08APIGroup\x12\x27\x0a\x05batch\x12\x0e\x0a\x08batch/v1\x12\x02v1\x1a\x0e\x0a\x08batch/v1\x12\x02v1\x1a\0\x22\0";
        assert_eq!(envelope(&group, API_GROUP), expected);
    }
}
