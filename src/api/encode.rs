//! Values as JSON and YAML, as kube-apiserver writes them (apimachinery, pkg/runtime/serializer/json).

use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::model::{Answer, Reason, Status, answer};

/// In which letters something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// application/json
    Json,
    /// application/yaml
    Yaml,
    /// application/vnd.kubernetes.protobuf
    Protobuf,
}

/// An encoding, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    /// The encoding.
    pub(super) encoding: Encoding,
    /// Indented, where there is such a thing.
    pub(super) pretty: bool,
}

impl Encoding {
    /// In the order in which wildcards choose.
    pub(super) const ALL: [Self; 3] = [Self::Json, Self::Yaml, Self::Protobuf];

    /// Type and subtype.
    pub(super) fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application", "json"),
            Self::Yaml => ("application", "yaml"),
            Self::Protobuf => ("application", "vnd.kubernetes.protobuf"),
        }
    }

    /// The content type.
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        })
    }
}

impl Format {
    /// Compact JSON.
    pub(super) const JSON: Self = Self { encoding: Encoding::Json, pretty: false };

    /// An answer that holds a value. Protobuf has to be made by who knows the message ([`super::protobuf`]).
    pub(super) fn write(self, code: StatusCode, value: &impl Serialize) -> Result<Answer, Status> {
        Ok(answer(code, self.encoding.content_type(), self.bytes(value)?))
    }

    /// The value.
    pub(super) fn bytes(self, value: &impl Serialize) -> Result<Bytes, Status> {
        let written = match self.encoding {
            Encoding::Yaml => yaml(value).map_err(|error| error.to_string()),
            Encoding::Json | Encoding::Protobuf => {
                json(value, self.pretty).map_err(|error| error.to_string())
            }
        };
        written.map(Bytes::from).map_err(|error| unwritten(&error))
    }
}

/// Made of texts and numbers by ourselves, answers can always be written.
pub(super) fn unwritten(error: &impl fmt::Display) -> Status {
    Status::new(Reason::InternalError, format!("the answer cannot be written: {error}"))
}

/// Compact JSON, without a newline, at the end of a text.
pub(super) fn append(text: &mut Vec<u8>, value: &impl Serialize) -> Result<(), Status> {
    let start = text.len();
    serde_json::to_writer(&mut *text, value).map_err(|error| unwritten(&error))?;
    if text[start..].iter().any(is_markup) {
        let escaped = escaped(&text[start..]);
        text.truncate(start);
        text.extend(escaped);
    }
    Ok(())
}

/// Compact with a newline at its end, or indented without one: Go's Encoder and MarshalIndent.
pub(super) fn json(value: &impl Serialize, pretty: bool) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = match pretty {
        true => serde_json::to_vec_pretty(value)?,
        false => serde_json::to_vec(value)?,
    };
    if body.iter().any(is_markup) {
        body = escaped(&body);
    }
    if !pretty {
        body.push(b'\n');
    }
    Ok(body)
}

/// By way of a JSON value, so that the keys are sorted, as in Kubernetes.
fn yaml(value: &impl Serialize) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let value = serde_json::to_value(value)?;
    Ok(serde_saphyr::to_string(&value)?.into_bytes())
}

fn is_markup(byte: &u8) -> bool {
    matches!(byte, b'&' | b'<' | b'>')
}

/// `& < >` within JSON, where they can only stand in strings, as Go's encoder writes them.
fn escaped(json: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(json.len() + 64);
    for byte in json {
        match byte {
            b'&' => escaped.extend(br"\u0026"),
            b'<' => escaped.extend(br"\u003c"),
            b'>' => escaped.extend(br"\u003e"),
            _ => escaped.push(*byte),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn markup_is_escaped_as_go_escapes_it() {
        assert_eq!(json(&json!({"a": "<&>"}), false).unwrap(), b"{\"a\":\"\\u003c\\u0026\\u003e\"}\n");
        assert_eq!(json(&json!(["x"]), true).unwrap(), b"[\n  \"x\"\n]");
    }

    #[test]
    fn yaml_reads_back_as_what_it_was_made_of() {
        let value = json!({
            "text": ["", "true", "1", "1e3", "null", "~", "a: b", "- x", "line\nline\n", " x ", "#", "2026-01-02"],
            "number": 1, "bool": true, "none": null, "empty": {}, "list": [],
        });
        let text = Format { encoding: Encoding::Yaml, pretty: false }.bytes(&value).unwrap();
        let back: Value = serde_saphyr::from_slice(&text).unwrap();
        assert_eq!(back, value, "{}", String::from_utf8_lossy(&text));
    }
}
