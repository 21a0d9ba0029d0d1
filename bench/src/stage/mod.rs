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

use crate::options::Options;

pub(crate) use contender::Contender;
pub(crate) use gateway::{
    CLUSTER, CLUSTER_GROUP_PATH, GROUPS, USER, cluster_path, start as start_gateway, start_on_one_core,
    start_with_access_log,
};
pub(crate) use place::Place;
pub(crate) use upstream::Upstream;

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
        Ok(Self { options, lab, upstream, gateway })
    }

    /// Ours.
    pub(crate) fn ours(&self) -> Result<Contender> {
        Contender::gateway("cluster-gateway", &self.gateway)
    }

    /// The other gateways of the command line, started. They share ours' namespace of Secrets.
    pub(crate) async fn others(&self) -> Result<Vec<(Contender, Gateway)>> {
        let mut others = Vec::new();
        for other in &self.options.others {
            let gateway = gateway::start(self.lab.hub(), &other.name, Some(&other.binary)).await?;
            gateway::wait(&gateway).await?;
            others.push((Contender::gateway(&other.name, &gateway)?, gateway));
        }
        Ok(others)
    }

    /// The upstream itself.
    pub(crate) fn bare(&self) -> Result<Contender> {
        Contender::upstream(&self.upstream)
    }

    /// nginx and HAProxy (HTTP/1.1 and HTTP/2 upstream) on the same hop; an error with the cure where they are not
    /// installed.
    pub(crate) async fn proxies(&self) -> Result<Vec<Contender>> {
        Ok(vec![
            nginx::start(self.lab.hub(), &self.upstream).await?,
            haproxy::start(self.lab.hub(), &self.upstream, haproxy::Speaks::Http1).await?,
            haproxy::start(self.lab.hub(), &self.upstream, haproxy::Speaks::Http2).await?,
        ])
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
