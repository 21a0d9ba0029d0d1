//! Attempts to be somebody else, and to hide one request in another.

use std::time::Duration;

use e2e::client::HttpsClient;
use e2e::lab::{rule, shared, user};
use k8s_openapi::api::rbac::v1::PolicyRule;

use super::setup::{CLUSTERS, Setup, TOKEN, code, setup};

/// Lines besides those of the hub, and the code that is due. With 200 the request arrives as the hub meant it.
const LINES: &[(&str, u16)] = &[
    // Connection names what is to be dropped: never what tells who calls, nor what we add.
    ("Connection: close, X-Remote-User, X-Remote-Group\r\n", 200),
    ("Connection: close, Authorization, X-Forwarded-For, Audit-ID, Host\r\n", 200),
    ("connection: ClOsE, x-ReMoTe-uSeR\r\n", 200),
    ("Connection: close\r\nX-rEmOtE-eXtRa-Scopes: admin\r\nx-remote-extra-a%2Fb: c\r\n", 200),
    ("Connection: close\r\nX-Remote-Uid: 0\r\nX-REMOTE-ANYTHING: x\r\n", 200),
    ("Connection: close\r\naUtHoRiZaTiOn: Bearer mine\r\nAuthorization: Basic also-mine\r\n", 200),
    ("Connection: close\r\nProxy-Authorization: Basic mine\r\npRoXy-CoNnEcTiOn: x\r\n", 200),
    // A second identity does not replace the first.
    ("Connection: close\r\nX-Remote-User: system:apiserver\r\nX-Remote-User: root\r\n", 200),
    // Folded lines (RFC 9112 section 5.2), and what is no header line at all.
    ("Connection: close\r\nX-Folded: a\r\n X-Remote-User: root\r\n", 400),
    ("Connection: close\r\nX-Folded: a\r\n\tb\r\n", 400),
    ("Connection: close\r\nX-Remote-User : root\r\n", 400),
    ("Connection: close\r\n X-Remote-User: root\r\n", 400),
    ("Connection: close\r\nX Remote User: root\r\n", 400),
    ("Connection: close\r\nno colon\r\n", 400),
    ("Connection: close\r\nX-Nul: a\0b\r\n", 400),
    ("Connection: close\r\nX-Return: a\rX-Remote-User: root\r\n", 400),
    ("Connection: close\r\n: empty\r\n", 400),
];

/// A body's framing (RFC 9112 section 6.3), each with a second request in what one reader might take for the rest.
/// With 200 the transfer coding alone counted, which is allowed when the connection is closed then.
const FRAMES: &[(&str, &str, u16)] = &[
    ("Content-Length: 4\r\nContent-Length: 5\r\n", "abcd", 400),
    ("Content-Length: 4\r\nContent-Length: 4\r\n", "abcd", 400),
    ("Content-Length: 4, 4\r\n", "abcd", 400),
    ("Content-Length: 4, 5\r\n", "abcd", 400),
    ("Content-Length: +4\r\n", "abcd", 400),
    ("Content-Length: -1\r\n", "abcd", 400),
    ("Content-Length: 0x4\r\n", "abcd", 400),
    ("Content-Length: 4 4\r\n", "abcd", 400),
    ("Content-Length: \r\n", "abcd", 400),
    ("Content-Length: 99999999999999999999999\r\n", "abcd", 400),
    ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", 200),
    ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n", 200),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", 400),
    ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n", 400),
    ("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n", 400),
    ("Transfer-Encoding: gzip\r\n", "0\r\n\r\n", 400),
    ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n", 400),
    ("Transfer-Encoding : chunked\r\n", "0\r\n\r\n", 400),
    ("Transfer-Encoding:\x0bchunked\r\n", "0\r\n\r\n", 400),
    ("X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n", 400),
];

