//! What ten thousand clusters and a thousand watches cost. Prints figures; what it asserts holds for debug builds too.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::client::{H2, empty};
use e2e::lab::{Gateway, GatewayOptions, shared, until};
use futures::future::{join_all, try_join_all};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{NAMESPACE, nowhere};
use crate::through::{master, percentile};

const CLUSTERS: usize = 10_000;
const WATCHES: usize = 1_000;
const LIST: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";

#[tokio::test]
#[ignore = "long: ten thousand Secrets and a thousand watches, measured"]
async fn ten_thousand_clusters_and_a_thousand_watches_are_measured() {
    let hub = shared().await.start_hub("api-watch-many").await.unwrap();
    let client = hub.admin_client().await.unwrap();
    hub.ensure_namespace(NAMESPACE).await.unwrap();
    nowhere("c0").apply(&client).await.unwrap();
    let writes = stream::iter(1..CLUSTERS).map(|number| {
        let client = client.clone();
        async move { nowhere(&format!("c{number}")).apply(&client).await }
    });
    writes.buffer_unordered(32).try_collect::<Vec<_>>().await.unwrap();

    let began = Instant::now();
    let gateway = Gateway::start(&hub, GatewayOptions::new(&hub, NAMESPACE)).await.unwrap();
    eprintln!("ready {:?} after its start, {} MB", began.elapsed(), gateway.rss_kb().unwrap() / 1024);
    let connections = try_join_all((0..4).map(|_| async { master(&gateway).h2().await })).await.unwrap();
    let mut times = Vec::new();
    let mut size = 0;
    for _ in 0..5 {
        let began = Instant::now();
        let answer = connections[0].get(LIST).await.unwrap();
        times.push(began.elapsed());
        assert_eq!(answer.status, 200);
        size = answer.body.len();
    }
    times.sort_unstable();
    eprintln!("a list of {} MB: {times:?}; {} MB then", size >> 20, gateway.rss_kb().unwrap() / 1024);

    let list = connections[0].get(&format!("{LIST}?limit=1")).await.unwrap().json().unwrap();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let before = gateway.rss_kb().unwrap();
    let opened = (0..WATCHES).map(|number| open(&connections[number % 4], &version));
    let mut watches = try_join_all(opened).await.unwrap();
    let each = (gateway.rss_kb().unwrap().saturating_sub(before)) * 1024 / WATCHES as u64;
    eprintln!(
        "{WATCHES} idle watches: {} MB more, {each} bytes each",
        gateway.rss_kb().unwrap().saturating_sub(before) / 1024
    );

    let mut latencies = Vec::new();
    for round in 0..10 {
        let round = round.to_string();
        let told = join_all(watches.iter_mut().map(|watch| arrival(watch, &round)));
        let write = async {
            nowhere("c7").label("round", &round).apply(&client).await.unwrap();
            Instant::now()
        };
        let (written, told) = tokio::join!(write, told);
        for at in told {
            latencies.push(at.unwrap().saturating_duration_since(written));
        }
    }
    latencies.sort_unstable();
    let (half, most) = (percentile(&latencies, 50), percentile(&latencies, 99));
    eprintln!(
        "a change reaches {WATCHES} watches: p50 {half:?}, p99 {most:?} after the hub's answer; {} MB",
        gateway.rss_kb().unwrap() / 1024
    );
    let metrics = until("the metrics", Duration::from_secs(10), || async {
        let text = connections[0].get("/metrics").await?.text();
        ensure!(text.contains("cluster_gateway_api_watches{resource=\"clustergateways\"} 1000"), "{text}");
        Ok(text)
    });
    metrics.await.unwrap();
    assert!(each < 64 << 10, "{each} bytes for an idle watch");
    assert!(most < Duration::from_secs(2), "{most:?}");
}

async fn open(connection: &H2, version: &str) -> Result<Incoming> {
    let path = format!("{LIST}?watch=1&allowWatchBookmarks=1&resourceVersion={version}&timeoutSeconds=3000");
    let answer = connection.send(Request::get(path).body(empty())?).await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    Ok(answer.into_body())
}

/// When a watch was told of a round.
async fn arrival(watch: &mut Incoming, round: &str) -> Result<Instant> {
    let wanted = format!("\"round\":\"{round}\"");
    let mut text = String::new();
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(60), watch.frame()).await?;
        let data = frame.context("the watch has ended")??.into_data().unwrap_or_default();
        text.push_str(&String::from_utf8_lossy(&data));
        if text.contains(&wanted) {
            return Ok(Instant::now());
        }
    }
}
