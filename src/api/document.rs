//! Answers that never change: written once, with a tag by which clients see that they have them already.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderValue, Response, StatusCode};
use ring::digest::{SHA512, digest};
use serde_json::Value;

use crate::model::{Answer, Status, answer};

use super::Request;
use super::encode::{self, Encoding, Format};
use super::protobuf::{self, Field};

/// A document that is the same for everybody.
#[derive(Debug)]
pub(super) struct Document {
    value: Value,
    compact: Bytes,
    /// In Kubernetes' protobuf, of documents that have such a form.
    protobuf: Option<Bytes>,
    tag: String,
}

impl Document {
    pub(super) fn new(value: Value) -> Self {
        // Made of plain values by ourselves: nothing in it can fail to be written.
        let compact = encode::json(&value, false).unwrap_or_default();
        let tag = digest(&SHA512, compact.trim_ascii_end())
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        Self { value, compact: compact.into(), protobuf: None, tag }
    }

    /// One that can also be had in protobuf, where it has these fields.
    pub(super) fn of_message(value: Value, fields: &[Field]) -> Self {
        let protobuf = Some(protobuf::envelope(&value, fields).into());
        Self { protobuf, ..Self::new(value) }
    }

    /// What it says.
    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    /// SHA-512 of the document, upper-case hexadecimal, as Kubernetes tags its discovery.
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// The document.
    pub(super) fn plain(&self, format: Format) -> Result<Answer, Status> {
        let kept = match (format, &self.protobuf) {
            (Format::JSON, _) => &self.compact,
            (Format { encoding: Encoding::Protobuf, .. }, Some(message)) => message,
            _ => return format.write(StatusCode::OK, &self.value),
        };
        Ok(answer(StatusCode::OK, format.encoding.content_type(), kept.clone()))
    }

    /// The document with its tag, or 304 for those who have it (endpoints/discovery/aggregated/etag.go).
    /// `parameters` follow the media type.
    pub(super) fn tagged(
        &self,
        request: &Request<'_>,
        format: Format,
        parameters: &str,
        cache: &'static str,
    ) -> Result<Answer, Status> {
        let known = request.headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let quoted = format!("\"{}\"", self.tag);
        let mut answer = match known.flat_map(|value| value.split(',')).any(|tag| tag.trim() == quoted) {
            true => {
                let mut unchanged = Response::new(Bytes::new());
                *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
                unchanged
            }
            false => {
                let mut answer = self.plain(format)?;
                let (kind, subtype) = format.encoding.media_type();
                if let Ok(content_type) = format!("{kind}/{subtype}{parameters}").parse() {
                    answer.headers_mut().insert(CONTENT_TYPE, content_type);
                }
                answer
            }
        };
        let headers = answer.headers_mut();
        if let Ok(tag) = quoted.parse() {
            headers.insert(ETAG, tag);
        }
        headers.insert(VARY, HeaderValue::from_static("Accept"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
        Ok(answer)
    }
}
