//! Who calls: request header of the front proxy, x509, bearer token by TokenReview, anonymous, in this order.
//!
//! Promises: decides as kube-apiserver's own extension servers do (k8s.io/apiserver, pkg/authentication); a chain is
//! verified once per connection and configuration, its expiry is seen by every request; a user who comes again
//! through the front proxy costs no allocation and no wait. Fails closed: what is shown and not valid is 401, what
//! cannot be found out is 500, and the last good configuration of the hub stays in force while a new one is broken.

mod authenticator;
mod bearer;
mod chain;
mod error;
mod flags;
mod hub_config;
mod metrics;
mod request_header;
mod reviewer;
mod source;
#[cfg(test)]
mod testing;
mod tokens;
mod trust;

pub use authenticator::{Authenticator, AuthenticatorOptions, WorkerAuthenticator};
pub use bearer::protocols_without_token;
pub use chain::ClientChain;
pub use error::{AuthnError, Refusal};
pub use flags::HubConfigFlags;
pub use hub_config::{FrontProxy, HubConfig, InvalidHubConfig};
pub use metrics::Metrics;
pub use reviewer::{HubTokenReviewer, TokenReviewer};
pub use source::{HubConfigError, HubConfigSource, HubConfigs};
pub use tokens::Token;
pub use trust::{ChainError, InvalidTrust, Trust};

use authenticator::in_authenticated;
