//! The echo tells what reached it, over both protocols.

use std::time::Duration;

use e2e::client::{HttpsClient, bytes, empty};
use e2e::echo::{Echo, EchoOptions, Received};
use e2e::lab::Authority;
use http::Request;
use http_body_util::BodyExt as _;

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn client(echo: &Echo) -> HttpsClient {
    HttpsClient::new(echo.address(), "localhost", echo.ca_pem(), None).unwrap()
}

#[tokio::test]
async fn header_lines_arrive_as_they_were_written() {
    let echo = Echo::start(EchoOptions::default()).unwrap();
    let request = b"GET //a%2Fb/../c?x=+&y HTTP/1.1\r\nHost: x\r\nX-tWiCe: 1\r\nx-Twice: 2\r\nConnection: close\r\n\r\n";
    let answer = client(&echo).raw(request, Duration::from_secs(10)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    let received = echo.last("//a").unwrap();
    assert_eq!(received.target, "//a%2Fb/../c?x=+&y");
    let names: Vec<&str> = received.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Host", "X-tWiCe", "x-Twice", "Connection"]);
    assert_eq!(received.header("x-twice"), ["1", "2"]);
    assert_eq!(received.body_sha256, EMPTY);
}

#[tokio::test]
async fn bodies_come_back_over_both_protocols() {
    let echo = Echo::start(EchoOptions::default()).unwrap();
    let client = client(&echo);
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8).collect();
    let request = || Request::post("/mirror?echo=1").body(bytes(body.clone())).unwrap();
    let h2 = client.h2().await.unwrap().fetch(request()).await.unwrap();
    let h1 = client.h1().await.unwrap().fetch(request()).await.unwrap();
    assert!(h1.body == body && h2.body == body);
}

#[tokio::test]
async fn switches_steer_the_answer_over_both_protocols() {
    let echo = Echo::start(EchoOptions::default()).unwrap();
    let client = client(&echo);
    let (mut h1, h2) = (client.h1().await.unwrap(), client.h2().await.unwrap());
    for (path, status, length, length_said) in [
        ("/?status=204", 204, 0, false),
        ("/?status=304", 304, 0, false),
        ("/?size=200000", 200, 200_000, true),
        ("/?size=200000&chunked=1", 200, 200_000, false),
        ("/?size=10&hints=2&trailers=1", 200, 10, false),
        ("/?status=503&size=3&delay=5", 503, 3, true),
        ("/?watch=1&events=2&size=9", 200, 78, false),
    ] {
        let answers = [h1.get(path).await.unwrap(), h2.get(path).await.unwrap()];
        for answer in answers {
            assert_eq!((answer.status, answer.body.len()), (status, length), "{path}");
            assert_eq!(answer.trailers.is_some(), path.contains("trailers"), "{path}");
            assert_eq!(answer.headers.contains_key("content-length"), length_said, "{path}");
        }
    }
    assert_eq!(echo.requests_per_connection(), [7, 7]);
    assert_eq!(echo.accepted(), 2);
}

#[tokio::test]
async fn a_watch_goes_on_until_the_client_leaves() {
    let echo = Echo::start(EchoOptions::default()).unwrap();
    let connection = client(&echo).h2().await.unwrap();
    let request = Request::get("/watch?watch=1").body(empty()).unwrap();
    let mut body = connection.send(request).await.unwrap().into_body();
    for _ in 0..20 {
        assert!(body.frame().await.unwrap().unwrap().is_data());
    }
    drop((body, connection));
    e2e::lab::until("no connection", Duration::from_secs(10), || async {
        anyhow::ensure!(echo.live() == 0, "{} live", echo.live());
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_answer_can_be_cut_off() {
    let echo = Echo::start(EchoOptions::default()).unwrap();
    let client = client(&echo);
    assert!(client.h1().await.unwrap().get("/?size=1000&cut=10").await.is_err());
    assert!(client.h2().await.unwrap().get("/?size=1000&cut=10").await.is_err());
}

#[tokio::test]
async fn the_client_s_certificate_is_asked_for_and_named() {
    let authority = Authority::new("clients").unwrap();
    let echo = Echo::start(EchoOptions::default().client_ca(authority.pem())).unwrap();
    let identity = authority.client("alice", &["staff"]).unwrap();
    let known = HttpsClient::new(echo.address(), "localhost", echo.ca_pem(), Some(&identity)).unwrap();
    let answer = known.h1().await.unwrap().get("/").await.unwrap();
    assert_eq!(Received::parse(&answer.body).unwrap().client.as_deref(), Some("alice"));
    // TLS 1.3 refuses after the client's handshake is done.
    let unknown = async { client(&echo).h1().await?.get("/").await };
    assert!(unknown.await.is_err());
}
