//! Certificates, keys and trust: parsed once, verified, and loaded anew when their files change.
//!
//! A new file that does not parse leaves the old material in force; the caller logs and counts it.

mod ahead;
mod files;
mod identity;
mod key_kind;
mod self_signed;
mod server;
mod serving;

pub use ahead::Ahead;
pub use files::FileWatcher;
pub use identity::{Identity, InvalidIdentity};
pub use server::{ServerOptions, server_config};
pub use serving::{Reload, ServingCertificate, ServingError, ServingSource};
