//! A gateway and the clusters that the tables are about.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::client::{Answer, H2, HttpsClient};
use e2e::echo::{Echo, EchoOptions, Received};
use e2e::lab::{Gateway, GatewayOptions, Registration, shared, until};
use tokio::sync::OnceCell;

pub(super) const CLUSTERS: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
/// The credential of every cluster here.
pub(super) const TOKEN: &str = "paths-credential";

/// One gateway for all tables: none of them hurts it.
pub(super) struct Setup {
    pub(super) gateway: Gateway,
    /// Clusters `h1`, and `prefix-h1` whose endpoint is `…/k8s/clusters/c-1`.
    pub(super) h1: Echo,
    /// Clusters `h2`, `prefix-h2` (`…/k8s/clusters/c-1/`).
    pub(super) h2: Echo,
}

pub(super) async fn setup() -> &'static Setup {
    static SETUP: OnceCell<Setup> = OnceCell::const_new();
    SETUP.get_or_init(|| async { start().await.unwrap() }).await
}

async fn start() -> Result<Setup> {
    let hub = shared().await.hub();
    let gateway = Gateway::start(hub, GatewayOptions::new(hub, "paths")).await?;
    let admin = hub.admin_client().await?;
    let h1 = Echo::start(EchoOptions::h1().named("h1"))?;
    let h2 = Echo::start(EchoOptions::default().named("h2"))?;
    for (name, echo, prefix) in [
        ("h1", &h1, ""),
        ("h2", &h2, ""),
        ("prefix-h1", &h1, "/k8s/clusters/c-1"),
        ("prefix-h2", &h2, "/k8s/clusters/c-1/"),
    ] {
        let endpoint = format!("{}{prefix}", echo.url());
        Registration::token("paths", name, &endpoint, echo.ca_pem(), TOKEN).apply(&admin).await?;
    }
    let setup = Setup { gateway, h1, h2 };
    let client = setup.admin().h2().await?;
    for name in ["h1", "h2", "prefix-h1", "prefix-h2"] {
        until(name, Duration::from_secs(20), || async {
            let answer = client.get(&format!("{CLUSTERS}/{name}/proxy/")).await?;
            ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
            Ok(())
        })
        .await?;
    }
    Ok(setup)
}

impl Setup {
    /// The hub, speaking for somebody who may do everything.
    pub(super) fn admin(&self) -> HttpsClient {
        self.gateway.front_proxy("paths-admin", &["system:masters"]).unwrap()
    }

    /// Requests that have reached either echo and whose target holds this.
    pub(super) fn reached(&self, mark: &str) -> Vec<Received> {
        let all = self.h1.received().into_iter().chain(self.h2.received());
        all.filter(|received| received.target.contains(mark)).collect()
    }

    /// Sends bytes over HTTP/1.1 as the admin; `lines` are between the request's line and the empty one, the
    /// hub's own come first.
    pub(super) async fn raw(&self, line: &str, lines: &str, body: &str) -> String {
        let client = self.admin();
        let request = format!("{line} HTTP/1.1\r\n{}{lines}\r\n{body}", client.header_lines());
        self.raw_bytes(request.as_bytes()).await
    }

    /// [`Self::raw`] with nothing of ours.
    pub(super) async fn raw_bytes(&self, request: &[u8]) -> String {
        let answer = self.admin().raw(request, Duration::from_secs(10)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// GET by either protocol.
pub(super) async fn get(client: &HttpsClient, h2: &H2, version: &str, path: &str) -> Result<Answer> {
    match version {
        "h1" => client.h1().await?.get(path).await,
        _ => h2.get(path).await,
    }
}

/// The status code of a raw answer; 0 when the connection was closed without one.
pub(super) fn code(answer: &str) -> u16 {
    answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .unwrap_or(0)
}
