//! Servers that requests are sent to: endpoints, trust, addresses and connections.
//!
//! Knows endpoints, TLS and transports, but no clusters: whatever else may once be an upstream (a Service's
//! endpoint, say) is one too.
//!
//! Promises: two [`Upstream`]s never share a connection, so neither do two clusters, nor two generations of one;
//! no two workers share one either. However many requests find no connection, one dial serves as many of them as a
//! connection has streams for. Fails with an [`UpstreamError`] that says what is wrong in an operator's words.

mod addresses;
mod connection;
mod dial;
mod endpoint;
mod error;
mod exchange;
mod h1;
pub mod keepalive;
mod pool;
mod resolver;
mod server;
mod slot;
mod transport;
mod trust;
mod upgrade;

pub use endpoint::{Endpoint, Host, InvalidEndpoint, Scheme};
pub use error::UpstreamError;
pub use exchange::{Head, Receiver, Sender};
pub use resolver::{Resolved, Resolver, Unresolved};
pub use server::{InvalidUpstream, Network, Speaks, Trust, Upstream, UpstreamSpec, Worker};
pub use transport::{InvalidProxy, Konnectivity, KonnectivityIdentity, KonnectivityMode, Proxy, Route};
pub use trust::SystemRoots;
pub use upgrade::{Upgrade, Upgraded};

#[cfg(test)]
mod tests;
