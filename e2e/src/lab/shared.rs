//! One lab for all tests of a process.

use tokio::sync::OnceCell;

use super::{Exposure, Gateway, GatewayOptions, Lab, LabOptions, Registration};

/// Where the shared gateway looks for clusters.
pub const SHARED_NAMESPACE: &str = "vela-system";

/// The lab of this test process: a hub and two members, the first with a node. Started once, by whoever asks
/// first; it ends with the process. Who hurts a server starts one of their own.
///
/// # Panics
/// When it does not start; every test that asks then says why.
pub async fn shared() -> &'static Lab {
    static LAB: OnceCell<Result<Lab, String>> = OnceCell::const_new();
    let lab = LAB.get_or_init(|| async {
        Lab::start(LabOptions::default()).await.map_err(|error| format!("{error:#}"))
    });
    lab.await.as_ref().unwrap_or_else(|error| panic!("the shared lab: {error}"))
}

/// The gateway of the shared lab: behind its hub, Available, with both members registered under their names in
/// [`SHARED_NAMESPACE`].
///
/// # Panics
/// When it does not start.
pub async fn shared_gateway() -> &'static Gateway {
    static GATEWAY: OnceCell<Result<Gateway, String>> = OnceCell::const_new();
    let gateway = GATEWAY.get_or_init(|| async { start().await.map_err(|error| format!("{error:#}")) });
    gateway.await.as_ref().unwrap_or_else(|error| panic!("the shared gateway: {error}"))
}

async fn start() -> anyhow::Result<Gateway> {
    let lab = shared().await;
    let gateway = Gateway::start(lab.hub(), GatewayOptions::new(lab.hub(), SHARED_NAMESPACE)).await?;
    let client = lab.hub().admin_client().await?;
    for member in lab.members() {
        Registration::member(SHARED_NAMESPACE, member)?.apply(&client).await?;
    }
    gateway.expose(lab.hub(), Exposure::ExternalName).await?;
    Ok(gateway)
}
