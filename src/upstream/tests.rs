//! Pools against servers on this machine: how many connections there are, and who shares them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Response, StatusCode};
use prometheus::Registry;
use rcgen::generate_simple_self_signed;
use rustls::crypto::ring;
use rustls::{HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;

use crate::telemetry::{ConnectionKind, Connections, Tunnels};
use crate::tls::Identity;

use super::*;

pub(super) const WORKER: Worker = Worker(0);

/// A server that answers every request, and counts.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) certificate: rustls::pki_types::CertificateDer<'static>,
    /// How many handshakes took up an earlier session.
    pub(super) resumed: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
    live: Arc<AtomicUsize>,
}

impl Server {
    /// `streams`: how many it allows on one connection; none for one that speaks HTTP/1.1 only.
    pub(super) async fn start(streams: Option<u32>) -> Self {
        let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let identity =
            Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes())
                .unwrap();
        let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(identity.chain().to_vec(), identity.key().clone_key())
            .unwrap();
        tls.alpn_protocols = vec![if streams.is_some() { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let tls = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let accepted = Arc::new(AtomicUsize::new(0));
        let live = Arc::new(AtomicUsize::new(0));
        let resumed = Arc::new(AtomicUsize::new(0));
        let (counted, living, resuming) = (Arc::clone(&accepted), Arc::clone(&live), Arc::clone(&resumed));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (tls, living, resuming) = (tls.clone(), Arc::clone(&living), Arc::clone(&resuming));
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
                        resuming.fetch_add(1, Ordering::SeqCst);
                    }
                    living.fetch_add(1, Ordering::SeqCst);
                    match streams {
                        Some(streams) => serve_h2(stream, streams).await,
                        None => serve_h1(stream).await,
                    }
                    living.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, certificate: identity.chain()[0].clone(), resumed, accepted, live }
    }

    fn upstream(&self) -> Upstream {
        self.by(Route::Direct, &network())
    }

    /// As it is reached by some way.
    pub(super) fn by(&self, route: Route, network: &Network) -> Upstream {
        let trust = Trust::Roots(vec![self.certificate.clone()]);
        Upstream::new(spec(&self.url, trust, route), network).unwrap()
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Answers `/open` with a header only, and leaves the stream open; `/early` whole, and reads no body.
async fn serve_h2(stream: tokio_rustls::server::TlsStream<TcpStream>, streams: u32) {
    let mut connection = h2::server::Builder::new()
        .max_concurrent_streams(streams)
        .handshake::<_, Bytes>(stream)
        .await
        .unwrap();
    let mut open = Vec::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let path = request.uri().path();
        let (is_open, is_early) = (path == "/open", path == "/early");
        if let Ok(mut stream) = respond.send_response(Response::new(()), !is_open && !is_early) {
            if is_early {
                stream.send_data(Bytes::from_static(b"no"), true).unwrap();
            }
            open.push((request, stream));
        }
    }
}

async fn serve_h1(mut stream: tokio_rustls::server::TlsStream<TcpStream>) {
    let mut buffer = vec![0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        assert!(buffer[..count].starts_with(b"GET /x?y=1 HTTP/1.1\r\n"), "not in origin form");
        assert!(String::from_utf8_lossy(&buffer[..count]).to_lowercase().contains("\r\nhost: 127.0.0.1:"));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    }
}

pub(super) fn network() -> Network {
    Network {
        workers: 2,
        connect_timeout: Duration::from_secs(5),
        resolver: Resolver::new(Handle::current()),
        system: SystemRoots::default(),
        tunnels: Tunnels::new(&Registry::new()).unwrap(),
        connections: Connections::new(&Registry::new()).unwrap(),
    }
}

pub(super) fn spec(url: &str, trust: Trust, route: Route) -> UpstreamSpec {
    let endpoint = Endpoint::parse(url).unwrap();
    UpstreamSpec { endpoint, trust, identity: None, server_name: None, route, speaks: Speaks::Http }
}

fn upstream(url: &str, trust: Trust) -> Upstream {
    Upstream::new(spec(url, trust, Route::Direct), &network()).unwrap()
}

pub(super) async fn get(upstream: &Upstream, worker: Worker, path: &str) -> Result<Receiver, UpstreamError> {
    let uri = format!("https://{}{path}", upstream.endpoint().authority());
    let request = Request::get(uri).body(()).unwrap();
    let (_, mut receiver) = upstream.exchange(worker, request, true).await?;
    match receiver.head().await? {
        Head::Final(head, _) => assert_eq!(head.status, StatusCode::OK),
        Head::Informational(_) => panic!("no server here sends any"),
    }
    Ok(receiver)
}

#[tokio::test]
async fn a_cold_pool_makes_no_more_connections_than_the_streams_need() {
    let server = Server::start(Some(10)).await;
    let upstream = server.upstream();
    let streams = join_all((0..95).map(|_| get(&upstream, WORKER, "/open"))).await;
    assert!(streams.iter().all(Result::is_ok));
    assert_eq!((upstream.connections(WORKER), server.accepted()), (10, 10));
    drop(streams);
    get(&upstream, WORKER, "/").await.unwrap();
    assert_eq!(server.accepted(), 10, "a place that was given back is used again");
}

