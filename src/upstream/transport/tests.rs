//! Servers behind forward proxies: what goes through them, what they may do wrong, and what is left afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::telemetry::TunnelKind;
use crate::upstream::tests::{Server, WORKER, get, network, spec};
use crate::upstream::{Network, Trust, Upstream, UpstreamError};

use super::stand::{Asked, Stand, acceptor, take_connect};
use super::*;

#[tokio::test]
async fn requests_go_through_proxies_over_one_connection_that_ends_with_its_last_user() {
    for (scheme, kind) in [
        ("http", TunnelKind::HttpConnect),
        ("https", TunnelKind::HttpConnect),
        ("socks5", TunnelKind::Socks5),
        ("socks5h", TunnelKind::Socks5),
    ] {
        let (server, proxy) = (Server::start(Some(100)).await, Stand::start(scheme).await);
        let network = network();
        let upstream = server.by(proxy.route(scheme), &network);
        let answers = join_all((0..50).map(|_| get(&upstream, WORKER, "/"))).await;
        assert!(
            answers.iter().all(Result::is_ok),
            "{scheme}: {:?}",
            answers.into_iter().find_map(Result::err)
        );
        assert_eq!((proxy.accepted.load(Ordering::SeqCst), server.accepted()), (1, 1), "{scheme}");
        assert_eq!(network.tunnels.count(kind), 1);
        let asked = proxy.asked.lock().join(" ");
        assert!(asked.contains(upstream.endpoint().authority()), "{asked}");
        if scheme.starts_with("http") {
            // user:pass word
            assert!(asked.contains("\r\nProxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n"), "{asked}");
        }
        drop((answers, upstream));
        while network.tunnels.count(kind) > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn names_are_for_the_proxy_to_resolve() {
    for scheme in ["http", "socks5"] {
        let proxy = Stand::start(scheme).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let spec = spec(&format!("http://localhost:{port}"), Trust::Unverified, proxy.route(scheme));
        let upstream = Upstream::new(spec, &network()).unwrap();
        let asked = tokio::spawn(async move { get(&upstream, WORKER, "/").await.map(drop) });
        listener.accept().await.unwrap();
        assert!(proxy.asked.lock()[0].contains(&format!("localhost:{port}")), "{scheme}");
        asked.abort();
    }
}

/// A proxy that says this to whoever has said something, and then closes or is silent.
async fn says(answers: &'static [&'static [u8]], stays: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            for answer in answers {
                let mut buffer = [0; 1024];
                if !matches!(stream.read(&mut buffer).await, Ok(1..))
                    || stream.write_all(answer).await.is_err()
                {
                    break;
                }
            }
            if stays {
                kept.push(stream);
            }
        }
    });
    address
}

async fn failure(url: &str, network: &Network) -> UpstreamError {
    let route = Route::Proxy(Proxy::parse(url).unwrap(), Trust::Unverified);
    let spec = spec("https://cluster.example:6443", Trust::Unverified, route);
    match get(&Upstream::new(spec, network).unwrap(), WORKER, "/").await {
        Ok(_) => panic!("{url} leads somewhere"),
        Err(error) => error,
    }
}

