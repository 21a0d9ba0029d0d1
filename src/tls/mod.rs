//! Certificates, keys and trust: parsed once, verified, and loaded anew when their files change.
//!
//! A new file that does not parse leaves the old material in force; the caller logs and counts it.

mod files;
mod identity;

pub use files::FileWatcher;
pub use identity::{Identity, InvalidIdentity};
