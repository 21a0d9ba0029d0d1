//! What a cluster is shown so that it knows who asks, and when it is shown something else.
//!
//! Credentials are types: what holds one neither shows it in `Debug` nor can be serialized, and no error text
//! repeats any of it. A credential is either fixed, or comes from a [`Source`], which gets it by running a command
//! ([`exec`]) or by reading files ([`files`]), renews it before it expires, and again when a cluster refuses it.
//!
//! A source promises: whoever waits for a credential waits for one run, shared by all who wait, with a deadline; a
//! run that fails leaves the last credential in use until it expires; nothing is run more often than its backoff
//! lets it, whatever clusters answer. All of it happens on the control runtime. Commands that are not on the
//! operator's list are not run, files outside the operator's folder are not read.

mod credential;
mod disk;
pub mod exec;
mod failure;
pub mod files;
mod fixed;
mod metrics;
mod source;
mod sources;

pub use credential::{Credential, Supplied};
pub use failure::{Failure, Unavailable};
pub use fixed::{ClientCertificate, InvalidToken, Validity, bearer};
pub use metrics::{ExpirySeries, Metrics};
pub use source::{Make, Source, Standing};
pub use sources::{Options, Sources};
