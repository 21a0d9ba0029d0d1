//! The gateway under test: the real binary, with the flags that a deployment uses.

mod executable;
mod expose;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

pub use executable::gateway_binary;
pub use expose::{API_SERVICE, Exposure};

use super::control_plane::ControlPlane;
use super::leash::leash;
use super::pki::Authority;
use super::ports::free_port;
use super::process::{Process, Program, Signal};
use crate::client::HttpsClient;

const READY: Duration = Duration::from_secs(60);
/// Where it is set, gateways that are dropped are told to end instead of being killed: one that counts what it runs, for
/// the compiler, writes that at its end.
const GENTLE: &str = "CLUSTER_GATEWAY_ENDS_GENTLY";
/// For one that is told to.
const END: Duration = Duration::from_secs(10);

/// How a gateway is started.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Name of its Service, and of its log.
    pub name: String,
    /// Namespace of its Service.
    pub namespace: String,
    /// `--secret-namespace`.
    pub secret_namespace: String,
    /// `--bind-address`.
    pub bind: IpAddr,
    /// The kubeconfig that it reaches the hub with (all three kubeconfig flags); `None` passes none of them, as
    /// in a cluster.
    pub kubeconfig: Option<PathBuf>,
    /// The start of the command line; `serve`, unless a chart's form is tried.
    pub subcommand: Vec<String>,
    /// Further flags.
    pub flags: Vec<String>,
    /// Environment.
    pub env: Vec<(String, String)>,
    /// A program and arguments that end by executing what follows them, such as `unshare --mount`.
    pub wrapper: Vec<String>,
    /// The executable; the one that [`gateway_binary`] finds when there is none.
    pub binary: Option<PathBuf>,
}

/// A running gateway. Ends when it is dropped.
pub struct Gateway {
    options: GatewayOptions,
    address: SocketAddr,
    folder: PathBuf,
    authority: Authority,
    hub_front_proxy: (String, super::pki::Identity),
    process: Process,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::env::var_os(GENTLE).is_some() {
            let _ = self.process.stop_and_wait(END);
        }
    }
}

impl GatewayOptions {
    /// A gateway with the hub's admin kubeconfig and clusters from the Secrets of `secret_namespace`.
    pub fn new(hub: &ControlPlane, secret_namespace: &str) -> Self {
        Self {
            name: "cluster-gateway".to_owned(),
            namespace: secret_namespace.to_owned(),
            secret_namespace: secret_namespace.to_owned(),
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            kubeconfig: Some(hub.admin_kubeconfig()),
            subcommand: vec!["serve".to_owned()],
            flags: Vec::new(),
            env: Vec::new(),
            wrapper: Vec::new(),
            binary: None,
        }
    }

    /// The API group that it serves.
    pub fn group(&self) -> &str {
        let named = self.flags.iter().find_map(|flag| flag.strip_prefix("--group-name="));
        named.unwrap_or("cluster.core.oam.dev")
    }

    /// With one more flag.
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }
}

impl Gateway {
    /// Starts one that belongs to `hub`, makes its Secret namespace there, and waits until it is ready.
    /// It is reached directly ([`Gateway::front_proxy`]) until [`Gateway::expose`] puts it behind the hub.
    pub async fn start(hub: &ControlPlane, options: GatewayOptions) -> Result<Self> {
        let gateway = Self::start_unready(hub, options).await?;
        gateway.ready().await?;
        Ok(gateway)
    }

    /// [`Gateway::start`] that does not wait: for a gateway that cannot become ready, or must not.
    pub async fn start_unready(hub: &ControlPlane, options: GatewayOptions) -> Result<Self> {
        // A hub that is stopped on purpose has the namespace already, or needs none.
        if hub.process().pid().is_some() {
            hub.ensure_namespace(&options.secret_namespace).await?;
        }
        let binary = match &options.binary {
            Some(path) => path.clone(),
            None => tokio::task::spawn_blocking(gateway_binary).await??,
        };
        let folder = tempfile::Builder::new().prefix("gateway-").tempdir_in(leash()?.folder())?.keep();
        let authority = Authority::new("gateway-serving-ca")?;
        write_serving(&authority, &options, &folder)?;
        let port = free_port()?;
        let program = program(&options, &binary, port, &folder);
        let process = Process::start(program)?;
        let front_proxy = hub.front_proxy()?;
        Ok(Self {
            address: SocketAddr::new(options.bind, port),
            hub_front_proxy: (front_proxy.authority.pem().to_owned(), front_proxy.client.clone()),
            options,
            folder,
            authority,
            process,
        })
    }

