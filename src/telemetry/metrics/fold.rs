//! Gauges of clusters that other rooms keep, for whoever wants no series per cluster.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::proto::{Gauge, Metric, MetricFamily, MetricType};

const LABEL: &str = "cluster";

/// Makes one series of all those of a gauge that tell clusters apart and nothing else. The least of all stands for
/// them: the certificate that expires next, and 0 where one cluster is not verified. Where being there says that
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
        let value = if counts {
            values.sum()
        } else if family.name().contains("expir") {
            next(values, now())
        } else {
            values.fold(f64::INFINITY, f64::min)
        };
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

/// The first moment that is still to come; the last one where all are over. One that has long expired, of a cluster that
/// nobody uses, must not hide the next.
fn next(moments: impl Iterator<Item = f64>, now: f64) -> f64 {
    let (mut coming, mut over) = (f64::INFINITY, f64::NEG_INFINITY);
    for moment in moments {
        if moment > now {
            coming = coming.min(moment);
        } else {
            over = over.max(moment);
        }
    }
    if coming.is_finite() { coming } else { over }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn tells_clusters_apart(metric: &Metric) -> bool {
    matches!(metric.get_label(), [label] if label.name() == LABEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_expired_does_not_hide_what_expires_next() {
        assert_eq!(next([5.0, 30.0, 20.0].into_iter(), 10.0), 20.0);
        assert_eq!(next([5.0, 3.0].into_iter(), 10.0), 5.0);
    }
}
