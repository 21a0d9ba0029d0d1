//! The label `resource` knows what a kube-apiserver has.

use anyhow::{Context as _, Result, ensure};
use e2e::client::{H2, empty};
use e2e::echo::{Echo, EchoOptions};
use e2e::lab::{Authority, ControlPlane, shared};
use http::Request;
use serde_json::Value;

use crate::through::{echo_cluster, master, own_gateway, path, register, until_code};

const NAMESPACE: &str = "metrics-built-in";

#[tokio::test]
async fn every_resource_that_a_kube_apiserver_serves_has_its_label() {
    let wanted = served(shared().await.member(1)).await.unwrap();
    assert!(wanted.len() > 40, "{wanted:?}");
    let gateway = own_gateway(NAMESPACE, &[]).await;
    let echo = Echo::start(EchoOptions::default()).unwrap();
    let identity = Authority::new("built-in-ca").unwrap().client("gateway", &[]).unwrap();
    register([&echo_cluster(NAMESPACE, "echo", &echo, &identity)]).await;
    let connection = master(&gateway).h2().await.unwrap();
    until_code(&connection, &path("echo", "/api"), 200).await;
    for (group_version, resource) in &wanted {
        assert_eq!(
            connection.get(&path("echo", &format!("{group_version}/{resource}"))).await.unwrap().status,
            200
        );
    }
    let text = scrape(&connection).await.unwrap();
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(_, resource)| !text.contains(&format!("resource=\"{resource}\",verb=\"get\"")))
        .collect();
    assert!(missing.is_empty(), "these are `other`: {missing:?}");
    assert!(!text.contains("resource=\"other\""), "{text}");
}

/// Paths of groups and versions, and their resources.
async fn served(plane: &ControlPlane) -> Result<Vec<(String, String)>> {
    let get = |path: String| async move {
        let text = plane.admin_kubectl().ok(&["get", "--raw", &path]).await?;
        anyhow::Ok(serde_json::from_str::<Value>(&text)?)
    };
    let groups = get("/apis".to_owned()).await?;
    let groups = groups["groups"].as_array().context("groups")?;
    let versions = groups.iter().flat_map(|group| group["versions"].as_array().cloned().unwrap_or_default());
    let versions =
        versions.map(|version| format!("/apis/{}", version["groupVersion"].as_str().unwrap_or_default()));
    let mut served = Vec::new();
    for version in ["/api/v1".to_owned()].into_iter().chain(versions) {
        let resources = get(version.clone()).await?;
        for resource in resources["resources"].as_array().context("resources")? {
            let name = resource["name"].as_str().context("name")?;
            if !name.contains('/') {
                served.push((version.clone(), name.to_owned()));
            }
        }
    }
    Ok(served)
}

async fn scrape(connection: &H2) -> Result<String> {
    let answer = connection.fetch(Request::get("/metrics").body(empty())?).await?;
    ensure!(answer.status == 200, "{}", answer.text());
    Ok(answer.text())
}
