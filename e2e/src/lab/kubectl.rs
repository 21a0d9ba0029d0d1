//! kubectl, the lab's own build of it: a machine's may be of any version, or a wrapper.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::binaries::{self, KUBERNETES, OLD_KUBECTL};
use super::leash::leash;
use super::process::{Process, Program};

/// How long a command may take unless it says otherwise.
const LIMIT: Duration = Duration::from_secs(60);

/// kubectl with a kubeconfig.
#[derive(Clone, Debug)]
pub struct Kubectl {
    kubeconfig: PathBuf,
    arguments: Vec<String>,
    env: Vec<(String, String)>,
    old: bool,
    limit: Duration,
}

/// What kubectl speaks for exec, attach, port-forward and cp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// SPDY/3.1, the only one until Kubernetes 1.29.
    Spdy,
    /// WebSocket (KEP-4006). kubectl goes back to SPDY where that is refused; [`Output::fell_back`] tells.
    WebSocket,
}

/// What a command gave.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Kubectl {
    /// With this kubeconfig.
    pub fn new(kubeconfig: PathBuf) -> Self {
        Self { kubeconfig, arguments: Vec::new(), env: Vec::new(), old: false, limit: LIMIT }
    }

    /// With a flag before each command's own arguments.
    pub fn flag(mut self, flag: &str) -> Self {
        self.arguments.push(flag.to_owned());
        self
    }

    /// To another server than the kubeconfig names; [`super::ControlPlane::proxy_url`] gives a cluster's.
    pub fn server(self, url: &str) -> Self {
        self.flag(&format!("--server={url}"))
    }

    /// Version 1.31 instead of the control planes' own.
    pub fn old(mut self) -> Self {
        self.old = true;
        self
    }

    /// Speaking this for streams, and saying in its log when that was not to be had.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        let value = (protocol == Protocol::WebSocket).to_string();
        for name in ["KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "KUBECTL_PORT_FORWARD_WEBSOCKETS"] {
            self.env.push((name.to_owned(), value.clone()));
        }
        // The level at which it says that it falls back.
        self.flag("-v=4")
    }

    /// With another limit for each command.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs a command and gives what came of it, refused or not. An error when it takes longer than the limit.
    pub async fn run(&self, arguments: &[&str]) -> Result<Output> {
        self.run_with_input(arguments, "").await
    }

    /// [`Self::run`] with text for its stdin, as for `apply -f -`.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Result<Output> {
        use tokio::io::AsyncWriteExt as _;
        let program = self.program("kubectl", arguments).await?;
        let mut child = tokio::process::Command::new(&program.path)
            .args(&program.args)
            .envs(program.env)
            .current_dir(&program.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", program.path.display()))?;
        let pid = child.id().context("kubectl has no number")?;
        leash()?.hold(pid)?;
        let mut stdin = child.stdin.take().context("kubectl has no stdin")?;
        let work = async {
            // A command that reads none of it has closed the pipe: its answer tells.
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
            child.wait_with_output().await
        };
        let output = tokio::time::timeout(self.limit, work).await;
        leash()?.free(pid)?;
        let output = output
            .with_context(|| format!("kubectl {} took over {:?}", arguments.join(" "), self.limit))??;
        Ok(Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a command that is to succeed and gives its stdout.
    pub async fn ok(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments).await?;
        if output.code != Some(0) {
            bail!(
                "kubectl {} ended with {:?}: {}{}",
                arguments.join(" "),
                output.code,
                output.stderr,
                output.stdout
            );
        }
        Ok(output.stdout)
    }

    /// Starts a command that goes on (`get --watch`, `logs -f`): what it writes is in the process's log.
    pub async fn start(&self, name: &str, arguments: &[&str]) -> Result<Process> {
        Process::start(self.program(name, arguments).await?)
    }

    /// The command line for somebody to read or to start.
    pub async fn program(&self, name: &str, arguments: &[&str]) -> Result<Program> {
        let path = if self.old {
            binaries::program_async(&OLD_KUBECTL, "kubectl-1.31").await?
        } else {
            binaries::program_async(&KUBERNETES, "kubectl").await?
        };
        let folder = leash()?.folder().join("kubectl");
        std::fs::create_dir_all(&folder)?;
        let mut args =
            vec![format!("--kubeconfig={}", self.kubeconfig.display()), "--cache-dir=cache".to_owned()];
        args.extend(self.arguments.iter().cloned());
        args.extend(arguments.iter().map(|&argument| argument.to_owned()));
        // Neither the user's preferences (kuberc) nor a proxy of theirs.
        let mut env = vec![
            ("HOME".to_owned(), folder.display().to_string()),
            ("KUBERC".to_owned(), "off".to_owned()),
            ("NO_PROXY".to_owned(), "*".to_owned()),
        ];
        env.extend(self.env.iter().cloned());
        Ok(Program { name: name.to_owned(), path, args, env, folder })
    }
}

impl Output {
    /// Whether it succeeded.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// What it wrote to stderr for its user, without the log that [`Kubectl::protocol`] makes it write.
    pub fn messages(&self) -> String {
        let lines = self.stderr.split_inclusive('\n');
        lines.filter(|line| !is_log(line)).collect()
    }

    /// Whether it used SPDY because WebSocket was refused.
    pub fn fell_back(&self) -> bool {
        self.stderr.lines().any(|line| is_log(line) && line.contains("fallback"))
    }
}

/// Whether klog wrote this line: a letter for the level and four digits of the date.
fn is_log(line: &str) -> bool {
    let mut bytes = line.bytes();
    bytes.next().is_some_and(|level| b"IWEF".contains(&level))
        && bytes.by_ref().take(4).all(|byte| byte.is_ascii_digit())
        && bytes.next() == Some(b' ')
}
