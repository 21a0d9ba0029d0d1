//! The lab: real control planes on one machine, without containers.
//!
//! One etcd, a hub, any number of members, each a process of its own with a free port, an authority of its own
//! and a folder for its log. Everything that a lab starts ends with the process that owns it, even when that is
//! killed ([`leash`]); what does not start shows the end of its log.

pub mod binaries;
pub mod clusters;
pub mod control_plane;
pub mod crowd;
pub mod etcd;
pub mod gateway;
pub mod konnectivity;
pub mod kubeconfig;
pub mod kubectl;
pub mod kubelet;
pub mod leash;
pub mod load;
pub mod node;
pub mod pki;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod proxies;
pub mod sockets;
pub mod terminal;
pub mod usage;
pub mod wait;

mod shared;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::future::try_join_all;

pub use clusters::Registration;
pub use control_plane::access::{group, rule, service_account, user};
pub use control_plane::{ControlPlane, ControlPlaneOptions, Role};
pub use crowd::{Cost, Crowd};
pub use etcd::Etcd;
pub use gateway::{Exposure, Gateway, GatewayOptions, gateway_binary};
pub use konnectivity::Konnectivity;
pub use kubeconfig::{Kubeconfig, Login};
pub use kubectl::{Kubectl, Protocol};
pub use kubelet::Kubelet;
pub use load::Burners;
pub use node::Node;
pub use pki::{Authority, CertificateRequest, Identity};
pub use process::{Process, Program, Signal};
pub use prometheus::{Prometheus, promtool};
pub use proxies::{ForwardProxy, ProxyKind};
pub use shared::{SHARED_NAMESPACE, shared, shared_gateway};
pub use terminal::Terminal;
pub use wait::{until, until_every};

/// What a lab consists of.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// A hub, when there is to be one.
    pub hub: Option<ControlPlaneOptions>,
    /// Its members.
    pub members: Vec<ControlPlaneOptions>,
    /// A node for the first so many members.
    pub nodes: usize,
}

/// A running lab. Everything in it ends when it is dropped, or with the process.
pub struct Lab {
    hub: Option<ControlPlane>,
    members: Vec<ControlPlane>,
    nodes: Vec<Node>,
    etcd: Arc<Etcd>,
    folder: PathBuf,
}

impl Default for LabOptions {
    /// A hub and two members, the first with a node.
    fn default() -> Self {
        Self::with_members(2).nodes(1)
    }
}

impl LabOptions {
    /// A hub called `hub` and members called `member-0`, `member-1`, …
    pub fn with_members(count: usize) -> Self {
        let members =
            (0..count).map(|index| ControlPlaneOptions::member(&format!("member-{index}"))).collect();
        Self { hub: Some(ControlPlaneOptions::hub("hub")), members, nodes: 0 }
    }

    /// With a node for the first `count` members.
    pub fn nodes(mut self, count: usize) -> Self {
        self.nodes = count;
        self
    }
}

impl Lab {
    /// Starts it all and waits until every server is ready: six seconds on two idle cores.
    pub async fn start(options: LabOptions) -> Result<Self> {
        use_ring();
        let folder = tempfile::Builder::new().prefix("lab-").tempdir_in(leash::leash()?.folder())?.keep();
        let etcd = Arc::new(Etcd::start(&folder, "etcd").await?);
        let planes = options.hub.iter().chain(&options.members).cloned();
        let mut planes =
            try_join_all(planes.map(|options| ControlPlane::start(options, &etcd, &folder))).await?;
        let members = planes.split_off(usize::from(options.hub.is_some()));
        try_join_all(members.iter().map(ControlPlane::sign)).await?;
        let nodes = members.iter().take(options.nodes).enumerate();
        let nodes =
            nodes.map(|(index, member)| async move { Node::start(member, &format!("node-{index}")).await });
        let nodes = try_join_all(nodes).await?;
        Ok(Self { hub: planes.pop(), members, nodes, etcd, folder })
    }

    /// The hub.
    ///
    /// # Panics
    /// When the lab was started without one.
    #[track_caller]
    pub fn hub(&self) -> &ControlPlane {
        self.hub.as_ref().expect("a lab with a hub")
    }

    /// A member.
    ///
    /// # Panics
    /// When the lab was started with fewer.
    #[track_caller]
    pub fn member(&self, index: usize) -> &ControlPlane {
        &self.members[index]
    }

    /// All members.
    pub fn members(&self) -> &[ControlPlane] {
        &self.members
    }

    /// The node of a member.
    ///
    /// # Panics
    /// When that member was started without one.
    #[track_caller]
    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    /// The etcd that the control planes share.
    pub fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    /// The lab's folder, with a folder for each control plane.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts another control plane, for a test that hurts one or wants other flags; the caller owns it.
    pub async fn start_control_plane(&self, options: ControlPlaneOptions) -> Result<ControlPlane> {
        let plane = ControlPlane::start(options, &self.etcd, &self.folder).await?;
        if plane.front_proxy().is_err() {
            plane.sign().await?;
        }
        Ok(plane)
    }

    /// Starts another hub.
    pub async fn start_hub(&self, name: &str) -> Result<ControlPlane> {
        self.start_control_plane(ControlPlaneOptions::hub(name)).await
    }

    /// Starts another member.
    pub async fn start_member(&self, name: &str) -> Result<ControlPlane> {
        self.start_control_plane(ControlPlaneOptions::member(name)).await
    }

    /// Starts a node for a control plane that has none.
    pub async fn start_node(&self, plane: &ControlPlane, name: &str) -> Result<Node> {
        Node::start(plane, name).await
    }
}

/// Which cluster answers: the name in the ConfigMap that every member of a lab carries.
pub async fn whoami(client: &kube::Client) -> Result<String> {
    use k8s_openapi::api::core::v1::ConfigMap;
    let maps: kube::Api<ConfigMap> = kube::Api::namespaced(client.clone(), "default");
    let data = maps.get("whoami").await?.data.unwrap_or_default();
    data.get("name").cloned().context("the ConfigMap whoami has no name")
}

/// kube asks rustls for the process's provider; ours is ring.
/// Makes ring the crypto provider of this process.
pub fn use_ring() {
    // An error means that it is set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
