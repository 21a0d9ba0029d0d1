use std::fmt;

use prometheus::{IntGauge, IntGaugeVec, Opts, Registry, Result};

/// Counts the connections that lead to clusters through something else. Cheap to clone.
#[derive(Clone)]
pub struct Tunnels(IntGaugeVec);

/// Through what a connection leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelKind {
    /// A forward proxy, by HTTP CONNECT.
    HttpConnect,
    /// A forward proxy, by SOCKS5.
    Socks5,
    /// Konnectivity, by gRPC.
    KonnectivityGrpc,
    /// Konnectivity, by HTTP CONNECT.
    KonnectivityConnect,
}

/// One such connection, until it is dropped.
#[derive(Debug)]
pub struct OpenTunnel(IntGauge);

impl Tunnels {
    /// Registers the metric. An error means that the registry has one of the same name already.
    pub fn new(registry: &Registry) -> Result<Self> {
        let open = IntGaugeVec::new(
            Opts::new(
                "cluster_gateway_tunnels",
                "Connections that are open, or being opened, to clusters through a proxy or Konnectivity",
            ),
            &["transport"],
        )?;
        registry.register(Box::new(open.clone()))?;
        for kind in TunnelKind::ALL {
            open.with_label_values(&[kind.as_str()]).set(0);
        }
        Ok(Self(open))
    }

    /// Counts a connection until the guard is dropped.
    pub fn open(&self, kind: TunnelKind) -> OpenTunnel {
        let gauge = self.0.with_label_values(&[kind.as_str()]);
        gauge.inc();
        OpenTunnel(gauge)
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn count(&self, kind: TunnelKind) -> i64 {
        self.0.with_label_values(&[kind.as_str()]).get()
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl TunnelKind {
    const ALL: [Self; 4] =
        [Self::HttpConnect, Self::Socks5, Self::KonnectivityGrpc, Self::KonnectivityConnect];

    /// As it stands in metrics.
    fn as_str(self) -> &'static str {
        match self {
            Self::HttpConnect => "http_connect",
            Self::Socks5 => "socks5",
            Self::KonnectivityGrpc => "konnectivity_grpc",
            Self::KonnectivityConnect => "konnectivity_connect",
        }
    }
}

impl fmt::Debug for Tunnels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tunnels").finish_non_exhaustive()
    }
}
