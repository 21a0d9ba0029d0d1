//! Another API group, chosen when the gateway is started: everything goes by its name, on a hub that has the usual one
//! as well.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::client::{bytes, empty};
use e2e::lab::{Exposure, Gateway, GatewayOptions, Registration, shared, until};
use http::Request;
use serde_json::Value;

const NAMESPACE: &str = "other-group";
const GROUP: &str = "clusters.example.org";
const USUAL: &str = "cluster.core.oam.dev";
const SOON: Duration = Duration::from_secs(90);

#[tokio::test]
async fn a_gateway_serves_the_group_that_it_is_told_to_serve() {
    let lab = shared().await;
    let hub = lab.start_hub(NAMESPACE).await.unwrap();
    let named = |options: GatewayOptions, name: &str| GatewayOptions { name: name.to_owned(), ..options };
    let options = || GatewayOptions::new(&hub, NAMESPACE).flag("--feature-gates=HealthinessCheck=true");
    let usual = Gateway::start(&hub, named(options(), "usual")).await.unwrap();
    let other = options().flag(&format!("--group-name={GROUP}"));
    let gateway = Gateway::start(&hub, named(other, "other")).await.unwrap();
    usual.expose(&hub, Exposure::ExternalName).await.unwrap();
    gateway.expose(&hub, Exposure::ExternalName).await.unwrap();
    let admin = hub.admin_client().await.unwrap();
    let member = Registration::member(NAMESPACE, lab.member(0)).unwrap();
    member.clone().named("usual").apply(&admin).await.unwrap();
    let kubectl = hub.admin_kubectl();
    let gateways = format!("clustergateways.{GROUP}");
    let usual_gateways = format!("clustergateways.{USUAL}");

    // Discovery, by the hub's own and by kubectl's.
    until("the hub has discovered both groups", SOON, || async {
        let found = kubectl.ok(&["api-resources", "--no-headers", "-o", "name"]).await?;
        for name in [&gateways, &usual_gateways, &format!("virtualclusters.{GROUP}")] {
            ensure!(found.lines().any(|line| line == name), "{name} is not in {found}");
        }
        Ok(())
    })
    .await
    .unwrap();
    let watch = kubectl
        .start("other-group", &["get", &gateways, "-w", "--output-watch-events", "--no-headers"])
        .await
        .unwrap();
    // The labels of the usual group mean nothing to this one, its own do.
    member
        .named("mine")
        .label(&format!("{GROUP}/cluster-credential-type"), "X509Certificate")
        .annotation(&format!("status.{GROUP}/healthy"), "true")
        .apply(&admin)
        .await
        .unwrap();
    until("the watch tells of the cluster", SOON, || async {
        let told = watch.logs();
        ensure!(told.contains("mine"), "{told}");
        Ok(())
    })
    .await
    .unwrap();
    assert!(!watch.logs().contains("usual"), "{}", watch.logs());
    let listed = kubectl.ok(&["get", &gateways, "-o", "name"]).await.unwrap();
    assert_eq!(listed, format!("clustergateway.{GROUP}/mine\n"));
    let shown: Value =
        serde_json::from_str(&kubectl.ok(&["get", &gateways, "mine", "-o", "json"]).await.unwrap()).unwrap();
    assert_eq!(shown["apiVersion"], format!("{GROUP}/v1alpha1"));
    assert_eq!(shown["status"]["healthy"], true, "{shown}");

    // OpenAPI, of both versions.
    let access = format!("{gateways}.spec.access");
    for form in [&["--output=plaintext"][..], &["--output=plaintext-openapiv2"]] {
        let explain = [&["explain", &*access, "--recursive"][..], form].concat();
        let said = until("the group is explained", SOON, || async {
            let said = kubectl.ok(&explain).await?;
            ensure!(said.contains("caBundle"), "{said}");
            Ok(said)
        })
        .await
        .unwrap();
        assert!(said.contains("How the cluster is reached") && !said.contains(USUAL), "{form:?}: {said}");
    }

    // Through.
    let through = |group: &str, cluster: &str| {
        let url = hub.url();
        kubectl.clone().server(&format!("{url}/apis/{group}/v1alpha1/clustergateways/{cluster}/proxy"))
    };
    let through_other = through(GROUP, "mine");
    let namespaces = until("the member is reached", SOON, || async {
        through_other.ok(&["get", "namespaces", "-o", "name"]).await
    })
    .await
    .unwrap();
    assert_eq!(
        namespaces,
        lab.member(0).admin_kubectl().ok(&["get", "namespaces", "-o", "name"]).await.unwrap()
    );
    // Health is written where this group keeps it.
    health(&gateway).await.unwrap();
    let secret = kubectl.ok(&["get", "secret", "mine", "-n", NAMESPACE, "-o", "json"]).await.unwrap();
    let secret: Value = serde_json::from_str(&secret).unwrap();
    let annotations = &secret["metadata"]["annotations"];
    assert_eq!(annotations[format!("status.{GROUP}/healthy")], "false", "{annotations}");

    // The usual paths lead nowhere here.
    let client = gateway.front_proxy("other-group", &["system:masters"]).unwrap();
    let mut connection = client.h1().await.unwrap();
    for path in ["", "/v1alpha1", "/v1alpha1/clustergateways", "/v1alpha1/clustergateways/mine/proxy/api"] {
        let answer = connection.get(&format!("/apis/{USUAL}{path}")).await.unwrap();
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
    let nobody =
        connection.get(&format!("/apis/{GROUP}/v1alpha1/clustergateways/usual/proxy/api")).await.unwrap();
    assert!(nobody.status == 404 && nobody.text().contains(&gateways), "{}", nobody.text());
    let request = Request::get(format!("/openapi/v3/apis/{USUAL}/v1alpha1")).body(empty()).unwrap();
    assert_eq!(connection.fetch(request).await.unwrap().status, 404);
}

async fn health(gateway: &Gateway) -> Result<()> {
    let client = gateway.front_proxy("other-group", &["system:masters"])?;
    let path = format!("/apis/{GROUP}/v1alpha1/clustergateways/mine/health");
    let patch = Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .body(bytes(r#"{"status":{"healthy":false}}"#))?;
    let answer = client.h1().await?.fetch(patch).await?;
    ensure!(answer.status == 200 && answer.json()?["status"]["healthy"] == false, "{}", answer.text());
    Ok(())
}
