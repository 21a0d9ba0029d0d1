//! OpenAPI of the group's resources, version 2 and 3. The hub merges both into its own.
//!
//! There is JSON only, which is what the hub asks for and makes everything else of; who wants nothing but gnostic's
//! protobuf gets 406. Only our own group's key is in the index, because the hub takes every key there for ours. A 404
//! here would make the hub convert version 2 for good, so that this is served from the first moment on.

mod paths;
mod schemas;
mod upgrade;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, VARY};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::model::{Answer, GroupName, Query, Status};

use super::document::Document;
use super::encode::Format;
use super::{Request, VERSION, accept};

/// What kube-apiserver says of documents that may change at any time.
const CHANGING: &str = "no-cache, private";
/// And of those that are named by their hash.
const IMMUTABLE: &str = "public, immutable";
/// What a hub puts on every request that it passes on.
const BY_HUB: HeaderName = HeaderName::from_static("x-forwarded-uri");

#[derive(Debug)]
pub(super) struct OpenApi {
    v2: Document,
    v3: Document,
    v3_group: Document,
    /// Where that is, with its hash.
    v3_group_url: String,
}

impl OpenApi {
    pub(super) fn new(group: &GroupName) -> Self {
        let v2 = json!({
            "swagger": "2.0",
            "info": {"title": "cluster-gateway", "version": env!("CARGO_PKG_VERSION")},
            "paths": paths::of(group),
            "definitions": schemas::of(group),
        });
        let v3_group = Document::new(upgrade::to_v3(&v2));
        let key = format!("apis/{group}/{VERSION}");
        let url = format!("/openapi/v3/{key}?hash={}", v3_group.tag());
        Self {
            v2: Document::new(v2),
            v3: Document::new(json!({"paths": {key: {"serverRelativeURL": url}}})),
            v3_group,
            v3_group_url: url,
        }
    }

    /// The schema of a kind, and all schemas that it may refer to, both as in version 2.
    pub(super) fn schema(&self, group: &GroupName, kind: &str) -> (&Value, &Value) {
        let definitions = &self.v2.value()["definitions"];
        (&definitions[schemas::name(group, kind)], definitions)
    }

    /// `/openapi/v2`
    pub(super) fn v2(&self, request: &Request<'_>) -> Result<Answer, Status> {
        let mut answer = self.json(&self.v2, request, CHANGING)?;
        answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        answer.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
        Ok(answer)
    }

    /// `/openapi/v3`, to whoever asks, as the plain text that kube-apiserver calls it.
    pub(super) fn v3(&self) -> Result<Answer, Status> {
        let mut answer = self.v3.plain(Format::JSON)?;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        Ok(answer)
    }

    /// `/openapi/v3/apis/GROUP/VERSION`. With the right `hash` it may be kept for ever; with another one the caller is
    /// told which is right, but not by way of a hub, which makes 502 of every redirect.
    pub(super) fn v3_group(&self, request: &Request<'_>) -> Result<Answer, Status> {
        let hash = Query::new(request.query).first("hash").filter(|hash| !hash.is_empty());
        let is_right = hash.as_ref().is_some_and(|hash| *hash == self.v3_group.tag());
        let mut answer = self.json(&self.v3_group, request, if is_right { IMMUTABLE } else { CHANGING })?;
        if hash.is_some()
            && !is_right
            && answer.status() == StatusCode::OK
            && !request.headers.contains_key(BY_HUB)
            && let Ok(location) = HeaderValue::from_str(&self.v3_group_url)
        {
            *answer.status_mut() = StatusCode::MOVED_PERMANENTLY;
            *answer.body_mut() = Bytes::new();
            answer.headers_mut().remove(CONTENT_LENGTH);
            answer.headers_mut().insert(LOCATION, location);
        }
        Ok(answer)
    }

    /// JSON, or the bare 406 of kube-openapi's handlers.
    fn json(
        &self,
        document: &Document,
        request: &Request<'_>,
        cache: &'static str,
    ) -> Result<Answer, Status> {
        let header = request.headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok());
        let header = header.filter(|header| !header.is_empty()).unwrap_or("*/*");
        if accept::parse(header).iter().any(|clause| clause.covers("application", "json")) {
            return document.tagged(request, Format::JSON, "", cache);
        }
        let mut refusal = Response::new(Bytes::new());
        *refusal.status_mut() = StatusCode::NOT_ACCEPTABLE;
        refusal.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
        refusal.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(CHANGING));
        Ok(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    found.push(reference.clone());
                }
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let openapi = OpenApi::new(&GroupName::default());
        for document in [openapi.v2.value(), openapi.v3_group.value()] {
            let mut found = Vec::new();
            references(document, &mut found);
            assert!(found.len() > 10, "{found:?}");
            for reference in found {
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
        }
    }

    #[test]
    fn every_field_says_what_it_is() {
        fn look(schema: &Value, path: &str) {
            assert!(schema["description"].is_string() || schema["$ref"].is_string(), "{path} says nothing");
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                look(field, &format!("{path}.{name}"));
            }
            if !schema["items"]["properties"].is_null() {
                look(&schema["items"], &format!("{path}[]"));
            }
        }
        let group = GroupName::default();
        let openapi = OpenApi::new(&group);
        for kind in ["ClusterGateway", "ClusterGatewayList", "VirtualCluster", "VirtualClusterList"] {
            look(openapi.schema(&group, kind).0, kind);
        }
    }
}
