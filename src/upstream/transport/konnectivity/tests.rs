//! Servers behind Konnectivity: what it says, what becomes of it, and what is left afterwards.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::time::timeout;

use crate::telemetry::TunnelKind;
use crate::upstream::tests::{Server, WORKER, get, network, spec};

use super::super::stand::{acceptor, take_connect};
use super::stand::{Mood, Stand, serve};
use super::*;

fn behind(server: &Server, konnectivity: &Konnectivity, network: &Network) -> Upstream {
    server.by(Route::Konnectivity(konnectivity.clone()), network)
}

#[tokio::test]
async fn tunnels_share_one_connection_to_the_proxy_server_and_end_with_their_users() {
    let (server, stand, network) = (Server::start(Some(100)).await, Stand::start(), network());
    let konnectivity = stand.konnectivity(&network);
    let clusters = [behind(&server, &konnectivity, &network), behind(&server, &konnectivity, &network)];
    for upstream in &clusters {
        let answers = join_all((0..50).map(|_| get(upstream, WORKER, "/"))).await;
        assert!(answers.iter().all(Result::is_ok), "{:?}", answers.into_iter().find_map(Result::err));
    }
    assert_eq!(server.accepted(), 2, "one connection for each cluster");
    assert_eq!(network.tunnels.count(TunnelKind::KonnectivityGrpc), 2);
    assert_eq!(stand.seen.connections.load(Ordering::SeqCst), 1);
    assert!(stand.seen.has(&format!("dial {}", clusters[0].endpoint().authority())));
    drop(clusters);
    stand.seen.until(|seen| seen.streams.load(Ordering::SeqCst) == 0).await;
    assert_eq!(stand.seen.said.lock().iter().filter(|said| *said == "close").count(), 2);
    while network.tunnels.count(TunnelKind::KonnectivityGrpc) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_konnectivity_says_is_told() {
    let (server, stand, network) = (Server::start(Some(100)).await, Stand::start(), network());
    let upstream = behind(&server, &stand.konnectivity(&network), &network);
    for (mood, kind, words) in [
        (Mood::Refuses("No agent available"), "proxy", "no agent is connected to it"),
        (Mood::Refuses("dial tcp: connection refused"), "unreached", "says: dial tcp: connection refused"),
        (Mood::Ends("12"), "proxy", "gRPC status 12: no such method"),
        (Mood::Ends("0"), "proxy", "it ended the stream before it answered"),
        (Mood::Garbles, "proxy", "a message is compressed"),
        (Mood::IsNone, "proxy", "it does not answer with gRPC"),
    ] {
        stand.is(mood);
        let error = get(&upstream, WORKER, "/").await.err().unwrap();
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains("Konnectivity at ") && text.contains(words), "{text}");
        stand.seen.until(|seen| seen.streams.load(Ordering::SeqCst) == 0).await;
    }
    stand.is(Mood::Leads);
    get(&upstream, WORKER, "/").await.unwrap();
}

