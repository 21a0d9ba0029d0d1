use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::model::ClusterName;

use super::disk::Disk;
use super::exec::{ExecOptions, Plugin, PluginSpec, Plugins};
use super::files::{CredentialFiles, FilesSpec};
use super::source::{Parts, Supplier};
use super::{Make, Metrics, Source};

/// What the operator lets credentials be made of.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--exec-…`.
    pub exec: ExecOptions,
    /// `--credential-dir`: files are read below it and nowhere else.
    pub directory: Option<PathBuf>,
}

/// Makes sources, and owns what they run. Cheap to clone.
#[derive(Clone)]
pub struct Sources(Arc<Inner>);

struct Inner {
    control: Handle,
    plugins: Arc<Plugins>,
    directory: Option<Arc<Path>>,
    /// That files are on.
    disk: Disk,
    metrics: Metrics,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Told whenever there is something else to say of a credential.
    changes: Arc<Notify>,
}

/// Besides the time that a run may take: for its turn among the others.
const TURN: Duration = Duration::from_secs(5);
/// Reading files takes no time at all, unless their disk hangs.
const READING: Duration = Duration::from_secs(5);

impl Sources {
    /// Sources whose work is done on `control`.
    pub fn new(control: Handle, options: Options, metrics: Metrics) -> Self {
        let Options { exec, directory } = options;
        Self(Arc::new(Inner {
            control,
            plugins: Arc::new(Plugins::new(exec, metrics.clone())),
            directory: directory.map(Into::into),
            disk: Disk::default(),
            metrics,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            changes: Arc::default(),
        }))
    }

    /// Below which folder files may be named, if anywhere.
    pub fn directory(&self) -> Option<&Path> {
        self.0.directory.as_deref()
    }

    /// Where a fixed credential's expiry is to be told.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Resolves when there is something else to say of somebody's credential than when it last resolved. For one
    /// reader.
    pub async fn changed(&self) {
        self.0.changes.notified().await;
    }

    /// A credential that a command gives. With `start` it is run at once, else when somebody asks.
    pub fn exec<T: Send + Sync + 'static>(
        &self,
        name: &ClusterName,
        spec: PluginSpec,
        start: bool,
        make: Make<T>,
    ) -> Source<T> {
        let patience = self.0.plugins.timeout() + TURN;
        let plugin = Plugin::new(Arc::clone(&self.0.plugins), spec);
        self.source(name, Arc::new(plugin), patience, start, make)
    }

    /// A credential that stands in files. Read at once, and again when they change.
    pub fn files<T: Send + Sync + 'static>(
        &self,
        name: &ClusterName,
        spec: FilesSpec,
        make: Make<T>,
    ) -> Source<T> {
        self.source(name, Arc::new(CredentialFiles::new(spec, self.0.disk.clone())), READING, true, make)
    }

    /// Ends whatever runs, and waits until it has ended, but not for longer than this. Nothing is run afterwards.
    pub async fn stop(&self, limit: Duration) {
        self.0.stop.cancel();
        self.0.tasks.close();
        if timeout(limit, self.0.tasks.wait()).await.is_err() {
            tracing::warn!("commands that give credentials did not end in time");
        }
    }

    pub(super) fn source<T: Send + Sync + 'static>(
        &self,
        name: &ClusterName,
        supplier: Arc<dyn Supplier>,
        patience: Duration,
        start: bool,
        make: Make<T>,
    ) -> Source<T> {
        let _control = self.0.control.enter();
        Source::new(Parts {
            name: name.clone(),
            supplier,
            make,
            series: self.0.metrics.series(name),
            metrics: self.0.metrics.clone(),
            tasks: self.0.tasks.clone(),
            stop: self.0.stop.child_token(),
            changes: Arc::clone(&self.0.changes),
            start,
            patience,
        })
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sources").field("directory", &self.0.directory).finish_non_exhaustive()
    }
}
