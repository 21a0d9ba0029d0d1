//! What ten thousand clusters, each with certificates of its own, and a thousand watches cost. Prints figures; the
//! bounds that stand for a release build are asserted of one only.

use std::time::Duration;

use e2e::lab::{Cost, Crowd, Gateway, GatewayOptions, gateway_binary, shared};

const CLUSTERS: usize = 10_000;
const WATCHES: usize = 1_000;
const MB: u64 = 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: ten thousand Secrets and a thousand watches, measured"]
async fn ten_thousand_clusters_and_a_thousand_watches_are_measured() {
    let hub = shared().await.start_hub("api-watch-many").await.unwrap();
    let crowd = Crowd::new("few", 3);
    crowd.register(&hub).await.unwrap();
    let few = Gateway::start(&hub, GatewayOptions::new(&hub, "few")).await.unwrap();
    let few_kb = few.rss_kb().unwrap();
    drop(few);

    let crowd = Crowd::new("clusters", CLUSTERS);
    crowd.register(&hub).await.unwrap();
    let (cost, gateway) = Cost::measure(&hub, &crowd, WATCHES).await.unwrap();
    eprintln!("3 clusters: {:.1} MB at rest", few_kb as f64 / 1024.0);
    eprintln!("{cost}");
    assert!(gateway.process().usage().is_ok(), "it has ended:\n{}", gateway.process().log_tail(25));
    assert!(cost.watch_bytes < 64 << 10, "{} bytes for an idle watch", cost.watch_bytes);
    assert!(cost.told_within(99) < Duration::from_secs(2), "{:?}", cost.told_within(99));
    if is_release() {
        assert!(few_kb <= 15 * MB, "{few_kb} kB with three clusters");
        for kb in [cost.rest_kb, cost.listed_kb, cost.told_kb, cost.left_kb] {
            assert!(kb <= 100 * MB, "{kb} kB: {cost}");
        }
        assert!(cost.ready <= Duration::from_secs(1), "{cost}");
        assert!(cost.served[cost.served.len() / 2] <= Duration::from_millis(100), "{cost}");
        assert!(cost.told_within(99) <= Duration::from_millis(100), "{cost}");
    }
}

/// By cargo's folders: `target/release/cluster-gateway`.
fn is_release() -> bool {
    let binary = gateway_binary().unwrap();
    binary.parent().is_some_and(|folder| folder.ends_with("release"))
}
