//! Answers that never change: written once, with a tag by which clients see that they have them already.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, USER_AGENT, VARY};
use http::{HeaderValue, Response, StatusCode};
use ring::digest::{SHA512, digest};
use serde::Serialize;
use serde_json::Value;

use crate::model::{Answer, answer};

use super::Request;
use crate::model::Query;

/// A document that is the same for everybody.
#[derive(Debug)]
pub(super) struct Document {
    compact: Bytes,
    pretty: Bytes,
    tag: String,
}

impl Document {
    pub(super) fn new(value: &Value) -> Self {
        // Made of plain values by ourselves: nothing in it can fail to be written.
        let compact = serialize(value, false).unwrap_or_default();
        let pretty = serialize(value, true).unwrap_or_default();
        let tag = digest(&SHA512, compact.trim_ascii_end())
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        Self { compact: compact.into(), pretty: pretty.into(), tag }
    }

    /// SHA-512 of the document, upper-case hexadecimal, as Kubernetes tags its discovery.
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// The document.
    pub(super) fn plain(&self, request: &Request<'_>) -> Answer {
        self.typed(request, HeaderValue::from_static("application/json"))
    }

    /// The document with its tag, or 304 for those who have it (endpoints/discovery/aggregated/etag.go).
    pub(super) fn tagged(&self, request: &Request<'_>, content_type: &'static str) -> Answer {
        let known = request.headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let quoted = format!("\"{}\"", self.tag);
        let mut answer = match known.flat_map(|value| value.split(',')).any(|tag| tag.trim() == quoted) {
            true => {
                let mut unchanged = Response::new(Bytes::new());
                *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
                unchanged
            }
            false => self.typed(request, HeaderValue::from_static(content_type)),
        };
        let headers = answer.headers_mut();
        if let Ok(tag) = quoted.parse() {
            headers.insert(ETAG, tag);
        }
        headers.insert(VARY, HeaderValue::from_static("Accept"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
        answer
    }

    fn typed(&self, request: &Request<'_>, content_type: HeaderValue) -> Answer {
        let body = if is_pretty(request) { &self.pretty } else { &self.compact };
        answer(StatusCode::OK, content_type, body.clone())
    }
}

/// `?pretty=`, else whether somebody reads it (endpoints/handlers/negotiation/negotiate.go, isPrettyPrint).
pub(super) fn is_pretty(request: &Request<'_>) -> bool {
    if let Some(pretty) = Query::new(request.query).first("pretty").filter(|value| !value.is_empty()) {
        return matches!(&*pretty, "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let agent = request.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"].iter().any(|reader| agent.starts_with(reader))
}

/// JSON with a newline at its end, as Go's encoder writes it.
pub(super) fn serialize(value: &impl Serialize, pretty: bool) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = match pretty {
        true => serde_json::to_vec_pretty(value)?,
        false => serde_json::to_vec(value)?,
    };
    body.push(b'\n');
    Ok(body)
}
