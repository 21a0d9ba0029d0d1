//! A gateway whose whole command line is the test's: for what [`e2e::lab::Gateway`] would put there itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::client::HttpsClient;
use e2e::lab::leash::leash;
use e2e::lab::ports::free_port;
use e2e::lab::{Authority, ControlPlane, Process, Program, gateway_binary};

/// A debug build on a machine that does other things as well.
const READY: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(30);

/// A running gateway and its serving authority.
pub(crate) struct Bare {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

/// Files that command lines name, gone when this is dropped.
pub(crate) struct Files {
    folder: tempfile::TempDir,
    pub(crate) authority: Authority,
}

/// What a gateway that did not start said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Files {
    /// `apiserver.crt` and `apiserver.key` for localhost, from an authority whose certificate is `ca.crt`.
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("flags-").tempdir_in(leash()?.folder())?;
        let authority = Authority::new("bare-serving-ca")?;
        authority.server(&["localhost", "127.0.0.1"])?.write(folder.path(), "apiserver")?;
        std::fs::write(folder.path().join("ca.crt"), authority.pem())?;
        Ok(Self { folder, authority })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file in it, as text.
    pub(crate) fn file(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<String> {
        std::fs::write(self.path().join(name), content)?;
        Ok(self.file(name))
    }
}

impl Bare {
    /// Starts it with these arguments, to which port, address and the hub's kubeconfigs are added.
    pub(crate) async fn start(hub: &ControlPlane, name: &str, arguments: &[String]) -> Result<Self> {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), free_port()?);
        let mut args = arguments.to_vec();
        args.push(format!("--secure-port={}", address.port()));
        args.push("--bind-address=127.0.0.1".to_owned());
        args.extend(kubeconfigs(&hub.admin_kubeconfig()));
        let folder = tempfile::Builder::new().prefix("bare-").tempdir_in(leash()?.folder())?.keep();
        let path = binary().await?;
        let process = Process::start(Program { name: name.to_owned(), path, args, env: Vec::new(), folder })?;
        Ok(Self { process, address })
    }

    /// Waits until `/readyz` says so to anybody; `ca_pem` verifies the serving certificate.
    pub(crate) async fn ready(&self, ca_pem: impl Fn() -> Result<String>) -> Result<()> {
        self.process
            .wait_ready(READY, || async {
                let client = HttpsClient::new(self.address, "localhost", &ca_pem()?, None)?;
                let answer = client.h1().await?.get("/readyz").await?;
                ensure!(answer.status == 200, "/readyz: {} {}", answer.status, answer.text());
                Ok(())
            })
            .await
    }
}

/// The three flags that name the hub.
pub(crate) fn kubeconfigs(path: &Path) -> [String; 3] {
    ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"]
        .map(|flag| format!("--{flag}={}", path.display()))
}

/// Runs the gateway until it ends by itself; one that goes on is an error.
pub(crate) async fn run_to_end(arguments: &[String]) -> Result<Ended> {
    let path = binary().await?;
    let output = tokio::process::Command::new(&path)
        .args(arguments)
        .current_dir(leash()?.folder())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(END, output)
        .await
        .with_context(|| format!("it did not end within {END:?}: {arguments:?}"))??;
    Ok(Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

async fn binary() -> Result<PathBuf> {
    tokio::task::spawn_blocking(gateway_binary).await?
}
