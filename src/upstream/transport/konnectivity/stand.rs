//! A stand-in of Konnectivity's proxy server and agent for tests, as v0.31 behaves.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Response};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};
use tokio::sync::Notify;

use super::packet::{CloseResponse, Data, DialResponse, Packet, Payload};
use super::*;

/// What the stand-in does with a dial.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Leads there.
    Leads,
    /// The agent's or its own words.
    Refuses(&'static str),
    /// Never answers.
    Silent,
    /// Ends the stream by this gRPC status.
    Ends(&'static str),
    /// Sends no packets.
    Garbles,
    /// Is another kind of server.
    IsNone,
    /// Takes this one stream not at all, and leads from then on.
    TakesNotThisOne,
}

/// Konnectivity's proxy server in gRPC mode, on a socket.
pub(super) struct Stand {
    path: PathBuf,
    mood: Arc<Mutex<Mood>>,
    pub(super) seen: Arc<Seen>,
    pub(super) dies: Arc<Notify>,
    _folder: tempfile::TempDir,
}

#[derive(Default)]
pub(super) struct Seen {
    pub(super) connections: AtomicUsize,
    /// Open now.
    pub(super) streams: AtomicUsize,
    pub(super) said: Mutex<Vec<String>>,
    changed: Notify,
}

impl Seen {
    fn note(&self, what: impl Into<String>) {
        self.said.lock().push(what.into());
        self.changed.notify_waiters();
    }

    pub(super) async fn until(&self, holds: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            if holds(self) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn has(&self, what: &str) -> bool {
        self.said.lock().iter().any(|said| said == what)
    }
}

impl Stand {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("konnectivity.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (mood, seen, dies) =
            (Arc::new(Mutex::new(Mood::Leads)), Arc::new(Seen::default()), Arc::new(Notify::new()));
        let (its_mood, its_seen, its_end) = (Arc::clone(&mood), Arc::clone(&seen), Arc::clone(&dies));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                its_seen.connections.fetch_add(1, Ordering::SeqCst);
                let (mood, seen, end) = (Arc::clone(&its_mood), Arc::clone(&its_seen), Arc::clone(&its_end));
                tokio::spawn(async move {
                    tokio::select! {
                        () = serve(stream, mood, seen) => {}
                        () = end.notified() => {}
                    }
                });
            }
        });
        Self { path, mood, seen, dies, _folder: folder }
    }

    pub(super) fn is(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    pub(super) fn konnectivity(&self, network: &Network) -> Konnectivity {
        Konnectivity::by_socket(KonnectivityMode::Grpc, self.path.clone(), network).unwrap()
    }
}

pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    mood: Arc<Mutex<Mood>>,
    seen: Arc<Seen>,
) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        if *mood.lock() == Mood::TakesNotThisOne {
            *mood.lock() = Mood::Leads;
            respond.send_reset(h2::Reason::REFUSED_STREAM);
            continue;
        }
        assert_eq!(request.uri().path(), "/ProxyService/Proxy");
        assert_eq!(request.headers()["content-type"], "application/grpc");
        assert_eq!(request.headers()["te"], "trailers");
        let (mood, seen) = (*mood.lock(), Arc::clone(&seen));
        seen.streams.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let _ = tunnel(request.into_body(), respond, mood, &seen).await;
            seen.streams.fetch_sub(1, Ordering::SeqCst);
            seen.changed.notify_waiters();
        });
    }
}

/// The frontend's packets.
struct Frontend(RecvStream, BytesMut);

impl Frontend {
    async fn next(&mut self) -> Option<Payload> {
        loop {
            if let Some(packet) = Packet::take(&mut self.1).unwrap() {
                return packet.payload;
            }
            let data = self.0.data().await?.ok()?;
            self.0.flow_control().release_capacity(data.len()).ok()?;
            self.1.extend_from_slice(&data);
        }
    }
}

async fn tunnel(body: RecvStream, mut respond: SendResponse<Bytes>, mood: Mood, seen: &Seen) -> Option<()> {
    let mut frontend = Frontend(body, BytesMut::new());
    let Some(Payload::DialRequest(dial)) = frontend.next().await else { panic!("no dial") };
    assert_eq!(dial.protocol, "tcp");
    seen.note(format!("dial {}", dial.address));
    let kind = if mood == Mood::IsNone { "text/html" } else { "application/grpc" };
    let head = Response::builder().header("content-type", kind).body(()).unwrap();
    let response = |error: &str, connect_id| {
        let response = DialResponse { error: error.to_owned(), connect_id, random: dial.random };
        Packet::frame(Payload::DialResponse(response))
    };
    match mood {
        Mood::Leads => {
            let server = TcpStream::connect(&dial.address).await.unwrap();
            let mut out = respond.send_response(head, false).unwrap();
            out.send_data(response("", 7), false).unwrap();
            carry(frontend, out, server, seen).await;
        }
        Mood::Refuses(error) => {
            let mut out = respond.send_response(head, false).unwrap();
            out.send_data(response(error, 0), false).unwrap();
            while frontend.next().await.is_some() {}
            out.send_trailers(HeaderMap::new()).ok()?;
        }
        Mood::Silent => {
            while let Some(packet) = frontend.next().await {
                if matches!(packet, Payload::DialClose(close) if close.random == dial.random) {
                    seen.note("dial closed");
                }
            }
        }
        Mood::Ends(status) => {
            let mut out = respond.send_response(head, false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.parse().unwrap());
            trailers.insert("grpc-message", "no%20such%20method".parse().unwrap());
            out.send_trailers(trailers).ok()?;
        }
        Mood::TakesNotThisOne => panic!("it was taken"),
        Mood::Garbles | Mood::IsNone => {
            let mut out = respond.send_response(head, false).unwrap();
            out.send_data(Bytes::from_static(b"\x01\xff\xff\xff\xff<html>"), true).unwrap();
            while frontend.next().await.is_some() {}
        }
    }
    Some(())
}

/// As server and agent do together.
async fn carry(mut frontend: Frontend, mut out: SendStream<Bytes>, server: TcpStream, seen: &Seen) {
    let (mut from, mut into) = server.into_split();
    let there = async {
        while let Some(packet) = frontend.next().await {
            match packet {
                Payload::Data(data) => {
                    assert!(data.data.len() <= 32 << 10 && data.connect_id == 7);
                    into.write_all(&data.data).await.unwrap();
                }
                Payload::CloseRequest(close) => {
                    assert_eq!(close.connect_id, 7);
                    seen.note("close");
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
        seen.note("gone");
    };
    let back = async {
        let mut buffer = vec![0; 32 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let data = Bytes::copy_from_slice(&buffer[..read]);
            let frame = Packet::frame(Payload::Data(Data { connect_id: 7, error: String::new(), data }));
            send(&mut out, frame).await;
        }
    };
    tokio::select! {
        () = there => {}
        () = back => {}
    }
    let close = CloseResponse { error: String::new(), connect_id: 7 };
    send(&mut out, Packet::frame(Payload::CloseResponse(close))).await;
    while frontend.next().await.is_some() {}
    let _ = out.send_trailers(HeaderMap::new());
}

async fn send(out: &mut SendStream<Bytes>, mut frame: Bytes) {
    while !frame.is_empty() {
        out.reserve_capacity(frame.len());
        let Some(Ok(capacity)) = std::future::poll_fn(|context| out.poll_capacity(context)).await else {
            return;
        };
        let part = frame.split_to(capacity.min(frame.len()));
        if out.send_data(part, false).is_err() {
            return;
        }
    }
}
