use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use super::resource::Resource;
use super::watch::Open;

/// What is counted about the own API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    watches: IntGaugeVec,
    left_behind: IntCounterVec,
}

impl Metrics {
    /// Registers them. Fails when something else has registered these names.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let watches =
            Opts::new("cluster_gateway_api_watches", "Watches of the gateway's own resources that are open.");
        let left_behind = Opts::new(
            "cluster_gateway_api_watches_left_behind_total",
            "Watches of the gateway's own resources that were ended because their readers were too slow, or because the hub was listed anew.",
        );
        let metrics = Self {
            watches: IntGaugeVec::new(watches, &["resource"])?,
            left_behind: IntCounterVec::new(left_behind, &["resource"])?,
        };
        registry.register(Box::new(metrics.watches.clone()))?;
        registry.register(Box::new(metrics.left_behind.clone()))?;
        for resource in [Resource::ClusterGateways, Resource::VirtualClusters] {
            metrics.watches.with_label_values(&[resource.name()]).set(0);
            metrics.left_behind.with_label_values(&[resource.name()]).reset();
        }
        Ok(metrics)
    }

    pub(super) fn opened(&self, resource: Resource) -> Open {
        Open::new(self.watches.with_label_values(&[resource.name()]))
    }

    pub(super) fn left_behind(&self, resource: Resource) {
        self.left_behind.with_label_values(&[resource.name()]).inc();
    }
}
