use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::ClusterName;

use super::counts::{Counts, Key, Streams};
use super::labels::Code;
use super::metrics::Metrics;
use super::{ErrorKind, Resource, Verb};

/// The series of one cluster: held by whoever holds the cluster, so that they go when the last of them does.
///
/// Nothing is made before something is recorded: ten thousand clusters that nobody asks for cost next to nothing.
pub struct ClusterSeries {
    name: ClusterName,
    counts: Arc<Counts>,
    metrics: Metrics,
}

/// A request of a cluster that has not ended yet.
pub struct InFlight(Arc<Counts>);

/// An upgraded connection into a cluster, until it is dropped. Bytes are counted as they go by: such a connection
/// may be open for days.
pub struct OpenStream {
    counts: Arc<Counts>,
    to_cluster: AtomicU64,
    to_caller: AtomicU64,
}

impl ClusterSeries {
    pub(super) fn new(name: ClusterName, counts: Arc<Counts>, metrics: Metrics) -> Self {
        Self { name, counts, metrics }
    }

    /// The cluster's name.
    pub fn name(&self) -> &ClusterName {
        &self.name
    }

    /// Counts a request as running until the guard is dropped.
    pub fn begin(&self) -> InFlight {
        self.counts.to_use().in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.counts))
    }

    /// Counts an upgraded connection as open until the guard is dropped.
    pub fn stream(&self) -> OpenStream {
        let stream = OpenStream {
            counts: Arc::clone(&self.counts),
            to_cluster: AtomicU64::new(0),
            to_caller: AtomicU64::new(0),
        };
        stream.all().open.fetch_add(1, Ordering::Relaxed);
        stream
    }

    pub(super) fn request(&self, resource: Resource, verb: Verb, code: Code, duration: Duration) {
        let used = self.counts.to_use();
        used.codes[code.index()].fetch_add(1, Ordering::Relaxed);
        used.duration(Key { resource, verb, code }, duration, self.metrics.supply());
    }

    pub(super) fn bytes(&self, received: u64, sent: u64) {
        let used = self.counts.to_use();
        for (all, bytes) in [(&used.received, received), (&used.sent, sent)] {
            if bytes > 0 {
                all.fetch_add(bytes, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn header(&self, duration: Duration) {
        self.counts.to_use().header(duration, self.metrics.supply());
    }

    pub(super) fn error(&self, kind: ErrorKind) {
        self.counts.to_use().errors[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }
}

impl Drop for ClusterSeries {
    fn drop(&mut self) {
        self.metrics.release(self);
    }
}

impl OpenStream {
    /// So many bytes went from the caller to the cluster.
    pub fn add_to_cluster(&self, bytes: u64) {
        self.to_cluster.fetch_add(bytes, Ordering::Relaxed);
        self.all().to_cluster.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes went from the cluster to the caller.
    pub fn add_to_caller(&self, bytes: u64) {
        self.to_caller.fetch_add(bytes, Ordering::Relaxed);
        self.all().to_caller.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes from the caller to the cluster so far.
    pub fn to_cluster(&self) -> u64 {
        self.to_cluster.load(Ordering::Relaxed)
    }

    /// Bytes from the cluster to the caller so far.
    pub fn to_caller(&self) -> u64 {
        self.to_caller.load(Ordering::Relaxed)
    }

    /// Those of the cluster together.
    fn all(&self) -> &Streams {
        self.counts.to_use().streams.get_or_init(Box::default)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.all().open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.to_use().in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for ClusterSeries {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ClusterSeries").field(&self.name).finish()
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("InFlight").finish_non_exhaustive()
    }
}

impl fmt::Debug for OpenStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OpenStream").finish_non_exhaustive()
    }
}
