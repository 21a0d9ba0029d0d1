use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use prometheus::{IntCounter, Registry};
use thiserror::Error;

use crate::tls::FileWatcher;

use super::{InvalidRules, Rules};

/// The global rules in force, for their readers. Cheap to clone. The default has none.
#[derive(Debug, Clone, Default)]
pub struct GlobalRules(Arc<ArcSwap<Rules>>);

/// Follows the file of `--cluster-gateway-proxy-config`.
pub struct GlobalRulesSource {
    path: PathBuf,
    watcher: FileWatcher,
    rules: GlobalRules,
    metrics: Metrics,
}

/// What identity exchange counts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    failures: IntCounter,
}

/// Why there are no global rules.
#[derive(Debug, Error)]
#[error("--cluster-gateway-proxy-config={}: {reason}", path.display())]
pub struct RulesFileError {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug, Error)]
enum Reason {
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("{0}")]
    Rules(#[from] InvalidRules),
}

impl Metrics {
    /// Registers the series. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let failures = IntCounter::new(
            "cluster_gateway_identity_rules_failures_total",
            "Changes of the global identity exchange rules that could not be used.",
        )?;
        registry.register(Box::new(failures.clone()))?;
        Ok(Self { failures })
    }
}

impl GlobalRules {
    /// Rules that never change.
    pub fn fixed(rules: Rules) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(rules)))
    }

    /// The rules in force now. Do not hold the guard across an await.
    pub fn load(&self) -> Guard<Arc<Rules>> {
        self.0.load()
    }
}

impl GlobalRulesSource {
    /// Reads the file, which has to be right from the start.
    pub async fn new(path: PathBuf, metrics: Metrics) -> Result<Self, RulesFileError> {
        let watcher = FileWatcher::new([path.clone()]).await;
        let source = Self { path, watcher, rules: GlobalRules::default(), metrics };
        source.reload().await?;
        Ok(source)
    }

    /// For those who read them.
    pub fn rules(&self) -> GlobalRules {
        self.rules.clone()
    }

    /// Follows the file until it is dropped. A file that cannot be used leaves the last good rules in force.
    pub async fn run(mut self) {
        loop {
            self.watcher.changed().await;
            if let Err(error) = self.reload().await {
                self.metrics.failures.inc();
                tracing::warn!(%error, "identity exchange rules not renewed, the last good ones stay in force");
            }
        }
    }

    async fn reload(&self) -> Result<(), RulesFileError> {
        let rules = self.read().await.map_err(|reason| RulesFileError { path: self.path.clone(), reason })?;
        tracing::info!(rules = rules.len(), "global identity exchange rules loaded");
        self.rules.0.store(Arc::new(rules));
        Ok(())
    }

    async fn read(&self) -> Result<Rules, Reason> {
        Ok(Rules::parse(&tokio::fs::read_to_string(&self.path).await?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

    const ONE: &str = "spec: {clientIdentityExchanger: {rules: [{type: PrivilegedIdentityExchanger}]}}";
    const BAD: &str = "spec: {clientIdentityExchanger: {rules: [{type: Nonsense}]}}";

    async fn until(what: &str, mut condition: impl FnMut() -> bool) {
        let waiting = async {
            while !condition() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect(what);
    }

    fn metrics() -> Metrics {
        Metrics::register(&Registry::new()).unwrap()
    }

    #[tokio::test]
    async fn a_file_is_followed_and_a_bad_one_leaves_the_last_good_rules_in_force() {
        let folder = std::env::temp_dir().join(format!("exchange-rules-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("rules.yaml");
        fs::write(&path, ONE).unwrap();
        let metrics = metrics();
        let source = GlobalRulesSource::new(path.clone(), metrics.clone()).await.unwrap();
        let rules = source.rules();
        assert_eq!(rules.load().len(), 1);
        let task = tokio::spawn(source.run());
        fs::write(&path, BAD).unwrap();
        until("the bad file was not noticed", || metrics.failures.get() > 0).await;
        assert_eq!(rules.load().len(), 1);
        fs::write(&path, "").unwrap();
        until("the good file was not taken", || rules.load().is_empty()).await;
        task.abort();
        fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_said_with_its_flag() {
        let error = GlobalRulesSource::new("/nowhere/rules.yaml".into(), metrics()).await.err().unwrap();
        assert!(
            error.to_string().starts_with("--cluster-gateway-proxy-config=/nowhere/rules.yaml: "),
            "{error}"
        );
    }
}
