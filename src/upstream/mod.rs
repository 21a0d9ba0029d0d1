//! Servers that requests are sent to: endpoints, trust, addresses, peers and their connections.
//!
//! Knows endpoints, TLS and transports, but no clusters: whatever else may once be an upstream (a Service's
//! endpoint, say) is one too.

mod endpoint;
mod resolver;

pub use endpoint::{Endpoint, Host, InvalidEndpoint, Scheme};
pub use resolver::{Resolved, Resolver, Unresolved};

use rustls::pki_types::CertificateDer;

use crate::tls::Identity;

/// What is needed to reach a server and to know that it is the right one.
#[derive(Debug)]
pub struct UpstreamSpec {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Whom to believe.
    pub trust: Trust,
    /// What to show in the TLS handshake.
    pub identity: Option<Identity>,
}

/// By whose word a server's certificate is taken for true.
#[derive(Debug)]
pub enum Trust {
    /// These authorities, and the endpoint's host in the certificate.
    Roots(Vec<CertificateDer<'static>>),
    /// Nobody checks: the cluster's Secret has no CA.
    Unverified,
}

/// A server that can be sent requests: everything about it is parsed, and its peers are made.
#[derive(Debug)]
pub struct Upstream {
    spec: UpstreamSpec,
}

impl Upstream {
    /// Compiles what is needed to reach a server, so that a request only looks it up.
    pub fn new(spec: UpstreamSpec) -> Result<Self, InvalidUpstream> {
        Ok(Self { spec })
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.spec.endpoint
    }
}

/// Why a server cannot be reached with what was given.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUpstream {
    /// An authority's certificate that cannot be used.
    #[error("the CA cannot be used: {0}")]
    Ca(String),
}