#[track_caller]
fn assert_says(error: &UpstreamError, kind: &str, proxy: &str, words: &str) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    assert!(text.contains(&format!("proxy {proxy}")) && text.contains(words), "{text} does not say {words}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn what_a_proxy_answers_to_connect_is_told() {
    static LONG: [u8; 20_000] = [b'x'; 20_000];
    static ENDLESS: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\nA: ", &LONG];
    let rows: &[(&'static [&'static [u8]], &str, &str)] = &[
        (
            &[b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"],
            "proxy",
            "it does not take the user and password",
        ),
        (
            &[b"HTTP/1.1 403 Forbidden\r\n\r\n"],
            "proxy",
            "it answered 403 Forbidden to CONNECT cluster.example:6443",
        ),
        (
            &[b"HTTP/1.1 503 Service Unavailable\r\n\r\n"],
            "unreached",
            "cluster.example:6443: it answered 503",
        ),
        (&[b"HTTP/1.0 502\r\n\r\n"], "unreached", "it answered 502"),
        (&[b"SSH-2.0-OpenSSH_9\r\n"], "proxy", "its answer is not HTTP"),
        (&[b"HTTP/1.1 200 OK\r\n"], "proxy", "it closed the connection before it answered"),
        (&[b""], "proxy", "it closed the connection before it answered"),
        (&[b"HTTP/1.1 200 OK\r\n\r\n"], "unreached", "the tunnel ended in the TLS handshake"),
        (
            &[b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 500 Internal Server Error\r\n\r\n"],
            "unreached",
            "something other than TLS came",
        ),
    ];
    for (answers, kind, words) in rows {
        let address = says(answers, false).await;
        let error = failure(&format!("http://u:hunter2@{address}"), &network()).await;
        assert_says(&error, kind, &format!("http://{address}"), words);
    }
    // Before anything else is read.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for part in ENDLESS {
            // It is not read to its end.
            let _ = stream.write_all(part).await;
        }
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let error = failure(&format!("http://{address}"), &network()).await;
    assert_says(&error, "proxy", &format!("http://{address}"), "longer than 16384 bytes");
}

#[tokio::test]
async fn what_a_socks_proxy_answers_is_told() {
    let rows: &[(&'static [&'static [u8]], &str, &str)] = &[
        (&[b"\x05\xff"], "proxy", "it takes no user and password"),
        (&[b"\x05\x02", b"\x01\x01"], "proxy", "it does not take the user and password"),
        (&[b"\x05\x00", b"\x05\x05\x00\x01\0\0\0\0\0\0"], "unreached", "it answered: connection refused"),
        (&[b"\x05\x00", b"\x05\x04\x00\x01\0\0\0\0\0\0"], "unreached", "it answered: host unreachable"),
        (&[b"\x05\x00", b"\x05\x02\x00\x01\0\0\0\0\0\0"], "proxy", "not allowed by its rules"),
        (&[b"\x05\x00", b"\x05\x63\x00\x01\0\0\0\0\0\0"], "proxy", "a failure that SOCKS5 does not know"),
        (&[b"\x05\x00", b"\x05\x00\x00\x07\0\0\0\0\0\0"], "proxy", "its answer is not SOCKS5"),
        (&[b"HTTP/1.1 400 Bad Request\r\n\r\n"], "proxy", "its answer is not SOCKS5"),
        (&[b"\x05\x00", b"\x05"], "proxy", "it closed the connection before it answered"),
        (&[b"\x05\x00", b"\x05\0\0\x03\x01x\0\0"], "unreached", "the tunnel ended in the TLS handshake"),
    ];
    for (answers, kind, words) in rows {
        let address = says(answers, false).await;
        let error = failure(&format!("socks5://u:hunter2@{address}"), &network()).await;
        assert_says(&error, kind, &format!("socks5://{address}"), words);
    }
    let address = says(&[b"\x05\x02"], false).await;
    let error = failure(&format!("socks5h://{address}"), &network()).await;
    assert_says(&error, "proxy", &format!("socks5://{address}"), "it wants a user and a password");
}

#[tokio::test]
async fn proxies_that_cannot_be_had_are_named() {
    let impatient = Network { connect_timeout: Duration::from_millis(200), ..network() };
    // Nobody listens there, and nobody else will.
    let bound = TcpSocket::new_v4().unwrap();
    bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = bound.local_addr().unwrap();
    for scheme in ["http", "https", "socks5"] {
        let error = failure(&format!("{scheme}://u:hunter2@{gone}"), &network()).await;
        assert_says(&error, "proxy", &format!("{scheme}://{gone}"), "refused");
        let silent = says(&[b""], true).await;
        let url = format!("{scheme}://u:hunter2@{silent}");
        let mut error = failure(&url, &impatient).await;
        // On a machine that stood still the wait for a dial may end before its dial does.
        while error.kind() == "busy" {
            error = failure(&url, &impatient).await;
        }
        assert_says(
            &error,
            "proxy",
            &format!("{scheme}://{silent}"),
            "did not lead to cluster.example:6443 within",
        );
    }
    let proxy = Stand::start("https").await;
    let url = Proxy::parse(&format!("https://{}", proxy.address)).unwrap();
    let route = Route::Proxy(url, Trust::RootsOrSystem(vec![acceptor().1]));
    let spec = spec("https://cluster.example", Trust::Unverified, route);
    let error = get(&Upstream::new(spec, &network()).unwrap(), WORKER, "/").await.err().unwrap();
    assert_says(&error, "proxy", "https://", "is not trusted");
    assert!(proxy.asked.lock().is_empty(), "an untrusted proxy was asked");
}

