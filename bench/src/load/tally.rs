use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// From a microsecond to a minute, with three digits.
const RANGE: (u64, u64) = (1_000, 60_000_000_000);

/// What came of a load.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Latencies in nanoseconds of the requests that succeeded.
    pub(crate) latencies: Histogram<u64>,
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
        let failures = BTreeMap::new();
        Self { latencies, bytes: 0, failures, elapsed: Duration::ZERO, cpu: Duration::ZERO }
    }

    /// A request that succeeded.
    pub(crate) fn succeeded(&mut self, bytes: u64, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latencies.saturating_record(nanoseconds.max(RANGE.0));
        self.bytes += bytes;
    }

    /// One that did not.
    pub(crate) fn failed(&mut self, error: &anyhow::Error) {
        *self.failures.entry(format!("{error:#}")).or_default() += 1;
    }

    /// What another one counted; not its time.
    pub(crate) fn add(&mut self, other: &Self) {
        // All have the same bounds.
        let _ = self.latencies.add(&other.latencies);
        self.bytes += other.bytes;
        for (message, count) in &other.failures {
            *self.failures.entry(message.clone()).or_default() += count;
        }
    }

    /// Requests that succeeded.
    pub(crate) fn requests(&self) -> u64 {
        self.latencies.len()
    }

    /// Requests that failed.
    pub(crate) fn failed_requests(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests() as f64 / self.elapsed.as_secs_f64()
    }

    /// Requests for each second of processor time.
    pub(crate) fn per_cpu_second(&self) -> f64 {
        self.requests() as f64 / self.cpu.as_secs_f64()
    }

    /// Megabytes (10⁶) for each second of processor time.
    pub(crate) fn megabytes_per_cpu_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.cpu.as_secs_f64()
    }

    /// The latency below which so many percent stay, in milliseconds.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        self.latencies.value_at_percentile(percent) as f64 / 1e6
    }
}
