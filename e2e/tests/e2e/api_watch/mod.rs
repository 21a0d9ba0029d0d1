//! Watches of ClusterGateways and VirtualClusters, by what controllers and people use for them.

mod controllers;
mod kube_rs;
mod kubectl;
mod many;
mod python;
mod typed;
mod versions;
mod wire;

use anyhow::Result;
use e2e::lab::{ControlPlane, Exposure, Gateway, GatewayOptions, Registration, shared};

/// Where the Secrets of these tests are.
const NAMESPACE: &str = "clusters";

/// A hub with a gateway behind it, for a test that restarts it or counts what is there.
async fn behind_a_hub(name: &str) -> Result<(ControlPlane, Gateway)> {
    let hub = shared().await.start_hub(name).await?;
    let options = GatewayOptions::new(&hub, NAMESPACE).flag("--shutdown-delay-duration=0s");
    let gateway = Gateway::start(&hub, options).await?;
    gateway.expose(&hub, Exposure::ExternalName).await?;
    Ok((hub, gateway))
}

/// A cluster that nobody ever goes to.
fn nowhere(name: &str) -> Registration {
    Registration::token(NAMESPACE, name, "https://127.0.0.1:1", "", "none").without_ca()
}
