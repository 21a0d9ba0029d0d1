use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use futures::stream::{self, BoxStream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::runtime::{WatchStreamExt, watcher};
use thiserror::Error;
use tokio::sync::watch;

use crate::tls::FileWatcher;

use super::flags::Files;
use super::{HubConfig, HubConfigFlags, InvalidHubConfig, Metrics};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";

/// Keeps the hub's authentication configuration true: watches its ConfigMap and the files that flags name.
pub struct HubConfigSource {
    client: Option<kube::Client>,
    watcher: FileWatcher,
    state: State,
}

/// The configuration in force, for its readers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HubConfigs {
    current: Arc<ArcSwap<HubConfig>>,
    loaded: watch::Receiver<bool>,
}

/// Why the configuration cannot be loaded, in a way that waiting does not cure.
#[derive(Debug, Error)]
pub enum HubConfigError {
    /// A flag's file cannot be read.
    #[error("{flag}={}: {reason}", path.display())]
    File {
        /// The flag.
        flag: &'static str,
        /// Its value.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A flag's value or its file's content cannot be used.
    #[error("the --client-ca-file and --requestheader-* flags cannot be used: {0}")]
    Flags(#[from] InvalidHubConfig),
    /// The hub does not let us read the ConfigMap.
    #[error(
        "the hub forbids reading ConfigMap {NAMESPACE}/{NAME}: bind the gateway's service account to the Role \
         extension-apiserver-authentication-reader in {NAMESPACE}, or pass --authentication-skip-lookup or \
         --authentication-tolerate-lookup-failure ({0})"
    )]
    Forbidden(String),
}

impl HubConfigSource {
    /// Reads the flags' files. Without a `client` only flags count.
    pub async fn new(
        flags: HubConfigFlags,
        client: Option<kube::Client>,
        metrics: Metrics,
    ) -> Result<Self, HubConfigError> {
        // Before reading the files: what changes in between is noticed later rather than never.
        let watcher = FileWatcher::new(flags.paths()).await;
        let files = flags.read().await?;
        let state = State::new(flags, files, metrics);
        state.compile(&BTreeMap::new())?;
        Ok(Self { client, watcher, state })
    }

    /// For those who read it.
    pub fn configs(&self) -> HubConfigs {
        self.state.configs()
    }

    /// Runs until it is dropped. Returns only when the hub forbids reading the ConfigMap before it was read once,
    /// and that is not tolerated.
    pub async fn run(mut self) -> Result<(), HubConfigError> {
        let mut events: BoxStream<'static, watcher::Result<watcher::Event<ConfigMap>>> = match &self.client {
            Some(client) if self.state.flags.needs_lookup() => {
                let only = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
                watcher(Api::namespaced(client.clone(), NAMESPACE), only).default_backoff().boxed()
            }
            client => {
                if client.is_none() && self.state.flags.needs_lookup() {
                    tracing::warn!("no hub to read ConfigMap {NAMESPACE}/{NAME} from: only flags count");
                }
                self.state.take_map(Some(BTreeMap::new()));
                stream::pending().boxed()
            }
        };
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => self.state.take(event),
                    Some(Err(error)) => self.state.failed(&error)?,
                    None => return Ok(()),
                },
                () = self.watcher.changed() => {
                    let files = self.state.flags.read().await;
                    self.state.take_files(files);
                }
            }
        }
    }
}

impl HubConfigs {
    /// A configuration that never changes.
    pub fn fixed(config: HubConfig) -> Self {
        Self { current: Arc::new(ArcSwap::from_pointee(config)), loaded: watch::channel(true).1 }
    }

    /// The configuration in force now. Do not hold the guard across an await.
    pub fn load(&self) -> Guard<Arc<HubConfig>> {
        self.current.load()
    }

    /// Whether it was loaded once.
    pub fn is_ready(&self) -> bool {
        *self.loaded.borrow()
    }

    /// Resolves when it was loaded once; to false if that is not going to happen any more.
    pub async fn ready(&self) -> bool {
        self.loaded.clone().wait_for(|loaded| *loaded).await.is_ok()
    }
}

