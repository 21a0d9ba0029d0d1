//! A credential that a cluster does not take any more is renewed once for all, and nobody notices.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use e2e::client::bytes;
use e2e::lab::{shared, until};
use futures::future::join_all;
use http::Request;
use serde_json::json;

use super::{Bench, FROM_FILE, Plugin, SOON, account, end_account};
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
    let path = format!(
        "{GATEWAYS}/{}/proxy/apis/authentication.k8s.io/v1/selfsubjectreviews",
        member.name()
    );
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
    assert!(plugin.runs() <= before + 3, "{} runs for 50 requests", plugin.runs() - before);
}

#[tokio::test]
async fn a_body_that_is_too_large_to_be_kept_is_not_sent_twice() {
    let member = shared().await.member(1);
    let plugin = Plugin::new(FROM_FILE);
    plugin.answer(json!({"token": "t5-nobody"}));
    let bench = Bench::with("t5-large", &plugin).await;
    bench.register(&plugin.cluster("t5-large", member)).await;
    assert_eq!(bench.ask(member.name()).await.status, 502);
    let good = account(member, "t5-large").await;
    plugin.answer(json!({"token": good}));
    let path = format!("{GATEWAYS}/{}/proxy/api/v1/namespaces/default/configmaps", member.name());
    let map = |name: &str, size: usize| {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
            "data": {"x": "x".repeat(size)}});
        let request = Request::post(&path).header("content-type", "application/json");
        request.body(bytes(map.to_string())).unwrap()
    };
    let mut connection = bench.caller.h1().await.unwrap();
    let large = connection.fetch(map("t5-large", 500_000)).await.unwrap();
    assert_eq!(large.status, 502, "{}", large.text());
    let runs = plugin.runs();
    until("a small one is sent again with the good one", SOON, || async {
        let mut connection = bench.caller.h1().await?;
        let small = connection.fetch(map("t5-small", 1000)).await?;
        ensure!(matches!(small.status, 201), "{}", small.text());
        Ok(())
    })
    .await
    .unwrap();
    assert!(plugin.runs() > runs, "the large one was a reason to renew");
}
