use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ahash::RandomState;
use arc_swap::ArcSwap;

use super::histogram::{Bounds, HEADER, Histogram, WHOLE};
use super::labels::Code;
use super::{ErrorKind, Resource, Verb};

/// Histograms that one cluster may have of its own: more than its users need (thirty, say), so that one who asks for
/// everything there is does not take all there are.
const EACH: usize = 100;

/// What is counted of one cluster, or of all those together that have nothing of their own.
///
/// Nothing is made before something is counted: a cluster that nobody asks for takes the pointer. One that is asked
/// for takes 700 bytes, and 200 for each histogram.
#[derive(Default)]
pub(super) struct Counts(OnceLock<Box<Used>>);

/// Everything but the durations is always there: it is smaller than what would say that it is not.
pub(super) struct Used {
    pub(super) codes: [AtomicU64; Code::COUNT],
    pub(super) errors: [AtomicU64; ErrorKind::ALL.len()],
    pub(super) in_flight: AtomicI64,
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) streams: OnceLock<Box<Streams>>,
    header: OnceLock<Slot>,
    /// Copied on write: written as often as a new combination of labels is seen, a few dozen times at most.
    durations: ArcSwap<HashMap<Key, Slot, RandomState>>,
    /// Held while one is made, so that none is made twice.
    making: Mutex<()>,
    /// Histograms of its own.
    own: AtomicUsize,
}

/// Upgraded connections.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) open: AtomicI64,
    pub(super) to_cluster: AtomicU64,
    pub(super) to_caller: AtomicU64,
}

/// What a request was, as far as its duration is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) resource: Resource,
    pub(super) verb: Verb,
    pub(super) code: Code,
}

/// Where durations go.
#[derive(Clone)]
struct Slot {
    held: Arc<Held>,
    /// With the cluster's name. Otherwise it is the one of all those who had no place.
    own: bool,
}

struct Held {
    histogram: Histogram,
    /// What it takes, where places are counted.
    _place: Option<Place>,
}

/// How many histograms there may be with a cluster's name.
pub(super) struct Places {
    limit: usize,
    taken: AtomicUsize,
}

/// One of them, given back when dropped.
struct Place(Arc<Places>);

/// Where a cluster's histograms come from.
#[derive(Clone, Copy)]
pub(super) struct Supply<'a> {
    pub(super) places: &'a Arc<Places>,
    /// What is used when there is no place. It needs none: it has as many as there are combinations of labels.
    pub(super) rest: &'a Counts,
}

impl Counts {
    /// What was counted, if anything was.
    pub(super) fn used(&self) -> Option<&Used> {
        self.0.get().map(|used| &**used)
    }

    /// To count something.
    pub(super) fn to_use(&self) -> &Used {
        self.0.get_or_init(Box::default)
    }
}

impl Used {
    /// `supply`: none for the rest itself.
    pub(super) fn duration(&self, key: Key, duration: Duration, supply: Option<Supply<'_>>) {
        let known = self.durations.load();
        if let Some(slot) = known.get(&key) {
            return slot.held.histogram.observe(duration);
        }
        drop(known);
        self.learn(key, supply).held.histogram.observe(duration);
    }

    /// `supply`: none for the rest itself.
    pub(super) fn header(&self, duration: Duration, supply: Option<Supply<'_>>) {
        self.header_slot(supply).held.histogram.observe(duration);
    }

    /// The histograms that are this one's own, in the order of their labels.
    pub(super) fn durations(&self) -> Vec<(Key, impl Deref<Target = Histogram>)> {
        let known = self.durations.load();
        let own = known.iter().filter(|(_, slot)| slot.own);
        let mut own: Vec<_> = own.map(|(key, slot)| (*key, Shown(Arc::clone(&slot.held)))).collect();
        own.sort_unstable_by_key(|(key, _)| (key.code.as_str(), key.resource.as_str(), key.verb.as_str()));
        own
    }

    /// The histogram of answers' headers, where it is this one's own.
    pub(super) fn headers(&self) -> Option<&Histogram> {
        self.header.get().filter(|slot| slot.own).map(|slot| &slot.held.histogram)
    }

    fn learn(&self, key: Key, supply: Option<Supply<'_>>) -> Slot {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.durations.load_full();
        if let Some(slot) = known.get(&key) {
            return slot.clone();
        }
        let slot = self.make(WHOLE, supply, |rest| Arc::clone(&rest.learn(key, None).held));
        let mut known = HashMap::clone(&known);
        known.insert(key, slot.clone());
        self.durations.store(Arc::new(known));
        slot
    }

