//! The metrics themselves, and which of them are alive.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::core::Collector;
use prometheus::{Gauge, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, Result};

use crate::model::ClusterName;

use crate::telemetry::cluster::Handles;
use crate::telemetry::labels::Code;
use crate::telemetry::process::Process;
use crate::telemetry::{ClusterSeries, Record, Target};

/// Every metric of the gateway itself. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    vectors: Vectors,
    /// Those that are alive, so that two generations of one cluster share their series.
    clusters: Mutex<HashMap<ClusterName, Entry>>,
}

struct Entry {
    series: Weak<ClusterSeries>,
    handles: Arc<Handles>,
}

/// Metrics with labels.
pub(in crate::telemetry) struct Vectors {
    pub(in crate::telemetry) by_resource: IntCounterVec,
    pub(in crate::telemetry) by_cluster: IntCounterVec,
    pub(in crate::telemetry) duration: HistogramVec,
    pub(in crate::telemetry) in_flight: IntGaugeVec,
    pub(in crate::telemetry) streams: IntGaugeVec,
    pub(in crate::telemetry) streamed: IntCounterVec,
    pub(in crate::telemetry) received: IntCounterVec,
    pub(in crate::telemetry) sent: IntCounterVec,
    pub(in crate::telemetry) header: HistogramVec,
    pub(in crate::telemetry) errors: IntCounterVec,
    local: IntCounterVec,
    reloads: IntCounterVec,
    certificate: Gauge,
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

/// Those of the Go gateway, in seconds.
const DURATIONS: [f64; 12] = [0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
/// Until a cluster begins to answer: a round trip in one zone to what a busy list takes.
const HEADERS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

impl Metrics {
    /// Registers every metric. An error means that the registry has one of the same name already.
    pub fn new(registry: &Registry) -> Result<Self> {
        let vectors = Vectors::new(registry)?;
        let build = counter_of_one(&["version", "commit"])?;
        build
            .with_label_values(&[
                env!("CARGO_PKG_VERSION"),
                option_env!("CLUSTER_GATEWAY_COMMIT").unwrap_or_default(),
            ])
            .set(1);
        registry.register(Box::new(build))?;
        registry.register(Box::new(Process::new()?))?;
        Ok(Self(Arc::new(Inner { vectors, clusters: Mutex::default() })))
    }

    /// The series of a cluster of the table, to be held together with it. The same for as long as somebody holds
    /// them, whatever the cluster's generation.
    pub fn cluster(&self, name: &ClusterName) -> Arc<ClusterSeries> {
        let mut clusters = self.0.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = clusters.get(name);
        if let Some(alive) = entry.and_then(|entry| entry.series.upgrade()) {
            return alive;
        }
        // None alive, but one may just be going: what it made is taken over.
        let handles = entry.map_or_else(Arc::default, |entry| Arc::clone(&entry.handles));
        let series = Arc::new(ClusterSeries::new(name.clone(), handles, self.clone()));
        clusters.insert(name.clone(), Entry { series: Arc::downgrade(&series), handles: series.handles() });
        series
    }

    /// Calls `remove` unless somebody has taken the place of `series`.
    pub(in crate::telemetry) fn release(&self, series: &ClusterSeries, remove: impl FnOnce()) {
        let mut clusters = self.0.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last =
            clusters.get(series.name()).is_some_and(|entry| std::ptr::eq(entry.series.as_ptr(), series));
        if is_last {
            clusters.remove(series.name());
            remove();
        }
    }

    /// One request, when it has ended: counts it, and writes its line into the access log if that is on.
    pub fn record(&self, record: &Record<'_>) {
        match record.cluster {
            Some(series) => {
                series.request(record.resource, record.verb, record.code, record.duration);
                if !record.streamed {
                    series.bytes(record.received, record.sent);
                }
                record.upstream.into_iter().for_each(|duration| series.header(duration));
                record.error.into_iter().for_each(|kind| series.error(kind));
            }
            None => {
                let labels = [record.target.as_str(), Code::of(record.code).as_str()];
                self.0.vectors.local.with_label_values(&labels).inc();
            }
        }
        record.log();
    }

    /// Something was loaded anew, or could not be.
    pub fn reloaded(&self, what: Reloaded, success: bool) {
        let outcome = if success { "success" } else { "failure" };
        self.0.vectors.reloads.with_label_values(&[what.as_str(), outcome]).inc();
    }

    /// The serving certificate that is shown from now on expires then.
    pub fn serving_certificate(&self, not_after: SystemTime) {
        let seconds = not_after.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        self.0.vectors.certificate.set(seconds);
    }

    pub(in crate::telemetry) fn vectors(&self) -> &Vectors {
        &self.0.vectors
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Vectors {
    fn new(registry: &Registry) -> Result<Self> {
        let register = Register(registry);
        Ok(Self {
            by_resource: register.counter(
                "ocm_proxy_proxied_resource_requests_by_resource_total",
                "Number of requests proxied requests",
                &["resource", "verb", "code"],
            )?,
            by_cluster: register.counter(
                "ocm_proxy_proxied_requests_by_cluster_total",
                "Number of requests proxied requests",
                &["cluster", "code"],
            )?,
            duration: register.histogram(
                "ocm_proxy_proxied_request_duration_seconds",
                "Cluster proxy request time cost",
                &DURATIONS,
                &["resource", "verb", "cluster", "code"],
            )?,
            in_flight: register.gauge(
                "cluster_gateway_requests_in_flight",
                "Requests that are being proxied, watches included",
                &["cluster"],
            )?,
            streams: register.gauge(
                "cluster_gateway_upgraded_streams",
                "Upgraded connections (exec, attach, port-forward) that are open",
                &["cluster"],
            )?,
            streamed: register.counter(
                "cluster_gateway_upgraded_bytes_total",
                "Bytes passed on over upgraded connections, by direction: to_cluster or to_caller",
                &["cluster", "direction"],
            )?,
            received: register.counter(
                "cluster_gateway_request_bytes_total",
                "Bytes of request bodies sent to clusters",
                &["cluster"],
            )?,
            sent: register.counter(
                "cluster_gateway_response_bytes_total",
                "Bytes of response bodies received from clusters",
                &["cluster"],
            )?,
            header: register.histogram(
                "cluster_gateway_upstream_header_duration_seconds",
                "Time from sending a request to a cluster to the header of its answer",
                &HEADERS,
                &["cluster"],
            )?,
            errors: register.counter(
                "cluster_gateway_upstream_errors_total",
                "Requests that a cluster did not answer as it should",
                &["cluster", "kind"],
            )?,
            local: register.counter(
                "cluster_gateway_local_requests_total",
                "Requests that were answered without any cluster, refused ones included",
                &["target", "code"],
            )?,
            reloads: register.counter(
                "cluster_gateway_reloads_total",
                "Certificates, authorities and configuration loaded anew; after a failure the old ones stay in force",
                &["what", "outcome"],
            )?,
            certificate: {
                let gauge = Gauge::new(
                    "cluster_gateway_serving_certificate_expiry_timestamp_seconds",
                    "When the serving certificate expires, in seconds since the epoch",
                )?;
                register.one(gauge)?
            },
        })
    }
}

impl Reloaded {
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
    fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Api => "api",
            Self::Operations => "operations",
        }
    }
}

struct Register<'a>(&'a Registry);

impl Register<'_> {
    fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.one(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.one(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> Result<HistogramVec> {
        self.one(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
    }

    fn one<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

fn counter_of_one(labels: &[&str]) -> Result<IntGaugeVec> {
    IntGaugeVec::new(Opts::new("cluster_gateway_build_info", "Which build this is; always 1"), labels)
}

#[cfg(test)]
mod tests;