/// Everything but the waiting.
struct State {
    flags: HubConfigFlags,
    files: Files,
    metrics: Metrics,
    current: Arc<ArcSwap<HubConfig>>,
    loaded: watch::Sender<bool>,
    /// What the configuration in force was made from.
    data: BTreeMap<String, String>,
    /// The ConfigMap's last data, usable or not; none before it was read.
    map: Option<BTreeMap<String, String>>,
    /// Of the list that is under way.
    listed: Option<BTreeMap<String, String>>,
    /// What the log was told last.
    problem: Option<String>,
}

impl State {
    fn new(flags: HubConfigFlags, files: Files, metrics: Metrics) -> Self {
        Self {
            flags,
            files,
            metrics,
            current: Arc::default(),
            loaded: watch::channel(false).0,
            data: BTreeMap::new(),
            map: None,
            listed: None,
            problem: None,
        }
    }

    fn configs(&self) -> HubConfigs {
        HubConfigs { current: Arc::clone(&self.current), loaded: self.loaded.subscribe() }
    }

    fn compile(&self, map: &BTreeMap<String, String>) -> Result<HubConfig, InvalidHubConfig> {
        let generation = self.current.load().generation() + 1;
        HubConfig::from_data(generation, &self.flags.over(&self.files, map.clone()))
    }

    fn take(&mut self, event: watcher::Event<ConfigMap>) {
        match event {
            watcher::Event::Init => self.listed = None,
            watcher::Event::InitApply(map) => self.listed = Some(map.data.unwrap_or_default()),
            watcher::Event::InitDone => {
                let listed = self.listed.take();
                self.take_map(listed);
            }
            watcher::Event::Apply(map) => self.take_map(Some(map.data.unwrap_or_default())),
            watcher::Event::Delete(_) => self.take_map(None),
        }
    }

    /// None says that there is no ConfigMap. kube-apiserver makes it anew within a minute, so one that goes away
    /// changes nothing; one that was never there means that the hub has no client CA and no front proxy.
    fn take_map(&mut self, map: Option<BTreeMap<String, String>>) {
        match map {
            Some(map) => self.map = Some(map),
            None if self.map.is_none() => {
                tracing::warn!(configmap = NAME, "the hub has no authentication configuration yet");
                self.map = Some(BTreeMap::new());
            }
            None => {
                self.problem(format!("ConfigMap {NAMESPACE}/{NAME} is gone"));
                return;
            }
        }
        self.publish();
    }

    fn take_files(&mut self, files: Result<Files, HubConfigError>) {
        match files {
            Ok(files) => {
                self.files = files;
                if self.map.is_some() {
                    self.publish();
                }
            }
            Err(error) => {
                self.metrics.config_failed();
                self.problem(error.to_string());
            }
        }
    }

    fn publish(&mut self) {
        let map = self.map.clone().unwrap_or_default();
        let data = self.flags.over(&self.files, map.clone());
        if *self.loaded.borrow() && data == self.data {
            self.recovered();
            return;
        }
        match self.compile(&map) {
            Ok(config) => {
                tracing::info!(
                    client_ca = config.client_ca().is_some(),
                    front_proxy = config.front_proxy().is_some(),
                    generation = config.generation(),
                    "authentication configuration loaded"
                );
                self.current.store(Arc::new(config));
                self.data = data;
                self.loaded.send_replace(true);
                self.problem = None;
            }
            Err(error) => {
                self.metrics.config_failed();
                self.problem(error.to_string());
            }
        }
    }

    fn failed(&mut self, error: &watcher::Error) -> Result<(), HubConfigError> {
        if !*self.loaded.borrow()
            && let watcher::Error::InitialListFailed(kube::Error::Api(status)) = error
            && status.code == 403
        {
            if !self.flags.tolerate_lookup_failure {
                return Err(HubConfigError::Forbidden(status.message.clone()));
            }
            self.map.get_or_insert_default();
            self.publish();
        }
        self.problem(error.to_string());
        Ok(())
    }

    /// One line per change of state: a hub that is away for an hour is said to be away once.
    fn problem(&mut self, problem: String) {
        if self.problem.as_ref() != Some(&problem) {
            let what = match *self.loaded.borrow() {
                true => "authentication configuration cannot be renewed: the last good one stays in force",
                false => "authentication configuration cannot be read from the hub: not ready until it can",
            };
            tracing::warn!(problem, configmap = NAME, "{what}");
            self.problem = Some(problem);
        }
    }

    fn recovered(&mut self) {
        if self.problem.take().is_some() {
            tracing::info!(configmap = NAME, "authentication configuration is up to date again");
        }
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
