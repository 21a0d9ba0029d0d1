use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::{Histogram, IntCounter, IntGauge};

use crate::model::ClusterName;

use super::labels::Code;
use super::metrics::{Metrics, Vectors};
use super::{ErrorKind, Resource, Verb};

/// Labels of the bytes of upgraded connections.
const TO_CLUSTER: &str = "to_cluster";
const TO_CALLER: &str = "to_caller";

/// The series of one cluster: held by whoever holds the cluster, so that they go when the last of them does.
///
/// Nothing is made before something is recorded: ten thousand clusters that nobody asks for cost next to nothing.
pub struct ClusterSeries {
    name: ClusterName,
    handles: Arc<Handles>,
    metrics: Metrics,
}

/// A request of a cluster that has not ended yet.
#[derive(Debug)]
pub struct InFlight(IntGauge);

/// An upgraded connection into a cluster, until it is dropped. Bytes are counted as they go by: such a connection
/// may be open for days.
#[derive(Debug)]
pub struct OpenStream {
    open: IntGauge,
    bytes: [(IntCounter, AtomicU64); 2],
}

/// What was made so far. Passed on to a successor of the same name that comes before the last holder is gone.
#[derive(Default)]
pub(super) struct Handles {
    /// Copied on write: written as often as a new combination of labels is seen, a few dozen times at most.
    requests: ArcSwap<HashMap<Key, Request>>,
    in_flight: OnceLock<IntGauge>,
    streams: OnceLock<(IntGauge, IntCounter, IntCounter)>,
    received: OnceLock<IntCounter>,
    sent: OnceLock<IntCounter>,
    header: OnceLock<Histogram>,
    errors: [OnceLock<IntCounter>; ErrorKind::ALL.len()],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    resource: Resource,
    verb: Verb,
    code: Code,
}

#[derive(Clone)]
struct Request {
    by_resource: IntCounter,
    by_cluster: IntCounter,
    duration: Histogram,
}

impl ClusterSeries {
    pub(super) fn new(name: ClusterName, handles: Arc<Handles>, metrics: Metrics) -> Self {
        Self { name, handles, metrics }
    }

    /// The cluster's name.
    pub fn name(&self) -> &ClusterName {
        &self.name
    }

    /// Counts a request as running until the guard is dropped.
    pub fn begin(&self) -> InFlight {
        let gauge = self
            .handles
            .in_flight
            .get_or_init(|| self.vectors().in_flight.with_label_values(&[self.name.as_str()]));
        gauge.inc();
        InFlight(gauge.clone())
    }

    /// Counts an upgraded connection as open until the guard is dropped.
    pub fn stream(&self) -> OpenStream {
        let name = self.name.as_str();
        let (open, to_cluster, to_caller) = self.handles.streams.get_or_init(|| {
            let Vectors { streams, streamed, .. } = self.vectors();
            let bytes = |direction| streamed.with_label_values(&[name, direction]);
            (streams.with_label_values(&[name]), bytes(TO_CLUSTER), bytes(TO_CALLER))
        });
        open.inc();
        let bytes = [to_cluster, to_caller].map(|counter| (counter.clone(), AtomicU64::new(0)));
        OpenStream { open: open.clone(), bytes }
    }

    pub(super) fn request(&self, resource: Resource, verb: Verb, code: u16, duration: Duration) {
        let key = Key { resource, verb: verb.at_the_hub(), code: Code::of(code) };
        let known = self.handles.requests.load();
        match known.get(&key) {
            Some(request) => request.record(duration),
            None => {
                drop(known);
                self.learn(key).record(duration);
            }
        }
    }

    pub(super) fn bytes(&self, received: u64, sent: u64) {
        let name = [self.name.as_str()];
        if received > 0 {
            self.handles
                .received
                .get_or_init(|| self.vectors().received.with_label_values(&name))
                .inc_by(received);
        }
        if sent > 0 {
            self.handles.sent.get_or_init(|| self.vectors().sent.with_label_values(&name)).inc_by(sent);
        }
    }

    pub(super) fn header(&self, duration: Duration) {
        let name = [self.name.as_str()];
        self.handles
            .header
            .get_or_init(|| self.vectors().header.with_label_values(&name))
            .observe(duration.as_secs_f64());
    }

    pub(super) fn error(&self, kind: ErrorKind) {
        let labels = [self.name.as_str(), kind.as_str()];
        self.handles.errors[kind as usize]
            .get_or_init(|| self.vectors().errors.with_label_values(&labels))
            .inc();
    }

    pub(super) fn handles(&self) -> Arc<Handles> {
        Arc::clone(&self.handles)
    }

    fn learn(&self, key: Key) -> Request {
        let (resource, verb, code) = (key.resource.as_str(), key.verb.as_str(), key.code.as_str());
        let vectors = self.vectors();
        let request = Request {
            by_resource: vectors.by_resource.with_label_values(&[resource, verb, code]),
            by_cluster: vectors.by_cluster.with_label_values(&[self.name.as_str(), code]),
            duration: vectors.duration.with_label_values(&[resource, verb, self.name.as_str(), code]),
        };
        self.handles.requests.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.insert(key, request.clone());
            known
        });
        request
    }

    fn vectors(&self) -> &Vectors {
        self.metrics.vectors()
    }

    /// Takes every series of the cluster out of the registry. A series that is gone already is no error.
    fn remove(&self) {
        let (name, vectors) = (self.name.as_str(), self.vectors());
        for key in self.handles.requests.load().keys() {
            let (resource, verb, code) = (key.resource.as_str(), key.verb.as_str(), key.code.as_str());
            let _ = vectors.by_cluster.remove_label_values(&[name, code]);
            let _ = vectors.duration.remove_label_values(&[resource, verb, name, code]);
        }
        for kind in ErrorKind::ALL {
            let _ = vectors.errors.remove_label_values(&[name, kind.as_str()]);
        }
        for direction in [TO_CLUSTER, TO_CALLER] {
            let _ = vectors.streamed.remove_label_values(&[name, direction]);
        }
        let _ = vectors.streams.remove_label_values(&[name]);
        let _ = vectors.in_flight.remove_label_values(&[name]);
        let _ = vectors.received.remove_label_values(&[name]);
        let _ = vectors.sent.remove_label_values(&[name]);
        let _ = vectors.header.remove_label_values(&[name]);
    }
}

impl Drop for ClusterSeries {
    fn drop(&mut self) {
        // A successor of the same name has taken the handles over, and removes them when it goes.
        self.metrics.release(self, || self.remove());
    }
}

impl fmt::Debug for ClusterSeries {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ClusterSeries").field(&self.name).finish()
    }
}

impl Request {
    fn record(&self, duration: Duration) {
        self.by_resource.inc();
        self.by_cluster.inc();
        self.duration.observe(duration.as_secs_f64());
    }
}

impl OpenStream {
    /// So many bytes went from the caller to the cluster.
    pub fn add_to_cluster(&self, bytes: u64) {
        self.add(0, bytes);
    }

    /// So many bytes went from the cluster to the caller.
    pub fn add_to_caller(&self, bytes: u64) {
        self.add(1, bytes);
    }

    /// Bytes from the caller to the cluster so far.
    pub fn to_cluster(&self) -> u64 {
        self.bytes[0].1.load(Ordering::Relaxed)
    }

    /// Bytes from the cluster to the caller so far.
    pub fn to_caller(&self) -> u64 {
        self.bytes[1].1.load(Ordering::Relaxed)
    }

    fn add(&self, direction: usize, bytes: u64) {
        let (all, own) = &self.bytes[direction];
        all.inc_by(bytes);
        own.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
