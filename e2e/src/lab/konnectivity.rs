//! Konnectivity: the server that a gateway dials through, and the agent that dials for it.
//!
//! The agent dials `NAME:443` for a cluster called NAME, whatever the machine's resolver thinks of that. So it has a
//! mount namespace of its own with its own `/etc/hosts`, where every cluster has an address of 127.0.0.0/8 that no
//! other lab uses; on port 443 of that a relay leads to the member.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::binaries::{self, KONNECTIVITY};
use super::leash::leash;
use super::pki::{Authority, Identity, write_file};
use super::ports::free_port;
use super::process::{Process, Program};
use crate::relay::Relay;

const READY: Duration = Duration::from_secs(60);
/// How a good answer to [`get`] begins.
const OK: &str = "HTTP/1.0 200 ";
/// Where the agent thinks that every cluster listens.
const PORT: u16 = 443;

/// What the server speaks with those who dial through it (`--mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A stream of packets over gRPC.
    Grpc,
    /// HTTP/1.1 CONNECT.
    HttpConnect,
}

/// Where those who dial through the server find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frontend {
    /// A port, over mutual TLS.
    MutualTls,
    /// A Unix socket.
    UnixSocket,
}

/// A running server and its agent. Both end when this is dropped.
pub struct Konnectivity {
    mode: Mode,
    frontend: Frontend,
    folder: PathBuf,
    ports: Ports,
    server: Process,
    agent: Process,
    relays: Vec<(String, Relay)>,
}

struct Ports {
    server: u16,
    agents: u16,
    server_health: u16,
    server_admin: u16,
    agent_health: u16,
    agent_admin: u16,
}

impl Konnectivity {
    /// Starts both and waits until the agent is connected. `clusters` are names and the ports of 127.0.0.1 where
    /// those clusters really listen.
    ///
    /// It takes the rights to mount and to listen on port 443: root, in a container too.
    pub async fn start(mode: Mode, frontend: Frontend, clusters: &[(&str, u16)]) -> Result<Self> {
        let server = binaries::program_async(&KONNECTIVITY, "proxy-server").await?;
        let agent = binaries::program_async(&KONNECTIVITY, "proxy-agent").await?;
        let folder = tempfile::Builder::new().prefix("konnectivity-").tempdir_in(leash()?.folder())?.keep();
        write_certificates(&folder)?;
        let ports = Ports {
            server: free_port()?,
            agents: free_port()?,
            server_health: free_port()?,
            server_admin: free_port()?,
            agent_health: free_port()?,
            agent_admin: free_port()?,
        };
        let relays = relays(clusters, ports.server)?;
        let hosts = relays.iter().fold("127.0.0.1 localhost\n".to_owned(), |mut hosts, (name, relay)| {
            let _ = writeln!(hosts, "{} {name}", relay.address().ip());
            hosts
        });
        write_file(&folder.join("hosts"), &hosts)?;
        let server = Process::start(server_program(server, mode, frontend, &folder, &ports))?;
        wait_healthy(&server, ports.server_health, "/healthz").await?;
        let agent = Process::start(agent_program(&agent, &folder, &ports))?;
        let konnectivity = Self { mode, frontend, folder, ports, server, agent, relays };
        konnectivity.ready().await?;
        Ok(konnectivity)
    }

    /// Waits until the agent is connected to the server.
    pub async fn ready(&self) -> Result<()> {
        wait_healthy(&self.server, self.ports.server_health, "/readyz").await?;
        wait_healthy(&self.agent, self.ports.agent_health, "/readyz").await
    }

    /// The gateway's flags that lead through this server.
    pub fn flags(&self) -> Vec<String> {
        let mode = match self.mode {
            Mode::Grpc => "grpc",
            Mode::HttpConnect => "http-connect",
        };
        let mut flags = vec![format!("--proxy-mode={mode}")];
        match self.frontend {
            Frontend::UnixSocket => flags.push(format!("--proxy-uds={}", self.socket().display())),
            Frontend::MutualTls => flags.extend([
                "--proxy-host=localhost".to_owned(),
                format!("--proxy-port={}", self.ports.server),
                format!("--proxy-ca-cert={}", self.folder.join("ca.crt").display()),
                format!("--proxy-cert={}", self.folder.join("client.crt").display()),
                format!("--proxy-key={}", self.folder.join("client.key").display()),
            ]),
        }
        flags
    }

    /// Where the server listens for mutual TLS, its authority, and a client's certificate.
    pub fn tls_frontend(&self) -> Result<(SocketAddr, String, Identity)> {
        ensure!(self.frontend == Frontend::MutualTls, "it listens on a Unix socket");
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name));
        let identity = Identity { cert: read("client.crt")?, key: read("client.key")? };
        Ok((([127, 0, 0, 1], self.ports.server).into(), read("ca.crt")?, identity))
    }

    /// The server, to kill or pause it.
    pub fn server(&self) -> &Process {
        &self.server
    }

    /// The agent, to kill or pause it.
    pub fn agent(&self) -> &Process {
        &self.agent
    }

    /// What stands between the agent and a cluster: its connections can be counted and cut.
    pub fn to_cluster(&self, name: &str) -> Result<&Relay> {
        let relay = self.relays.iter().find(|(cluster, _)| cluster == name);
        relay.map(|(_, relay)| relay).with_context(|| format!("no cluster {name}"))
    }

    /// A number of the server's metrics, summed over its labels; 0 when it is not there.
    pub async fn server_metric(&self, name: &str) -> Result<f64> {
        metric(self.ports.server_admin, name).await
    }

    /// A number of the agent's metrics, summed over its labels; 0 when it is not there.
    pub async fn agent_metric(&self, name: &str) -> Result<f64> {
        metric(self.ports.agent_health, name).await
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("frontend.sock")
    }
}

