//! A credential that a cluster does not take any more is renewed once for all, and nobody notices.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use e2e::client::{bytes, empty};
use e2e::echo::{Echo, EchoOptions, Received};
use e2e::lab::{Authority, Registration, shared, until};
use futures::future::join_all;
use http::Request;
use serde_json::json;

use super::{Bench, FROM_FILE, Plugin, SOON, account, certificate, end_account};
use crate::identity::{GATEWAYS, SELF_SUBJECT_REVIEW};

#[tokio::test]
async fn a_token_that_is_revoked_is_renewed_once_and_no_request_fails_whatever_its_method() {
    let member = shared().await.member(1);
    let plugin = Plugin::new(FROM_FILE);
    let (old, new) = (account(member, "t5-old").await, account(member, "t5-new").await);
    plugin.answer(json!({"token": old}));
    let bench = Bench::with("t5-revoked", &plugin).await;
    bench.register(&plugin.cluster("t5-revoked", member)).await;
    assert_eq!(bench.ask(member.name()).await.status, 200);
    plugin.answer(json!({"token": new}));
    let connection = bench.caller.h2().await.unwrap();
    let path = format!("{GATEWAYS}/{}/proxy/apis/authentication.k8s.io/v1/selfsubjectreviews", member.name());
    let is_renewed = AtomicBool::new(false);
    let load = (0..100).map(|_| async {
        while !is_renewed.load(Ordering::Relaxed) {
            let request = Request::post(&path).header("content-type", "application/json");
            let answer = connection.fetch(request.body(bytes(SELF_SUBJECT_REVIEW)).unwrap()).await.unwrap();
            assert_eq!(answer.status, 201, "{}", answer.text());
            if answer.text().contains("t5-new") {
                is_renewed.store(true, Ordering::Relaxed);
            }
        }
    });
    let rotate = async {
        assert_eq!(plugin.runs(), 1, "it was not run without need");
        end_account(member, "t5-old").await;
    };
    let rotated = async { tokio::join!(join_all(load), rotate) };
    tokio::time::timeout(SOON, rotated).await.expect("the old token is still taken");
    assert_eq!(plugin.runs(), 2, "once for all who were refused");

    // What is refused and cannot be renewed is a 502 that says so, and costs no run per request.
    end_account(member, "t5-new").await;
    let refused = until("the new token is refused as well", SOON, || async {
        let answer = bench.ask(member.name()).await;
        ensure!(answer.status == 502, "{}", answer.status);
        Ok(answer)
    })
    .await
    .unwrap();
    let message = refused.json().unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("answered 401: it refused the gateway's credential"), "{message}");
    let before = plugin.runs();
    for _ in 0..50 {
        assert_eq!(bench.ask(member.name()).await.status, 502);
    }
    assert!(plugin.runs() <= before + 6, "{} runs for 50 requests", plugin.runs() - before);
}

#[tokio::test]
async fn a_refused_request_is_sent_once_more_with_another_credential_and_only_with_its_whole_body() {
    let plugin = Plugin::new(
        "echo run >> runs; n=$(wc -l < runs)\n\
         echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"t5-'$n'\"}}'",
    );
    let bench = Bench::with("t5-repeated", &plugin).await;
    // It reads a request's body before it refuses it.
    for (name, method, size, sent) in [
        ("t5-delete", "DELETE", 0, 2),
        ("t5-small", "POST", 10_000, 2),
        ("t5-large", "POST", 500_000, 1),
        ("t5-upgrade", "GET", 0, 2),
    ] {
        let echo = Echo::start(EchoOptions::default()).unwrap();
        let exec = plugin.config(&[]);
        bench.register(&Registration::dynamic("t5-repeated", name, &echo.url(), echo.ca_pem(), &exec)).await;
        let request = Request::builder().method(method).uri(format!("{GATEWAYS}/{name}/proxy/x?status=401"));
        let request = match name {
            "t5-upgrade" => request.header("connection", "Upgrade").header("upgrade", "websocket"),
            _ => request,
        };
        let body = if size == 0 { empty() } else { bytes(vec![b'x'; size]) };
        let answer = bench.caller.h1().await.unwrap().fetch(request.body(body).unwrap()).await.unwrap();
        assert_eq!(answer.status, 502, "{}", answer.text());
        let received = echo.received();
        let tokens: Vec<_> = received.iter().map(|request| request.header("authorization")).collect();
        assert_eq!(tokens.len(), sent, "{name}: {tokens:?}");
        assert!(sent == 1 || tokens[0] != tokens[1], "{name}: {tokens:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_refused_in_the_handshake_is_renewed_and_the_request_repeated() {
    let authority = Authority::new("t5-clients").unwrap();
    let stranger = Authority::new("t5-strangers").unwrap();
    let echo = Echo::start(EchoOptions::default().client_ca(authority.pem())).unwrap();
    let plugin = Plugin::new(FROM_FILE);
    plugin.answer(certificate(&stranger.client("t5-stranger", &[]).unwrap()));
    let bench = Bench::with("t5-handshake", &plugin).await;
    let exec = plugin.config(&[]);
    bench.register(&Registration::dynamic("t5-handshake", "t5-tls", &echo.url(), echo.ca_pem(), &exec)).await;
    // Somebody is refused, and there is no other certificate.
    let path = format!("{GATEWAYS}/t5-tls/proxy/x");
    let request = || Request::post(&path).body(bytes("once")).unwrap();
    let refused = bench.caller.h1().await.unwrap().fetch(request()).await.unwrap();
    assert_eq!(refused.status, 502, "{}", refused.text());
    assert!(refused.text().contains("credential"), "{}", refused.text());
    plugin.answer(certificate(&authority.client("t5-known", &[]).unwrap()));
    let received = until("it is renewed", SOON, || async {
        let answer = bench.caller.h1().await?.fetch(request()).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        Received::parse(&answer.body)
    })
    .await
    .unwrap();
    assert_eq!((received.client.as_deref(), received.body_length), (Some("t5-known"), 4));
    assert_eq!(echo.received().len(), 1, "nobody else was listened to");
}
