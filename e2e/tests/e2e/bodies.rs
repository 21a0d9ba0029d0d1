//! Bodies of any size, both ways, in constant memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use e2e::client::{Answer, Body, H2, HttpsClient, bytes, empty, streamed};
use e2e::echo::{Echo, EchoOptions, Received};
use e2e::lab::{
    ControlPlane, Gateway, GatewayOptions, Registration, SHARED_NAMESPACE, shared, shared_gateway, until,
};
use futures::future::try_join_all;
use http::Request;
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use sha2::{Digest as _, Sha256};

const CLUSTERS: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const MIB: usize = 1 << 20;
const EXCHANGED: usize = 20_000_000;

#[tokio::test]
async fn lists_of_50_mb_creates_of_1_mb_and_the_members_own_413_pass() {
    shared_gateway().await;
    let lab = shared().await;
    let member = lab.start_member("bodies-member").await.unwrap();
    let admin = lab.hub().admin_client().await.unwrap();
    let registration = Registration::member(SHARED_NAMESPACE, &member).unwrap();
    registration.apply(&admin).await.unwrap();
    fill(&member).await.unwrap();
    let hub = hub_client(lab.hub()).unwrap().h2().await.unwrap();
    let proxy = format!("{CLUSTERS}/bodies-member/proxy");
    served(&hub, &format!("{proxy}/version")).await.unwrap();
    let identity = member.issue("bodies-direct", &["system:masters"]).unwrap();
    let address = ([127, 0, 0, 1], member.port()).into();
    let direct = HttpsClient::new(address, "localhost", &member.ca_pem(), Some(&identity)).unwrap();
    let direct = direct.h2().await.unwrap();

    let begun = Instant::now();
    let list = hub.get(&format!("{proxy}{MAPS}")).await.unwrap();
    eprintln!("a list of {} bytes through hub and gateway: {:?}", list.body.len(), begun.elapsed());
    assert_eq!(list.status, 200);
    assert!(list.body.len() > 50_000_000, "{} bytes", list.body.len());
    let own = direct.get(MAPS).await.unwrap();
    assert!(items(&list.body) == items(&own.body), "not what the member itself lists");
    let packed =
        Request::get(format!("{proxy}{MAPS}")).header("accept-encoding", "gzip").body(empty()).unwrap();
    let packed = hub.fetch(packed).await.unwrap();
    assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")));
    assert!(packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() < list.body.len() / 10);

    let create = |name: &str, size: usize, path: &str| {
        let request = Request::post(path).header("content-type", "application/json");
        request.body(bytes(map(name, size).to_string())).unwrap()
    };
    let created = hub.fetch(create("bodies-one", MIB, &format!("{proxy}{MAPS}"))).await.unwrap();
    assert_eq!(created.status, 201, "{}", created.text());
    let there = direct.get(&format!("{MAPS}/bodies-one")).await.unwrap().json().unwrap();
    assert_eq!(there["data"]["filler"].as_str().map(str::len), Some(MIB));

    let own = direct.fetch(create("bodies-large", 4 * MIB, MAPS)).await.unwrap();
    assert_eq!((own.status, own.json().unwrap()["reason"].clone()), (413, json!("RequestEntityTooLarge")));
    for size in [4 * MIB, 16 * MIB] {
        let passed = hub.fetch(create("bodies-large", size, &format!("{proxy}{MAPS}"))).await.unwrap();
        assert_eq!(passed.status, 413, "{size}: {}", passed.text());
        assert_eq!(passed.json().unwrap(), own.json().unwrap(), "{size}");
    }
    registration.delete(&admin).await.unwrap();
}

#[tokio::test]
async fn bodies_of_20_mb_pass_both_ways_over_both_protocols() {
    shared_gateway().await;
    let lab = shared().await;
    let admin = lab.hub().admin_client().await.unwrap();
    let hub = hub_client(lab.hub()).unwrap().h2().await.unwrap();
    let sent = Bytes::from(pattern(EXCHANGED));
    for (name, options) in [("bodies-h1", EchoOptions::h1()), ("bodies-h2", EchoOptions::default())] {
        let echo = Echo::start(options).unwrap();
        let registration = registration(SHARED_NAMESPACE, name, &echo).unwrap();
        registration.apply(&admin).await.unwrap();
        let path = format!("{CLUSTERS}/{name}/proxy/{name}");
        served(&hub, &path).await.unwrap();
        let begun = Instant::now();
        let back = hub.fetch(Request::post(format!("{path}?echo=1")).body(bytes(sent.clone())).unwrap());
        let back = back.await.unwrap();
        assert!(back.status == 200 && back.body == sent, "{name}: {} bytes came back", back.body.len());
        eprintln!("{name}: 20 MB both ways through hub and gateway: {:?}", begun.elapsed());
        for body in [bytes(sent.clone()), chunks(&sent)] {
            let answer = hub.fetch(Request::put(path.as_str()).body(body).unwrap()).await.unwrap();
            let received = Received::parse(&answer.body).unwrap();
            assert_eq!(received.body_length, EXCHANGED as u64, "{name}");
            assert_eq!(received.body_sha256, sha256(&sent), "{name}");
            assert_eq!(received.version, if name.ends_with("h1") { "HTTP/1.1" } else { "HTTP/2.0" });
        }
        registration.delete(&admin).await.unwrap();
    }
}

