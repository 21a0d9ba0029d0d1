//! Konnectivity (sigs.k8s.io/apiserver-network-proxy): a proxy server to which agents inside of clusters connect, and
//! which opens connections from there.
//!
//! In gRPC mode every connection is one stream of `ProxyService/Proxy` (the server takes one dial per stream), many
//! of them over each worker's pooled HTTP/2 connections to the proxy server, which is an [`Upstream`] itself. In
//! http-connect mode every connection is one of its own to the proxy server.

mod packet;
mod packets;
mod tunnel;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;

use crate::telemetry::{TunnelKind, Tunnels};
use crate::tls::Identity;
use crate::upstream::{
    Endpoint, Host, InvalidUpstream, Network, Scheme, Speaks, Trust, Upstream, UpstreamError, UpstreamSpec,
    trust,
};

use super::connect::HttpConnect;
use super::{Conduit, Dial, Route, Transport, proxy_late};

pub(super) use tunnel::Tunnel;

/// How Konnectivity's proxy server is spoken to: what its `--mode` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KonnectivityMode {
    /// `grpc`
    Grpc,
    /// `http-connect`
    HttpConnect,
}

/// Whom to believe to be Konnectivity, and what to show it.
#[derive(Debug, Clone)]
pub struct KonnectivityIdentity {
    /// The CA of its certificate.
    pub roots: Vec<CertificateDer<'static>>,
    /// Our certificate.
    pub identity: Identity,
}

/// A Konnectivity proxy server, the same one for every cluster behind it. Cheap to clone.
#[derive(Clone)]
pub struct Konnectivity(Arc<Inner>);

struct Inner {
    name: String,
    mode: KonnectivityMode,
    at: At,
    network: Network,
    /// Replaced with the files of its certificates: tunnels that are open stay on the old one.
    current: ArcSwap<Current>,
}

enum At {
    Host(Host, u16),
    Socket,
}

enum Current {
    Grpc(Upstream),
    HttpConnect(HttpConnect),
}

impl Konnectivity {
    /// By mutual TLS.
    pub fn by_tls(
        mode: KonnectivityMode,
        host: Host,
        port: u16,
        identity: KonnectivityIdentity,
        network: &Network,
    ) -> Result<Self, InvalidUpstream> {
        let name = format!("Konnectivity at {host}:{port}");
        let current = by_tls(mode, (&host, port), identity, &name, network)?;
        Ok(Self::new(mode, name, At::Host(host, port), current, network))
    }

    /// By a socket of this machine, without TLS: whoever may open the file may use it.
    pub fn by_socket(
        mode: KonnectivityMode,
        path: PathBuf,
        network: &Network,
    ) -> Result<Self, InvalidUpstream> {
        let name = format!("Konnectivity at {}", path.display());
        let current = match mode {
            KonnectivityMode::Grpc => {
                let localhost = Host::Name("localhost".to_owned());
                Current::Grpc(Upstream::new(
                    UpstreamSpec {
                        endpoint: Endpoint::at(Scheme::Http, localhost, 80),
                        trust: Trust::Unverified,
                        identity: None,
                        server_name: None,
                        route: Route::Unix(path),
                        speaks: Speaks::Grpc,
                    },
                    network,
                )?)
            }
            KonnectivityMode::HttpConnect => {
                Current::HttpConnect(HttpConnect::to_konnectivity_socket(path, name.clone(), network))
            }
        };
        Ok(Self::new(mode, name, At::Socket, current, network))
    }

    fn new(mode: KonnectivityMode, name: String, at: At, current: Current, network: &Network) -> Self {
        let current = ArcSwap::from_pointee(current);
        Self(Arc::new(Inner { name, mode, at, network: network.clone(), current }))
    }

    /// Believes and shows something else from now on. Connections that are open stay as they are until their last
    /// tunnel ends. Changes nothing where there is no TLS.
    pub fn replace(&self, identity: KonnectivityIdentity) -> Result<(), InvalidUpstream> {
        let inner = &self.0;
        if let At::Host(host, port) = &inner.at {
            let current = by_tls(inner.mode, (host, *port), identity, &inner.name, &inner.network)?;
            inner.current.store(Arc::new(current));
        }
        Ok(())
    }

    /// Who it is, for messages.
    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    fn tunnels(&self) -> &Tunnels {
        &self.0.network.tunnels
    }
}

fn by_tls(
    mode: KonnectivityMode,
    (host, port): (&Host, u16),
    KonnectivityIdentity { roots, identity }: KonnectivityIdentity,
    name: &str,
    network: &Network,
) -> Result<Current, InvalidUpstream> {
    let spec = UpstreamSpec {
        endpoint: Endpoint::at(Scheme::Https, host.clone(), port),
        trust: Trust::Roots(roots),
        identity: Some(identity),
        server_name: None,
        route: Route::Direct,
        speaks: Speaks::Grpc,
    };
    match mode {
        KonnectivityMode::Grpc => Upstream::new(spec, network).map(Current::Grpc),
        KonnectivityMode::HttpConnect => {
            let config = trust::http1_config(&spec, network)?;
            HttpConnect::to_konnectivity((host, port), config, name.to_owned(), network)
                .map(Current::HttpConnect)
        }
    }
}

impl Transport for Konnectivity {
    async fn connect(&self, dial: Dial<'_>) -> Result<Conduit, UpstreamError> {
        let current = self.0.current.load_full();
        match &*current {
            Current::Grpc(server) => {
                let open = || self.tunnels().open(TunnelKind::KonnectivityGrpc);
                tunnel::dial(server, dial, &self.0.name, open).await.map(Conduit::tunnel)
            }
            Current::HttpConnect(connect) => connect.connect(dial).await,
        }
    }

    fn late(&self, dial: Dial<'_>) -> UpstreamError {
        proxy_late(&self.0.name, dial)
    }
}

impl fmt::Debug for Konnectivity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Konnectivity").field(&self.0.name).finish()
    }
}

#[cfg(test)]
mod stand;
#[cfg(test)]
mod tests;
