//! Ways to servers, one file each: every one gives a [`Conduit`], a byte stream that leads to the server. TLS to the
//! server is done above it, in [`super::dial`], so that nothing on the way sees more than its name.
//!
//! Nothing ever goes around the way that was asked for: where a proxy fails, the connection fails, with an
//! [`UpstreamError`] that names the proxy. What a proxy may resolve it is given by name.

mod conduit;
mod connect;
mod direct;
mod hop;
mod konnectivity;
mod proxy;
mod socks5;
mod unix;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Host, InvalidUpstream, Network, Trust, UpstreamError, UpstreamSpec, Worker};

use connect::HttpConnect;
use direct::Direct;
use socks5::Socks5;
use unix::Unix;

pub(super) use conduit::Conduit;
pub use konnectivity::{Konnectivity, KonnectivityIdentity, KonnectivityMode};
pub use proxy::{InvalidProxy, Proxy};

/// The way to a server, as it is asked for.
#[derive(Debug, Clone)]
pub enum Route {
    /// To its address, or the addresses of its name.
    Direct,
    /// To a socket of this machine, whatever the server's endpoint says.
    Unix(PathBuf),
    /// Through a forward proxy, and by whose word the proxy itself is believed if it is reached by TLS.
    Proxy(Proxy, Trust),
    /// Through Konnectivity.
    Konnectivity(Konnectivity),
}

/// A connection that is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dial<'a> {
    pub(super) host: &'a Host,
    pub(super) port: u16,
    /// Who wants it.
    pub(super) worker: Worker,
    /// As much time as there is. Whoever asks stops asking then.
    pub(super) within: Duration,
}

/// Something that leads to servers.
pub(super) trait Transport {
    /// A byte stream that leads to the server.
    fn connect(&self, dial: Dial<'_>) -> impl Future<Output = Result<Conduit, UpstreamError>> + Send;

    /// What it means that there was no stream in time.
    fn late(&self, dial: Dial<'_>) -> UpstreamError;
}

/// The way to a server, set up.
pub(super) enum Way {
    Direct(Direct),
    Unix(Unix),
    HttpConnect(Box<HttpConnect>),
    Socks5(Box<Socks5>),
    Konnectivity(Konnectivity),
}

impl Way {
    pub(super) fn new(spec: &UpstreamSpec, network: &Network) -> Result<Self, InvalidUpstream> {
        Ok(match &spec.route {
            Route::Direct => {
                let endpoint = &spec.endpoint;
                Self::Direct(Direct::new(endpoint.host(), endpoint.port(), &network.resolver))
            }
            Route::Unix(path) => Self::Unix(Unix::new(path.clone())),
            Route::Proxy(proxy, _) if proxy.is_socks() => Self::Socks5(Box::new(Socks5::new(proxy, network))),
            Route::Proxy(proxy, trust) => {
                Self::HttpConnect(Box::new(HttpConnect::to_proxy(proxy, trust, network)?))
            }
            Route::Konnectivity(konnectivity) => Self::Konnectivity(konnectivity.clone()),
        })
    }

    /// Who leads there, for messages; nobody where we go ourselves.
    pub(super) fn proxy(&self) -> Option<String> {
        match self {
            Self::Direct(_) | Self::Unix(_) => None,
            Self::HttpConnect(connect) => Some(connect.name().to_owned()),
            Self::Socks5(socks) => Some(socks.name().to_owned()),
            Self::Konnectivity(konnectivity) => Some(konnectivity.name().to_owned()),
        }
    }
}

impl Transport for Way {
    async fn connect(&self, dial: Dial<'_>) -> Result<Conduit, UpstreamError> {
        match self {
            Self::Direct(direct) => direct.connect(dial).await,
            Self::Unix(unix) => unix.connect(dial).await,
            Self::HttpConnect(connect) => connect.connect(dial).await,
            Self::Socks5(socks) => socks.connect(dial).await,
            Self::Konnectivity(konnectivity) => konnectivity.connect(dial).await,
        }
    }

    fn late(&self, dial: Dial<'_>) -> UpstreamError {
        match self {
            Self::Direct(direct) => direct.late(dial),
            Self::Unix(unix) => unix.late(dial),
            Self::HttpConnect(connect) => connect.late(dial),
            Self::Socks5(socks) => socks.late(dial),
            Self::Konnectivity(konnectivity) => konnectivity.late(dial),
        }
    }
}

/// `host:port`, as proxies take it.
impl fmt::Display for Dial<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

/// A proxy that has not led anywhere when time was up.
fn proxy_late(proxy: &str, dial: Dial<'_>) -> UpstreamError {
    UpstreamError::Proxy {
        proxy: proxy.to_owned(),
        cause: format!("it did not lead to {dial} within {} s", dial.within.as_secs()),
    }
}

#[cfg(test)]
mod stand;
#[cfg(test)]
mod tests;
