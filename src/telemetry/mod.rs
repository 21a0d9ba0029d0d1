//! What can be known of the gateway from outside while it runs: logs, metrics, and one [`Record`] per request from
//! which both are made.
//!
//! Metrics are registered into a registry that is passed in. Labels are bounded: clusters of the table, known
//! resources (any other is `other`), verbs, codes and kinds of errors, never a path, a user or an error's text.
//! A cluster's series live as long as its [`ClusterSeries`], and go with it; histograms with a cluster's name are no
//! more than [`Options::cluster_histograms`]. Recording a request whose labels were seen before takes one lookup and
//! a few atomic additions: no lock, no allocation. [`Metrics::text`] writes it all.

mod cluster;
mod connections;
mod counts;
mod gauges;
mod histogram;
mod labels;
pub mod logging;
mod metrics;
mod process;
mod record;
mod text;
mod tunnels;

pub use cluster::{ClusterSeries, InFlight, OpenStream};
pub use connections::{ConnectionKind, Connections, OpenConnection, Waiting};
pub use gauges::ClusterGauges;
pub use labels::{ErrorKind, Resource, Verb};
pub use metrics::{Metrics, Options, Reloaded};
pub use record::{Record, Target};
pub use tunnels::{OpenTunnel, TunnelKind, Tunnels};
