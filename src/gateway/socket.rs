//! Watches of our own resources over WebSocket, as browsers ask for them (k8s.io/apiserver, pkg/endpoints/handlers,
//! watch.go, over golang.org/x/net/websocket): each event is a message, and nothing that the caller says is listened
//! to but pings and goodbyes.

use std::pin::pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, BytesMut};
use http::header::{
    CONNECTION, HeaderMap, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderValue, StatusCode, Version};
use pingora_core::protocols::Stream as Connection;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::api::Watch;
use crate::authn::protocols_without_token;
use crate::model::Answer;
use crate::telemetry::ErrorKind;

use super::request;
use super::stream::Ended;

/// What keys are answered with (RFC 6455 section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// A caller who takes nothing for so long is given up, as over plain HTTP.
const WRITE_WITHIN: Duration = Duration::from_secs(60);
/// What is read at once.
const ROOM: usize = 512;

/// Opcodes of RFC 6455 section 5.2, of frames that are a whole message.
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PONG: u8 = 0x8a;

/// Codes of RFC 6455 section 7.4.1.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const PROTOCOL_ERROR: u16 = 1002;

/// A watch whose caller wants to have it over WebSocket; the connection is still to be switched.
pub(super) struct Socket {
    watch: Box<Watch>,
    head: String,
}

/// Whether a request asks for WebSocket.
pub(super) fn is_wanted(version: Version, headers: &HeaderMap) -> bool {
    request::upgrade(version, headers)
        .is_some_and(|wanted| wanted.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// What the caller wants to speak, as kube-apiserver's handlers see it: without the token that stood beside it.
fn protocol(headers: &HeaderMap) -> String {
    let without_token = protocols_without_token(headers);
    let wanted = without_token.as_ref().or_else(|| headers.get(SEC_WEBSOCKET_PROTOCOL));
    wanted.and_then(|value| value.to_str().ok()).unwrap_or_default().trim().to_owned()
}

impl Socket {
    /// Checks what the caller says of the protocol, in the order and in the words of kube-apiserver.
    pub(super) fn open(watch: Box<Watch>, headers: &HeaderMap) -> Result<Self, Box<Answer>> {
        let text =
            |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
        let key = text(SEC_WEBSOCKET_KEY);
        if key.is_empty() {
            return Err(Box::new(refused(StatusCode::BAD_REQUEST, "mismatch challenge/response")));
        }
        if text(SEC_WEBSOCKET_VERSION) != "13" {
            let mut answer = refused(StatusCode::BAD_REQUEST, "missing or bad WebSocket Version");
            answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            return Err(Box::new(answer));
        }
        if !is_origin(text(ORIGIN)) {
            return Err(Box::new(refused(StatusCode::FORBIDDEN, "")));
        }
        let protocol = protocol(headers);
        if protocol.contains(',') {
            return Err(Box::new(refused(StatusCode::BAD_REQUEST, "")));
        }
        let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()));
        let mut head = format!(
            "HTTP/1.1 101 Switching Protocols\r\n{UPGRADE}: websocket\r\n{CONNECTION}: Upgrade\r\nsec-websocket-accept: {accept}\r\n"
        );
        if !protocol.is_empty() {
            head.push_str(&format!("{SEC_WEBSOCKET_PROTOCOL}: {protocol}\r\n"));
        }
        head.push_str("\r\n");
        Ok(Self { watch, head })
    }

    /// Switches the connection and carries the watch to its end. `early`: what the caller sent after its request.
    pub(super) async fn run(self, caller: Connection, early: BytesMut, drain: &CancellationToken) -> Ended {
        let Self { mut watch, head } = self;
        let (mut reader, mut writer) = tokio::io::split(caller);
        let mut ended = Ended::default();
        let mut frames = Frames { unread: early, skip: 0 };
        let run = async {
            write(&mut writer, head.as_bytes()).await?;
            let mut drained = pin!(drain.cancelled());
            loop {
                while let Some(said) = frames.next() {
                    match said {
                        Said::Ping(payload) => write(&mut writer, &frame(PONG, &payload)).await?,
                        Said::Close => return close(&mut writer, NORMAL).await,
                        Said::Nonsense => return close(&mut writer, PROTOCOL_ERROR).await,
                    }
                }
                let event = tokio::select! {
                    biased;
                    () = &mut drained => return close(&mut writer, GOING_AWAY).await,
                    // Before what the caller says: who never stops talking must not outlive the watch's time.
                    event = watch.next() => event,
                    read = reader.read_buf(&mut frames.unread) => match read {
                        Ok(0) | Err(_) => return Err(ErrorKind::ClientGone),
                        Ok(bytes) => {
                            ended.received += bytes as u64;
                            continue;
                        }
                    },
                };
                let Some(event) = event else { return close(&mut writer, NORMAL).await };
                let message = match watch.prefix() {
                    // A message says itself how long it is.
                    Some(length) => frame(BINARY, event.get(length..).unwrap_or_default()),
                    None => frame(TEXT, &event),
                };
                write(&mut writer, &message).await?;
                ended.sent += event.len() as u64;
            }
        };
        ended.error = run.await.err();
        ended
    }
}

