use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::{Reason, Status};

/// A whole answer of our own, as opposed to one that comes from a cluster.
pub type Answer = Response<Bytes>;

/// The header by which a request is found again in the hub's, the gateway's and the cluster's logs.
pub const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer with a body of some type. Its length is stated, so that HEAD can be answered by leaving the body out.
pub fn answer(code: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let body = body.into();
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = code;
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer.headers_mut().insert(CONTENT_LENGTH, body.len().into());
    *answer.body_mut() = body;
    answer
}

/// What kube-apiserver puts on every answer: the request's Audit-ID, and that nobody may keep it, where the answer
/// does not say otherwise.
pub fn local_headers(headers: &mut HeaderMap, audit_id: Option<&HeaderValue>) {
    if let Some(id) = audit_id {
        headers.insert(AUDIT_ID, id.clone());
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
}

impl From<&Status> for Answer {
    fn from(status: &Status) -> Self {
        let mut answer = answer(status.code(), JSON, status.to_json());
        if let Some(seconds) = status.retry_after_seconds() {
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if status.reason() == Reason::Forbidden {
            // The message repeats what the caller wrote.
            answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_status_says_when_to_try_again_in_its_header_too() {
        let status =
            Status::new(Reason::ServiceUnavailable, "not yet").with_retry_after(Duration::from_secs(2));
        let answer = Answer::from(&status);
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()[RETRY_AFTER], "2");
        assert_eq!(answer.headers()[CONTENT_LENGTH], answer.body().len().to_string());
    }

    #[test]
    fn an_answer_that_may_be_kept_is_not_forbidden_to_be() {
        let mut headers = HeaderMap::new();
        local_headers(&mut headers, Some(&HeaderValue::from_static("id")));
        assert_eq!(
            (&headers["audit-id"], &headers[CACHE_CONTROL]),
            (&"id".parse().unwrap(), &"no-cache, private".parse().unwrap())
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
        local_headers(&mut headers, None);
        assert_eq!(headers[CACHE_CONTROL], "public");
    }
}
