//! Gauges of clusters that other rooms keep, for whoever wants no series per cluster.

use prometheus::proto::{Gauge, Metric, MetricFamily, MetricType};

const LABEL: &str = "cluster";

/// Makes one series of all those of a gauge that tell clusters apart and nothing else. The least of all stands for
/// them: the certificate that expires first, and 0 where one cluster is not verified. Where being there says that
/// something fails they are counted.
pub(super) fn fold(families: &mut [MetricFamily]) {
    for family in families {
        let counts = family.name().ends_with("_failing");
        if family.get_field_type() != MetricType::GAUGE
            || !family.get_metric().iter().all(tells_clusters_apart)
        {
            continue;
        }
        let values = family.get_metric().iter().map(|metric| metric.get_gauge().get_value());
        let value = if counts { values.sum() } else { values.fold(f64::INFINITY, f64::min) };
        let metrics = family.mut_metric();
        metrics.truncate(1);
        for metric in metrics {
            for label in metric.mut_label() {
                label.set_value(String::new());
            }
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
    }
}

fn tells_clusters_apart(metric: &Metric) -> bool {
    matches!(metric.get_label(), [label] if label.name() == LABEL)
}
