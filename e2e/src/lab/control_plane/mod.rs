//! A control plane: a real kube-apiserver with an authority and an etcd prefix of its own.
//!
//! There is no scheduler and no controller-manager: nothing is garbage collected, a deleted namespace stays
//! Terminating, and no service account is made unasked. Pods run where [`super::Node`] says.

pub mod access;
mod files;
mod flags;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result};

use super::binaries::{self, KUBERNETES};
use super::etcd::Etcd;
use super::kubeconfig::{Kubeconfig, Login};
use super::pki::{Authority, Identity};
use super::ports::free_port;
use super::process::{Process, Program};

pub use files::FrontProxy;

/// A kube-apiserver is ready in three seconds on an idle machine, but tests are seldom alone.
const READY: Duration = Duration::from_secs(120);
/// It waits for its long-running requests when it is told to end.
const STOP: Duration = Duration::from_secs(75);

/// What a control plane is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Has an aggregation layer: extension servers can be put behind it.
    Hub,
    /// A cluster to be reached.
    Member,
}

/// How a control plane is set up.
#[derive(Clone, Debug)]
pub struct ControlPlaneOptions {
    /// Its name in the lab: etcd prefix, folder and log. Unique in a lab.
    pub name: String,
    /// Hub or member.
    pub role: Role,
    /// An etcd of its own, for a test that hurts it; otherwise the lab's.
    pub own_etcd: bool,
    /// `--service-cluster-ip-range`. With `127.77.0.0/24` a Service's ClusterIP can be bound on loopback.
    pub service_cidr: String,
    /// Flags that are added to the usual ones, or override them.
    pub extra_flags: Vec<String>,
}

/// A running control plane. Ends when it is dropped.
pub struct ControlPlane {
    options: ControlPlaneOptions,
    folder: PathBuf,
    port: u16,
    etcd: Arc<Etcd>,
    trust: RwLock<files::Trust>,
    front_proxy: Option<FrontProxy>,
    process: Process,
}

impl ControlPlaneOptions {
    /// A hub.
    pub fn hub(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            role: Role::Hub,
            own_etcd: false,
            service_cidr: "10.0.0.0/24".to_owned(),
            extra_flags: Vec::new(),
        }
    }

    /// A member.
    pub fn member(name: &str) -> Self {
        Self { role: Role::Member, ..Self::hub(name) }
    }

    /// With an etcd of its own.
    pub fn with_own_etcd(mut self) -> Self {
        self.own_etcd = true;
        self
    }

    /// With one more flag of kube-apiserver.
    pub fn flag(mut self, flag: &str) -> Self {
        self.extra_flags.push(flag.to_owned());
        self
    }

    /// With another range for the ClusterIPs of Services.
    pub fn service_cidr(mut self, cidr: &str) -> Self {
        cidr.clone_into(&mut self.service_cidr);
        self
    }
}

impl ControlPlane {
    /// Starts one and waits until it is ready. Tests call [`super::Lab::start_control_plane`].
    pub(super) async fn start(
        options: ControlPlaneOptions,
        shared_etcd: &Arc<Etcd>,
        base: &Path,
    ) -> Result<Self> {
        let folder = base.join(&options.name);
        std::fs::create_dir(&folder).with_context(|| format!("is there a {} already?", options.name))?;
        let path = binaries::program_async(&KUBERNETES, "kube-apiserver").await?;
        let etcd = if options.own_etcd {
            Arc::new(Etcd::start(&folder, "etcd").await?)
        } else {
            Arc::clone(shared_etcd)
        };
        let authority = Arc::new(Authority::new(&format!("{}-ca", options.name))?);
        let trust = files::Trust::write(authority, &options, &folder)?;
        let front_proxy = files::write_fixed(&options, &folder)?;
        let port = free_port()?;
        let args = flags::Flags { options: &options, etcd_url: &etcd.url(), port }.arguments();
        let name = format!("kube-apiserver-{}", options.name);
        let process = Process::start(Program { name, path, args, env: Vec::new(), folder: folder.clone() })?;
        let plane = Self { options, folder, port, etcd, trust: RwLock::new(trust), front_proxy, process };
        plane.write_admin_kubeconfig()?;
        plane.ready().await?;
        Ok(plane)
    }

    /// Its name in the lab.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the authority that its serving certificate and its clients' come from.
    pub fn ca_pem(&self) -> String {
        self.authority().pem().to_owned()
    }

    /// The authority, to issue what `issue` cannot (an expired certificate, for one).
    pub fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.read_trust().authority)
    }

    /// A hub's front proxy: what an extension server sees as its client.
    pub fn front_proxy(&self) -> Result<&FrontProxy> {
        self.front_proxy.as_ref().with_context(|| format!("{} is no hub: it has no front proxy", self.name()))
    }

    /// Its folder: certificates, kubeconfigs, log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The kube-apiserver, to pause it, to read its log, to see what it uses.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its etcd. Hurt it only when it is its own.
    pub fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    /// Stops it with SIGTERM; its port and data stay its own.
    pub async fn stop(&self) -> Result<()> {
        self.process.stop(STOP).await.map(drop)
    }

    /// Kills it.
    pub fn kill(&self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again after `stop` or `kill`, with the same port and flags, and waits until it is ready.
    pub async fn start_again(&self) -> Result<()> {
        self.process.start_again()?;
        self.ready().await
    }

    /// Kills it and starts it again: as after a crash, its data in etcd stays.
    pub async fn restart(&self) -> Result<()> {
        self.kill()?;
        self.start_again().await
    }

    /// Waits until `/readyz` says so.
    pub async fn ready(&self) -> Result<()> {
        let client = self.admin_client().await?;
        self.process
            .wait_ready(READY, || async {
                let request = http::Request::get("/readyz").body(Vec::new())?;
                client.request_text(request).await?;
                Ok(())
            })
            .await
    }

    /// A new authority, serving certificate and admin; those of the old one are refused once the server has
    /// been restarted (a running one notices its files within a minute). Gives the new authority.
    pub fn replace_authority(&self) -> Result<Arc<Authority>> {
        let authority = Arc::new(Authority::new(&format!("{}-ca", self.options.name))?);
        let trust = files::Trust::write(Arc::clone(&authority), &self.options, &self.folder)?;
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = trust;
        self.write_admin_kubeconfig()?;
        Ok(authority)
    }

    /// The certificate of a user in these groups.
    pub fn issue(&self, user: &str, groups: &[&str]) -> Result<Identity> {
        self.read_trust().authority.client(user, groups)
    }

    /// The admin's certificate (group `system:masters`).
    pub fn admin(&self) -> Identity {
        self.read_trust().admin.clone()
    }

    /// A kubeconfig for this login, not written yet.
    pub fn kubeconfig(&self, login: &Login) -> Kubeconfig {
        Kubeconfig::new().context(self.name(), &self.url(), &self.ca_pem(), login)
    }

    /// The path of the admin's kubeconfig.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    fn write_admin_kubeconfig(&self) -> Result<()> {
        self.kubeconfig(&Login::Certificate(self.admin())).write(&self.admin_kubeconfig())
    }

    fn read_trust(&self) -> std::sync::RwLockReadGuard<'_, files::Trust> {
        self.trust.read().unwrap_or_else(PoisonError::into_inner)
    }
}
