use std::num::NonZeroUsize;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::credentials::disk::{Disk, DiskWork, Undone};
use crate::credentials::source::Supplier;
use crate::credentials::{Failure, Metrics, Supplied};

use super::allowed::Allowed;
use super::answer;
use super::info::exec_info;
use super::run::{End, Output, STDOUT, run};
use super::text::{last_words, short};
use super::{AllowedCommand, ClusterInfo, ExecConfig, ExecError, text};

/// What the operator chose about commands.
#[derive(Debug, Clone)]
pub struct ExecOptions {
    /// `--exec-allowed`: the only ones that are run.
    pub allowed: Vec<AllowedCommand>,
    /// `--exec-timeout`: for one run.
    pub timeout: Duration,
    /// `--exec-concurrency`: runs at a time.
    pub at_once: NonZeroUsize,
}

/// What one cluster's Secret says.
#[derive(Debug, Clone)]
pub struct PluginSpec {
    /// The command.
    pub config: ExecConfig,
    /// What it is told, if it wants to be told.
    pub cluster: ClusterInfo,
}

/// What all commands share.
#[derive(Debug)]
pub(in crate::credentials) struct Plugins {
    allowed: Allowed,
    timeout: Duration,
    permits: Semaphore,
    /// As many of them as commands may have that were slow the last time, see [`for_slow`], so that clusters whose commands hang do
    /// not keep those of the others from theirs.
    for_slow: Semaphore,
    /// That commands are on.
    disk: Disk,
    metrics: Metrics,
}

/// The command of one cluster.
pub(in crate::credentials) struct Plugin {
    plugins: Arc<Plugins>,
    spec: Arc<PluginSpec>,
    /// The last time.
    was_slow: AtomicBool,
    checks: DiskWork<Result<PathBuf, ExecError>>,
}

/// A place among commands that run, and one among the slow ones of them.
type Place<'a> = (SemaphorePermit<'a>, Option<SemaphorePermit<'a>>);

/// What others would wait for their turn while it runs (`TURN` of the sources).
const SLOW: Duration = Duration::from_secs(5);

impl Default for ExecOptions {
    /// Nothing may be run.
    fn default() -> Self {
        const AT_ONCE: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");
        Self { allowed: Vec::new(), timeout: Duration::from_secs(30), at_once: AT_ONCE }
    }
}

impl Plugins {
    pub(in crate::credentials) fn new(options: ExecOptions, metrics: Metrics) -> Self {
        Self {
            allowed: Allowed::new(options.allowed),
            timeout: options.timeout,
            permits: Semaphore::new(options.at_once.get()),
            for_slow: Semaphore::new(for_slow(options.at_once.get())),
            disk: Disk::default(),
            metrics,
        }
    }

    pub(in crate::credentials) fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// Of so many places: all but a quarter, which slow commands leave to the others. One place has no quarter.
fn for_slow(places: usize) -> usize {
    (places - (places / 4).max(1)).max(1)
}

impl Plugin {
    pub(in crate::credentials) fn new(plugins: Arc<Plugins>, spec: PluginSpec) -> Self {
        let checks = DiskWork::new(plugins.disk.clone());
        Self { plugins, spec: Arc::new(spec), was_slow: AtomicBool::new(false), checks }
    }

    fn command(&self) -> String {
        short(&self.spec.config.command)
    }

    /// Where the command is, if it may be run now. Files are read elsewhere than on the event loop.
    async fn path(&self) -> Result<PathBuf, Failure> {
        let (plugins, spec) = (Arc::clone(&self.plugins), Arc::clone(&self.spec));
        let check = move || plugins.allowed.check(&spec.config);
        match self.checks.done_within(self.plugins.timeout, check).await {
            Ok(result) => Ok(result?),
            Err(Undone::Panicked) => Err(Failure::Bug),
            Err(Undone::Late) => Err(self.not_started("the disk that it is on does not answer").into()),
        }
    }

    fn not_started(&self, error: impl ToString) -> ExecError {
        ExecError::NotStarted { command: self.command(), error: error.to_string() }
    }

