use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::client::HttpsClient;
use e2e::lab::{ControlPlane, Gateway, Process, Program, until};

use super::gateway::{CLUSTER, GROUPS, USER, cluster_path};
use super::{Place, Upstream};
use crate::load::Target;
use crate::measure::Meter;

/// What [`Contender::ready`] waits for: processes of this machine.
const READY: Duration = Duration::from_secs(20);

/// One that is measured beside others; clones are the same one.
#[derive(Clone)]
pub(crate) struct Contender {
    /// What the report calls it.
    pub(crate) name: String,
    /// Where requests for [`CLUSTER`] go.
    pub(crate) target: Target,
    /// Its processes.
    pub(crate) meter: Meter,
    /// Kept running.
    _process: Option<Arc<Process>>,
}

impl Contender {
    /// A gateway, as its hub sends to it.
    pub(crate) fn gateway(name: &str, gateway: &Gateway) -> Result<Self> {
        let client = gateway.front_proxy(USER, GROUPS)?;
        let target = as_hub(Target::new(
            client,
            &format!("localhost:{}", gateway.address().port()),
            &cluster_path(CLUSTER),
        ))?;
        let meter = Meter::of(gateway.process().pid().context("the gateway has ended")?);
        Ok(Self { name: name.to_owned(), target, meter, _process: None })
    }

    /// The upstream itself: what nobody can be faster than.
    pub(crate) fn upstream(upstream: &Upstream) -> Result<Self> {
        let identity = upstream.client("suite")?;
        let client = HttpsClient::new(upstream.address(), "localhost", upstream.ca_pem(), Some(&identity))?;
        let target = Target::new(client, &format!("localhost:{}", upstream.address().port()), "");
        Ok(Self { name: "direct".to_owned(), target, meter: upstream.meter()?, _process: None })
    }

    /// A proxy that was given a place; waits until it listens.
    pub(crate) async fn proxy(
        name: &str,
        place: &Place,
        hub: &ControlPlane,
        program: Program,
    ) -> Result<Self> {
        let process = Process::start(program)?;
        let front_proxy = &hub.front_proxy()?.client;
        let client = HttpsClient::new(place.address, "localhost", &place.ca_pem, Some(front_proxy))?;
        process.wait_ready(READY, || async { client.tls(&["h2"]).await.map(drop) }).await?;
        let meter = Meter::of(process.pid().with_context(|| format!("{name} has ended"))?);
        let authority = format!("localhost:{}", place.address.port());
        let target = as_hub(Target::new(client, &authority, &cluster_path(CLUSTER)))?;
        until(&format!("{name} answers"), READY, || async {
            let target = target.clone();
            crate::load::apart(move || async move {
                crate::load::Connection::open(&target).await?.fetch(&crate::load::Work::get("/x")).await
            })
            .await
        })
        .await?;
        Ok(Self { name: name.to_owned(), target, meter, _process: Some(Arc::new(process)) })
    }
}

/// The headers of a hub's request.
fn as_hub(target: Target) -> Result<Target> {
    target
        .header("x-remote-user", USER)?
        .header("x-remote-group", GROUPS[0])?
        .header("accept", "application/json")?
        .header("accept-encoding", "gzip")?
        .header("user-agent", "kubectl/v1.35.4 (linux/amd64) kubernetes/0000000")?
        .header("x-forwarded-for", "10.1.2.3")
}