#[tokio::test]
async fn what_follows_a_proxys_answer_is_the_servers() {
    for answers in [
        &[&b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhello"[..]][..],
        &[b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo"],
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Proxy::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let network = network();
        let route = Route::Proxy(url, Trust::Unverified);
        let spec = spec("http://cluster.example", Trust::Unverified, route);
        let way = Way::new(&spec, &network).unwrap();
        let dial =
            Dial { host: spec.endpoint.host(), port: 80, worker: WORKER, within: network.connect_timeout };
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in answers {
                stream.write_all(answer).await.unwrap();
            }
            let mut seen = Vec::new();
            stream.read_to_end(&mut seen).await.unwrap();
            seen
        };
        let client = async {
            let mut conduit = way.connect(dial).await.unwrap();
            let mut hello = [0; 5];
            conduit.read_exact(&mut hello).await.unwrap();
            assert_eq!(&hello, b"hello");
            conduit.write_all(b"after").await.unwrap();
            drop(conduit);
        };
        let (seen, ()) = tokio::join!(server, client);
        assert!(seen.ends_with(b"\r\n\r\nafter"), "{}", String::from_utf8_lossy(&seen));
    }
}

#[tokio::test]
async fn a_second_connection_takes_up_the_session_of_the_first() {
    let (server, proxy) = (Server::start(Some(100)).await, Stand::start("http").await);
    for route in [Route::Direct, proxy.route("http")] {
        let network = network();
        let before = server.resumed.load(Ordering::SeqCst);
        let upstream = server.by(route, &network);
        // An answer comes after the tickets.
        get(&upstream, WORKER, "/").await.unwrap();
        assert_eq!(server.resumed.load(Ordering::SeqCst), before);
        // Another worker has no connection of its own yet.
        get(&upstream, Worker(1), "/").await.unwrap();
        assert_eq!(server.resumed.load(Ordering::SeqCst), before + 1);
    }
}

#[tokio::test]
async fn a_tunnel_that_has_died_is_found_and_dialled_once_for_all() {
    let server = Server::start(Some(100)).await;
    let to = server.url.strip_prefix("https://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Proxy::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (accepted, dead) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
    let (counted, dies) = (Arc::clone(&accepted), Arc::clone(&dead));
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            take_connect(&mut stream, &Asked::default()).await;
            let mut there = TcpStream::connect(&to).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            if counted.load(Ordering::SeqCst) == 1 {
                // The first one dies without a word.
                tokio::select! {
                    _ = copy_bidirectional(&mut stream, &mut there) => {}
                    () = dies.notified() => {}
                }
                kept.push((stream, there));
            } else {
                tokio::spawn(async move { copy_bidirectional(&mut stream, &mut there).await });
            }
        }
    });
    let upstream = server.by(Route::Proxy(url, Trust::Unverified), &network());
    let mut open = get(&upstream, WORKER, "/open").await.unwrap();
    dead.notify_one();
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    assert!(matches!(open.data().await, Err(UpstreamError::Broken { .. })));
    assert!(begun.elapsed() <= Duration::from_secs(60), "{:?}", begun.elapsed());
    tokio::time::resume();
    let answers = join_all((0..20).map(|_| get(&upstream, WORKER, "/"))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
}