    /// Among those that run.
    async fn place(&self) -> Result<Place<'_>, Failure> {
        let stopped = |_| Failure::Stopped;
        let for_slow = match self.was_slow.load(Ordering::Relaxed) {
            true => Some(self.plugins.for_slow.acquire().await.map_err(stopped)?),
            false => None,
        };
        Ok((self.plugins.permits.acquire().await.map_err(stopped)?, for_slow))
    }

    async fn run(&self, stop: &CancellationToken) -> Result<Supplied, Failure> {
        let config = &self.spec.config;
        let path = self.path().await?;
        let cluster = config.provide_cluster_info.then_some(&self.spec.cluster);
        let info = exec_info(config.version, cluster).map_err(|error| self.not_started(error))?;
        let began = Instant::now();
        let output = run(&path, config, &info, self.plugins.timeout, stop).await;
        let took = began.elapsed();
        self.plugins.metrics.took(took);
        let is_slow = took >= SLOW || output.as_ref().is_ok_and(|output| matches!(output.end, End::TimedOut));
        self.was_slow.store(is_slow, Ordering::Relaxed);
        let output = output.map_err(|error| self.not_started(error))?;
        self.judge(output)
    }

    fn judge(&self, output: Output) -> Result<Supplied, Failure> {
        let command = self.command();
        let said = || last_words(&output.stderr, output.stderr_cut, &secrets(&self.spec), &output.stdout);
        let error = match output.end {
            End::Stopped => return Err(Failure::Stopped),
            End::TimedOut => ExecError::TimedOut { command, limit: self.plugins.timeout, stderr: said() },
            End::TooMuch => ExecError::TooMuch { command, limit: STDOUT, stderr: said() },
            End::Exited(status) if status.success() => {
                match answer::parse(&output.stdout, self.spec.config.version) {
                    Ok(supplied) => return Ok(supplied),
                    Err(problem) => ExecError::Answer { command, problem, stderr: said() },
                }
            }
            End::Exited(status) => match (status.code(), status.signal()) {
                (Some(code), _) => ExecError::Exited { command, code, stderr: said() },
                (None, signal) => {
                    ExecError::Killed { command, signal: signal.unwrap_or_default(), stderr: said() }
                }
            },
        };
        Err(error.into())
    }
}

#[async_trait]
impl Supplier for Plugin {
    fn kind(&self) -> &'static str {
        "exec"
    }

    fn named(&self) -> String {
        format!("command {}", self.command())
    }

    fn makes_new_ones(&self) -> bool {
        true
    }

    async fn inspect(&self) -> Result<(), Failure> {
        let _permit = self.plugins.permits.acquire().await.map_err(|_| Failure::Stopped)?;
        self.path().await.map(drop)
    }

    async fn supply(&self, stop: CancellationToken) -> Result<Supplied, Failure> {
        let _place = tokio::select! {
            place = self.place() => place?,
            () = stop.cancelled() => return Err(Failure::Stopped),
        };
        self.run(&stop).await
    }

    /// A command does not say when it would say something else.
    async fn changed(&self, _: &AtomicBool) {
        std::future::pending().await
    }
}

/// What the Secret gave to the command, and what it is called in messages: nobody knows which of it is secret.
fn secrets(spec: &PluginSpec) -> Vec<(String, &str)> {
    let arguments = spec.config.args.iter().enumerate().filter_map(|(index, argument)| {
        let value = match argument.strip_prefix('-') {
            Some(flag) => flag.split_once('=')?.1,
            None => argument,
        };
        Some((format!("argument {}", index + 1), value))
    });
    let variables =
        spec.config.env.iter().map(|(name, value)| (format!("${}", text::name(name)), value.as_str()));
    let proxy = spec.cluster.proxy_url.iter().flat_map(|url| {
        let user = url.rsplit_once('@').map_or("", |(user, _)| user);
        let password = user.split_once("://").map_or(user, |(_, user)| user).split_once(':');
        [url.as_str(), password.map_or("", |(_, password)| password)]
    });
    arguments.chain(variables).chain(proxy.map(|part| ("proxy-url".to_owned(), part))).collect()
}