    /// What it was started with.
    pub fn options(&self) -> &GatewayOptions {
        &self.options
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://ADDRESS:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The authority of its serving certificate: the APIService's caBundle.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// The authority itself, for another certificate.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Its folder: `tls.crt`, `tls.key`, its log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new serving certificate from the same authority, in the same files.
    pub fn replace_serving_certificate(&self) -> Result<()> {
        write_serving(&self.authority, &self.options, &self.folder)
    }

    /// The process: its log, what it uses, other signals.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Everything that it logged.
    pub fn logs(&self) -> String {
        self.process.logs()
    }

    /// Resident memory, kB.
    pub fn rss_kb(&self) -> Result<u64> {
        Ok(self.process.usage()?.rss_kb)
    }

    /// A client without a certificate: anonymous, until a header says otherwise.
    pub fn anonymous(&self) -> Result<HttpsClient> {
        HttpsClient::new(self.address, "localhost", self.ca_pem(), None)
    }

    /// A client with the hub's front-proxy certificate: what it sends is for `user`, as a hub would send it.
    pub fn front_proxy(&self, user: &str, groups: &[&str]) -> Result<HttpsClient> {
        let identity = &self.hub_front_proxy.1;
        let mut client = HttpsClient::new(self.address, "localhost", self.ca_pem(), Some(identity))?
            .header("X-Remote-User", user)?;
        for group in groups {
            client = client.header("X-Remote-Group", group)?;
        }
        Ok(client)
    }

    /// Waits until `/readyz` says so, as `system:masters` through the front proxy.
    pub async fn ready(&self) -> Result<()> {
        let client = self.front_proxy("system:lab", &["system:masters"])?;
        self.process
            .wait_ready(READY, || async {
                let answer = client.h1().await?.get("/readyz").await?;
                ensure!(answer.status == 200, "/readyz: {} {}", answer.status, answer.text());
                Ok(())
            })
            .await
    }

    /// Puts it behind the hub: namespace, Service, APIService; waits until the hub finds it Available.
    pub async fn expose(&self, hub: &ControlPlane, exposure: Exposure) -> Result<()> {
        self.expose_at(hub, exposure, self.address.port()).await
    }

    /// [`Gateway::expose`] with another port than its own, for something of a test's between it and the hub.
    pub async fn expose_at(&self, hub: &ControlPlane, exposure: Exposure, port: u16) -> Result<()> {
        let exposed = expose::expose(hub, self, exposure, port).await;
        exposed.map_err(|error| {
            anyhow!("{error:#}\nthe gateway's log ends with:\n{}", self.process.log_tail(25))
        })
    }

    /// SIGTERM, without waiting.
    pub fn sigterm(&self) -> Result<()> {
        self.process.signal(Signal::TERM)
    }

    /// SIGTERM; gives how it ended, within `limit`.
    pub async fn stop(&self, limit: Duration) -> Result<ExitStatus> {
        self.process.stop(limit).await
    }

    /// SIGKILL.
    pub fn kill(&self) -> Result<()> {
        self.process.kill()
    }

    /// Waits for its end and gives its exit code.
    pub async fn wait_exit(&self, limit: Duration) -> Result<i32> {
        let status = self.process.wait_exit(limit).await?;
        status.code().with_context(|| format!("it ended with {status}"))
    }

    /// Starts it again after it ended, with the same port and flags, and waits until it is ready.
    pub async fn start_again(&self) -> Result<()> {
        self.process.start_again()?;
        self.ready().await
    }
}

/// The certificate that a hub expects: it verifies `SERVICE.NAMESPACE.svc`.
fn write_serving(authority: &Authority, options: &GatewayOptions, folder: &Path) -> Result<()> {
    let service = format!("{}.{}.svc", options.name, options.namespace);
    let bind = options.bind.to_string();
    authority.server(&[&service, "localhost", "127.0.0.1", &bind])?.write(folder, "tls")?;
    Ok(())
}

fn program(options: &GatewayOptions, binary: &Path, port: u16, folder: &Path) -> Program {
    let mut line = options.wrapper.clone();
    line.push(binary.display().to_string());
    line.extend(options.subcommand.iter().cloned());
    line.push(format!("--secure-port={port}"));
    line.push(format!("--bind-address={}", options.bind));
    line.push(format!("--tls-cert-file={}", folder.join("tls.crt").display()));
    line.push(format!("--tls-private-key-file={}", folder.join("tls.key").display()));
    line.push(format!("--secret-namespace={}", options.secret_namespace));
    if let Some(kubeconfig) = &options.kubeconfig {
        for flag in ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
            line.push(format!("--{flag}={}", kubeconfig.display()));
        }
    }
    line.extend(options.flags.iter().cloned());
    Program {
        name: options.name.clone(),
        path: PathBuf::from(line.remove(0)),
        args: line,
        env: options.env.clone(),
        folder: folder.to_owned(),
    }
}
