use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of a histogram's buckets: in nanoseconds, in order, and as they are written, in seconds. What is
/// longer than the last is in one bucket more.
pub(super) type Bounds = [(u64, &'static str)];

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

/// Those of the Go gateway, so that its dashboards and rules go on.
pub(super) const WHOLE: &Bounds = &[
    (0, "0"),
    (5 * MILLISECOND, "0.005"),
    (20 * MILLISECOND, "0.02"),
    (50 * MILLISECOND, "0.05"),
    (100 * MILLISECOND, "0.1"),
    (200 * MILLISECOND, "0.2"),
    (500 * MILLISECOND, "0.5"),
    (SECOND, "1"),
    (2 * SECOND, "2"),
    (5 * SECOND, "5"),
    (10 * SECOND, "10"),
    (30 * SECOND, "30"),
];

/// Until a cluster begins to answer. Its neighbours differ by 2 to 2.5, so that a percentile is off by less than
/// that anywhere from a read in the same zone (1 ms) to a list on the other side of the world (1 s). Beyond, something
/// is wrong, and the question is only whether it is slow (5 s), very slow (30 s), or about to be given up.
pub(super) const HEADER: &Bounds = &[
    (MILLISECOND, "0.001"),
    (5 * MILLISECOND / 2, "0.0025"),
    (5 * MILLISECOND, "0.005"),
    (10 * MILLISECOND, "0.01"),
    (25 * MILLISECOND, "0.025"),
    (50 * MILLISECOND, "0.05"),
    (100 * MILLISECOND, "0.1"),
    (250 * MILLISECOND, "0.25"),
    (500 * MILLISECOND, "0.5"),
    (SECOND, "1"),
    (5 * SECOND, "5"),
    (30 * SECOND, "30"),
];

/// How long things took: two additions for each, no lock, 120 bytes.
pub(super) struct Histogram {
    bounds: &'static Bounds,
    /// Of each bucket alone; sums are made when somebody asks.
    counts: Box<[AtomicU64]>,
    /// Nanoseconds; enough for centuries.
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static Bounds) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    pub(super) fn observe(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = self.bounds.partition_point(|(bound, _)| *bound < nanoseconds);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// How many took no longer than each bound, as it is written; the last is all.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let bounds = self.bounds.iter().map(|(_, text)| *text).chain(["+Inf"]);
        let mut all = 0;
        bounds.zip(&self.counts).map(move |(bound, count)| {
            all += count.load(Ordering::Relaxed);
            (bound, all)
        })
    }

    /// Seconds, of all together.
    pub(super) fn sum(&self) -> f64 {
        Duration::from_nanos(self.sum.load(Ordering::Relaxed)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_in_order_and_written_as_they_are() {
        for bounds in [WHOLE, HEADER] {
            assert!(bounds.is_sorted());
            for (nanoseconds, text) in bounds {
                let written: f64 = text.parse().unwrap();
                assert_eq!(Duration::from_secs_f64(written), Duration::from_nanos(*nanoseconds), "{text}");
            }
        }
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let histogram = Histogram::new(HEADER);
        for micros in [1_000, 1_001, 30_000_000, 30_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let counts: Vec<_> = histogram.cumulative().collect();
        assert_eq!(counts[..2], [("0.001", 1), ("0.0025", 2)]);
        assert_eq!(counts[11..], [("30", 3), ("+Inf", 4)]);
        assert!((histogram.sum() - 60.002_002).abs() < 1e-9);
    }
}
