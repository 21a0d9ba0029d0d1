use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Registry, Result};

use crate::model::ClusterName;

const LABEL: &str = "cluster";

/// One gauge for each cluster that has one, named by the label `cluster`. Cheap to clone.
///
/// The library's own `GaugeVec` keeps 700 bytes for each, most of them the same texts; here it is a number in a map,
/// and the rest is made when somebody asks.
#[derive(Clone)]
pub struct ClusterGauges(Arc<Inner>);

struct Inner {
    desc: Desc,
    values: Mutex<HashMap<ClusterName, f64>>,
}

impl ClusterGauges {
    /// Registers them, with no value for any cluster. Fails when something else has registered the name.
    pub fn register(name: &str, help: &str, registry: &Registry) -> Result<Self> {
        let labels = vec![LABEL.to_owned()];
        let desc = Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new())?;
        let gauges = Self(Arc::new(Inner { desc, values: Mutex::default() }));
        registry.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }

    /// A cluster's value from now on.
    pub fn set(&self, cluster: &ClusterName, value: f64) {
        self.values().insert(cluster.clone(), value);
    }

    /// There is nothing to tell of a cluster any more.
    pub fn remove(&self, cluster: &ClusterName) {
        self.values().remove(cluster);
    }

    fn values(&self) -> MutexGuard<'_, HashMap<ClusterName, f64>> {
        self.0.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for ClusterGauges {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Held for the copy only: whoever changes the table waits for it.
        let values: Vec<_> = self.values().iter().map(|(name, value)| (name.clone(), *value)).collect();
        let metrics = values.into_iter().map(|(name, value)| {
            let mut label = LabelPair::default();
            label.set_name(LABEL.to_owned());
            label.set_value(name.as_str().to_owned());
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = Metric::from_label(vec![label]);
            metric.set_gauge(gauge);
            metric
        });
        let mut family = MetricFamily::default();
        family.set_name(self.0.desc.fq_name.clone());
        family.set_help(self.0.desc.help.clone());
        family.set_field_type(MetricType::GAUGE);
        family.set_metric(metrics.collect());
        vec![family]
    }
}

impl fmt::Debug for ClusterGauges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ClusterGauges").field(&self.0.desc.fq_name).finish()
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{GaugeVec, Opts, TextEncoder};

    use super::*;

    #[test]
    fn they_read_as_those_of_the_library() {
        let (ours, theirs) = (Registry::new(), Registry::new());
        let gauges = ClusterGauges::register("seconds", "Some \\ help", &ours).unwrap();
        let vector = GaugeVec::new(Opts::new("seconds", "Some \\ help"), &["cluster"]).unwrap();
        theirs.register(Box::new(vector.clone())).unwrap();
        let text = |registry: &Registry| TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert_eq!(text(&ours), "", "without a value there is nothing to tell");
        for (name, value) in [("b", 1.5), ("a", 1e9), ("c", 0.0)] {
            gauges.set(&ClusterName::parse(name).unwrap(), value);
            vector.with_label_values(&[name]).set(value);
        }
        assert_eq!(text(&ours), text(&theirs));
        gauges.remove(&ClusterName::parse("b").unwrap());
        vector.remove_label_values(&["b"]).unwrap();
        assert_eq!(text(&ours), text(&theirs));
        assert!(text(&ours).contains("seconds{cluster=\"a\"} 1000000000"), "{}", text(&ours));
        assert!(ClusterGauges::register("seconds", "twice", &ours).is_err());
    }
}
