//! The data path: what happens to a request from its header to its last byte, in that order.
//!
//! Who calls and whether they may is decided before anything else is looked at. A request for a cluster is sent by
//! [`forward`], over connections that belong to this worker; everything else is answered here. Every failure is a
//! Kubernetes Status, and nothing that a caller sends decides who they are on a cluster.

mod client;
mod failure;
mod forward;
mod headers;
mod local;
mod outbound;
mod own;
mod record;
mod relay;
mod replay;
mod request;
mod route;
mod service;
mod settle;
mod socket;
#[doc(hidden)]
pub mod stages;
mod stream;
mod upgrade;

pub use service::{Caller, Gateway, Options, Parts};
pub use stream::Options as StreamOptions;
