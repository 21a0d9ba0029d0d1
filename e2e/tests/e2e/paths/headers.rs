//! Which headers reach a cluster, and which never do.

use e2e::client::{HttpsClient, bytes, empty};
use e2e::echo::Received;
use http::Request;

use super::setup::{CLUSTERS, TOKEN, setup};

/// Sends GETs with these headers by both protocols to both clusters, and gives what reached them.
async fn send(client: &HttpsClient, headers: &[(&str, &str)]) -> Vec<Received> {
    let mut all = Vec::new();
    for cluster in ["h1", "h2"] {
        for downstream in ["h1", "h2"] {
            let mut request = Request::get(format!("{CLUSTERS}/{cluster}/proxy/headers"));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(empty()).unwrap();
            let answer = match downstream {
                "h1" => client.h1().await.unwrap().fetch(request).await,
                _ => client.h2().await.unwrap().fetch(request).await,
            };
            let answer = answer.unwrap();
            assert_eq!(answer.status, 200, "{cluster} over {downstream}: {}", answer.text());
            all.push(Received::parse(&answer.body).unwrap());
        }
    }
    all
}

#[tokio::test]
async fn what_is_said_end_to_end_arrives_and_what_says_who_calls_does_not() {
    let client = setup().await.admin();
    let passed = [
        ("accept", "application/vnd.kubernetes.protobuf;as=Table, */*;q=0.1"),
        ("accept-encoding", "gzip, br"),
        ("user-agent", "kubectl/v1.35.4 (linux/amd64)"),
        ("audit-id", "0f1d-audit"),
        ("if-none-match", "\"a\""),
        ("kubectl-command", "kubectl get"),
        ("x-forwarded-proto", "https"),
        ("x-custom", "caf\u{e9}"),
        ("x-empty", ""),
        ("cookie", "a=b; c=d"),
        ("range", "bytes=0-1"),
    ];
    let dropped = [
        ("authorization", "Bearer of-the-caller"),
        ("proxy-authorization", "Basic x"),
        ("x-remote-group", "paths-group"),
        ("x-remote-uid", "1"),
        ("x-remote-extra-scopes", "a"),
        ("x-remote-extra-a%2fb", "c"),
        ("x-remote-extra-", "d"),
        ("x-remote-anything", "e"),
        ("proxy-connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("trailer", "x-a"),
        ("upgrade", "h2c"),
    ];
    // HTTP/2 knows no connection headers: hyper does not send those.
    let mut all = passed.to_vec();
    all.extend(dropped);
    for received in send(&client, &all).await {
        let case = format!("{} {:?}", received.version, received.headers);
        for (name, value) in passed {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            assert_eq!(received.header(name), [value], "{name}: {case}");
        }
        for (name, _) in &dropped[1..] {
            assert_eq!(received.header(name), [""; 0], "{name}: {case}");
        }
        assert_eq!(received.header("authorization"), [format!("Bearer {TOKEN}")], "{case}");
        assert_eq!(received.header("connection"), [""; 0], "{case}");
        assert!(!received.has_header_starting("x-remote-") && !received.has_header_starting("impersonate-"));
        assert_eq!(received.header("x-forwarded-for"), ["127.0.0.1"], "{case}");
    }
}

#[tokio::test]
async fn the_caller_is_appended_to_x_forwarded_for_and_repeated_headers_stay_repeated() {
    let client = setup().await.admin();
    let headers = [
        ("x-forwarded-for", "192.0.2.1, 2001:db8::1"),
        ("x-forwarded-for", "198.51.100.7"),
        ("x-many", "1"),
        ("x-many", "2"),
        ("x-many", "1"),
    ];
    for received in send(&client, &headers).await {
        let chain = received.header("x-forwarded-for").join(", ");
        assert_eq!(chain, "192.0.2.1, 2001:db8::1, 198.51.100.7, 127.0.0.1", "{:?}", received.headers);
        assert_eq!(received.header("x-many"), ["1", "2", "1"]);
    }
}

#[tokio::test]
async fn without_an_audit_id_one_is_made_and_the_answer_names_it() {
    let setup = setup().await;
    let request = Request::post(format!("{CLUSTERS}/h2/proxy/audit")).body(bytes("x")).unwrap();
    let answer = setup.admin().h2().await.unwrap().fetch(request).await.unwrap();
    let received = Received::parse(&answer.body).unwrap();
    let ids = received.header("audit-id");
    assert!(ids.len() == 1 && ids[0].len() == 36, "{ids:?}");
}

#[tokio::test]
async fn a_large_header_passes() {
    let client = setup().await.admin();
    // A service account's token with many groups, a WebSocket's list of protocols: kube-apiserver allows 1 MiB.
    let large = "v".repeat(40_000);
    for received in send(&client, &[("x-large", &large)]).await {
        assert!(received.header("x-large") == [large.as_str()], "{}", received.version);
    }
}
