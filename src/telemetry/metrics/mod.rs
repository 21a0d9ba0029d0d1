//! The metrics themselves, and which of them are alive.
//!
//! What is counted for each request is in plain arrays here ([`super::counts`]) and written by [`write`]; the rest is
//! in the registry, where other rooms register theirs.

mod families;
mod fold;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::core::Collector;
use prometheus::{Gauge, IntCounterVec, IntGaugeVec, Opts, Registry, Result};

use crate::model::ClusterName;

use crate::telemetry::counts::{Counts, Places, Supply};
use crate::telemetry::labels::Code;
use crate::telemetry::process::Process;
use crate::telemetry::{ClusterSeries, Record, Resource, Target, Verb};

/// Every metric of the gateway. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

/// How much is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether each cluster has series of its own. Otherwise all are added up, under `cluster=""`.
    pub per_cluster: bool,
    /// How many histograms may have a cluster's name. What comes then is counted under `cluster=""`.
    pub cluster_histograms: usize,
}

struct Inner {
    registry: Registry,
    options: Options,
    reloads: IntCounterVec,
    certificate: Gauge,
    /// Requests by what was asked of a cluster: a part for each resource that was ever asked for.
    by_resource: [OnceLock<Box<[[AtomicU64; Code::COUNT]; Verb::ALL.len()]>>; Resource::COUNT],
    local: [[AtomicU64; Code::COUNT]; Target::ALL.len()],
    /// Those that are alive, so that two generations of one cluster share their series.
    clusters: Mutex<BTreeMap<ClusterName, Entry>>,
    places: Arc<Places>,
    /// What is counted without a cluster's name.
    rest: Arc<Counts>,
    /// How large the last text was: the next one will be about as large.
    written: AtomicUsize,
}

struct Entry {
    series: Weak<ClusterSeries>,
    counts: Arc<Counts>,
}

/// What can be loaded anew while running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// `--tls-cert-file`, `--cert-dir`.
    ServingCertificate,
    /// `--client-ca-file`, `--requestheader-client-ca-file`.
    ClientCa,
    /// The hub's ConfigMap.
    Authentication,
    /// `--proxy-ca-cert`, `--proxy-cert`, `--proxy-key`.
    Konnectivity,
}

impl Default for Options {
    fn default() -> Self {
        // 30,000 series: a hundred clusters with all that their users do, or what two thousand take to begin answers.
        Self { per_cluster: true, cluster_histograms: 2_000 }
    }
}

impl Metrics {
    /// Registers those that are in the registry, with the default options. An error means that the registry has one
    /// of the same name already.
    pub fn new(registry: &Registry) -> Result<Self> {
        Self::with_options(registry, Options::default())
    }

