//! Our resources by kubectl: found, explained, listed, described; what is wrong with a cluster is seen there.

use std::time::Duration;

use anyhow::ensure;
use e2e::lab::{Exposure, Gateway, GatewayOptions, Kubectl, Registration, shared, until};

const NAMESPACE: &str = "t4-resources";

/// What kubectl says, once all of these words are in it.
async fn says(kubectl: &Kubectl, arguments: &[&str], words: &[&str]) -> String {
    until(&arguments.join(" "), Duration::from_secs(90), || async {
        let said = kubectl.ok(arguments).await?;
        for word in words {
            ensure!(said.contains(word), "{word} is not in\n{said}");
        }
        Ok(said)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn kubectl_finds_explains_and_shows_our_resources() {
    let hub = shared().await.start_hub(NAMESPACE).await.unwrap();
    let gateway = Gateway::start(&hub, GatewayOptions::new(&hub, NAMESPACE)).await.unwrap();
    gateway.expose(&hub, Exposure::ExternalName).await.unwrap();
    let kubectl = hub.admin_kubectl();

    let group = "--api-group=cluster.core.oam.dev";
    let resources = says(&kubectl, &["api-resources", group, "-o", "wide"], &["clustergateways", "cg"]).await;
    for words in ["get,list,watch", "vc,vcluster,vclusters,virtual-cluster,virtual-clusters"] {
        assert!(resources.contains(words), "{resources}");
    }
    let nothing = kubectl.run(&["get", "cg"]).await.unwrap();
    assert!(nothing.stderr.contains("No resources found") && nothing.stdout.is_empty(), "{nothing:?}");

    let all = ["explain", "clustergateways", "--recursive"];
    let explained = says(&kubectl, &all, &["proxy-url", "healthyReason", "ownerReferences"]).await;
    assert!(explained.contains("A cluster that can be reached"), "{explained}");
    for (path, words) in [
        ("clustergateway.spec.access.endpoint.const", "URL of the cluster"),
        ("cg.spec.access.credential", "What the cluster is shown"),
        ("cg.status.conditions", "Usable"),
        ("cg.metadata", "Standard object"),
        ("vc.spec", "accepted"),
    ] {
        let said = kubectl.ok(&["explain", path]).await.unwrap();
        assert!(said.contains(words), "{path}: {said}");
        assert!(!said.contains("<no description>") && !said.contains("<empty>"), "{path}: {said}");
    }

    let admin = hub.admin_client().await.unwrap();
    let good =
        Registration::token(NAMESPACE, "good", "https://127.0.0.1:1", &hub.ca_pem(), "hunter2-kubectl");
    good.apply(&admin).await.unwrap();
    good.clone().named("open").without_ca().apply(&admin).await.unwrap();
    let mut broken = good.clone().named("broken");
    broken.data.remove("endpoint");
    broken.apply(&admin).await.unwrap();
    // Why a cluster cannot be used is seen without anybody's logs.
    let table = says(&kubectl, &["get", "cg"], &["broken", "good", "open"]).await;
    let words = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(4).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words("NAME"), ["HEALTHY", "USABLE", "REASON"], "{table}");
    assert_eq!(words("broken"), ["False", "SecretRefused"], "{table}");
    assert_eq!(words("good"), ["True"], "{table}");
    assert_eq!(words("open"), ["True", "CertificateAuthorityMissing"], "{table}");
    let wide = kubectl.ok(&["get", "cg", "-o", "wide"]).await.unwrap();
    assert!(wide.contains("data key endpoint is missing"), "{wide}");
    let virtual_clusters = kubectl.ok(&["get", "vc"]).await.unwrap();
    assert!(virtual_clusters.lines().nth(1).unwrap().starts_with("local "), "{virtual_clusters}");
    let described = says(&kubectl, &["describe", "cg", "broken"], &["Usable", "data key endpoint"]).await;
    assert!(!described.contains("hunter2"), "{described}");
}
