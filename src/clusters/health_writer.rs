//! Writes a cluster's health where it is kept: into annotations of its Secret on the hub.
//!
//! A merge patch of two annotations and nothing else, with the Secret's resourceVersion, so that the hub refuses it when
//! anything changed in between. The control runtime writes; who asks waits for it, for [`DEADLINE`] at most. Needs
//! `patch` on Secrets of the clusters' namespace.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use prometheus::{IntCounterVec, Opts, Registry};
use serde_json::json;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::model::ClusterName;

use super::secret;
use super::secret::HealthKeys;
use super::{Cluster, Health, Metadata, Options, View};

/// For one write, waiting for its turn included.
const DEADLINE: Duration = Duration::from_secs(10);
/// Writes to the hub at once; the others wait for their turn.
const AT_ONCE: usize = 32;

/// Writes health. Cheap to clone.
#[derive(Clone)]
pub struct HealthWriter(Arc<Inner>);

struct Inner {
    secrets: Api<Secret>,
    keys: HealthKeys,
    control: Handle,
    turns: Semaphore,
    written: IntCounterVec,
}

/// What is to be written.
#[derive(Debug, Clone)]
pub struct HealthUpdate {
    /// The cluster.
    pub name: ClusterName,
    /// The Secret's version that it is for.
    pub resource_version: String,
    /// The health.
    pub health: Health,
    /// Only to be tried.
    pub dry_run: bool,
    /// For the Secret's managed fields.
    pub field_manager: Option<String>,
}

/// What the Secret says after that.
#[derive(Debug, Clone)]
pub struct HealthWritten {
    metadata: Metadata,
    health: Health,
}

/// Why nothing was written, or nobody knows whether it was. Holds nothing of the Secret.
#[derive(Debug, Clone, Error)]
pub enum NotWritten {
    /// The Secret has another version.
    #[error("the Secret was changed in between")]
    Conflict,
    /// The Secret is gone.
    #[error("the Secret is gone")]
    Gone,
    /// The gateway itself may not.
    #[error(
        "the hub does not allow the gateway to write it: grant its service account patch on Secrets of the clusters' namespace"
    )]
    Forbidden,
    /// The hub, or somebody who is asked by it, does not want it.
    #[error("the hub refused it: {0}")]
    Refused(String),
    /// No answer.
    #[error("the hub cannot be reached")]
    Unreachable,
    /// No answer in time.
    #[error("the hub did not answer within {} s", DEADLINE.as_secs())]
    TimedOut,
    /// The process ends.
    #[error("the gateway is stopping")]
    Stopped,
}

impl HealthWriter {
    /// Writes to the Secrets of a namespace, with the annotations of `options`, on `control`. Fails when something else
    /// has registered its metric.
    pub fn new(
        client: Client,
        namespace: &str,
        options: &Options,
        control: Handle,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let secrets = Api::namespaced(client, namespace);
        let written = IntCounterVec::new(
            Opts::new(
                "cluster_gateway_health_writes_total",
                "Attempts to write a cluster's health into its Secret: written, tried (dry run), conflict or failed.",
            ),
            &["result"],
        )?;
        registry.register(Box::new(written.clone()))?;
        let (keys, turns) = (options.health_keys(), Semaphore::new(AT_ONCE));
        Ok(Self(Arc::new(Inner { secrets, keys, control, turns, written })))
    }

    /// Whether what is written is shown as well: the gate HealthinessCheck.
    pub fn is_shown(&self) -> bool {
        self.0.keys.is_shown
    }

    /// Writes it.
    pub async fn write(&self, update: HealthUpdate) -> Result<HealthWritten, NotWritten> {
        let inner = Arc::clone(&self.0);
        let (name, dry_run) = (update.name.clone(), update.dry_run);
        // Ends by its deadline; who asked may leave, the write goes on.
        let task = self.0.control.spawn(async move {
            timeout(DEADLINE, inner.patch(update)).await.unwrap_or(Err(NotWritten::TimedOut))
        });
        let result = task.await.unwrap_or(Err(NotWritten::Stopped));
        let label = match &result {
            Ok(_) if dry_run => "tried",
            Ok(_) => "written",
            Err(NotWritten::Conflict) => "conflict",
            Err(error) => {
                tracing::warn!(cluster = name.as_str(), %error, "health was not written");
                "failed"
            }
        };
        self.0.written.with_label_values(&[label]).inc();
        result
    }
}

impl Inner {
    async fn patch(&self, update: HealthUpdate) -> Result<HealthWritten, NotWritten> {
        // Never closed.
        let _turn = self.turns.acquire().await.map_err(|_| NotWritten::Stopped)?;
        let patch = json!({"metadata": {
            "resourceVersion": update.resource_version,
            "annotations": {
                &self.keys.healthy: update.health.healthy.to_string(),
                &self.keys.reason: update.health.reason,
            },
        }});
        let parameters = PatchParams {
            dry_run: update.dry_run,
            field_manager: update.field_manager,
            ..PatchParams::default()
        };
        let written =
            self.secrets.patch_metadata(update.name.as_str(), &parameters, &Patch::Merge(&patch)).await;
        let metadata = written.map_err(|error| not_written(&error))?.metadata;
        let metadata = secret::metadata(&metadata);
        Ok(HealthWritten { health: self.keys.read(&metadata.annotations), metadata })
    }
}

fn not_written(error: &kube::Error) -> NotWritten {
    match error {
        kube::Error::Api(status) => match status.code {
            409 => NotWritten::Conflict,
            404 => NotWritten::Gone,
            401 | 403 => NotWritten::Forbidden,
            _ => NotWritten::Refused(status.message.clone()),
        },
        error => {
            tracing::debug!(%error, "the hub cannot be asked to write health");
            NotWritten::Unreachable
        }
    }
}

impl Cluster {
    /// The cluster as it is after its health was written, before anybody else sees it so.
    pub fn with_health(&self, written: HealthWritten) -> Self {
        let HealthWritten { metadata, health } = written;
        let version = metadata.resource_version.parse().unwrap_or_default();
        Self { view: Arc::new(View { metadata, health, version, ..View::clone(self) }), ..self.clone() }
    }
}

#[cfg(test)]
#[path = "health_writer_tests.rs"]
mod tests;
