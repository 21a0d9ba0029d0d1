//! The health subresource: who may write it, where it goes, and what else is told.

use anyhow::ensure;
use e2e::client::{Answer, HttpsClient, bytes};
use e2e::lab::{Gateway, GatewayOptions, Registration, rule, shared, until, user};
use http::Request;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::identity::GATEWAYS;

const GROUP: &str = "cluster.core.oam.dev";

async fn merge(client: &HttpsClient, name: &str, patch: &Value) -> Answer {
    let request = Request::patch(format!("{GATEWAYS}/{name}/health"))
        .header("content-type", "application/merge-patch+json")
        .body(bytes(patch.to_string()))
        .unwrap();
    client.h1().await.unwrap().fetch(request).await.unwrap()
}

async fn get(client: &HttpsClient, name: &str) -> Value {
    client.h1().await.unwrap().get(&format!("{GATEWAYS}/{name}")).await.unwrap().json().unwrap()
}

async fn start(namespace: &str, flags: &[&str]) -> (Gateway, Api<Secret>) {
    let hub = shared().await.hub();
    let options = flags.iter().fold(GatewayOptions::new(hub, namespace), |options, flag| options.flag(flag));
    let gateway = Gateway::start(hub, options).await.unwrap();
    let admin = hub.admin_client().await.unwrap();
    Registration::token(namespace, "one", "https://127.0.0.1:1", &hub.ca_pem(), "hunter2-health")
        .apply(&admin)
        .await
        .unwrap();
    let reader = gateway.front_proxy("t4-admin", &["system:masters"]).unwrap();
    until("the cluster in the table", std::time::Duration::from_secs(20), || async {
        let answer = reader.h1().await?.get(&format!("{GATEWAYS}/one")).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(())
    })
    .await
    .unwrap();
    (gateway, Api::namespaced(admin, namespace))
}

#[tokio::test]
async fn health_is_written_to_the_secret_and_read_by_whoever_wrote_it() {
    let (gateway, secrets) = start("t4-health", &["--feature-gates=HealthinessCheck=true"]).await;
    let admin = gateway.front_proxy("t4-admin", &["system:masters"]).unwrap();
    let before = secrets.get("one").await.unwrap();
    for (healthy, reason) in [(true, "fine"), (false, "no answer"), (true, "")] {
        let answer =
            merge(&admin, "one", &json!({"status": {"healthy": healthy, "healthyReason": reason}})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (written, read) = (answer.json().unwrap(), get(&admin, "one").await);
        assert_eq!(written["status"]["healthy"], healthy);
        assert_eq!((&read["status"]["healthy"], &read["metadata"]), (&json!(healthy), &written["metadata"]));
        let secret = secrets.get("one").await.unwrap();
        let annotations = secret.metadata.annotations.unwrap();
        assert_eq!(annotations["status.cluster.core.oam.dev/healthy"], healthy.to_string());
        assert_eq!(annotations["status.cluster.core.oam.dev/healthy-reason"], reason);
        // Nothing else was touched.
        assert_eq!(
            (secret.data, secret.metadata.labels),
            (before.data.clone(), before.metadata.labels.clone())
        );
    }
    // Only to be tried: the hub says what would come of it.
    let path = format!("{GATEWAYS}/one/health?dryRun=All");
    let request = Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .body(bytes(r#"{"status":{"healthy":false}}"#))
        .unwrap();
    let tried = admin.h1().await.unwrap().fetch(request).await.unwrap().json().unwrap();
    assert_eq!(tried["status"]["healthy"], false);
    assert_eq!(get(&admin, "one").await["status"]["healthy"], true);
}

#[tokio::test]
async fn a_version_that_is_not_the_latest_is_a_conflict_and_a_patch_without_one_is_not() {
    let (gateway, secrets) = start("t4-conflict", &["--feature-gates=HealthinessCheck=true"]).await;
    let admin = gateway.front_proxy("t4-admin", &["system:masters"]).unwrap();
    let old = get(&admin, "one").await["metadata"]["resourceVersion"].clone();
    for turn in 0..10 {
        // Somebody else changes the Secret, and the gateway may not know it yet.
        let label = json!({"metadata": {"labels": {"turn": turn.to_string()}}});
        secrets.patch("one", &PatchParams::default(), &Patch::Merge(&label)).await.unwrap();
        let insisting = json!({"metadata": {"resourceVersion": old}, "status": {"healthy": true}});
        let refused = merge(&admin, "one", &insisting).await;
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert_eq!(refused.json().unwrap()["reason"], "Conflict");
        let taken = merge(&admin, "one", &json!({"status": {"healthy": turn % 2 == 0}})).await;
        assert_eq!(taken.status, 200, "{}", taken.text());
        assert_eq!(taken.json().unwrap()["metadata"]["labels"]["turn"], turn.to_string());
    }
}

#[tokio::test]
async fn writing_health_takes_a_right_of_its_own() {
    let hub = shared().await.hub();
    let (gateway, _) = start("t4-rights", &[]).await;
    hub.grant(
        "t4-reader",
        user("t4-reader"),
        vec![rule(GROUP, "clustergateways", &["get", "update", "patch"])],
    )
    .await
    .unwrap();
    hub.grant("t4-prober", user("t4-prober"), vec![rule(GROUP, "clustergateways/health", &["patch"])])
        .await
        .unwrap();
    let (reader, prober) =
        (gateway.front_proxy("t4-reader", &[]).unwrap(), gateway.front_proxy("t4-prober", &[]).unwrap());
    let patch = json!({"status": {"healthy": true}});
    let refused = merge(&reader, "one", &patch).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(
        refused.text().contains("cannot patch resource \\\"clustergateways/health\\\""),
        "{}",
        refused.text()
    );
    let taken = merge(&prober, "one", &patch).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    // Written, and not shown: the gate is off, as in the Go gateway.
    assert_eq!(taken.json().unwrap()["status"]["healthy"], false);
    assert!(taken.header("warning").unwrap().contains("HealthinessCheck"), "{:?}", taken.headers);
    assert!(!taken.text().contains("hunter2"));
    let put = Request::put(format!("{GATEWAYS}/one/health")).body(bytes("{}")).unwrap();
    assert_eq!(prober.h1().await.unwrap().fetch(put).await.unwrap().status, 403);
}

#[tokio::test]
async fn credentials_are_shown_where_the_operator_wants_it_and_the_log_says_what_that_means() {
    let (hidden, _) = start("t4-hidden", &[]).await;
    let (shown, _) = start("t4-shown", &["--expose-credentials"]).await;
    let ask = async |gateway: &Gateway| {
        get(&gateway.front_proxy("t4-admin", &["system:masters"]).unwrap(), "one").await
    };
    assert_eq!(ask(&hidden).await["spec"]["access"]["credential"], json!({"type": "ServiceAccountToken"}));
    assert_eq!(
        ask(&shown).await["spec"]["access"]["credential"],
        json!({"type": "ServiceAccountToken", "serviceAccountToken": "hunter2-health"})
    );
    assert!(!hidden.logs().contains("--expose-credentials"));
    let log = shown.logs();
    assert!(
        log.contains("--expose-credentials") && log.contains("reads the tokens and private keys"),
        "{log}"
    );
    assert!(!log.contains("hunter2"));
}
