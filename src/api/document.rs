//! Answers that never change: written once, with a tag by which clients see that they have them already.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderValue, Response, StatusCode};
use ring::digest::{SHA512, digest};
use serde_json::Value;

use crate::model::{Answer, Status, answer};

use super::Request;
use super::encode::{self, Encoding, Format};

/// A document that is the same for everybody.
#[derive(Debug)]
pub(super) struct Document {
    value: Value,
    compact: Bytes,
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
        Self { value, compact: compact.into(), tag }
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
        match format {
            Format::JSON => Ok(answer(StatusCode::OK, Encoding::Json.content_type(), self.compact.clone())),
            _ => format.write(StatusCode::OK, &self.value),
        }
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
