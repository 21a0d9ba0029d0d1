//! What a cluster is shown so that it knows who asks.
//!
//! Credentials are types: what holds one neither shows it in `Debug` nor can be serialized, and no error text
//! repeats any of it.

mod fixed;

pub use fixed::{ClientCertificate, InvalidToken, Validity, bearer};