#[tokio::test]
async fn one_connection_serves_one_request_after_the_other() {
    for streams in [Some(100), None] {
        let server = Server::start(streams).await;
        let upstream = server.upstream();
        for _ in 0..5 {
            let mut receiver = get(&upstream, WORKER, "/x?y=1").await.unwrap();
            while receiver.data().await.unwrap().is_some() {}
            assert_eq!(receiver.trailers().await.unwrap(), None);
            // An HTTP/1.1 connection has to turn over before it is back.
            while upstream.idle(WORKER) == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(server.accepted(), 1, "{streams:?}");
    }
}

#[tokio::test]
async fn neither_workers_nor_upstreams_share_connections() {
    let server = Server::start(Some(100)).await;
    let (one, other) = (server.upstream(), server.upstream());
    for (upstream, worker) in [(&one, Worker(0)), (&one, Worker(1)), (&other, Worker(0))] {
        get(upstream, worker, "/").await.unwrap();
    }
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn everybody_who_waits_is_told_why_there_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let upstream = upstream(&url, Trust::Unverified);
    for result in join_all((0..20).map(|_| get(&upstream, WORKER, "/"))).await {
        assert!(matches!(result, Err(UpstreamError::Connect { .. })));
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_no_request() {
    let (server, other) = (Server::start(Some(100)).await, Server::start(Some(100)).await);
    let upstream = upstream(&server.url, Trust::Roots(vec![other.certificate.clone()]));
    let result = get(&upstream, WORKER, "/").await;
    assert!(matches!(result, Err(UpstreamError::NotTrusted { .. })), "{:?}", result.err());
}

#[tokio::test]
async fn connections_end_with_their_upstream_and_its_last_request() {
    let server = Server::start(Some(100)).await;
    let upstream = server.upstream();
    let mut open = get(&upstream, WORKER, "/open").await.unwrap();
    drop(upstream);
    // The stream goes on, and says nothing yet.
    assert!(tokio::time::timeout(Duration::from_millis(50), open.data()).await.is_err());
    assert_eq!(server.live.load(Ordering::SeqCst), 1);
    drop(open);
    while server.live.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_body_cut_short_never_looks_whole_to_a_server_that_answered_early() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(&format!("http://{}", listener.local_addr().unwrap()), Trust::Unverified);
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut seen).await.unwrap();
        }
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
        stream.write_all(answer).await.unwrap();
        // To its end, which may be a reset.
        let _ = stream.read_to_end(&mut seen).await;
        String::from_utf8(seen).unwrap()
    });
    let request = Request::post("http://x/y").body(()).unwrap();
    let (mut sender, mut receiver) = upstream.exchange(WORKER, request, false).await.unwrap();
    assert!(matches!(receiver.head().await.unwrap(), Head::Final(_, false)));
    assert_eq!(receiver.data().await.unwrap().unwrap(), "ok");
    sender.send(&mut Bytes::from_static(b"half"), false).await.unwrap();
    sender.cancel();
    drop((sender, receiver));
    let seen = server.await.unwrap();
    assert!(seen.contains("\r\ntransfer-encoding: chunked\r\n"), "{seen}");
    assert!(!seen.ends_with("0\r\n\r\n"), "{seen}");
}

#[tokio::test]
async fn a_place_is_not_given_back_while_a_server_that_answered_early_may_take_the_body() {
    let server = Server::start(Some(1)).await;
    let upstream = server.upstream();
    let request = Request::post(format!("{}/early", server.url)).body(()).unwrap();
    let (sender, mut receiver) = upstream.exchange(WORKER, request, false).await.unwrap();
    assert!(matches!(receiver.head().await.unwrap(), Head::Final(_, false)));
    assert_eq!(receiver.data().await.unwrap().unwrap(), "no");
    assert!(receiver.is_over());
    assert_eq!(upstream.idle(WORKER), 0, "the stream is still there");
    drop((sender, receiver));
    assert_eq!(upstream.idle(WORKER), 1);
}

#[tokio::test]
async fn connections_dials_and_those_who_wait_are_counted_until_they_are_gone() {
    let (network, server) = (network(), Server::start(Some(10)).await);
    let counted = network.connections.clone();
    let make = |url: &str| Upstream::new(spec(url, Trust::Unverified, Route::Direct), &network).unwrap();
    let upstream = make(&server.url);
    let mut opening = Box::pin(join_all((0..15).map(|_| get(&upstream, WORKER, "/open"))));
    assert!(futures::poll!(&mut opening).is_pending());
    assert_eq!(counted.now(ConnectionKind::Http2), (0, 15));
    let streams = opening.await;
    assert!(streams.iter().all(Result::is_ok));
    assert_eq!((counted.now(ConnectionKind::Http2), counted.dials("connected")), ((2, 0), 2));
    drop((streams, upstream));
    while counted.now(ConnectionKind::Http2).0 > 0 {
        tokio::task::yield_now().await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let upstream = make(&nowhere);
    assert!(get(&upstream, WORKER, "/").await.is_err());
    assert_eq!((counted.dials("connect"), counted.now(ConnectionKind::Http2)), (1, (0, 0)));
}
