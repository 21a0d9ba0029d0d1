use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

/// What authorization counts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) hits: IntCounter,
    pub(super) misses: IntCounter,
    pub(super) allowed: Histogram,
    pub(super) denied: Histogram,
    pub(super) unanswered: Histogram,
    pub(super) subpath_allowed: Histogram,
    pub(super) subpath_refused: Histogram,
}

/// Seconds; the hub answers in milliseconds, and the limit is 10 s.
const BUCKETS: &[f64] = &[0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// The reference's own buckets for its histograms.
const REFERENCE_BUCKETS: &[f64] = &[0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

impl Metrics {
    /// Registers the series. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let cache = IntCounterVec::new(
            Opts::new(
                "cluster_gateway_authorization_cache_total",
                "Requests looked up in a worker's authorization cache, by result.",
            ),
            &["result"],
        )?;
        let reviews = HistogramVec::new(
            HistogramOpts::new(
                "cluster_gateway_access_review_duration_seconds",
                "Time that a SubjectAccessReview took, its retries included, by outcome.",
            )
            .buckets(BUCKETS.to_vec()),
            &["outcome"],
        )?;
        let subpath = HistogramVec::new(
            HistogramOpts::new(
                "ocm_proxy_cluster_escalation_access_review_duration_seconds",
                "Time that deciding on the target path of a proxied request took.",
            )
            .buckets(REFERENCE_BUCKETS.to_vec()),
            &["success"],
        )?;
        registry.register(Box::new(cache.clone()))?;
        registry.register(Box::new(reviews.clone()))?;
        registry.register(Box::new(subpath.clone()))?;
        Ok(Self {
            hits: cache.with_label_values(&["hit"]),
            misses: cache.with_label_values(&["miss"]),
            allowed: reviews.with_label_values(&["allowed"]),
            denied: reviews.with_label_values(&["denied"]),
            unanswered: reviews.with_label_values(&["error"]),
            subpath_allowed: subpath.with_label_values(&["true"]),
            subpath_refused: subpath.with_label_values(&["false"]),
        })
    }
}
