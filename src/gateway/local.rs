use std::pin::pin;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::Watch;
use crate::model::{AUDIT_ID, Answer, local_headers};

use super::client::{Body, Gone, Reply};

/// The longest Audit-ID that is taken over: kube-apiserver's are 36 bytes.
const LONGEST_AUDIT_ID: usize = 64;
/// For a whole answer of our own, besides what its size takes: whoever takes a few bytes a minute must not hold a list
/// or the metrics of ten thousand clusters for hours.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes a second that a caller takes at least.
const SLOWEST: usize = 64 << 10;

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
    let within = PATIENCE + Duration::from_secs((body.len() / SLOWEST) as u64);
    timeout(within, reply.last(body)).await.unwrap_or(Err(Gone::Stalled))
}

/// Writes the events of a watch as they come, each when the caller takes it, until it is over, the caller leaves, or
/// we are to drain: then it ends after a whole event.
pub(super) async fn stream(
    mut watch: Box<Watch>,
    mut body: Body,
    audit_id: &HeaderValue,
    reply: &mut Reply,
    drain: &CancellationToken,
    sent: &mut u64,
) -> Result<(), Gone> {
    let mut head = Response::new(()).into_parts().0;
    head.headers.insert(header::CONTENT_TYPE, watch.content_type());
    local_headers(&mut head.headers, Some(audit_id));
    reply.head(head, false).await?;
    let mut left = pin!(left(&mut body));
    loop {
        let event = tokio::select! {
            biased;
            () = drain.cancelled() => None,
            gone = &mut left => return Err(gone),
            gone = reply.left() => return Err(gone),
            event = watch.next() => event,
        };
        let Some(event) = event else { return reply.finish().await };
        *sent += event.len() as u64;
        reply.data(event).await?;
    }
}

/// Resolves when the caller leaves, where reading is how one finds out. What a body says is of no interest.
async fn left(body: &mut Body) -> Gone {
    loop {
        match body.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return body.left().await,
            Err(gone) => return gone,
        }
    }
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
