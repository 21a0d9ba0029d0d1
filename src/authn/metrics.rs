use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

/// What authentication counts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) token_hits: IntCounter,
    pub(super) token_misses: IntCounter,
    pub(super) authenticated: Histogram,
    pub(super) refused: Histogram,
    pub(super) unanswered: Histogram,
    config_failures: IntCounter,
}

/// Seconds; the hub answers in milliseconds, and the limit is 10 s.
const BUCKETS: &[f64] = &[0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

impl Metrics {
    /// Registers the series. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let cache = IntCounterVec::new(
            Opts::new(
                "cluster_gateway_token_cache_total",
                "Bearer tokens looked up in a worker's cache, by result.",
            ),
            &["result"],
        )?;
        let reviews = HistogramVec::new(
            HistogramOpts::new(
                "cluster_gateway_token_review_duration_seconds",
                "Time that a TokenReview took, its retries included, by outcome.",
            )
            .buckets(BUCKETS.to_vec()),
            &["outcome"],
        )?;
        let config_failures = IntCounter::new(
            "cluster_gateway_authentication_config_failures_total",
            "Authentication configurations of the hub or of files that could not be used.",
        )?;
        registry.register(Box::new(cache.clone()))?;
        registry.register(Box::new(reviews.clone()))?;
        registry.register(Box::new(config_failures.clone()))?;
        Ok(Self {
            token_hits: cache.with_label_values(&["hit"]),
            token_misses: cache.with_label_values(&["miss"]),
            authenticated: reviews.with_label_values(&["authenticated"]),
            refused: reviews.with_label_values(&["refused"]),
            unanswered: reviews.with_label_values(&["error"]),
            config_failures,
        })
    }

    pub(super) fn config_failed(&self) {
        self.config_failures.inc();
    }

    #[cfg(test)]
    pub(super) fn config_failures(&self) -> u64 {
        self.config_failures.get()
    }
}
