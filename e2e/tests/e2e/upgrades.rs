//! Connections that leave HTTP, byte for byte, against an echo that switches. What Kubernetes' own clients make of
//! them is in `streams`.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::client::HttpsClient;
use e2e::echo::{Echo, EchoOptions};
use e2e::lab::{Authority, Gateway, shared, until};
use futures::future::try_join_all;
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::through::{assert_failure, echo_cluster, master, own_gateway, path, register, until_code};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn bytes_go_both_ways_each_to_its_own_end_and_none_is_lost() {
    let (_echo, gateway) = with_echo("t9-bytes", &[]).await;
    let client = master(&gateway);
    for protocol in ["websocket", "SPDY/3.1", "something/7"] {
        let mut stream = client.tls(&["http/1.1"]).await.unwrap();
        let rest = path("echo", "/x?switch=first-words&follow=true");
        let head = head(&client, "GET", &rest, &format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n"));
        // In one piece with the request: nothing of it may be lost.
        stream.write_all(format!("{head}too early").as_bytes()).await.unwrap();
        let answer = until_text(&mut stream, "too early").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
        let lower = answer.to_lowercase();
        assert!(lower.contains(&format!("\r\nupgrade: {}\r\n", protocol.to_lowercase())), "{answer}");
        assert!(lower.contains("\r\nconnection: upgrade\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nfirst-wordstoo early"), "{answer}");
        let sent: Vec<u8> = (0..3_000_000_u32).map(|at| u8::try_from(at % 253).unwrap()).collect();
        let (mut reader, mut writer) = tokio::io::split(stream);
        let write = async {
            writer.write_all(&sent).await?;
            // Our end only: what comes back is still to be read.
            writer.shutdown().await
        };
        let mut got = Vec::new();
        let (wrote, read) = tokio::join!(write, timeout(SOON, reader.read_to_end(&mut got)));
        wrote.unwrap();
        read.expect("it did not end").unwrap();
        assert!(got.strip_suffix(b"(end)") == Some(&sent), "{protocol}: {} bytes", got.len());
    }
    // It was counted, and is over.
    let metrics = metrics(&gateway).await;
    let line = |start: &str| metrics.lines().find(|line| line.starts_with(start)).map(str::to_owned);
    let bytes = line(r#"cluster_gateway_upgraded_bytes_total{cluster="echo",direction="to_cluster"}"#);
    assert_eq!(bytes.as_deref().and_then(|line| line.split(' ').next_back()), Some("9000027"), "{bytes:?}");
    until("no stream to be open", SOON, || async {
        let metrics = self::metrics(&gateway).await;
        ensure!(metrics.contains("cluster_gateway_upgraded_streams{cluster=\"echo\"} 0\n"), "{metrics}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_cluster_sees_the_request_as_it_was_less_who_sent_it() {
    let (echo, gateway) = with_echo("t9-head", &[]).await;
    let client = master(&gateway);
    let mut stream = client.tls(&["http/1.1"]).await.unwrap();
    let extra = "Connection: keep-alive, Upgrade\r\nUpgrade: h2c, websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\
                 X-Stream-Protocol-Version: v4.channel.k8s.io\r\nProxy-Authorization: Basic eDp5\r\nContent-Length: 4\r\n";
    let head = head(&client, "POST", &path("echo", "/a%2Fb//c?switch=hello&x=%20y"), extra);
    stream.write_all(format!("{head}body").as_bytes()).await.unwrap();
    until_text(&mut stream, "hello").await.unwrap();
    let received = echo.last("/a%2Fb").unwrap();
    assert_eq!(
        (received.method.as_str(), received.target.as_str()),
        ("POST", "/a%2Fb//c?switch=hello&x=%20y")
    );
    assert_eq!(received.header("upgrade"), ["websocket"], "no other version of HTTP");
    assert_eq!(received.header("connection"), ["Upgrade"]);
    for (name, value) in [
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "v5.channel.k8s.io"),
        ("x-stream-protocol-version", "v4.channel.k8s.io"),
        ("content-length", "4"),
    ] {
        assert_eq!(received.header(name), [value], "{name}");
    }
    for name in ["x-remote-user", "x-remote-group", "proxy-authorization", "authorization", "keep-alive"] {
        assert_eq!(received.header(name), Vec::<&str>::new(), "{name}");
    }
    assert_eq!(received.client.as_deref(), Some("gateway"), "the cluster's own credential");
}

#[tokio::test]
async fn what_does_not_switch_is_answered_as_the_cluster_wrote_it() {
    let (echo, gateway) = with_echo("t9-refused", &[]).await;
    let client = master(&gateway);
    let ask = async |rest: &str, extra: &str| {
        let head = head(&client, "GET", &path("echo", rest), extra);
        let answer = client.raw(head.as_bytes(), Duration::from_secs(3)).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for code in [200, 400, 403, 404, 500] {
        let answer = ask(&format!("/no?status={code}&header=X-Why:because&size=30"), UPGRADE).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
        assert!(answer.to_lowercase().contains("\r\nx-why: because\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nabcdefghijklmnopqrstuvwxyzabcd"), "{answer}");
    }
    // The cluster's 401 is about our credential.
    let answer = ask("/no?status=401", UPGRADE).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("answered 401"), "{answer}");
    // Whoever wants to go on in another version of HTTP goes on in this one.
    let answer =
        ask("/plain?size=5", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n")
            .await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("abcde"), "{answer}");
    assert_eq!(echo.last("/plain").unwrap().header("upgrade"), Vec::<&str>::new());
    // A body that is too large for a request to switch.
    let head = head(
        &client,
        "POST",
        &path("echo", "/large?switch=x"),
        &format!("{UPGRADE}Content-Length: 70000\r\n"),
    );
    let answer =
        client.raw(format!("{head}{}", "x".repeat(70_000)).as_bytes(), Duration::from_secs(3)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    assert!(echo.last("/large").is_none(), "it was asked all the same");
}

#[tokio::test]
async fn extended_connect_is_refused_clearly() {
    let (_echo, gateway) = with_echo("t9-connect", &[]).await;
    let stream = master(&gateway).tls(&["h2"]).await.unwrap();
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    send = send.ready().await.unwrap();
    assert!(!send.is_extended_connect_protocol_enabled(), "it is not offered");
    let mut request = Request::builder()
        .method("CONNECT")
        .uri(format!("https://localhost{}", path("echo", "/x?switch=x")))
        .body(())
        .unwrap();
    for (name, value) in [("x-remote-user", "t2-master"), ("x-remote-group", "system:masters")] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    let (answer, _body) = send.send_request(request, false).unwrap();
    let outcome = timeout(SOON, answer).await.unwrap();
    match outcome {
        Ok(answer) => assert_eq!(answer.status(), 405),
        // RFC 8441 section 3: who has not offered it takes it for malformed.
        Err(error) => assert_eq!(error.reason(), Some(h2::Reason::PROTOCOL_ERROR), "{error}"),
    }
    driver.abort();
}

#[tokio::test]
async fn there_are_no_more_streams_than_may_be() {
    let (_echo, gateway) = with_echo("t9-limit", &["--max-upgraded-streams-per-cluster=2"]).await;
    let client = master(&gateway);
    let first = open(&client, "websocket").await.unwrap();
    let _second = open(&client, "websocket").await.unwrap();
    let mut h1 = client.h1().await.unwrap();
    let request = || {
        Request::get(path("echo", "/x?switch=x"))
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .body(e2e::client::empty())
            .unwrap()
    };
    let answer = h1.fetch(request()).await.unwrap();
    assert_failure(&answer, 429, &["echo", "2 streams", "--max-upgraded-streams-per-cluster"]);
    assert_eq!(answer.header("retry-after"), Some("5"));
    // What is no stream is not counted among them.
    assert_eq!(h1.get(&path("echo", "/plain")).await.unwrap().status, 200);
    drop(first);
    until("a place to be free", SOON, || open(&client, "websocket")).await.unwrap();
}

#[tokio::test]
async fn what_never_becomes_a_stream_holds_nothing() {
    let flags = ["--max-upgraded-streams-per-cluster=1", "--request-timeout=2s"];
    let (echo, gateway) = with_echo("t9-never", &flags).await;
    let client = master(&gateway);
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    // Who announces a body and sends none takes no place.
    let mut silent = client.tls(&["http/1.1"]).await.unwrap();
    let request = head(&client, "POST", &path("echo", "/silent"), &format!("{upgrade}Content-Length: 9\r\n"));
    silent.write_all(request.as_bytes()).await.unwrap();
    silent.flush().await.unwrap();
    drop(open(&client, "websocket").await.unwrap());
    let answer = until_text(&mut silent, "}\n").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("did not come within 2 s"), "{answer}");
    assert!(echo.last("/silent").is_none());
    // A cluster that does not answer is not waited for, whatever its stream would be and whoever has said something.
    let exec = path("echo", "/api/v1/namespaces/a/pods/b/exec?delay=50000");
    let mut early = client.tls(&["http/1.1"]).await.unwrap();
    until("the place to be free", SOON, || async {
        let metrics = metrics(&gateway).await;
        ensure!(metrics.contains("cluster_gateway_upgraded_streams{cluster=\"echo\"} 0\n"), "{metrics}");
        Ok(())
    })
    .await
    .unwrap();
    early.write_all(format!("{}x", head(&client, "GET", &exec, upgrade)).as_bytes()).await.unwrap();
    early.flush().await.unwrap();
    let answer = until_text(&mut early, "}\n").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    until("the place to be free again", SOON, || open(&client, "websocket")).await.unwrap();
}

#[tokio::test]
async fn an_idle_stream_holds_two_connections_and_no_buffers() {
    let (_echo, gateway) = with_echo("t9-memory", &[]).await;
    let client = master(&gateway);
    // What the first ones make is there once and for all.
    let mut streams = try_join_all((0..100).map(|_| open(&client, "websocket"))).await.unwrap();
    let before = gateway.rss_kb().unwrap();
    for _ in 0..5 {
        streams.extend(try_join_all((0..100).map(|_| open(&client, "websocket"))).await.unwrap());
    }
    let each = gateway.rss_kb().unwrap().saturating_sub(before) as f64 / 500.0;
    eprintln!("an idle stream: {each:.1} kB");
    // Two TLS sessions; a buffer of ours each way would add 64 kB.
    assert!(each < 80.0, "{each} kB");
    for stream in streams.iter_mut().rev().take(20) {
        stream.write_all(b"still there").await.unwrap();
        stream.flush().await.unwrap();
        until_text(stream, "still there").await.unwrap();
    }
}

#[tokio::test]
async fn streams_end_with_their_cluster_and_are_told() {
    let (_echo, gateway) = with_echo("t9-gone", &[]).await;
    let client = master(&gateway);
    let mut websocket = open(&client, "websocket").await.unwrap();
    let mut spdy = open(&client, "SPDY/3.1").await.unwrap();
    let hub = shared().await.hub().admin_client().await.unwrap();
    let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> = kube::Api::namespaced(hub, "t9-gone");
    secrets.delete("echo", &kube::api::DeleteParams::default()).await.unwrap();
    assert_eq!(goodbye(&mut websocket).await, Goodbye::WebSocket("the cluster was removed".to_owned()));
    assert_eq!(goodbye(&mut spdy).await, Goodbye::Spdy);
}

#[tokio::test]
async fn streams_are_given_time_to_drain_and_then_told() {
    let flags = ["--shutdown-delay-duration=0s", "--drain-timeout=4s"];
    let (_echo, gateway) = with_echo("t9-drain", &flags).await;
    let client = master(&gateway);
    let mut websocket = open(&client, "websocket").await.unwrap();
    let mut spdy = open(&client, "SPDY/3.1").await.unwrap();
    let mut other = open(&client, "other").await.unwrap();
    let mut ending = open(&client, "websocket").await.unwrap();
    let began = Instant::now();
    gateway.sigterm().unwrap();
    // What can end ends, and what goes on goes on.
    websocket.write_all(&[0x82, 2, b'h', b'i']).await.unwrap();
    until_text(&mut websocket, "hi").await.unwrap();
    ending.shutdown().await.unwrap();
    until_text(&mut ending, "(end)").await.unwrap();
    assert_eq!(goodbye(&mut websocket).await, Goodbye::WebSocket("the gateway is shutting down".to_owned()));
    assert!(began.elapsed() >= Duration::from_secs(2), "after {:?}", began.elapsed());
    assert_eq!(goodbye(&mut spdy).await, Goodbye::Spdy);
    assert_eq!(goodbye(&mut other).await, Goodbye::End);
    assert_eq!(gateway.wait_exit(SOON).await.unwrap(), 0, "{}", gateway.process().log_tail(9));
    let log = gateway.logs();
    assert!(log.contains("drained: every request has ended"), "{log}");
}

/// How a stream was ended.
#[derive(Debug, PartialEq, Eq)]
enum Goodbye {
    /// Close, 1001.
    WebSocket(String),
    /// GOAWAY.
    Spdy,
    /// Without a word.
    End,
}

async fn goodbye(stream: &mut TlsStream<TcpStream>) -> Goodbye {
    let mut last = Vec::new();
    timeout(SOON, stream.read_to_end(&mut last)).await.expect("it does not end").expect("a clean end");
    match last.as_slice() {
        [0x88, length, 3, 0xe9, why @ ..] if usize::from(*length) == why.len() + 2 => {
            Goodbye::WebSocket(String::from_utf8(why.to_owned()).unwrap())
        }
        [0x80, 3, 0, 7, 0, 0, 0, 8, ..] if last.len() == 16 => Goodbye::Spdy,
        [] => Goodbye::End,
        other => panic!("{other:?}"),
    }
}

/// A stream into the echo, open.
async fn open(client: &HttpsClient, protocol: &str) -> Result<TlsStream<TcpStream>> {
    let mut stream = client.tls(&["http/1.1"]).await?;
    let extra = format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n");
    stream.write_all(head(client, "GET", &path("echo", "/x?switch="), &extra).as_bytes()).await?;
    // A writer that had to give way keeps a part of it until then.
    stream.flush().await?;
    let answer = until_text(&mut stream, "\r\n\r\n").await?;
    ensure!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    Ok(stream)
}

fn head(client: &HttpsClient, method: &str, path: &str, extra: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\n{}{extra}\r\n", client.header_lines())
}

/// Reads until what was read ends with these words.
async fn until_text(stream: &mut TlsStream<TcpStream>, end: &str) -> Result<String> {
    let mut text = Vec::new();
    let read = async {
        while !text.ends_with(end.as_bytes()) {
            let byte = stream.read_u8().await?;
            text.push(byte);
        }
        anyhow::Ok(())
    };
    let ended = timeout(SOON, read).await;
    let text = String::from_utf8_lossy(&text).into_owned();
    match ended {
        Ok(Ok(())) => Ok(text),
        Ok(Err(error)) => anyhow::bail!("{error:#} after {text:?}"),
        Err(_) => anyhow::bail!("nothing more after {text:?}"),
    }
}

async fn metrics(gateway: &Gateway) -> String {
    master(gateway).h1().await.unwrap().get("/metrics").await.unwrap().text()
}

/// A gateway with an echo as its cluster.
async fn with_echo(namespace: &str, flags: &[&str]) -> (Echo, Gateway) {
    let people = Authority::new("people").unwrap();
    let echo = Echo::start(EchoOptions::default().client_ca(people.pem())).unwrap();
    let gateway = own_gateway(namespace, flags).await;
    let identity = people.client("gateway", &[]).unwrap();
    register([&echo_cluster(namespace, "echo", &echo, &identity)]).await;
    until_code(&master(&gateway).h2().await.unwrap(), &path("echo", "/ready"), 200).await;
    (echo, gateway)
}
