//! The gateway with everything on: authentication by the hub's certificate, authorization by the hub's RBAC (cached),
//! a credential of the cluster's own, metrics, the access record.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
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

/// Starts ours where it has so many processors only, of those that this process may use.
pub(crate) async fn start_on_cores(hub: &ControlPlane, name: &str, cores: usize) -> Result<Gateway> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let cpus = first_cpus(list.context("/proc/self/status: no Cpus_allowed_list")?.trim(), cores)?;
    start_within(hub, name, None, &["taskset", "--cpu-list", &cpus], &[]).await
}

/// So many of a list such as `0-3,8`.
fn first_cpus(list: &str, count: usize) -> Result<String> {
    let mut cpus = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        cpus.extend(first.parse::<usize>()?..=last.parse::<usize>()?);
    }
    ensure!(cpus.len() >= count, "{count} processors are wanted, and {list} may be used");
    Ok(cpus[..count].iter().map(usize::to_string).collect::<Vec<_>>().join(","))
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

/// After which a gateway that is ready is at rest: a second later it gives back what only its start needed, and memory
/// that was read before would make what follows look cheaper than it is.
pub(crate) const SETTLED: Duration = Duration::from_millis(1500);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_processors_of_those_that_may_be_used() {
        assert_eq!(first_cpus("0-3", 1).unwrap(), "0");
        assert_eq!(first_cpus("2,5-7", 3).unwrap(), "2,5,6");
        assert!(first_cpus("3", 2).unwrap_err().to_string().contains("2 processors"));
    }
}
