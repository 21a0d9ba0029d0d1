use prometheus::{IntCounter, Registry, Result};

/// What becomes of connections and their streams. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    spilled: IntCounter,
    aged: IntCounter,
}

impl Metrics {
    /// Registers the metrics. An error means that the registry has one of the same name already.
    pub fn register(registry: &Registry) -> Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            spilled: counter(
                "cluster_gateway_spilled_streams_total",
                "HTTP/2 streams that another worker served than that of their connection, which used a whole core",
            )?,
            aged: counter(
                "cluster_gateway_aged_connections_total",
                "Connections whose callers were told to open another one, for --max-connection-age",
            )?,
        })
    }

    pub(super) fn spilled(&self) {
        self.spilled.inc();
    }

    pub(super) fn aged(&self) {
        self.aged.inc();
    }
}
