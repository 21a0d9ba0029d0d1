use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Endpoint, Host, UpstreamError};

/// Where a server's connections go: an address, or what its name resolves to now.
pub(super) enum Addresses {
    Fixed(Arc<[SocketAddr]>),
    Named { host: String, port: u16 },
}

impl Addresses {
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        match endpoint.host() {
            Host::Address(address) => {
                Self::Fixed(Arc::from([SocketAddr::new(*address, endpoint.port())].as_slice()))
            }
            Host::Name(host) => Self::Named { host: host.clone(), port: endpoint.port() },
        }
    }

    pub(super) async fn get(&self, within: Duration) -> Result<Arc<[SocketAddr]>, UpstreamError> {
        match self {
            Self::Fixed(addresses) => Ok(Arc::clone(addresses)),
            Self::Named { host, port } => {
                let resolve = |cause: String| UpstreamError::Resolve { host: host.clone(), cause };
                match tokio::time::timeout(within, tokio::net::lookup_host((host.as_str(), *port))).await {
                    Ok(Ok(addresses)) => Ok(addresses.collect()),
                    Ok(Err(error)) => Err(resolve(error.to_string())),
                    Err(_) => Err(resolve("no answer in time".to_owned())),
                }
            }
        }
    }
}
