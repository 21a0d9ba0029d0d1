use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::client::HttpsClient;
use e2e::lab::ports::free_port;
use e2e::lab::{Authority, Identity, Process, Program, until};

use super::place::{file, folder};
use crate::measure::Meter;

/// The light upstream ([`crate::upstream`]) as a process of its own.
pub(crate) struct Upstream {
    address: SocketAddr,
    serving: Authority,
    clients: Authority,
    process: Process,
}

impl Upstream {
    /// Starts one; it is there when something first connects ([`Self::ready`]).
    pub(crate) fn start(name: &str) -> Result<Self> {
        let folder = folder(name)?;
        let (serving, clients) =
            (Authority::new(&format!("{name}-ca"))?, Authority::new(&format!("{name}-clients"))?);
        let (cert, key) = serving.server(&["localhost", "127.0.0.1"])?.write(&folder, "serving")?;
        let client_ca = file(&folder, "client-ca.crt", clients.pem())?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let args = vec![
            "upstream".to_owned(),
            format!("--address={address}"),
            format!("--cert={}", cert.display()),
            format!("--key={}", key.display()),
            format!("--client-ca={}", client_ca.display()),
        ];
        let path = std::env::current_exe()?;
        let process = Process::start(Program { name: name.to_owned(), path, args, env: Vec::new(), folder })?;
        Ok(Self { address, serving, clients, process })
    }

    /// Waits until it answers.
    pub(crate) async fn ready(&self) -> Result<()> {
        let client =
            HttpsClient::new(self.address, "localhost", self.ca_pem(), Some(&self.client("suite")?))?;
        until("the upstream answers", Duration::from_secs(20), || async {
            client.tls(&["h2"]).await.context("connecting").map(drop)
        })
        .await
    }

    /// `https://ADDRESS:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The authority of its certificate.
    pub(crate) fn ca_pem(&self) -> &str {
        self.serving.pem()
    }

    /// A certificate that it takes.
    pub(crate) fn client(&self, user: &str) -> Result<Identity> {
        self.clients.client(user, &[])
    }

    /// What it uses.
    pub(crate) fn meter(&self) -> Result<Meter> {
        Ok(Meter::of(self.process.pid().context("the upstream has ended")?))
    }
}