#[tokio::test]
async fn memory_does_not_follow_the_size_of_bodies() {
    let hub = shared().await.hub();
    let gateway = Gateway::start(hub, GatewayOptions::new(hub, "bodies-memory")).await.unwrap();
    let admin = hub.admin_client().await.unwrap();
    let mut echoes = Vec::new();
    for (name, options) in [("h1", EchoOptions::h1()), ("h2", EchoOptions::default())] {
        let echo = Echo::start(options).unwrap();
        registration("bodies-memory", name, &echo).unwrap().apply(&admin).await.unwrap();
        echoes.push(echo);
    }
    let client = gateway.front_proxy("bodies", &["system:masters"]).unwrap();
    let h2 = client.h2().await.unwrap();
    for name in ["h1", "h2"] {
        served(&h2, &format!("{CLUSTERS}/{name}/proxy/")).await.unwrap();
    }
    let at_rest = gateway.rss_kb().unwrap();
    round(&client, &h2).await.unwrap();
    let before = gateway.rss_kb().unwrap();
    // Somebody who asks for much and takes nothing holds up no memory either.
    let mut stalled = Vec::new();
    for name in ["h1", "h2"] {
        let request = Request::get(format!("{CLUSTERS}/{name}/proxy/?size=100000000")).body(empty()).unwrap();
        let mut body = client.h2().await.unwrap().send(request).await.unwrap().into_body();
        ensure_data(&mut body).await.unwrap();
        stalled.push(body);
    }
    for _ in 0..3 {
        round(&client, &h2).await.unwrap();
    }
    drop(stalled);
    let after = gateway.rss_kb().unwrap();
    let peak = peak_kb(&gateway).unwrap();
    eprintln!(
        "memory of the gateway: at rest {at_rest} kB, after one round {before}, after four {after}, peak {peak}"
    );
    assert!(after < before + 5 * 1024, "{before} kB before, {after} kB after three more rounds");
    assert!(peak < at_rest + 16 * 1024, "{at_rest} kB at rest, {peak} kB at the peak");
}

/// 50 MB from each echo and 20 MB there and back, all at once, by both protocols.
async fn round(client: &HttpsClient, h2: &H2) -> Result<()> {
    let sent = Bytes::from(pattern(EXCHANGED));
    let down = async |name: &str| -> Result<()> {
        let request = Request::get(format!("{CLUSTERS}/{name}/proxy/?size=50000000")).body(empty())?;
        let mut body = h2.send(request).await?.into_body();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame?.data_ref().map_or(0, Bytes::len);
        }
        ensure!(length == 50_000_000, "{name}: {length} bytes");
        Ok(())
    };
    let both = async |name: &str| -> Result<()> {
        let request = Request::post(format!("{CLUSTERS}/{name}/proxy/?echo=1")).body(bytes(sent.clone()))?;
        let answer: Answer = client.h1().await?.fetch(request).await?;
        ensure!(answer.body == sent, "{name}: {} bytes came back", answer.body.len());
        Ok(())
    };
    tokio::try_join!(down("h1"), down("h2"), both("h1"), both("h2"))?;
    Ok(())
}

async fn ensure_data(body: &mut hyper::body::Incoming) -> Result<()> {
    let frame = body.frame().await.context("an empty body")??;
    ensure!(frame.is_data(), "no data");
    Ok(())
}

/// Sixty ConfigMaps of 0.9 MB each.
async fn fill(member: &ControlPlane) -> Result<()> {
    let maps: Arc<Api<ConfigMap>> = Arc::new(Api::namespaced(member.admin_client().await?, "default"));
    for group in 0..10 {
        let creates = (0..6).map(|number| {
            let maps = Arc::clone(&maps);
            async move {
                let map = serde_json::from_value(map(&format!("bodies-{group}-{number}"), 900_000))?;
                maps.create(&PostParams::default(), &map).await.map_err(anyhow::Error::from)
            }
        });
        try_join_all(creates).await?;
    }
    Ok(())
}

fn map(name: &str, size: usize) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"filler": "x".repeat(size)}})
}

/// The list's objects: its own resource version moves with everything that the cluster writes.
fn items(list: &[u8]) -> &[u8] {
    let start = list.windows(8).position(|window| window == b"\"items\":").unwrap_or(list.len());
    &list[start..]
}

fn hub_client(hub: &ControlPlane) -> Result<HttpsClient> {
    let identity = hub.issue("bodies", &["system:masters"])?;
    HttpsClient::new(([127, 0, 0, 1], hub.port()).into(), "localhost", &hub.ca_pem(), Some(&identity))
}

fn registration(namespace: &str, name: &str, echo: &Echo) -> Result<Registration> {
    Ok(Registration::token(namespace, name, &echo.url(), echo.ca_pem(), "bodies-token"))
}

/// Waits until the gateway knows a cluster that was registered just now.
async fn served(h2: &H2, path: &str) -> Result<()> {
    until(path, Duration::from_secs(20), || async {
        let answer = h2.get(path).await?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
        Ok(())
    })
    .await
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn chunks(body: &Bytes) -> Body {
    let pieces: Vec<_> =
        (0..body.len()).step_by(50_000).map(|at| Ok(body.slice(at..body.len().min(at + 50_000)))).collect();
    streamed(futures::stream::iter(pieces))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The most that was ever resident, kB.
fn peak_kb(gateway: &Gateway) -> Result<u64> {
    let pid = gateway.process().pid().context("it does not run")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.split_whitespace().next().context("no value")?.parse()?)
}
