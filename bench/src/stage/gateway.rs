//! The gateway with everything on: authentication by the hub's certificate, authorization by the hub's RBAC (cached),
//! a credential of the cluster's own, metrics, the access record.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::lab::{ControlPlane, Gateway, GatewayOptions, Lab, Registration, rule, until, user};

use super::Upstream;

/// The namespace of the cluster Secrets.
pub(crate) const NAMESPACE: &str = "bench";
/// The cluster that is the light upstream.
pub(crate) const CLUSTER: &str = "upstream";
/// Who asks: somebody whom RBAC lets, not an admin, whom nobody looks up.
pub(crate) const USER: &str = "bench";
/// Their groups.
pub(crate) const GROUPS: &[&str; 1] = &["system:authenticated"];

/// Where the clusters are on a hub.
pub(crate) const CLUSTER_GROUP_PATH: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";

/// Before the path of a request to a cluster.
pub(crate) fn cluster_path(name: &str) -> String {
    format!("{CLUSTER_GROUP_PATH}/{name}/proxy")
}

/// Lets [`USER`] use every cluster.
pub(super) async fn permit(hub: &ControlPlane) -> Result<()> {
    let rules = ["clustergateways", "clustergateways/proxy", "virtualclusters"]
        .map(|resource| rule("cluster.core.oam.dev", resource, &["*"]));
    hub.grant("bench", user(USER), rules.into()).await
}

/// Makes the Secrets of the upstream and of the lab's member.
pub(super) async fn register(lab: &Lab, upstream: &Upstream) -> Result<()> {
    let hub = lab.hub();
    hub.ensure_namespace(NAMESPACE).await?;
    let client = hub.admin_client().await?;
    let identity = upstream.client("cluster-gateway")?;
    Registration::x509(NAMESPACE, CLUSTER, &upstream.url(), upstream.ca_pem(), &identity)
        .apply(&client)
        .await?;
    Registration::member(NAMESPACE, lab.member(0))?.apply(&client).await
}

/// Starts a gateway for these Secrets: ours, or another binary.
pub(crate) async fn start(hub: &ControlPlane, name: &str, binary: Option<&Path>) -> Result<Gateway> {
    start_within(hub, name, binary, &[], &[]).await
}

/// Starts ours with a line in its log for each request.
pub(crate) async fn start_with_access_log(hub: &ControlPlane, name: &str) -> Result<Gateway> {
    start_within(hub, name, None, &[], &["--access-log"]).await
}

/// Starts ours where it has one processor only.
pub(crate) async fn start_on_one_core(hub: &ControlPlane, name: &str) -> Result<Gateway> {
    start_within(hub, name, None, &["taskset", "--cpu-list", "0"], &[]).await
}

async fn start_within(
    hub: &ControlPlane,
    name: &str,
    binary: Option<&Path>,
    wrapper: &[&str],
    flags: &[&str],
) -> Result<Gateway> {
    let mut options = GatewayOptions::new(hub, NAMESPACE);
    name.clone_into(&mut options.name);
    options.binary = binary.map(Path::to_owned);
    options.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
    options.flags = flags.iter().map(|&flag| flag.to_owned()).collect();
    // Another binary needs no word in front of its flags.
    if binary.is_some() {
        options.subcommand.clear();
    }
    Gateway::start(hub, options).await
}

/// Waits until a gateway serves [`CLUSTER`].
pub(super) async fn wait(gateway: &Gateway) -> Result<()> {
    let client = gateway.front_proxy(USER, GROUPS)?;
    let path = format!("{}/ready", cluster_path(CLUSTER));
    until("the gateway serves the upstream", Duration::from_secs(30), || async {
        let answer = client.h2().await?.get(&path).await?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
        Ok(())
    })
    .await
}