    fn header_slot(&self, supply: Option<Supply<'_>>) -> &Slot {
        let make = || self.make(HEADER, supply, |rest| Arc::clone(&rest.header_slot(None).held));
        self.header.get_or_init(make)
    }

    fn make(
        &self,
        bounds: &'static Bounds,
        supply: Option<Supply<'_>>,
        of_the_rest: impl FnOnce(&Self) -> Arc<Held>,
    ) -> Slot {
        let own = |place| Slot {
            held: Arc::new(Held { histogram: Histogram::new(bounds), _place: place }),
            own: true,
        };
        let Some(Supply { places, rest }) = supply else { return own(None) };
        let is_modest = self.own.load(Ordering::Relaxed) < EACH;
        match is_modest.then(|| Places::take(places)).flatten() {
            Some(place) => {
                self.own.fetch_add(1, Ordering::Relaxed);
                own(Some(place))
            }
            None => Slot { held: of_the_rest(rest.to_use()), own: false },
        }
    }
}

impl Default for Used {
    fn default() -> Self {
        Self {
            codes: [const { AtomicU64::new(0) }; Code::COUNT],
            errors: Default::default(),
            in_flight: AtomicI64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            streams: OnceLock::new(),
            header: OnceLock::new(),
            durations: ArcSwap::default(),
            making: Mutex::default(),
            own: AtomicUsize::new(0),
        }
    }
}

impl Places {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, taken: AtomicUsize::new(0) }
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn take(places: &Arc<Self>) -> Option<Place> {
        let one_more = |taken: usize| (taken < places.limit).then_some(taken + 1);
        places.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Place(Arc::clone(places)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A histogram, whatever becomes of the cluster meanwhile.
struct Shown(Arc<Held>);

impl Deref for Shown {
    type Target = Histogram;

    fn deref(&self) -> &Histogram {
        &self.0.histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(resource: &str, code: u16) -> Key {
        Key { resource: Resource::of(resource), verb: Verb::Get, code: Code::of(code) }
    }

    fn all(histogram: &Histogram) -> u64 {
        histogram.cumulative().last().unwrap().1
    }

    #[test]
    fn what_has_no_place_is_counted_with_the_rest_until_somebody_goes() {
        let (places, rest) = (Arc::new(Places::new(2)), Counts::default());
        let supply = Some(Supply { places: &places, rest: &rest });
        let (one, two) = (Used::default(), Used::default());
        for _ in 0..3 {
            one.duration(key("pods", 200), Duration::ZERO, supply);
            one.header(Duration::ZERO, supply);
            two.duration(key("pods", 200), Duration::ZERO, supply);
            two.header(Duration::ZERO, supply);
        }
        assert_eq!((places.taken(), one.durations().len(), two.durations().len()), (2, 1, 0));
        assert!(two.headers().is_none());
        let others = rest.used().unwrap();
        assert_eq!((others.durations().len(), all(&others.durations()[0].1)), (1, 3));
        assert_eq!((all(one.headers().unwrap()), all(others.headers().unwrap())), (3, 3));
        drop(one);
        assert_eq!(places.taken(), 0);
        Used::default().header(Duration::ZERO, supply);
        two.duration(key("nodes", 200), Duration::ZERO, supply);
        assert_eq!(two.durations().len(), 1);
        // What is with the rest stays there: a counter never goes back.
        two.duration(key("pods", 200), Duration::ZERO, supply);
        assert_eq!(all(&others.durations()[0].1), 4);
    }

    #[test]
    fn one_cluster_does_not_take_every_place() {
        let (places, rest) = (Arc::new(Places::new(1_000)), Counts::default());
        let supply = Some(Supply { places: &places, rest: &rest });
        let one = Used::default();
        for resource in ["pods", "nodes", "secrets", "events", "leases", "jobs", "other"] {
            for code in
                [200, 201, 202, 204, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409]
            {
                one.duration(key(resource, code), Duration::ZERO, supply);
            }
        }
        assert_eq!((places.taken(), one.durations().len()), (EACH, EACH));
        assert_eq!(rest.used().unwrap().durations().len(), 7 * 18 - EACH);
    }
}
