use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

use crate::model::ClusterName;
use crate::telemetry::ClusterGauges;

/// What is counted about credentials. Cheap to clone.
///
/// Runs are counted without their cluster: ten thousand clusters times a dozen outcomes would be more than anybody
/// looks at. Which clusters have a credential that cannot be renewed is a series of each such cluster, for as long
/// as that is so.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    runs: IntCounterVec,
    durations: Histogram,
    failing: ClusterGauges,
    expiry: ClusterGauges,
    /// Which generation of a cluster writes its series.
    owners: Mutex<HashMap<ClusterName, u64>>,
    next: AtomicU64,
}

/// The series of one generation of one cluster's credential: they go with it, unless a later generation has taken
/// them over.
pub struct ExpirySeries {
    name: ClusterName,
    number: u64,
    metrics: Metrics,
}

impl Metrics {
    /// Registers them. Fails when something else has registered these names.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let inner = Inner {
            runs: IntCounterVec::new(
                Opts::new(
                    "cluster_gateway_credential_runs_total",
                    "Times that a credential was asked for, by source (exec, files) and outcome",
                ),
                &["source", "outcome"],
            )?,
            durations: Histogram::with_opts(
                HistogramOpts::new(
                    "cluster_gateway_credential_run_duration_seconds",
                    "How long exec plugins ran",
                )
                .buckets(vec![0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]),
            )?,
            failing: ClusterGauges::register(
                "cluster_gateway_credential_failing",
                "Always 1: the clusters whose credential could not be got or renewed the last time",
                registry,
            )?,
            expiry: ClusterGauges::register(
                "cluster_gateway_credential_expiry_timestamp_seconds",
                "When a cluster's credential expires, in seconds since the epoch, where that is known",
                registry,
            )?,
            owners: Mutex::default(),
            next: AtomicU64::new(0),
        };
        registry.register(Box::new(inner.runs.clone()))?;
        registry.register(Box::new(inner.durations.clone()))?;
        Ok(Self(Arc::new(inner)))
    }

    /// The series of a cluster's credential from now on.
    pub fn series(&self, name: &ClusterName) -> ExpirySeries {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut owners = self.0.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.insert(name.clone(), number);
        self.0.remove(name);
        ExpirySeries { name: name.clone(), number, metrics: self.clone() }
    }

    pub(super) fn ran(&self, source: &'static str, outcome: &'static str) {
        self.0.runs.with_label_values(&[source, outcome]).inc();
    }

    pub(super) fn took(&self, duration: Duration) {
        self.0.durations.observe(duration.as_secs_f64());
    }
}

impl Inner {
    fn remove(&self, name: &ClusterName) {
        self.failing.remove(name);
        self.expiry.remove(name);
    }
}

impl ExpirySeries {
    /// When the credential in use expires, if anybody knows.
    pub fn expires(&self, at: Option<SystemTime>) {
        self.if_mine(|metrics| match at {
            Some(at) => {
                let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
                metrics.expiry.set(&self.name, seconds);
            }
            None => metrics.expiry.remove(&self.name),
        });
    }

    pub(super) fn failing(&self, failing: bool) {
        self.if_mine(|metrics| match failing {
            true => metrics.failing.set(&self.name, 1.0),
            false => metrics.failing.remove(&self.name),
        });
    }

    /// Takes the series away, as dropping this does: nothing more is said by it.
    pub fn release(&self) {
        let inner = &self.metrics.0;
        let mut owners = inner.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.get(&self.name) == Some(&self.number) {
            owners.remove(&self.name);
            inner.remove(&self.name);
        }
    }

    fn if_mine(&self, write: impl FnOnce(&Inner)) {
        let inner = &self.metrics.0;
        let owners = inner.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.get(&self.name) == Some(&self.number) {
            write(inner);
        }
    }
}

impl Drop for ExpirySeries {
    fn drop(&mut self) {
        self.release();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl fmt::Debug for ExpirySeries {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ExpirySeries").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(registry: &Registry) -> String {
        prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    #[test]
    fn a_later_generation_takes_the_series_over_and_the_last_one_takes_them_along() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let name = ClusterName::parse("a").unwrap();
        let first = metrics.series(&name);
        first.expires(Some(UNIX_EPOCH + Duration::from_secs(7)));
        first.failing(true);
        let second = metrics.series(&name);
        assert!(!text(&registry).contains("cluster=\"a\""), "what the first one said is not said any more");
        first.failing(true);
        second.expires(Some(UNIX_EPOCH + Duration::from_secs(8)));
        drop(first);
        let said = text(&registry);
        assert!(said.contains("expiry_timestamp_seconds{cluster=\"a\"} 8"), "{said}");
        assert!(!said.contains("failing{"), "{said}");
        drop(second);
        assert!(!text(&registry).contains("cluster=\"a\""));
    }
}
