//! Forward proxies between a gateway and its clusters: programs of their own over libraries that others wrote
//! (`e2e/servers/proxies`), which tell of every connection.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};

use super::binaries::{self, PROXIES};
use super::leash::leash;
use super::pki::Authority;
use super::ports::free_port;
use super::process::{Process, Program};

const READY: Duration = Duration::from_secs(30);

/// The one user whom a proxy of the lab lets in. The characters are those that a URL has to encode.
const USER: &str = "lab user";
const PASSWORD: &str = "p@ss:w/rd";
const ENCODED: &str = "lab%20user:p%40ss%3Aw%2Frd";

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP CONNECT.
    Connect,
    /// HTTP CONNECT within TLS.
    ConnectTls,
    /// SOCKS5.
    Socks5,
}

/// A running forward proxy. Ends when it is dropped.
pub struct ForwardProxy {
    kind: ProxyKind,
    port: u16,
    authority: Authority,
    process: Process,
}

impl ForwardProxy {
    /// Starts one that asks for a password. `known` are names with ports that nobody but the proxy can resolve,
    /// and where they lead: what reaches such a name went through this proxy.
    pub async fn start(kind: ProxyKind, known: &[(&str, SocketAddr)]) -> Result<Self> {
        let name = if kind == ProxyKind::Socks5 { "socks5" } else { "connect" };
        let path = binaries::program_async(&PROXIES, name).await?;
        let folder = tempfile::Builder::new().prefix(name).tempdir_in(leash()?.folder())?.keep();
        let authority = Authority::new("forward-proxy-ca")?;
        let port = free_port()?;
        let mut args = vec![
            format!("--listen=127.0.0.1:{port}"),
            format!("--user={USER}"),
            format!("--password={PASSWORD}"),
        ];
        args.extend(known.iter().map(|(name, address)| format!("--known={name}={address}")));
        if kind == ProxyKind::ConnectTls {
            authority.server(&["localhost", "127.0.0.1"])?.write(&folder, "proxy")?;
            args.extend(["--cert=proxy.crt", "--key=proxy.key"].map(str::to_owned));
        }
        let program = Program { name: name.to_owned(), path, args, env: Vec::new(), folder };
        let proxy = Self { kind, port, authority, process: Process::start(program)? };
        proxy.ready().await?;
        Ok(proxy)
    }

    /// The value of a Secret's `proxy-url`, with user and password.
    pub fn url(&self) -> String {
        format!("{}://{ENCODED}@localhost:{}", self.scheme(), self.port)
    }

    /// The same with a password that is wrong.
    pub fn wrong_url(&self) -> String {
        format!("{}://lab%20user:wrong@localhost:{}", self.scheme(), self.port)
    }

    /// The authority of its serving certificate, for [`ProxyKind::ConnectTls`]: a Secret's `proxy-ca.crt`.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections it has made to a target, `NAME:PORT` as it was asked for.
    pub fn dialed(&self, target: &str) -> usize {
        self.told(&format!("dialed {target}"))
    }

    /// How many of those are open.
    pub fn live(&self, target: &str) -> usize {
        let ended = self.told(&format!("ended {target}"));
        self.dialed(target).saturating_sub(ended)
    }

    /// How many callers it has turned away, whose password was wrong.
    pub fn refused(&self) -> usize {
        self.process.logs().lines().filter(|line| line.starts_with("refused ")).count()
    }

    /// The process, to kill or pause it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Starts it again after it was killed.
    pub async fn start_again(&self) -> Result<()> {
        self.process.start_again()?;
        self.ready().await
    }

    async fn ready(&self) -> Result<()> {
        self.process
            .wait_ready(READY, || async {
                let connected = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await;
                connected.map(drop).context("it does not listen")
            })
            .await
    }

    fn scheme(&self) -> &'static str {
        match self.kind {
            ProxyKind::Connect => "http",
            ProxyKind::ConnectTls => "https",
            ProxyKind::Socks5 => "socks5",
        }
    }

    fn told(&self, line: &str) -> usize {
        self.process.logs().lines().filter(|said| *said == line).count()
    }
}
