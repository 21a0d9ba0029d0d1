//! How much is told apart, and for how long.

use anyhow::{Result, ensure};
use e2e::client::H2;
use e2e::echo::{Echo, EchoOptions};
use e2e::lab::{Authority, Gateway, Registration, shared, until};

use super::traffic::SOON;
use crate::through::{echo_cluster, master, own_gateway, path, register, until_code};

struct Fleet {
    gateway: Gateway,
    connection: H2,
    clusters: [Registration; 2],
    _echo: Echo,
}

/// Two clusters that were asked once each.
async fn fleet(namespace: &str, flags: &[&str]) -> Fleet {
    let gateway = own_gateway(namespace, flags).await;
    let echo = Echo::start(EchoOptions::default()).unwrap();
    let identity = Authority::new("options-ca").unwrap().client("gateway", &[]).unwrap();
    let clusters = ["one", "two"].map(|name| echo_cluster(namespace, name, &echo, &identity));
    register(&clusters).await;
    let connection = master(&gateway).h2().await.unwrap();
    for name in ["one", "two"] {
        until_code(&connection, &path(name, "/api/v1/pods"), 200).await;
    }
    Fleet { gateway, connection, clusters, _echo: echo }
}

impl Fleet {
    async fn scrape(&self) -> Result<String> {
        let answer = self.connection.get("/metrics").await?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(answer.text())
    }
}

#[tokio::test]
async fn series_of_a_cluster_go_with_its_secret() {
    let fleet = fleet("metrics-removed", &[]).await;
    let text = fleet.scrape().await.unwrap();
    for name in ["one", "two"] {
        for metric in [
            "ocm_proxy_proxied_request_duration_seconds_count",
            "cluster_gateway_requests_in_flight",
            "cluster_gateway_cluster_verified",
            "cluster_gateway_credential_expiry_timestamp_seconds",
        ] {
            assert!(text.contains(&format!("{metric}{{cluster=\"{name}\"")), "{metric} of {name}: {text}");
        }
    }
    fleet.clusters[0].delete(&shared().await.hub().admin_client().await.unwrap()).await.unwrap();
    until("the end of its series", SOON, || async {
        let text = fleet.scrape().await?;
        ensure!(!text.contains("cluster=\"one\""), "{text}");
        ensure!(
            text.contains("ocm_proxy_proxied_requests_by_cluster_total{cluster=\"two\",code=\"200\"}"),
            "{text}"
        );
        ensure!(text.contains("\ncluster_gateway_cluster_histograms 2\n"), "{text}");
        Ok(())
    })
    .await
    .unwrap();
    assert!(fleet.gateway.process().pid().is_some());
}

#[tokio::test]
async fn clusters_are_added_up_where_the_operator_wants_it_so() {
    let fleet = fleet("metrics-added-up", &["--metrics-per-cluster=false"]).await;
    let text = fleet.scrape().await.unwrap();
    assert!(!text.contains("cluster=\"one\"") && !text.contains("cluster=\"two\""), "{text}");
    for line in [
        "cluster_gateway_requests_in_flight{cluster=\"\"} 0",
        "cluster_gateway_cluster_verified{cluster=\"\"} 1",
        "cluster_gateway_upstream_header_duration_seconds_count{cluster=\"\"} 2",
    ] {
        assert!(text.lines().any(|own| own == line), "{line} is not in {text}");
    }
}

#[tokio::test]
async fn histograms_beyond_those_that_there_may_be_are_those_of_all() {
    let fleet = fleet("metrics-limited", &["--metrics-cluster-histograms=2"]).await;
    let text = fleet.scrape().await.unwrap();
    let count = |cluster: &str| {
        let start =
            format!("cluster_gateway_upstream_header_duration_seconds_count{{cluster=\"{cluster}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&start)?.parse::<u64>().ok())
    };
    assert_eq!([count("one"), count("two"), count("")], [Some(1), None, Some(1)], "{text}");
    assert!(
        text.contains("ocm_proxy_proxied_requests_by_cluster_total{cluster=\"two\",code=\"200\"} 1"),
        "{text}"
    );
}