#[tokio::test]
async fn a_stream_that_the_server_did_not_look_at_is_asked_for_again() {
    let (server, stand, network) = (Server::start(Some(100)).await, Stand::start(), network());
    let upstream = behind(&server, &stand.konnectivity(&network), &network);
    stand.is(Mood::TakesNotThisOne);
    get(&upstream, WORKER, "/").await.unwrap();
    while network.tunnels.count(TunnelKind::KonnectivityGrpc) > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_dial_that_is_given_up_is_told_to_the_server_and_too_many_of_them_end_the_connection() {
    let (server, stand, network) = (Server::start(Some(100)).await, Stand::start(), network());
    let konnectivity = stand.konnectivity(&network);
    stand.is(Mood::Silent);
    let host = Host::parse("member-1").unwrap();
    let dial = Dial { host: &host, port: 443, worker: WORKER, within: Duration::from_millis(100) };
    for _ in 0..3 {
        {
            let mut connecting = pin!(konnectivity.connect(dial));
            tokio::select! {
                _ = &mut connecting => panic!("it does not answer"),
                () = stand.seen.until(|seen| seen.has("dial member-1:443")) => {}
            }
            assert!(timeout(dial.within, connecting).await.is_err());
        }
        stand.seen.until(|seen| seen.has("dial closed") && seen.streams.load(Ordering::SeqCst) == 0).await;
        stand.seen.said.lock().clear();
    }
    while network.tunnels.count(TunnelKind::KonnectivityGrpc) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stand.seen.connections.load(Ordering::SeqCst), 1);
    stand.is(Mood::Leads);
    get(&behind(&server, &konnectivity, &network), WORKER, "/").await.unwrap();
    assert_eq!(stand.seen.connections.load(Ordering::SeqCst), 2, "a mute connection is used again");
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_a_connection_that_gives_some_is_not_mute() {
    let (server, stand, network) = (Server::start(Some(100)).await, Stand::start(), network());
    let konnectivity = stand.konnectivity(&network);
    let host = Host::parse("member-1").unwrap();
    let dial = Dial { host: &host, port: 443, worker: WORKER, within: Duration::from_millis(100) };
    for refusal in [Mood::Refuses("dial tcp: i/o timeout"), Mood::Ends("14")] {
        for mood in [Mood::Silent, Mood::Silent, refusal] {
            stand.is(mood);
            let dialed = timeout(dial.within, konnectivity.connect(dial)).await;
            assert_eq!(dialed.is_err(), mood == Mood::Silent);
            assert!(!matches!(dialed, Ok(Ok(_))));
            stand.seen.until(|seen| seen.streams.load(Ordering::SeqCst) == 0).await;
        }
    }
    stand.is(Mood::Leads);
    get(&behind(&server, &konnectivity, &network), WORKER, "/").await.unwrap();
    assert_eq!(stand.seen.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_dies_breaks_its_tunnels_and_is_dialled_again() {
    let (server, stand, network) = (Server::start(Some(100)).await, Stand::start(), network());
    let upstream = behind(&server, &stand.konnectivity(&network), &network);
    let mut open = get(&upstream, WORKER, "/open").await.unwrap();
    stand.dies.notify_waiters();
    let error = open.data().await.unwrap_err();
    assert!(
        matches!(&error, UpstreamError::Broken { cause, .. } if cause.contains("Konnectivity")),
        "{error}"
    );
    let answers = join_all((0..20).map(|_| get(&upstream, WORKER, "/"))).await;
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.into_iter().find_map(Result::err));
    assert_eq!(stand.seen.connections.load(Ordering::SeqCst), 2);
    assert_eq!(network.tunnels.count(TunnelKind::KonnectivityGrpc), 1);
}

async fn conduit(listener: &TcpListener, konnectivity: &Konnectivity, network: &Network) -> Conduit {
    let url = format!("http://{}", listener.local_addr().unwrap());
    let spec = spec(&url, Trust::Unverified, Route::Direct);
    let endpoint = &spec.endpoint;
    let dial = Dial {
        host: endpoint.host(),
        port: endpoint.port(),
        worker: WORKER,
        within: network.connect_timeout,
    };
    konnectivity.connect(dial).await.unwrap()
}

#[tokio::test]
async fn whoever_has_shut_down_reads_on_until_the_other_side_closes() {
    let (stand, network) = (Stand::start(), network());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut conduit = conduit(&listener, &stand.konnectivity(&network), &network).await;
    let (mut server, _) = listener.accept().await.unwrap();
    conduit.write_all(b"last words").await.unwrap();
    conduit.shutdown().await.unwrap();
    let mut seen = [0; 10];
    server.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"last words");
    server.write_all(b"so long").await.unwrap();
    drop(server);
    let mut answer = Vec::new();
    conduit.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"so long");
    assert!(!stand.seen.has("close"), "the server closed first");
    stand.seen.until(|seen| seen.streams.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn much_goes_both_ways_at_once_and_what_was_written_arrives_though_its_writer_is_gone() {
    let (stand, network) = (Stand::start(), network());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut conduit = conduit(&listener, &stand.konnectivity(&network), &network).await;
    let (mut server, _) = listener.accept().await.unwrap();
    let much: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8).collect();
    {
        let (mut from, mut into) = tokio::io::split(&mut conduit);
        let (mut server_from, mut server_into) = server.split();
        let (mut here, mut there) = (vec![0; much.len()], vec![0; much.len()]);
        let (sent, read, its_sent, its_read) = tokio::join!(
            into.write_all(&much),
            from.read_exact(&mut here),
            server_into.write_all(&much),
            server_from.read_exact(&mut there),
        );
        assert!(sent.is_ok() && read.is_ok() && its_sent.is_ok() && its_read.is_ok());
        assert!(here == much && there == much);
    }
    conduit.write_all(&much[..50_000]).await.unwrap();
    drop(conduit);
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).await.unwrap();
    assert!(rest == much[..50_000], "{} of 50000 bytes", rest.len());
    stand.seen.until(|seen| seen.has("close") && seen.streams.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn http_connect_leads_there_too_and_says_what_it_can() {
    let (server, network) = (Server::start(Some(100)).await, network());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let konnectivity = Konnectivity::by_socket(KonnectivityMode::HttpConnect, path, &network).unwrap();
    let upstream = behind(&server, &konnectivity, &network);
    tokio::spawn(async move {
        // It says yes before it knows, as the Go server does.
        let (mut refused, _) = listener.accept().await.unwrap();
        take_connect(&mut refused, &Arc::default()).await;
        let no = b"HTTP/1.1 200 Connection Established\r\n\r\nHTTP/1.1 500 Internal Server Error\r\n\r\nno tunnels";
        refused.write_all(no).await.unwrap();
        drop(refused);
        let (mut stream, _) = listener.accept().await.unwrap();
        let to = take_connect(&mut stream, &Arc::default()).await;
        stream.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await.unwrap();
        let mut there = TcpStream::connect(to).await.unwrap();
        // Until either side is gone.
        let _ = copy_bidirectional(&mut stream, &mut there).await;
    });
    let error = get(&upstream, WORKER, "/").await.err().unwrap();
    assert!(matches!(&error, UpstreamError::Unreached { proxy, .. } if proxy.contains("k.sock")), "{error}");
    get(&upstream, WORKER, "/").await.unwrap();
    assert_eq!(network.tunnels.count(TunnelKind::KonnectivityConnect), 1);
}

#[tokio::test]
async fn new_certificates_are_for_new_connections_and_harm_no_open_tunnel() {
    let (server, network) = (Server::start(Some(100)).await, network());
    let (tls, root) = acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else { return };
                counted.fetch_add(1, Ordering::SeqCst);
                serve(stream, Arc::new(Mutex::new(Mood::Leads)), Arc::default()).await;
            });
        }
    });
    let made = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    let key = made.signing_key.serialize_pem();
    let identity = Identity::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).unwrap();
    let other = identity.chain()[0].clone();
    let believing = |root| KonnectivityIdentity { roots: vec![root], identity: identity.clone() };
    let (mode, host) = (KonnectivityMode::Grpc, Host::Address(address.ip()));
    let konnectivity =
        Konnectivity::by_tls(mode, host, address.port(), believing(other.clone()), &network).unwrap();
    let upstream = behind(&server, &konnectivity, &network);
    let error = get(&upstream, WORKER, "/").await.err().unwrap();
    assert!(error.kind() == "proxy" && error.to_string().contains("is not trusted"), "{error}");

    konnectivity.replace(believing(root)).unwrap();
    let mut open = get(&upstream, WORKER, "/open").await.unwrap();
    konnectivity.replace(believing(other)).unwrap();
    // What is open goes on; what is new needs another connection, which is not trusted now.
    get(&upstream, WORKER, "/").await.unwrap();
    assert!(timeout(Duration::from_millis(50), open.data()).await.is_err());
    let error = get(&behind(&server, &konnectivity, &network), WORKER, "/").await.err().unwrap();
    assert!(error.to_string().contains("is not trusted"), "{error}");
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}
