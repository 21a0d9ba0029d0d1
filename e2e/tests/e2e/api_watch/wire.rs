//! Watches as they are on the wire.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use e2e::client::empty;
use e2e::lab::shared;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

use crate::through::{master, own_gateway, until_code};

const BASE: &str = "/apis/cluster.core.oam.dev/v1alpha1";
/// Events come at once; machines are busy.
const SOON: Duration = Duration::from_secs(30);

/// A body, read line by line.
struct Lines(Incoming, Vec<u8>);

impl Lines {
    /// The next line; none at the end, which has to be a whole one.
    async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(end) = self.1.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.1.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            match timeout(SOON, self.0.frame()).await.context("nothing comes")? {
                Some(frame) => self.1.extend(frame?.into_data().unwrap_or_default()),
                None => {
                    anyhow::ensure!(self.1.is_empty(), "half an event at the end");
                    return Ok(None);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_watch_is_told_at_once_and_ends_whole_when_the_gateway_drains() {
    let gateway = own_gateway("t4-wire", &["--shutdown-delay-duration=0s"]).await;
    let client = master(&gateway);
    let h2 = client.h2().await.unwrap();
    until_code(&h2, &format!("{BASE}/clustergateways"), 200).await;
    let watch = |path: &str| Request::get(format!("{BASE}{path}")).body(empty()).unwrap();
    let mut h1 = client.h1().await.unwrap();
    let answer = h1.send(watch("/virtualclusters?watch=1")).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["transfer-encoding"]),
        (200, &"chunked".parse().unwrap())
    );
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["cache-control"], "no-cache, private");
    let mut over_h1 = Lines(answer.into_body(), Vec::new());
    let answer = h2.send(watch("/watch/clustergateways?allowWatchBookmarks=1")).await.unwrap();
    let mut over_h2 = Lines(answer.into_body(), Vec::new());
    // What there was, which here is the hub alone; and that this is all.
    let local = over_h1.next().await.unwrap().unwrap();
    assert_eq!((&local["type"], &local["object"]["metadata"]["name"]), (&"ADDED".into(), &"local".into()));
    let end = over_h2.next().await.unwrap().unwrap();
    assert_eq!(end["type"], "BOOKMARK");
    assert_eq!(end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");

    let hub = shared().await.hub().admin_client().await.unwrap();
    let cluster = e2e::lab::Registration::token("t4-wire", "a", "https://127.0.0.1:1", "", "x").without_ca();
    cluster.apply(&hub).await.unwrap();
    for lines in [&mut over_h1, &mut over_h2] {
        let added = lines.next().await.unwrap().unwrap();
        assert_eq!((&added["type"], &added["object"]["metadata"]["name"]), (&"ADDED".into(), &"a".into()));
    }
    gateway.sigterm().unwrap();
    assert_eq!(over_h1.next().await.unwrap(), None);
    assert_eq!(over_h2.next().await.unwrap(), None);
    assert_eq!(gateway.wait_exit(SOON).await.unwrap(), 0);
}

#[tokio::test]
async fn a_watch_lasts_as_long_as_is_asked_and_says_where_to_go_on() {
    let gateway = own_gateway("t4-timeout", &[]).await;
    let h2 = master(&gateway).h2().await.unwrap();
    until_code(&h2, &format!("{BASE}/clustergateways"), 200).await;
    let began = Instant::now();
    let path = format!("{BASE}/clustergateways?watch=1&timeoutSeconds=2&resourceVersion=0");
    let answer = h2.get(&path).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2) && took < SOON, "{took:?}");

    let old = h2.get(&format!("{BASE}/clustergateways?watch=1&resourceVersion=1")).await.unwrap();
    let event: Value = old.json().unwrap();
    assert_eq!((old.status, &event["type"], &event["object"]["code"]), (200, &"ERROR".into(), &410.into()));
    let message = event["object"]["message"].as_str().unwrap();
    assert!(message.starts_with("too old resource version: 1 ("), "{message}");
}
