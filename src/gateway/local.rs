use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response};

use crate::model::Status;

use super::client::{Answer, Gone};

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// Makes the response that says why a request failed.
pub(super) fn failure(status: &Status) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(status.to_json()));
    *response.status_mut() = status.code();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = status.retry_after_seconds() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Writes an answer of our own, with what kube-apiserver puts on all of its.
pub(super) async fn write(
    response: Response<Bytes>,
    method: &Method,
    audit_id: Option<HeaderValue>,
    answer: &mut Answer,
) -> Result<(), Gone> {
    let (mut head, body) = response.into_parts();
    common(&mut head.headers, audit_id);
    let bodiless = head.status.is_informational() || matches!(head.status.as_u16(), 204 | 304);
    if !bodiless && !head.headers.contains_key(header::CONTENT_LENGTH) {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    if bodiless || body.is_empty() || *method == Method::HEAD {
        return answer.head(head, true).await;
    }
    answer.head(head, false).await?;
    answer.data(body).await?;
    answer.finish().await
}

fn common(headers: &mut HeaderMap, audit_id: Option<HeaderValue>) {
    if let Some(audit_id) = audit_id {
        headers.insert(AUDIT_ID, audit_id);
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache, private"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// The request's own, or a new one (UUID version 4, as kube-apiserver makes them).
pub(super) fn audit_id(headers: &HeaderMap) -> HeaderValue {
    if let Some(given) = headers.get(&AUDIT_ID)
        && given.len() <= 64
    {
        return given.clone();
    }
    HeaderValue::from_str(&uuid::Uuid::new_v4().to_string())
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}