/// An answer as bare as those of golang.org/x/net/websocket.
fn refused(code: StatusCode, text: &'static str) -> Answer {
    let mut answer = Answer::new(text.into());
    *answer.status_mut() = code;
    answer
}

/// What Go's `url.ParseRequestURI` takes: browsers always send an origin, and who sends none is no browser.
fn is_origin(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    text.starts_with('/')
        || scheme.is_some_and(|scheme| {
            scheme.starts_with(|first: char| first.is_ascii_alphabetic())
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        })
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), ErrorKind> {
    let written = async {
        writer.write_all(bytes).await?;
        writer.flush().await
    };
    match timeout(WRITE_WITHIN, written).await {
        Ok(written) => written.map_err(|_| ErrorKind::ClientGone),
        Err(_) => Err(ErrorKind::Timeout),
    }
}

async fn close(writer: &mut (impl AsyncWrite + Unpin), code: u16) -> Result<(), ErrorKind> {
    write(writer, &frame(CLOSE, &code.to_be_bytes())).await?;
    // Whoever has gone before us has heard enough.
    let _ = timeout(WRITE_WITHIN, writer.shutdown()).await;
    Ok(())
}

/// A frame that is a whole message, as servers send them: without a mask.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// Reads the caller's frames.
struct Frames {
    unread: BytesMut,
    /// Of a message that is of no interest.
    skip: u64,
}

/// What a caller can say that matters.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Ping(Vec<u8>),
    Close,
    /// Against the protocol: no mask, or a control frame that is too long or in pieces.
    Nonsense,
}

impl Frames {
    /// The next thing in what was read; none: more has to be read.
    fn next(&mut self) -> Option<Said> {
        loop {
            let part = self.unread.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.unread.advance(part);
            self.skip -= part as u64;
            if self.skip > 0 || self.unread.is_empty() {
                self.unread.reserve(ROOM);
                return None;
            }
            let (first, second) = (self.unread[0], *self.unread.get(1)?);
            let extended = match second & 0x7f {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            let header = 2 + extended + 4;
            if second & 0x80 == 0 {
                return Some(Said::Nonsense);
            }
            let head = self.unread.get(..header)?;
            let length = match extended {
                0 => u64::from(second & 0x7f),
                _ => head[2..2 + extended].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
            };
            let is_control = first & 0x08 != 0;
            if !is_control {
                self.unread.advance(header);
                self.skip = length;
                continue;
            }
            if length > 125 || first & 0x80 == 0 {
                return Some(Said::Nonsense);
            }
            let whole = header + usize::from(second & 0x7f);
            let mask: [u8; 4] = [head[header - 4], head[header - 3], head[header - 2], head[header - 1]];
            let payload = self.unread.get(header..whole)?;
            let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            self.unread.advance(whole);
            match first & 0x0f {
                0x8 => return Some(Said::Close),
                0x9 => return Some(Said::Ping(payload)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
#[path = "socket_tests.rs"]
mod tests;
