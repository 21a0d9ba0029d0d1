//! The clusters that can be reached: one immutable [`Table`] of them, kept true by a single writer.
//!
//! Readers load the table without waiting and hold on to the `Arc<Cluster>` that they found: every later step of a
//! request sees that generation only.

mod cluster;
mod table;

pub use cluster::{Access, Cluster, CredentialType, EndpointType, Health, Metadata, Spec};
pub use table::{Table, Tables};
