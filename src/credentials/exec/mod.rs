//! Credentials that a command gives: `client.authentication.k8s.io` v1 and v1beta1, as kubectl runs them, but not on
//! anybody's word.
//!
//! A command comes with a cluster's Secret, so whoever may write Secrets there chooses it. It is run only when the
//! operator has put it on a list ([`AllowedCommand`]); what it is given, arguments and environment, is still the
//! Secret's. It runs without a shell, without anything to read, in a process group of its own that ends with it, for
//! a bounded time, and only so many at once. What it writes to stdout is the credential and appears in no message;
//! what it writes to stderr does, less every argument and variable that the Secret gave it.

mod allowed;
mod answer;
mod config;
mod error;
mod group;
mod info;
mod plugin;
mod run;
mod text;

pub use allowed::{AllowedCommand, InvalidAllowed};
pub use config::{ExecConfig, InvalidExec};
pub use error::ExecError;
pub use info::ClusterInfo;
pub use plugin::{ExecOptions, PluginSpec};
pub(super) use plugin::{Plugin, Plugins};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
