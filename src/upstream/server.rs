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

/// A server that can be sent requests. Everything about it is checked; its connections are made when needed and end
/// when it is dropped and its last request is over.
pub struct Upstream {
    spec: Arc<UpstreamSpec>,
    network: Network,
    /// What requests need. Most of ten thousand servers are asked for nothing: they have none.
    ready: OnceLock<Ready>,
}

struct Ready {
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
    /// Checks what is needed to reach a server. It is set up when the first request needs it, and kept.
    pub fn new(spec: UpstreamSpec, network: &Network) -> Result<Self, InvalidUpstream> {
        server_name(&spec)?;
        trust::check(&spec.trust)?;
        Way::new(&spec, network)?;
        Ok(Self { spec: Arc::new(spec), network: network.clone(), ready: OnceLock::new() })
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.spec.endpoint
    }

    pub(super) fn target(&self) -> Result<&Target, UpstreamError> {
        self.ready().map(|ready| &*ready.target)
    }

    fn ready(&self) -> Result<&Ready, UpstreamError> {
        if let Some(ready) = self.ready.get() {
            return Ok(ready);
        }
        // As it was checked, only memory could be missing.
        let target = Target::new(&self.spec, &self.network).map_err(|error| UpstreamError::Tls {
            address: self.endpoint().authority().to_owned(),
            cause: error.to_string(),
        })?;
        let pools = (0..self.network.workers).map(|_| OnceLock::new()).collect();
        Ok(self.ready.get_or_init(|| Ready { target: Arc::new(target), pools }))
    }

    /// Connections that a worker has open.
    #[cfg(test)]
    pub(super) fn connections(&self, worker: Worker) -> usize {
        self.pool(worker).map_or(0, Pool::connections)
    }

    /// Connections of a worker that could take a request now.
    #[cfg(test)]
    pub(super) fn idle(&self, worker: Worker) -> usize {
        self.pool(worker).map_or(0, Pool::idle)
    }

    #[cfg(test)]
    fn pool(&self, worker: Worker) -> Option<&Pool> {
        self.ready.get()?.pools[worker.0].get()
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
        let Ready { target, pools } = self.ready()?;
        let Some(pool) = pools.get(worker.0) else {
            return Err(UpstreamError::Busy { address: self.endpoint().authority().to_owned() });
        };
        let lease = pool.get_or_init(|| Pool::new(Arc::clone(target), worker)).acquire().await?;
        start(lease, request, end)
    }
}

/// By what name a server's certificate is to call it.
pub(super) fn server_name(spec: &UpstreamSpec) -> Result<ServerName<'static>, InvalidUpstream> {
    match &spec.server_name {
        Some(name) => Ok(name.clone()),
        None => spec.endpoint.host().server_name(),
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upstream").field("endpoint", self.endpoint()).finish_non_exhaustive()
    }
}
