use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;

use crate::upstream::{Head, Receiver, Sender, UpstreamError};

use super::packet::{Packet, Payload};

/// What of the server's own words goes into a message.
const MAX_WORDS: usize = 200;

/// The server's packets, as they come.
pub(super) struct Packets {
    receiver: Receiver,
    received: BytesMut,
    has_begun: bool,
    is_unprocessed: bool,
}

impl Packets {
    pub(super) fn new(receiver: Receiver) -> Self {
        Self { receiver, received: BytesMut::new(), has_begun: false, is_unprocessed: false }
    }

    /// The next packet; none when the server has ended the stream without complaint, else why there are no more.
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Payload>, String> {
        if !self.has_begun {
            self.begin().await?;
        }
        loop {
            while let Some(packet) =
                Packet::take(&mut self.received).map_err(|garbled| garbled.to_string())?
            {
                // Without one it is something that we need not know (DRAIN).
                if packet.payload.is_some() {
                    return Ok(packet.payload);
                }
            }
            match self.receiver.data().await.map_err(words)? {
                Some(data) => self.received.extend_from_slice(&data),
                None => {
                    let trailers = self.receiver.trailers().await.map_err(words)?.unwrap_or_default();
                    return status(&trailers).map(|()| None);
                }
            }
        }
    }

    /// The connection below answers dials, or did not answer this one.
    pub(super) fn answered(&self, in_time: bool) {
        self.receiver.answered(in_time);
    }

    /// Whether the server has begun to answer, with whatever.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether there are none because the server surely has not looked at what it was sent.
    pub(super) fn is_unprocessed(&self) -> bool {
        self.is_unprocessed
    }

    async fn begin(&mut self) -> Result<(), String> {
        loop {
            let head = self.receiver.head().await.map_err(|error| {
                self.is_unprocessed = error.is_unprocessed();
                words(error)
            })?;
            let Head::Final(head, _) = head else {
                continue;
            };
            if head.status != http::StatusCode::OK {
                return Err(format!("it answered {} and not gRPC", head.status));
            }
            let kind = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
            if !kind.starts_with(b"application/grpc") {
                return Err("it does not answer with gRPC".to_owned());
            }
            self.has_begun = true;
            // An answer may consist of its status alone.
            return status(&head.headers);
        }
    }
}

/// Sends one packet, as fast as the server takes it.
pub(super) async fn send(sender: &mut Sender, payload: Payload) -> Result<(), UpstreamError> {
    sender.send(&mut Packet::frame(payload), false).await
}

/// Says that there is no more to come.
pub(super) async fn finish(sender: &mut Sender) -> Result<(), UpstreamError> {
    sender.send(&mut Bytes::new(), true).await
}

/// gRPC's own status: it is good, or there is none yet.
fn status(headers: &HeaderMap) -> Result<(), String> {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    match text("grpc-status") {
        None | Some("0") => Ok(()),
        Some(code) => {
            let message = percent_decode_str(text("grpc-message").unwrap_or_default()).decode_utf8_lossy();
            Err(shown(&format!("gRPC status {code}: {message}")))
        }
    }
}

/// Words from outside, as they may stand in one line.
pub(super) fn shown(words: &str) -> String {
    words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(MAX_WORDS).collect()
}

fn words(error: UpstreamError) -> String {
    error.to_string()
}