/// A listener for each cluster, on an address of its own: `port` is nobody else's, so neither is 127.PORT.x.
fn relays(clusters: &[(&str, u16)], port: u16) -> Result<Vec<(String, Relay)>> {
    let [high, low] = port.to_be_bytes();
    let mut relays = Vec::new();
    for (last, (name, member)) in (1..=254).zip(clusters) {
        let address = SocketAddr::from((Ipv4Addr::new(127, high, low, last), PORT));
        let relay = Relay::start_at(address, (Ipv4Addr::LOCALHOST, *member).into()).context(
            "Konnectivity's agent dials port 443 of every cluster: run as root, or let others listen there with \
             sysctl net.ipv4.ip_unprivileged_port_start=443",
        )?;
        relays.push(((*name).to_owned(), relay));
    }
    Ok(relays)
}

/// One authority for both sides of the server.
fn write_certificates(folder: &Path) -> Result<()> {
    let authority = Authority::new("konnectivity-ca")?;
    write_file(&folder.join("ca.crt"), authority.pem())?;
    authority.server(&["localhost", "127.0.0.1"])?.write(folder, "server")?;
    authority.client("cluster-gateway", &[])?.write(folder, "client")?;
    authority.client("agent", &[])?.write(folder, "agent")?;
    Ok(())
}

fn server_program(path: PathBuf, mode: Mode, frontend: Frontend, folder: &Path, ports: &Ports) -> Program {
    let mode = if mode == Mode::Grpc { "grpc" } else { "http-connect" };
    let mut args = vec![
        format!("--mode={mode}"),
        format!("--agent-port={}", ports.agents),
        format!("--health-port={}", ports.server_health),
        format!("--admin-port={}", ports.server_admin),
    ];
    for flag in [
        "--cluster-cert=server.crt",
        "--cluster-key=server.key",
        "--cluster-ca-cert=ca.crt",
        "--agent-bind-address=127.0.0.1",
        "--health-bind-address=127.0.0.1",
    ] {
        args.push(flag.to_owned());
    }
    match frontend {
        Frontend::UnixSocket => {
            args.extend(["--server-port=0", "--uds-name=frontend.sock"].map(str::to_owned));
        }
        Frontend::MutualTls => {
            args.push(format!("--server-port={}", ports.server));
            args.extend(
                [
                    "--server-bind-address=127.0.0.1",
                    "--server-cert=server.crt",
                    "--server-key=server.key",
                    "--server-ca-cert=ca.crt",
                ]
                .map(str::to_owned),
            );
        }
    }
    Program { name: "proxy-server".to_owned(), path, args, env: Vec::new(), folder: folder.to_owned() }
}

fn agent_program(path: &Path, folder: &Path, ports: &Ports) -> Program {
    // As root without a user namespace; otherwise with one, where the kernel allows that.
    let mut args = vec!["--mount".to_owned()];
    if !rustix::process::geteuid().is_root() {
        args.extend(["--user", "--map-root-user"].map(str::to_owned));
    }
    args.extend(["sh", "-c", r#"mount --bind hosts /etc/hosts && exec "$@""#, "sh"].map(str::to_owned));
    args.push(path.display().to_string());
    args.extend(
        [
            "--proxy-server-host=localhost",
            "--ca-cert=ca.crt",
            "--agent-cert=agent.crt",
            "--agent-key=agent.key",
            "--health-server-host=127.0.0.1",
            "--admin-bind-address=127.0.0.1",
            // It is looked for again at once when the server is back, not after a minute.
            "--sync-interval=500ms",
            "--sync-interval-cap=1s",
            "--probe-interval=500ms",
        ]
        .map(str::to_owned),
    );
    args.push(format!("--proxy-server-port={}", ports.agents));
    args.push(format!("--health-server-port={}", ports.agent_health));
    args.push(format!("--admin-server-port={}", ports.agent_admin));
    Program {
        name: "proxy-agent".to_owned(),
        path: "unshare".into(),
        args,
        env: Vec::new(),
        folder: folder.to_owned(),
    }
}

async fn wait_healthy(process: &Process, port: u16, path: &str) -> Result<()> {
    process
        .wait_ready(READY, || async {
            let answer = get(port, path).await?;
            ensure!(answer.starts_with(OK), "{path}: {answer}");
            Ok(())
        })
        .await
}

async fn metric(port: u16, name: &str) -> Result<f64> {
    let text = get(port, "/metrics").await?;
    ensure!(text.starts_with(OK), "/metrics: {text}");
    let samples = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
    });
    let mut sum = 0.0;
    for sample in samples {
        let value = sample.rsplit(' ').next().unwrap_or_default();
        sum += value.parse::<f64>().with_context(|| format!("metric {sample}"))?;
    }
    Ok(sum)
}

/// A plain HTTP answer with its head, whose sender closes the connection.
async fn get(port: u16, path: &str) -> Result<String> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    // HTTP/1.0: the body is not chunked.
    connection.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await?;
    Ok(String::from_utf8(answer)?)
}
