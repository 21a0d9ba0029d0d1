//! The clusters that can be reached: one immutable [`Table`] of them, kept true by a single writer.
//!
//! Readers load the table without waiting and hold on to the `Arc<Cluster>` that they found: every later step of a
//! request sees that generation only.
//!
//! The [`Writer`] is told by a source (see [`sources`]) what has changed, compiles each changed Secret once, and
//! publishes. It promises that after any history of changes the table is the one that a fresh start would make, but
//! for this: a Secret that becomes a mistake leaves its cluster's last good access in force. A mistake harms its own
//! cluster only; a source that cannot be reached leaves the whole table as it is.
//!
//! Beside the table there is a history of what has changed ([`Tables::since`]), in the order of the hub's
//! resourceVersions and each change once, for those who watch. It is bounded, and says so to those whom it has left
//! behind.

mod access;
mod changes;
mod cluster;
mod compile;
mod condition;
mod contact;
mod exposed;
mod fingerprint;
mod health_writer;
mod history;
mod journal;
mod metrics;
mod pairs;
mod secret;
pub mod sources;
mod streams;
mod table;
mod unusable;
mod way;
mod wishes;
mod writer;

pub use access::{Access, CredentialState, Grant};
pub use cluster::{Cluster, CredentialType, EndpointType, Health, Metadata, Spec, View};
pub use compile::Options;
pub use condition::Condition;
pub use exposed::Exposed;
pub use health_writer::{HealthUpdate, HealthWriter, HealthWritten, NotWritten};
pub use history::{Event, Expired, Lost, Position};
pub use metrics::Metrics;
pub use pairs::Pairs;
pub use streams::{Stream, Streams};
pub use table::{Table, Tables};
pub use unusable::Unusable;
pub use writer::{Change, Writer};

#[cfg(test)]
pub(crate) mod fixtures;
