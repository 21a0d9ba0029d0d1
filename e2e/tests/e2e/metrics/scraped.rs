//! A real Prometheus scrapes the gateway, with the settings of `config/prometheus`.

use anyhow::{Result, ensure};
use e2e::lab::pki::write_file;
use e2e::lab::{ControlPlane, Gateway, Prometheus, shared, until};
use serde_json::{Value, json};

use super::traffic::{SOON, Traffic};
use super::{config, yaml};

const NAMESPACE: &str = "metrics-scraped";

#[tokio::test]
async fn prometheus_scrapes_it_as_the_service_monitor_says_and_shows_every_panel() {
    let hub = shared().await.hub();
    let traffic = Traffic::start(hub, NAMESPACE).await;
    let token = scraper_token(hub).await.unwrap();
    let jobs = json!([job(&traffic.gateway, &token).unwrap(), nobody(&traffic.gateway)]);
    let prometheus = Prometheus::start(jobs, &config("prometheus/rules.yaml")).await.unwrap();
    until("the scrape", SOON, || async {
        let up = prometheus.query("up").await?;
        let value = |job: &str| up.iter().find(|series| series["metric"]["job"] == job).map(value);
        ensure!(value("cluster-gateway") == Some(1.0), "{:?}", prometheus.targets().await?);
        ensure!(value("nobody") == Some(0.0), "{up:?}");
        Ok(())
    })
    .await
    .unwrap();
    // Who may not is told so.
    let targets = prometheus.targets().await.unwrap();
    let nobody = targets.iter().find(|target| target["labels"]["job"] == "nobody").unwrap();
    assert!(nobody["lastError"].as_str().unwrap().contains("403"), "{nobody}");
    for (expression, expected) in [
        (r#"ocm_proxy_proxied_requests_by_cluster_total{cluster="echo", code="409"}"#, 1.0),
        (r#"cluster_gateway_upgraded_streams{cluster="echo"}"#, 1.0),
        (r#"cluster_gateway_upstream_connections{use="upgrade"}"#, 1.0),
        (r#"cluster_gateway_clusters{state="unusable"}"#, 1.0),
        (
            r#"sum(ocm_proxy_proxied_request_duration_seconds_bucket{cluster="echo", code="4xx", resource="other", le="+Inf"})"#,
            1.0,
        ),
    ] {
        let series = prometheus.query(expression).await.unwrap();
        assert_eq!(series.iter().map(value).collect::<Vec<_>>(), [expected], "{expression}");
    }
    // A rate needs two scrapes, with something between them.
    for (panel, expression) in panels() {
        until(&format!("{panel}: {expression}"), SOON, || async {
            traffic.some().await?;
            ensure!(!prometheus.query(&expression).await?.is_empty(), "nothing is shown");
            Ok(())
        })
        .await
        .unwrap();
    }
    until("the rules", SOON, || async {
        let rules = prometheus.rules().await?;
        ensure!(rules.len() > 10 && rules.iter().all(|rule| rule["health"] == "ok"), "{rules:?}");
        let rule = rules.iter().find(|rule| rule["name"] == "ClusterGatewayCredentialNotRenewed");
        ensure!(rule.is_some_and(|rule| rule["state"] == "pending"), "{rule:?}");
        Ok(())
    })
    .await
    .unwrap();
}

fn value(series: &Value) -> f64 {
    series["value"][1].as_str().unwrap().parse().unwrap()
}

/// A token of the account that `scraper.yaml` makes. There is no controller here that would put one into its Secret.
async fn scraper_token(hub: &ControlPlane) -> Result<String> {
    let text = std::fs::read_to_string(config("prometheus/scraper.yaml"))?.replace("vela-system", NAMESPACE);
    let kubectl = hub.admin_kubectl();
    let applied = kubectl.run_with_input(&["apply", "-f", "-"], &text).await?;
    ensure!(applied.success(), "{}", applied.messages());
    let token = kubectl.ok(&["create", "token", "cluster-gateway-scraper", "-n", NAMESPACE]).await?;
    Ok(token.trim().to_owned())
}

/// What the operator makes of the ServiceMonitor, as far as it can be here: the target is known, its files too.
fn job(gateway: &Gateway, token: &str) -> Result<Value> {
    let monitor = yaml("prometheus/servicemonitor.yaml");
    let endpoint = &monitor["spec"]["endpoints"][0];
    let (authorization, tls) = (&endpoint["authorization"], &endpoint["tlsConfig"]);
    // They name what scraper.yaml and the APIService's CA are kept in.
    ensure!(authorization["credentials"]["name"] == "cluster-gateway-scraper", "{authorization}");
    ensure!(tls["ca"]["configMap"]["key"] == "ca.crt", "{tls}");
    let folder = gateway.folder();
    write_file(&folder.join("scraper-token"), token)?;
    write_file(&folder.join("scraped-ca.crt"), gateway.ca_pem())?;
    let server_name = tls["serverName"].as_str().unwrap_or_default().replace("vela-system", NAMESPACE);
    Ok(json!({
        "job_name": "cluster-gateway",
        "scheme": endpoint["scheme"],
        "metrics_path": endpoint["path"],
        "authorization": {"type": authorization["type"], "credentials_file": folder.join("scraper-token")},
        "tls_config": {"ca_file": folder.join("scraped-ca.crt"), "server_name": server_name},
        "static_configs": [{"targets": [gateway.address().to_string()]}],
    }))
}

/// Somebody without credentials.
fn nobody(gateway: &Gateway) -> Value {
    json!({
        "job_name": "nobody",
        "scheme": "https",
        "tls_config": {"insecure_skip_verify": true},
        "static_configs": [{"targets": [gateway.address().to_string()]}],
    })
}

/// The dashboard's panels and what they show, for all replicas and clusters.
pub(super) fn panels() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(config("grafana/cluster-gateway.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut expressions = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let chosen = expression
                .replace("$job", "cluster-gateway")
                .replace("$instance", ".*")
                .replace("$cluster", ".*")
                .replace("$__rate_interval", "20s");
            assert!(!chosen.contains('$'), "{chosen}");
            expressions.push((panel["title"].as_str().unwrap().to_owned(), chosen));
        }
    }
    expressions
}

#[test]
fn panels_have_numbers_and_places_of_their_own() {
    let text = std::fs::read_to_string(config("grafana/cluster-gateway.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut taken = std::collections::BTreeSet::new();
    let mut numbers = std::collections::BTreeSet::new();
    for panel in panels {
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{}", panel["id"]);
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(x < 24 && taken.insert((x, y)), "{} lies on another panel", panel["title"]);
            }
        }
    }
}
