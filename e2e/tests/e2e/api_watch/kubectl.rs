//! People.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::lab::{Process, until};

use super::{behind_a_hub, nowhere};

#[tokio::test]
async fn kubectl_shows_changes_as_they_come() {
    let (hub, _gateway) = behind_a_hub("api-watch-kubectl").await.unwrap();
    let client = hub.admin_client().await.unwrap();
    nowhere("first").label("env", "prod").apply(&client).await.unwrap();
    let kubectl = hub.admin_kubectl();
    until("the first cluster is listed", Duration::from_secs(30), || async {
        kubectl.ok(&["get", "cg", "first"]).await
    })
    .await
    .unwrap();
    let watch = ["get", "cg", "--watch", "--output-watch-events"];
    let all = kubectl.start("watch-all", &watch).await.unwrap();
    let selected = [&watch[..], &["--selector=env=prod"]].concat();
    let selected = kubectl.start("watch-selected", &selected).await.unwrap();
    let only = kubectl.start("watch-virtual", &["get", "vc", "-w", "--output-watch-events"]).await.unwrap();
    for process in [&all, &selected, &only] {
        line(process, "ADDED", "first").await.unwrap();
    }
    nowhere("second").apply(&client).await.unwrap();
    line(&all, "ADDED", "second").await.unwrap();
    line(&only, "ADDED", "second").await.unwrap();
    nowhere("second").label("env", "prod").apply(&client).await.unwrap();
    line(&all, "MODIFIED", "second").await.unwrap();
    line(&selected, "ADDED", "second").await.unwrap();
    nowhere("second").label("env", "test").apply(&client).await.unwrap();
    line(&selected, "DELETED", "second").await.unwrap();
    nowhere("second").delete(&client).await.unwrap();
    line(&all, "DELETED", "second").await.unwrap();
    line(&only, "DELETED", "second").await.unwrap();
    // The columns are said once.
    assert_eq!(all.logs().matches("CREDENTIAL-TYPE").count(), 1, "{}", all.logs());

    // The hub comes first, then the newest.
    let names = kubectl.ok(&["get", "virtualclusters", "-o", "name"]).await.unwrap();
    assert!(names.starts_with("virtualcluster.cluster.core.oam.dev/local\n"), "{names}");
    let local = kubectl.ok(&["get", "vc", "local", "-o", "jsonpath={.spec}"]).await.unwrap();
    assert_eq!(local, r#"{"accepted":true,"credential-type":"Internal","endpoint":"-"}"#);
    let paged = kubectl.ok(&["get", "vc", "--chunk-size=1", "-o", "name"]).await.unwrap();
    assert_eq!(paged, names);
    kubectl.ok(&["wait", "--for=condition=Usable", "cg/first", "--timeout=20s"]).await.unwrap();
    // It is no cluster to go to.
    let refused = kubectl.server(&hub.proxy_url("local")).run(&["get", "namespaces"]).await.unwrap();
    assert!(refused.stderr.contains("NotFound") || refused.stderr.contains("not found"), "{refused:?}");
}

/// Waits for a row about a cluster.
pub(super) async fn line(process: &Process, kind: &str, name: &str) -> Result<()> {
    until(&format!("{kind} {name}"), Duration::from_secs(30), || async {
        let logs = process.logs();
        let told = logs.lines().any(|line| {
            let mut words = line.split_whitespace();
            (words.next(), words.next()) == (Some(kind), Some(name))
        });
        ensure!(told, "{logs}");
        Ok(())
    })
    .await
}
