//! Programs with the Go gateway's generated client, as KubeVela and Open Cluster Management have compiled in.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use e2e::lab::binaries::{API, program_async};
use e2e::lab::{
    ControlPlane, Exposure, Gateway, GatewayOptions, Login, Process, Program, Registration, rule, shared,
    until, user,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{NAMESPACE, nowhere};

const GROUP: &str = "cluster.core.oam.dev";
const SOON: Duration = Duration::from_secs(60);

/// What the Go program reports; see its `report`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    cluster_gateways: Vec<String>,
    virtual_clusters: Vec<String>,
    credentials: BTreeMap<String, Value>,
    events: Vec<String>,
    whoami: String,
}

#[tokio::test]
async fn a_typed_client_gets_lists_watches_and_writes_health() {
    let (report, _, log) = run("typed-hidden", &[]).await.unwrap();
    assert_eq!(report.cluster_gateways, ["certificate", "token"]);
    assert_eq!(report.virtual_clusters[0], "local", "{report:?}");
    let mut others = report.virtual_clusters[1..].to_vec();
    others.sort_unstable();
    assert_eq!(others, ["certificate", "token"]);
    let events =
        ["ADDED ClusterGateway", "DELETED ClusterGateway", "ADDED VirtualCluster", "DELETED VirtualCluster"];
    assert_eq!(report.events, events);
    assert_eq!(report.whoami, shared().await.member(0).name());
    assert_eq!(report.credentials["certificate"], json!({"type": "X509Certificate"}));
    assert_eq!(report.credentials["token"], json!({"type": "ServiceAccountToken"}));
    assert!(!log.contains("--expose-credentials"), "{log}");
}

#[tokio::test]
async fn a_typed_client_sees_credentials_where_the_operator_wants_it_and_the_log_says_so() {
    let (report, registered, log) = run("typed-shown", &["--expose-credentials"]).await.unwrap();
    let [certificate, token] = registered.map(|registration| registration.data);
    let x509 = json!({
        "certificate": BASE64_STANDARD.encode(&certificate["tls.crt"]),
        "privateKey": BASE64_STANDARD.encode(&certificate["tls.key"]),
    });
    assert_eq!(report.credentials["certificate"], json!({"type": "X509Certificate", "x509": x509}));
    let token = String::from_utf8(token["token"].clone()).unwrap();
    assert_eq!(
        report.credentials["token"],
        json!({"type": "ServiceAccountToken", "serviceAccountToken": token})
    );
    assert!(
        log.contains("--expose-credentials") && log.contains("reads the tokens and private keys"),
        "{log}"
    );
    assert!(!log.contains(&token), "{log}");
}

/// What the Go program reports, the clusters that it saw, and the gateway's log. Its user may do what it does and
/// nothing else.
async fn run(name: &str, flags: &[&str]) -> Result<(Report, [Registration; 2], String)> {
    let lab = shared().await;
    let hub = lab.start_hub(name).await?;
    let gates = "--feature-gates=HealthinessCheck=true";
    let options = flags.iter().fold(GatewayOptions::new(&hub, NAMESPACE).flag(gates), |o, flag| o.flag(flag));
    let gateway = Gateway::start(&hub, options).await?;
    gateway.expose(&hub, Exposure::ExternalName).await?;
    let client = hub.admin_client().await?;
    let member = lab.member(0);
    let registered = [
        Registration::member(NAMESPACE, member)?.named("certificate"),
        Registration::member_by_token(NAMESPACE, member).await?.named("token"),
    ];
    for registration in &registered {
        registration.apply(&client).await?;
    }
    let kubectl = hub.admin_kubectl();
    until("the clusters are listed", SOON, || async {
        let names = kubectl.ok(&["get", "cg", "-o", "name"]).await?;
        ensure!(names.lines().count() == registered.len(), "{names}");
        Ok(())
    })
    .await?;
    let process = start(name, &hub).await?;
    until("it watches", SOON, || async {
        ensure!(process.logs().contains("typed: ready"), "{}", process.log_tail(20));
        Ok(())
    })
    .await?;
    nowhere("passing").apply(&client).await?;
    nowhere("passing").delete(&client).await?;
    let status = process.wait_exit(SOON).await?;
    ensure!(status.success(), "{status}:\n{}", process.log_tail(20));
    let report = process.logs().lines().rev().find_map(|line| serde_json::from_str::<Report>(line).ok());
    let report = report.with_context(|| format!("no report:\n{}", process.log_tail(20)))?;
    Ok((report, registered, gateway.logs()))
}

async fn start(name: &str, hub: &ControlPlane) -> Result<Process> {
    let read = &["get", "list", "watch"][..];
    let rules = vec![
        rule(GROUP, "clustergateways", read),
        rule(GROUP, "virtualclusters", read),
        rule(GROUP, "clustergateways/health", &["get", "update"]),
        rule(GROUP, "clustergateways/proxy", &["get"]),
        // It tries, and is to hear from us that this cannot be done.
        rule(GROUP, "clustergateways", &["create"]),
    ];
    hub.grant(name, user(name), rules).await?;
    let kubeconfig = hub.write_kubeconfig(name, &Login::Certificate(hub.issue(name, &[])?))?;
    Process::start(Program {
        name: name.to_owned(),
        path: program_async(&API, "typed").await?,
        args: vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            "--member=certificate".to_owned(),
            "--passing=passing".to_owned(),
        ],
        env: Vec::new(),
        folder: hub.folder().to_owned(),
    })
}
