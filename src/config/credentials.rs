use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::credentials::exec::{AllowedCommand, ExecOptions, InvalidAllowed};

use super::values;

/// Credentials that clusters' Secrets do not hold themselves.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Credentials")]
pub struct Credentials {
    /// Command that Secrets of credential type Dynamic may run: an absolute path, or sha256:HEX of the executable.
    /// Whoever writes such a Secret chooses its arguments and environment. Repeatable, or separated by commas; none
    /// when not given
    #[arg(long, value_name = "PATH|sha256:HEX", value_delimiter = ',', value_parser = allowed, action = clap::ArgAction::Append)]
    exec_allowed: Vec<Option<AllowedCommand>>,
    /// How long such a command may take before it is killed
    // What talks to a cloud takes a second or two, and up to half a minute where a throttled API is asked again. More
    // than the hub itself gives a request would be for nobody.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::deadline)]
    pub exec_timeout: Duration,
    /// How many such commands may run at once
    // Each is a process, often of an interpreter with tens of megabytes.
    #[arg(long, value_name = "N", default_value = "8")]
    pub exec_concurrency: NonZeroUsize,
    /// Folder below which Secrets may name files with credentials (token-file, tls.crt-file, tls.key-file); none are
    /// read when not given
    #[arg(long, value_name = "DIR", value_parser = values::file)]
    pub credential_dir: Option<PathBuf>,
}

impl Credentials {
    /// `--exec-allowed`.
    pub fn allowed(&self) -> impl Iterator<Item = &AllowedCommand> {
        self.exec_allowed.iter().flatten()
    }

    /// What the room of credentials needs to know.
    pub fn options(&self) -> crate::credentials::Options {
        crate::credentials::Options {
            exec: ExecOptions {
                allowed: self.allowed().cloned().collect(),
                timeout: self.exec_timeout,
                at_once: self.exec_concurrency,
            },
            directory: self.credential_dir.clone(),
        }
    }
}

/// An empty one means none, as in Go.
fn allowed(text: &str) -> Result<Option<AllowedCommand>, String> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|error: InvalidAllowed| error.to_string()),
    }
}