    /// The same with other options.
    pub fn with_options(registry: &Registry, options: Options) -> Result<Self> {
        let build = one(&["version", "commit"])?;
        build
            .with_label_values(&[
                env!("CARGO_PKG_VERSION"),
                option_env!("CLUSTER_GATEWAY_COMMIT").unwrap_or_default(),
            ])
            .set(1);
        registry.register(Box::new(build))?;
        registry.register(Box::new(Process::new()?))?;
        let reloads = IntCounterVec::new(
            Opts::new(
                "cluster_gateway_reloads_total",
                "Certificates, authorities and configuration loaded anew; after a failure the old ones stay in force",
            ),
            &["what", "outcome"],
        )?;
        for what in Reloaded::ALL {
            for outcome in ["success", "failure"] {
                // So that the first failure is seen to be one more than none.
                reloads.with_label_values(&[what.as_str(), outcome]).reset();
            }
        }
        let certificate = Gauge::new(
            "cluster_gateway_serving_certificate_expiry_timestamp_seconds",
            "When the serving certificate expires, in seconds since the epoch",
        )?;
        let inner = Inner {
            registry: registry.clone(),
            options,
            reloads: register(registry, reloads)?,
            certificate: register(registry, certificate)?,
            by_resource: [const { OnceLock::new() }; Resource::COUNT],
            local: [const { [const { AtomicU64::new(0) }; Code::COUNT] }; Target::ALL.len()],
            clusters: Mutex::default(),
            places: Arc::new(Places::new(options.cluster_histograms)),
            rest: Arc::default(),
            written: AtomicUsize::new(0),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The series of a cluster of the table, to be held together with it. The same for as long as somebody holds
    /// them, whatever the cluster's generation.
    pub fn cluster(&self, name: &ClusterName) -> Arc<ClusterSeries> {
        if !self.0.options.per_cluster {
            return Arc::new(ClusterSeries::new(name.clone(), Arc::clone(&self.0.rest), self.clone()));
        }
        let mut clusters = self.0.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = clusters.get(name);
        if let Some(alive) = entry.and_then(|entry| entry.series.upgrade()) {
            return alive;
        }
        // None alive, but one may just be going: what it counted is taken over.
        let counts = entry.map_or_else(Arc::default, |entry| Arc::clone(&entry.counts));
        let series = Arc::new(ClusterSeries::new(name.clone(), Arc::clone(&counts), self.clone()));
        clusters.insert(name.clone(), Entry { series: Arc::downgrade(&series), counts });
        series
    }

    /// Forgets the series unless somebody has taken their place.
    pub(in crate::telemetry) fn release(&self, series: &ClusterSeries) {
        let mut clusters = self.0.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last =
            clusters.get(series.name()).is_some_and(|entry| std::ptr::eq(entry.series.as_ptr(), series));
        if is_last {
            clusters.remove(series.name());
        }
    }

    /// One request, when it has ended: counts it, and writes its line into the access log if that is on.
    pub fn record(&self, record: &Record<'_>) {
        let code = Code::of(record.code);
        match record.cluster {
            Some(series) => {
                let verb = record.verb.at_the_hub();
                let by_resource = self.0.by_resource[record.resource.index()].get_or_init(|| {
                    Box::new([const { [const { AtomicU64::new(0) }; Code::COUNT] }; Verb::ALL.len()])
                });
                by_resource[verb as usize][code.index()].fetch_add(1, Ordering::Relaxed);
                series.request(record.resource, verb, code, record.duration);
                if !record.streamed {
                    series.bytes(record.received, record.sent);
                }
                record.upstream.into_iter().for_each(|duration| series.header(duration));
                record.error.into_iter().for_each(|kind| series.error(kind));
            }
            None => {
                self.0.local[record.target as usize][code.index()].fetch_add(1, Ordering::Relaxed);
            }
        }
        record.log();
    }

    /// Something was loaded anew, or could not be.
    pub fn reloaded(&self, what: Reloaded, success: bool) {
        let outcome = if success { "success" } else { "failure" };
        self.0.reloads.with_label_values(&[what.as_str(), outcome]).inc();
    }

    /// The serving certificate that is shown from now on expires then.
    pub fn serving_certificate(&self, not_after: SystemTime) {
        let seconds = not_after.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        self.0.certificate.set(seconds);
    }

    /// Where histograms of clusters come from; none when there are none but those of all.
    pub(in crate::telemetry) fn supply(&self) -> Option<Supply<'_>> {
        let inner = &self.0;
        inner.options.per_cluster.then(|| Supply { places: &inner.places, rest: &inner.rest })
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Reloaded {
    const ALL: [Self; 4] =
        [Self::ServingCertificate, Self::ClientCa, Self::Authentication, Self::Konnectivity];

    fn as_str(self) -> &'static str {
        match self {
            Self::ServingCertificate => "serving_certificate",
            Self::ClientCa => "client_ca",
            Self::Authentication => "authentication",
            Self::Konnectivity => "konnectivity",
        }
    }
}

impl Target {
    const ALL: [Self; 3] = [Self::Proxy, Self::Api, Self::Operations];

    fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Api => "api",
            Self::Operations => "operations",
        }
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn one(labels: &[&str]) -> Result<IntGaugeVec> {
    IntGaugeVec::new(Opts::new("cluster_gateway_build_info", "Which build this is; always 1"), labels)
}

#[cfg(test)]
mod tests;
