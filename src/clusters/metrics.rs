use std::time::Duration;

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
};

use crate::telemetry::ClusterGauges;

use super::Cluster;

/// What is counted about the table and its sources. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    clusters: IntGaugeVec,
    verified: ClusterGauges,
    failures: IntCounter,
    publishing: Histogram,
    restarts: IntCounterVec,
    connected: GaugeVec,
    synced: GaugeVec,
}

/// What is counted about one source.
#[derive(Debug, Clone)]
pub(super) struct SourceMetrics {
    pub(super) restarts: IntCounter,
    pub(super) connected: Gauge,
    pub(super) synced: Gauge,
}

impl Metrics {
    /// Registers them. Fails when something else has registered these names.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            clusters: IntGaugeVec::new(
                Opts::new(
                    "cluster_gateway_clusters",
                    "Clusters by state: usable, unverified (usable, but nobody verifies their certificate) or \
                     unusable.",
                ),
                &["state"],
            )?,
            verified: ClusterGauges::register(
                "cluster_gateway_cluster_verified",
                "Whether a usable cluster's certificate is verified (1) or not (0).",
                registry,
            )?,
            failures: IntCounter::new(
                "cluster_gateway_cluster_compile_failures_total",
                "Versions of clusters' Secrets that could not be used.",
            )?,
            publishing: Histogram::with_opts(
                HistogramOpts::new(
                    "cluster_gateway_table_publish_seconds",
                    "From the arrival of changes of Secrets until they are in force.",
                )
                .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0]),
            )?,
            restarts: IntCounterVec::new(
                Opts::new(
                    "cluster_gateway_source_watch_restarts_total",
                    "Times that a source of clusters was lost, or not reached, and asked again.",
                ),
                &["source"],
            )?,
            connected: GaugeVec::new(
                Opts::new(
                    "cluster_gateway_source_connected",
                    "Whether a source of clusters is being watched now.",
                ),
                &["source"],
            )?,
            synced: GaugeVec::new(
                Opts::new(
                    "cluster_gateway_source_last_sync_timestamp_seconds",
                    "When a source of clusters was last heard of.",
                ),
                &["source"],
            )?,
        };
        registry.register(Box::new(metrics.clusters.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.publishing.clone()))?;
        registry.register(Box::new(metrics.restarts.clone()))?;
        registry.register(Box::new(metrics.connected.clone()))?;
        registry.register(Box::new(metrics.synced.clone()))?;
        for state in ["usable", "unverified", "unusable"] {
            metrics.clusters.with_label_values(&[state]).set(0);
        }
        Ok(metrics)
    }

    /// One cluster changes: what it was and what it is, if anything.
    pub(super) fn moved(&self, before: Option<&Cluster>, after: Option<&Cluster>) {
        if let Some(before) = before {
            self.clusters.with_label_values(&[state(before)]).dec();
        }
        if let Some(after) = after {
            self.clusters.with_label_values(&[state(after)]).inc();
        }
        match after.map(|after| (after, &after.access)) {
            Some((after, Ok(access))) => {
                self.verified.set(&after.name, f64::from(u8::from(access.verified)));
            }
            Some((_, Err(_))) | None => {
                if let Some(before) = before.filter(|before| before.access.is_ok()) {
                    self.verified.remove(&before.name);
                }
            }
        }
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    pub(super) fn published(&self, after: Duration) {
        self.publishing.observe(after.as_secs_f64());
    }

    pub(super) fn source(&self, name: &str) -> SourceMetrics {
        SourceMetrics {
            restarts: self.restarts.with_label_values(&[name]),
            connected: self.connected.with_label_values(&[name]),
            synced: self.synced.with_label_values(&[name]),
        }
    }
}

fn state(cluster: &Cluster) -> &'static str {
    match &cluster.access {
        Ok(access) if access.verified => "usable",
        Ok(_) => "unverified",
        Err(_) => "unusable",
    }
}
