use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Host, Resolved, Resolver, UpstreamError};

/// Where a server's connections go: an address, or what its name resolves to now.
pub(super) enum Addresses {
    Fixed(Arc<[SocketAddr]>),
    /// Resolved from the first dial on: of ten thousand clusters most may never be asked for.
    Named {
        host: String,
        port: u16,
        resolver: Resolver,
        resolved: OnceLock<Resolved>,
    },
}

impl Addresses {
    pub(super) fn of(host: &Host, port: u16, resolver: &Resolver) -> Self {
        match host {
            Host::Address(address) => Self::Fixed(Arc::from([SocketAddr::new(*address, port)].as_slice())),
            Host::Name(host) => Self::Named {
                host: host.clone(),
                port,
                resolver: resolver.clone(),
                resolved: OnceLock::new(),
            },
        }
    }

    /// At once, but for a name that nobody has asked for yet.
    pub(super) async fn get(&self, within: Duration) -> Result<Arc<[SocketAddr]>, UpstreamError> {
        match self {
            Self::Fixed(addresses) => Ok(Arc::clone(addresses)),
            Self::Named { host, port, resolver, resolved } => {
                let resolved = resolved.get_or_init(|| resolver.addresses(host, *port));
                resolved.ready(within).await.map_err(UpstreamError::Resolve)
            }
        }
    }
}
