use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::upstream::addresses::Addresses;
use crate::upstream::{Host, Resolver, UpstreamError, keepalive};

use super::{Conduit, Dial, Transport};

/// TCP to a host: a server itself, or a proxy.
pub(in crate::upstream) struct Direct {
    host: Host,
    port: u16,
    addresses: Addresses,
}

impl Direct {
    pub(super) fn new(host: &Host, port: u16, resolver: &Resolver) -> Self {
        Self { host: host.clone(), port, addresses: Addresses::of(host, port, resolver) }
    }

    /// The first address that takes the connection; the last one's error when none does.
    pub(super) async fn tcp(&self, within: Duration) -> Result<TcpStream, UpstreamError> {
        let addresses = self.addresses.get(within).await?;
        let mut failure = UpstreamError::NoAddress { host: self.host.to_string() };
        // So that one address that swallows packets leaves time for the next.
        let share = within / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        for address in addresses.iter() {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // A request is written in one piece; waiting for more to send only adds latency. Failing to say
                    // so costs speed, and without probes a dead peer is found later; neither is worth a connection.
                    let _ = stream.set_nodelay(true);
                    let _ = keepalive::on_tcp(&stream);
                    return Ok(stream);
                }
                Ok(Err(error)) => failure = refused(*address, error),
                Err(_) => failure = late(address.to_string(), share),
            }
        }
        Err(failure)
    }
}

impl Transport for Direct {
    async fn connect(&self, dial: Dial<'_>) -> Result<Conduit, UpstreamError> {
        self.tcp(dial.within).await.map(Conduit::direct)
    }

    fn late(&self, dial: Dial<'_>) -> UpstreamError {
        late(format!("{}:{}", self.host, self.port), dial.within)
    }
}

fn refused(address: SocketAddr, cause: io::Error) -> UpstreamError {
    UpstreamError::Connect { address: address.to_string(), cause: Arc::new(cause) }
}

fn late(address: String, limit: Duration) -> UpstreamError {
    UpstreamError::ConnectTimeout { address, seconds: limit.as_secs() }
}