#[tokio::test]
async fn header_lines_cannot_change_who_calls_or_what_the_cluster_is_told() {
    let setup = setup().await;
    for (number, (lines, expected)) in LINES.iter().enumerate() {
        for cluster in ["h1", "h2"] {
            let mark = format!("smuggled-lines-{number}-{cluster}");
            let answer = setup.raw(&format!("GET {CLUSTERS}/{cluster}/proxy/{mark}"), lines, "").await;
            assert_eq!(code(&answer), *expected, "{lines:?}: {answer}");
            let reached = setup.reached(&mark);
            assert_eq!(reached.len(), usize::from(*expected == 200), "{lines:?}");
            for received in reached {
                let case = format!("{lines:?}: {:?}", received.headers);
                assert_eq!(received.header("authorization"), [format!("Bearer {TOKEN}")], "{case}");
                assert_eq!(received.header("x-forwarded-for"), ["127.0.0.1"], "{case}");
                assert_eq!(received.header("audit-id").len(), 1, "{case}");
                let own = if cluster == "h1" { setup.h1.address() } else { setup.h2.address() };
                assert_eq!(received.authority, own.to_string(), "{case}");
                assert!(!received.has_header_starting("x-remote-"), "{case}");
                assert!(!received.has_header_starting("proxy-"), "{case}");
                assert!(!received.has_header_starting("connection"), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn impersonation_by_header_needs_the_right_to_it_and_never_reaches_a_cluster() {
    let setup = setup().await;
    let hub = shared().await.hub();
    let named = PolicyRule {
        resource_names: Some(vec!["h1".to_owned()]),
        ..rule("cluster.core.oam.dev", "clustergateways/proxy", &["get"])
    };
    hub.grant("paths-caller", user("paths-caller"), vec![named]).await.unwrap();
    let caller = setup.gateway.front_proxy("paths-caller", &["system:authenticated"]).unwrap();
    let ask = async |client: &HttpsClient, cluster: &str, mark: &str, lines: &str| {
        let request = format!(
            "GET {CLUSTERS}/{cluster}/proxy/{mark} HTTP/1.1\r\n{}Connection: close\r\n{lines}\r\n",
            client.header_lines()
        );
        let answer = client.raw(request.as_bytes(), Duration::from_secs(10)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    assert_eq!(code(&ask(&caller, "h1", "impersonated-not", "").await), 200);
    for (number, lines) in [
        "iMpErSoNaTe-UsEr: root\r\n",
        "Impersonate-User: root\r\nImpersonate-Group: system:masters\r\n",
        "impersonate-user: root\r\niMPERSONATE-eXTRA-sCOPES: x\r\n",
        "IMPERSONATE-GROUP: system:masters\r\n",
        "Impersonate-Uid: 0\r\n",
        "Connection: Impersonate-User\r\nImpersonate-User: root\r\n",
    ]
    .iter()
    .enumerate()
    {
        for cluster in ["h1", "h2"] {
            let answer = ask(&caller, cluster, &format!("impersonated-{number}"), lines).await;
            assert!((400..=403).contains(&code(&answer)) || code(&answer) == 500, "{lines:?}: {answer}");
        }
        assert!(setup.reached(&format!("impersonated-{number}")).is_empty(), "{lines:?}");
    }
    // Who may: the hub decides by the other name, and the cluster hears of neither.
    let lines = "Impersonate-User: paths-caller\r\niMpErSoNaTe-GrOuP: system:authenticated\r\n";
    let answer = ask(&setup.admin(), "h1", "impersonated-caller", lines).await;
    assert_eq!(code(&answer), 200, "{answer}");
    assert!(!setup.reached("impersonated-caller")[0].has_header_starting("impersonate-"));
    let answer = ask(&setup.admin(), "h2", "impersonated-caller", lines).await;
    assert_eq!(code(&answer), 403, "{answer}");
    assert!(answer.contains("User \\\"paths-caller\\\" cannot get"), "{answer}");
}

#[tokio::test]
async fn a_body_whose_length_can_be_read_in_two_ways_is_refused_with_what_follows_it() {
    let setup = setup().await;
    for (number, (lines, body, expected)) in FRAMES.iter().enumerate() {
        for cluster in ["h1", "h2"] {
            let mark = format!("smuggled-frame-{number}-{cluster}");
            let hidden = format!(
                "GET {CLUSTERS}/{cluster}/proxy/{mark}-hidden HTTP/1.1\r\n{}Connection: close\r\n\r\n",
                setup.admin().header_lines()
            );
            let line = format!("POST {CLUSTERS}/{cluster}/proxy/{mark}");
            let answer = setup.raw(&line, lines, &format!("{body}{hidden}")).await;
            assert_eq!(code(&answer), *expected, "{lines:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lines:?}: {answer}");
            let reached = setup.reached(&mark);
            assert_eq!(reached.len(), usize::from(*expected == 200), "{lines:?}: {reached:?}");
            for received in reached {
                assert!(received.target.ends_with(&mark) && received.body_length == 0, "{received:?}");
                let framing =
                    (received.header("content-length").len(), received.header("transfer-encoding").len());
                assert!(framing.0 + framing.1 < 2, "{received:?}");
            }
        }
    }
}

#[tokio::test]
async fn chunks_that_are_malformed_reach_no_cluster_whole_and_hide_no_request() {
    let setup = setup().await;
    for (number, body) in
        ["zz\r\nabcd\r\n0\r\n\r\n", "-4\r\nabcd\r\n0\r\n\r\n", "4\r\nabcdEF\r\n0\r\n\r\n"].iter().enumerate()
    {
        let mark = format!("smuggled-chunks-{number}");
        let hidden = hidden(setup, &mark);
        let line = format!("POST {CLUSTERS}/h1/proxy/{mark}");
        let answer = setup.raw(&line, "Transfer-Encoding: chunked\r\n", &format!("{body}{hidden}")).await;
        assert!(code(&answer) == 0 || code(&answer) >= 400, "{body:?}: {answer}");
        assert!(setup.reached(&format!("{mark}-hidden")).is_empty(), "{body:?}: {answer}");
    }
}

#[tokio::test]
async fn requests_in_one_write_are_each_answered_and_authorized_for_itself() {
    let setup = setup().await;
    let hub = shared().await.hub();
    let named = PolicyRule {
        resource_names: Some(vec!["h1".to_owned()]),
        ..rule("cluster.core.oam.dev", "clustergateways/proxy", &["get"])
    };
    hub.grant("paths-pipeline", user("paths-pipeline"), vec![named]).await.unwrap();
    let client = setup.gateway.front_proxy("paths-pipeline", &["system:authenticated"]).unwrap();
    let lines = client.header_lines();
    let request = format!(
        "GET {CLUSTERS}/h1/proxy/pipelined-1 HTTP/1.1\r\n{lines}\r\n\
         GET {CLUSTERS}/h2/proxy/pipelined-2 HTTP/1.1\r\n{lines}\r\n\
         GET {CLUSTERS}/h1/proxy/pipelined-3 HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"
    );
    let answer = client.raw(request.as_bytes(), Duration::from_secs(10)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let codes: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(codes, ["200", "403", "200"], "{answer}");
    assert!(setup.reached("pipelined-2").is_empty());
}

fn hidden(setup: &Setup, mark: &str) -> String {
    let lines = setup.admin().header_lines();
    format!("GET {CLUSTERS}/h1/proxy/{mark}-hidden HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")
}
