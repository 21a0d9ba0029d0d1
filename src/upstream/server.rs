use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Request;
use rustls::pki_types::{CertificateDer, ServerName};
use thiserror::Error;

use crate::telemetry::{Connections, Tunnels};
use crate::tls::Identity;

use super::dial::Target;
use super::exchange::{Receiver, Sender, start};
use super::pool::Pool;
use super::transport::{Route, Way};
use super::trust::SystemRoots;
use super::{Endpoint, Resolver, UpstreamError, trust};

/// What is needed to reach a server and to know that it is the right one.
#[derive(Debug, Clone)]
pub struct UpstreamSpec {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Whom to believe.
    pub trust: Trust,
    /// What to show in the TLS handshake.
    pub identity: Option<Identity>,
    /// What its certificate says, and what it is told to be asked for (SNI), where that is not the endpoint's host.
    pub server_name: Option<ServerName<'static>>,
    /// The way there.
    pub route: Route,
    /// What is spoken with it.
    pub speaks: Speaks,
}

/// What is spoken with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/2 or HTTP/1.1, as it likes best; HTTP/1.1 in the clear.
    Http,
    /// HTTP/2 and nothing else, in the clear too (RFC 9113 section 3.3).
    Grpc,
}

/// By whose word a server's certificate is taken for true.
#[derive(Debug, Clone)]
pub enum Trust {
    /// These authorities, and the server's name in the certificate.
    Roots(Vec<CertificateDer<'static>>),
    /// These authorities or those that this machine trusts, and the server's name in the certificate.
    RootsOrSystem(Vec<CertificateDer<'static>>),
    /// Nobody checks: the cluster's Secret has no CA.
    Unverified,
}

/// What all servers are reached by.
#[derive(Clone)]
pub struct Network {
    /// How many workers there are: each has connections of its own.
    pub workers: usize,
    /// For everything that a connection takes: a proxy's part, TCP and TLS together.
    pub connect_timeout: Duration,
    /// For endpoints by name.
    pub resolver: Resolver,
    /// Whom this machine trusts.
    pub system: SystemRoots,
    /// Counts the connections that are led to their servers by something else.
    pub tunnels: Tunnels,
    /// Counts all connections, dials and those who wait.
    pub connections: Connections,
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Network")
            .field("workers", &self.workers)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

/// Which worker asks: 0 up to [`Network::workers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker(pub usize);

/// A server that can be sent requests. Everything about it is parsed; its connections are made when needed and end
/// when it is dropped and its last request is over.
pub struct Upstream {
    target: Arc<Target>,
    pools: Box<[OnceLock<Pool>]>,
}

/// Why a server cannot be reached with what was given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidUpstream {
    /// An authority's certificate that cannot be used.
    #[error("the CA cannot be used: {0}")]
    Ca(String),
    /// The TLS library does not take the identity.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// A host that cannot stand in a certificate.
    #[error("{0:?} cannot be the name of a TLS server")]
    ServerName(String),
}

impl Upstream {
    /// Compiles what is needed to reach a server, so that a request only looks it up.
    pub fn new(spec: UpstreamSpec, network: &Network) -> Result<Self, InvalidUpstream> {
        let server_name = match &spec.server_name {
            Some(name) => name.clone(),
            None => spec.endpoint.host().server_name()?,
        };
        let target = Target {
            tls: trust::client_config(&spec, network)?,
            http1: OnceLock::new(),
            server_name,
            way: Way::new(&spec, network)?,
            connect_timeout: network.connect_timeout,
            connections: network.connections.clone(),
            spec,
        };
        let pools = (0..network.workers).map(|_| OnceLock::new()).collect();
        Ok(Self { target: Arc::new(target), pools })
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.target.spec.endpoint
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Connections that a worker has open.
    #[cfg(test)]
    pub(super) fn connections(&self, worker: Worker) -> usize {
        self.pools[worker.0].get().map_or(0, Pool::connections)
    }

    /// Connections of a worker that could take a request now.
    #[cfg(test)]
    pub(super) fn idle(&self, worker: Worker) -> usize {
        self.pools[worker.0].get().map_or(0, Pool::idle)
    }

    /// Sends a request's header over a connection of this worker's. `end`: there is no body.
    ///
    /// The URI is to have scheme and authority; those and nothing else say for HTTP/1.1 what goes into `Host`.
    pub async fn exchange(
        &self,
        worker: Worker,
        request: Request<()>,
        end: bool,
    ) -> Result<(Sender, Receiver), UpstreamError> {
        let Some(pool) = self.pools.get(worker.0) else {
            return Err(UpstreamError::Busy { address: self.endpoint().authority().to_owned() });
        };
        let lease = pool.get_or_init(|| Pool::new(Arc::clone(&self.target), worker)).acquire().await?;
        start(lease, request, end)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upstream").field("endpoint", self.endpoint()).finish_non_exhaustive()
    }
}
