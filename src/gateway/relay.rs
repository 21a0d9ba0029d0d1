use http::{HeaderMap, HeaderValue, header, response};
use tokio_util::sync::CancellationToken;

use crate::upstream::{Receiver, UpstreamError};

use super::client::{Gone, Reply};

/// Why an answer ended before its end.
pub(super) enum End {
    Gone(Gone),
    Upstream(UpstreamError),
}

/// Passes an answer on, each part when the caller takes it.
///
/// With `resumable` the answer is one that clients take up again where it ended (a watch, a log that is followed):
/// on drain it ends after a whole event. Every other answer is whole or visibly broken, never short.
pub(super) async fn relay(
    head: response::Parts,
    end: bool,
    receiver: &mut Receiver,
    reply: &mut Reply,
    resumable: bool,
    drain: &CancellationToken,
    sent: &mut u64,
) -> Result<(), End> {
    let mut framing = Framing::of(&head.headers);
    reply.head(head, end).await.map_err(End::Gone)?;
    if end {
        return Ok(());
    }
    loop {
        let part = tokio::select! {
            biased;
            part = receiver.data() => part.map_err(End::Upstream)?,
            gone = reply.left() => return Err(End::Gone(gone)),
            () = drain.cancelled(), if resumable && framing.is_between_events() => {
                return reply.finish().await.map_err(End::Gone);
            }
        };
        match part {
            Some(data) => {
                framing.see(&data);
                *sent += data.len() as u64;
                // Usual answers come whole with their end: they go on in one frame.
                if receiver.is_over() {
                    return reply.last(data).await.map_err(End::Gone);
                }
                reply.data(data).await.map_err(End::Gone)?;
            }
            None => break,
        }
    }
    match receiver.trailers().await.map_err(End::Upstream)? {
        Some(trailers) => reply.trailers(trailers).await,
        None => reply.finish().await,
    }
    .map_err(End::Gone)
}

/// Where one event ends and the next begins.
#[derive(Debug, PartialEq, Eq)]
enum Framing {
    /// Events in JSON, and logs: a line each.
    Lines { is_whole: bool },
    /// Events in protobuf: each after its length in four bytes, the highest first (`LengthDelimitedFramer` of
    /// k8s.io/apimachinery).
    Lengths { header: [u8; 4], of_header: usize, left: usize },
    /// Nobody knows.
    Unknown,
}

impl Framing {
    fn of(headers: &HeaderMap) -> Self {
        let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        if content_type.starts_with(b"application/vnd.kubernetes.protobuf") {
            Self::Lengths { header: [0; 4], of_header: 0, left: 0 }
        } else if content_type.starts_with(b"application/json") || content_type.starts_with(b"text/") {
            Self::Lines { is_whole: true }
        } else {
            Self::Unknown
        }
    }

    fn see(&mut self, mut data: &[u8]) {
        match self {
            Self::Lines { is_whole } => *is_whole = data.last().is_none_or(|last| *last == b'\n'),
            Self::Lengths { header, of_header, left } => {
                while let Some((first, rest)) = data.split_first() {
                    if *left > 0 {
                        let seen = data.len().min(*left);
                        *left -= seen;
                        data = &data[seen..];
                        continue;
                    }
                    header[*of_header] = *first;
                    *of_header += 1;
                    data = rest;
                    if *of_header == header.len() {
                        *of_header = 0;
                        *left = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
                    }
                }
            }
            Self::Unknown => {}
        }
    }

    fn is_between_events(&self) -> bool {
        match self {
            Self::Lines { is_whole } => *is_whole,
            Self::Lengths { of_header, left, .. } => *of_header == 0 && *left == 0,
            Self::Unknown => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(content_type: &'static str) -> Framing {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Framing::of(&headers)
    }

    #[test]
    fn events_in_json_end_with_their_line() {
        let mut framing = framing("application/json;stream=watch");
        assert!(framing.is_between_events());
        framing.see(b"{\"type\":");
        assert!(!framing.is_between_events());
        framing.see(b"\"ADDED\"}\n");
        assert!(framing.is_between_events());
    }

    #[test]
    fn events_in_protobuf_end_after_their_length_however_they_are_cut() {
        let stream = [&[0, 0, 0, 3][..], b"abc", &[0, 0, 1, 0], &[7; 256], &[0, 0, 0, 0]].concat();
        let ends = [0, 7, 7 + 4 + 256, stream.len()];
        for size in [1, 2, 3, 5, 64, stream.len()] {
            let mut framing = framing("application/vnd.kubernetes.protobuf;stream=watch");
            let mut seen = 0;
            for part in stream.chunks(size) {
                framing.see(part);
                seen += part.len();
                assert_eq!(framing.is_between_events(), ends.contains(&seen), "{seen} by {size}");
            }
        }
    }

    #[test]
    fn what_nobody_knows_never_ends_early() {
        let mut framing = framing("application/octet-stream");
        framing.see(b"x\n");
        assert!(!framing.is_between_events());
    }
}
