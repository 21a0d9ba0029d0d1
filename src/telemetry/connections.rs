use std::fmt;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result};
use std::time::Duration;

/// Counts connections to clusters, dials, and who waits for a connection. Cheap to clone.
///
/// Not for each cluster: a pool belongs to no cluster, and ten thousand clusters have as many. Which cluster is in
/// trouble is told by its errors.
#[derive(Clone)]
pub struct Connections {
    open: IntGaugeVec,
    waiting: IntGauge,
    dials: IntCounterVec,
    durations: Histogram,
}

/// What a connection is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionKind {
    /// Requests side by side.
    Http2,
    /// Requests one after the other.
    Http1,
    /// One request that wants to leave HTTP.
    Upgrade,
}

/// A connection, until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(IntGauge);

/// A request that waits for a place on a connection, until it is dropped.
#[derive(Debug)]
pub struct Waiting(IntGauge);

/// What a dial that succeeded ends in.
const CONNECTED: &str = "connected";

impl Connections {
    /// Registers the metrics. An error means that the registry has one of the same name already.
    pub fn new(registry: &Registry) -> Result<Self> {
        let connections = Self {
            open: IntGaugeVec::new(
                Opts::new(
                    "cluster_gateway_upstream_connections",
                    "Connections to clusters, and to Konnectivity's server, that are open, by use: http2, http1 or upgrade",
                ),
                &["use"],
            )?,
            waiting: IntGauge::new(
                "cluster_gateway_upstream_waiting_requests",
                "Requests that wait for a place on a connection to a cluster",
            )?,
            dials: IntCounterVec::new(
                Opts::new(
                    "cluster_gateway_upstream_dials_total",
                    "Connections to clusters, and to Konnectivity's server, that were asked for, by what became of them",
                ),
                &["outcome"],
            )?,
            durations: Histogram::with_opts(
                HistogramOpts::new(
                    "cluster_gateway_upstream_dial_duration_seconds",
                    "How long connections to clusters took to be made, a proxy's part and TLS included",
                )
                // Three round trips: from the same rack to the other side of the world, and a SYN that was lost once
                // (1 s) or twice (3 s). --connect-timeout is 5 s.
                .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0]),
            )?,
        };
        registry.register(Box::new(connections.open.clone()))?;
        registry.register(Box::new(connections.waiting.clone()))?;
        registry.register(Box::new(connections.dials.clone()))?;
        registry.register(Box::new(connections.durations.clone()))?;
        for kind in [ConnectionKind::Http2, ConnectionKind::Http1, ConnectionKind::Upgrade] {
            connections.open.with_label_values(&[kind.as_str()]).set(0);
        }
        connections.dials.with_label_values(&[CONNECTED]).reset();
        Ok(connections)
    }

    /// A connection was made. Counted as open until the guard is dropped.
    pub fn opened(&self, kind: ConnectionKind, after: Duration) -> OpenConnection {
        self.dials.with_label_values(&[CONNECTED]).inc();
        self.durations.observe(after.as_secs_f64());
        let gauge = self.open.with_label_values(&[kind.as_str()]);
        gauge.inc();
        OpenConnection(gauge)
    }

    /// None was made. `why` is to be one of few words.
    pub fn failed(&self, why: &'static str) {
        self.dials.with_label_values(&[why]).inc();
    }

    /// Counts a request that waits until the guard is dropped.
    pub fn wait(&self) -> Waiting {
        self.waiting.inc();
        Waiting(self.waiting.clone())
    }

    /// How many are open, and how many wait.
    #[cfg(test)]
    pub(crate) fn now(&self, kind: ConnectionKind) -> (i64, i64) {
        (self.open.with_label_values(&[kind.as_str()]).get(), self.waiting.get())
    }

    /// How many dials ended so.
    #[cfg(test)]
    pub(crate) fn dials(&self, outcome: &str) -> u64 {
        self.dials.with_label_values(&[outcome]).get()
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl ConnectionKind {
    /// As it stands in metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::Http2 => "http2",
            Self::Http1 => "http1",
            Self::Upgrade => "upgrade",
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connections").finish_non_exhaustive()
    }
}
