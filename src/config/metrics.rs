use clap::Args;

use crate::telemetry::Options;

use super::values;

/// How much is told apart in metrics.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Metrics")]
pub struct Metrics {
    /// Series for each cluster; false adds all clusters up, under cluster=""
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", value_parser = values::boolean)]
    metrics_per_cluster: bool,
    /// Latency histograms, of 15 series each, that may have a cluster's name; what comes then is counted under
    /// cluster=""; 0 for none
    // The Go gateway has them without end: at 10,000 clusters with twenty each that is three million series.
    #[arg(long, value_name = "N", default_value_t = Options::default().cluster_histograms)]
    metrics_cluster_histograms: usize,
}

impl Metrics {
    /// What is in force.
    pub fn options(&self) -> Options {
        Options { per_cluster: self.metrics_per_cluster, cluster_histograms: self.metrics_cluster_histograms }
    }
}
