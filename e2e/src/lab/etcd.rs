//! etcd: one serves any number of control planes, each below a prefix of its own.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tokio::net::TcpStream;

use super::binaries::{self, ETCD};
use super::ports::free_port;
use super::process::{Process, Program};

const READY: Duration = Duration::from_secs(30);

/// A running etcd. Its data stays in the lab's folder when it is stopped and started again.
pub struct Etcd {
    process: Process,
    port: u16,
}

impl Etcd {
    /// Starts one whose data and log lie in `folder`.
    pub async fn start(folder: &Path, name: &str) -> Result<Self> {
        let path = binaries::program_async(&ETCD, "etcd").await?;
        let (port, peer) = (free_port()?, free_port()?);
        let peer_url = format!("http://127.0.0.1:{peer}");
        let url = format!("http://127.0.0.1:{port}");
        let args = vec![
            format!("--name={name}"),
            format!("--data-dir={}", folder.join(format!("{name}.data")).display()),
            format!("--listen-client-urls={url}"),
            format!("--advertise-client-urls={url}"),
            format!("--listen-peer-urls={peer_url}"),
            format!("--initial-advertise-peer-urls={peer_url}"),
            format!("--initial-cluster={name}={peer_url}"),
            // A test's data need not outlive a power cut, and fsync is most of what etcd waits for.
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ];
        let process = Process::start(Program {
            name: name.to_owned(),
            path,
            args,
            env: Vec::new(),
            folder: folder.to_owned(),
        })?;
        let etcd = Self { process, port };
        etcd.ready().await?;
        Ok(etcd)
    }

    /// What kube-apiserver calls `--etcd-servers`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process, to stop, pause or kill it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Starts it again on its port and data after it was stopped, and waits until it answers.
    pub async fn start_again(&self) -> Result<()> {
        self.process.start_again()?;
        self.ready().await
    }

    async fn ready(&self) -> Result<()> {
        // It listens for clients once it has a leader.
        self.process
            .wait_ready(READY, || async {
                TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
                Ok(())
            })
            .await
    }
}
