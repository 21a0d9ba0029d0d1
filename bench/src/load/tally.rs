use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// From a microsecond to a minute, with three digits.
const RANGE: (u64, u64) = (1_000, 60_000_000_000);

/// What came of a load.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Latencies in nanoseconds: of the requests that succeeded, and of those that were given up, until then.
    pub(crate) latencies: Histogram<u64>,
    /// Requests that succeeded.
    pub(crate) requests: u64,
    /// Requests that were due; 0 where nobody says when.
    pub(crate) offered: u64,
    /// Bytes of their answers.
    pub(crate) bytes: u64,
    /// What failed, by its message.
    pub(crate) failures: BTreeMap<String, u64>,
    /// How long it was measured.
    pub(crate) elapsed: Duration,
    /// Processor time that the measured processes used meanwhile.
    pub(crate) cpu: Duration,
}

impl Tally {
    /// Of nothing yet.
    pub(crate) fn new() -> Self {
        // The range is valid by its constants.
        let latencies = Histogram::new_with_bounds(RANGE.0, RANGE.1, 3)
            .unwrap_or_else(|error| unreachable!("bounds of a histogram: {error}"));
        Self {
            latencies,
            requests: 0,
            offered: 0,
            bytes: 0,
            failures: BTreeMap::new(),
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
        }
    }

    /// A request that succeeded.
    pub(crate) fn succeeded(&mut self, bytes: u64, latency: Duration) {
        self.took(latency);
        self.requests += 1;
        self.bytes += bytes;
    }

    /// One that succeeded after the time was over: it is in the latencies, and not in the rate.
    pub(crate) fn took(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latencies.saturating_record(nanoseconds.max(RANGE.0));
    }

    /// One that did not.
    pub(crate) fn failed(&mut self, error: &anyhow::Error) {
        *self.failures.entry(format!("{error:#}")).or_default() += 1;
    }

    /// What another one counted; not its time.
    pub(crate) fn add(&mut self, other: &Self) {
        // All have the same bounds.
        let _ = self.latencies.add(&other.latencies);
        self.requests += other.requests;
        self.offered += other.offered;
        self.bytes += other.bytes;
        for (message, count) in &other.failures {
            *self.failures.entry(message.clone()).or_default() += count;
        }
    }

    /// Requests that failed.
    pub(crate) fn failed_requests(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// Requests for each second of processor time.
    pub(crate) fn per_cpu_second(&self) -> f64 {
        self.requests as f64 / self.cpu.as_secs_f64()
    }

    /// Megabytes (10⁶) for each second of processor time.
    pub(crate) fn megabytes_per_cpu_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.cpu.as_secs_f64()
    }

    /// Processor time in percent of one processor.
    pub(crate) fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.elapsed.as_secs_f64() * 100.0
    }

    /// Megabytes (10⁶) a second.
    pub(crate) fn megabytes(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.elapsed.as_secs_f64()
    }

    /// The latency below which so many percent stay, in milliseconds.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        self.latencies.value_at_percentile(percent) as f64 / 1e6
    }
}

/// Percent of requests (of all rounds) that stay below a latency in milliseconds.
pub(crate) fn distribution(tallies: &[Tally]) -> Vec<(f64, f64)> {
    let mut all = Tally::new();
    for tally in tallies {
        all.add(tally);
    }
    let percents = (0..=200).map(|half| f64::from(half) / 2.0);
    percents.map(|percent| (all.percentile(percent), percent)).collect()
}
