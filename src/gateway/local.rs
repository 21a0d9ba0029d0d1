use http::Method;
use http::header::{self, HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::model::{AUDIT_ID, Answer, local_headers};

use super::client::{Gone, Reply};

/// The longest Audit-ID that is taken over: kube-apiserver's are 36 bytes.
const LONGEST_AUDIT_ID: usize = 64;

/// Writes an answer of our own.
pub(super) async fn write(
    answer: Answer,
    method: &Method,
    audit_id: &HeaderValue,
    reply: &mut Reply,
) -> Result<(), Gone> {
    let (mut head, body) = answer.into_parts();
    local_headers(&mut head.headers, Some(audit_id));
    let bodiless = matches!(head.status.as_u16(), 204 | 304);
    if !bodiless && !head.headers.contains_key(header::CONTENT_LENGTH) {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    if bodiless || body.is_empty() || *method == Method::HEAD {
        return reply.head(head, true).await;
    }
    reply.head(head, false).await?;
    reply.data(body).await?;
    reply.finish().await
}

/// The request's own, or a new one (UUID version 4, as kube-apiserver makes them).
pub(super) fn audit_id(headers: &HeaderMap) -> HeaderValue {
    if let Some(given) = headers.get(&AUDIT_ID)
        && given.len() <= LONGEST_AUDIT_ID
    {
        return given.clone();
    }
    let mut buffer = Uuid::encode_buffer();
    let made = Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
    // Hexadecimal digits and hyphens are valid in a header.
    HeaderValue::from_str(made).unwrap_or(HeaderValue::from_static(""))
}
