//! Where it is played: the lab's hub and member, the light upstream, and everybody who stands before it.

mod contender;
mod gateway;
mod haproxy;
mod nginx;
mod place;
mod upstream;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use e2e::lab::{Gateway, Lab, LabOptions};
use tokio::sync::OnceCell;

use crate::options::Options;

pub(crate) use contender::Contender;
pub(crate) use gateway::{
    CLUSTER, CLUSTER_GROUP_PATH, GROUPS, SETTLED, USER, cluster_path, start as start_gateway, start_on_cores,
    start_with_access_log,
};
pub(crate) use place::Place;
pub(crate) use upstream::Upstream;

/// Where the upstream itself is among the contenders.
pub(crate) const DIRECT: usize = 0;
/// Where ours is.
pub(crate) const OURS: usize = 1;
/// What it is called.
const OUR_NAME: &str = "cluster-gateway";

/// What sections share. Everything on it ends when it is dropped.
pub(crate) struct Stage {
    /// The command line.
    pub(crate) options: Options,
    /// A hub and a member, with a node.
    pub(crate) lab: Lab,
    /// The light upstream.
    pub(crate) upstream: Upstream,
    /// Ours, exposed behind the hub, with clusters [`CLUSTER`] (the upstream) and the lab's member.
    pub(crate) gateway: Gateway,
    /// Those beside it, started when a section first wants them.
    beside: OnceCell<Beside>,
}

/// Others on the same hop, for the whole run.
struct Beside {
    proxies: Vec<Contender>,
    /// The other gateways of the command line. They share ours' namespace of Secrets.
    others: Vec<(Contender, Gateway)>,
}

impl Stage {
    /// Starts it all: some ten seconds.
    pub(crate) async fn set(options: Options) -> Result<Self> {
        let lab = Lab::start(LabOptions::with_members(1).nodes(1)).await?;
        let upstream = Upstream::start("upstream")?;
        upstream.ready().await?;
        gateway::permit(lab.hub()).await?;
        gateway::register(&lab, &upstream).await?;
        let gateway = gateway::start(lab.hub(), "cluster-gateway", None).await?;
        gateway.expose(lab.hub(), e2e::lab::Exposure::ExternalName).await?;
        gateway::wait(&gateway).await?;
        Ok(Self { options, lab, upstream, gateway, beside: OnceCell::new() })
    }

    /// Ours.
    pub(crate) fn ours(&self) -> Result<Contender> {
        Contender::gateway(OUR_NAME, &self.gateway)
    }

    /// The upstream itself.
    pub(crate) fn bare(&self) -> Result<Contender> {
        Contender::upstream(&self.upstream)
    }

    /// All on the same hop, in an order that sections rely on: the upstream itself ([`DIRECT`]), ours ([`OURS`]),
    /// nginx and HAProxy (HTTP/1.1 and HTTP/2 upstream), the other gateways. An error with the cure where a proxy is
    /// not installed.
    pub(crate) async fn contenders(&self) -> Result<Vec<Contender>> {
        let beside = self.beside.get_or_try_init(|| self.start_beside()).await?;
        let mut all = vec![self.bare()?, self.ours()?];
        all.extend(beside.proxies.iter().cloned());
        all.extend(beside.others.iter().map(|(contender, _)| contender.clone()));
        Ok(all)
    }

    /// Proxies that have done nothing yet.
    pub(crate) async fn fresh_proxies(&self) -> Result<Vec<Contender>> {
        let (hub, upstream) = (self.lab.hub(), &self.upstream);
        Ok(vec![
            nginx::start(hub, upstream).await?,
            haproxy::start(hub, upstream, haproxy::Speaks::Http1).await?,
            haproxy::start(hub, upstream, haproxy::Speaks::Http2).await?,
        ])
    }

    /// A gateway of ours and each other one of the command line, with their names, that have done nothing yet and
    /// connected nowhere.
    pub(crate) async fn fresh_gateways(&self) -> Result<Vec<(Contender, Gateway)>> {
        let hub = self.lab.hub();
        let ours = gateway::start(hub, "fresh", None).await?;
        let mut all = vec![(Contender::gateway(OUR_NAME, &ours)?, ours)];
        for other in &self.options.others {
            let gateway = gateway::start(hub, &other.name, Some(&other.binary)).await?;
            all.push((Contender::gateway(&other.name, &gateway)?, gateway));
        }
        Ok(all)
    }

    async fn start_beside(&self) -> Result<Beside> {
        let mut others = Vec::new();
        for other in &self.options.others {
            let gateway = gateway::start(self.lab.hub(), &other.name, Some(&other.binary)).await?;
            gateway::wait(&gateway).await?;
            others.push((Contender::gateway(&other.name, &gateway)?, gateway));
        }
        Ok(Beside { proxies: self.fresh_proxies().await?, others })
    }

    /// Rounds: those of the command line, or else a section's own.
    pub(crate) fn rounds(&self, quick: u32, full: u32) -> u32 {
        self.options.rounds.unwrap_or(if self.options.full { full } else { quick })
    }
}

/// The path of a program of the system's; an error that says how to get it.
fn installed(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where Debian puts servers, which is in root's path only.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file()).with_context(|| {
        format!("{program} is compared with and is not installed here: apt-get install -y --no-install-recommends {program}")
    })
}
