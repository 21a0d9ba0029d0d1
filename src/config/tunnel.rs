use std::path::{Path, PathBuf};

use clap::Args;

use super::values;

/// Konnectivity's proxy server, through which clusters of endpoint type ClusterProxy are reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Konnectivity")]
pub struct Tunnel {
    /// Host of Konnectivity's proxy server
    #[arg(long, value_name = "HOST", default_value = "", hide_default_value = true)]
    pub proxy_host: String,
    /// Port of Konnectivity's proxy server
    #[arg(long, value_name = "PORT", default_value_t = 8090)]
    pub proxy_port: u16,
    /// CA of Konnectivity's proxy server, PEM
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    pub proxy_ca_cert: Option<PathBuf>,
    /// Client certificate for Konnectivity's proxy server, PEM
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    pub proxy_cert: Option<PathBuf>,
    /// Private key of --proxy-cert, PEM
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    pub proxy_key: Option<PathBuf>,
}

impl Tunnel {
    /// Whether there is one.
    pub fn is_wanted(&self) -> bool {
        !self.proxy_host.is_empty()
    }

    /// The files, with the flags that name them.
    pub(super) fn files(&self) -> [(&'static str, Option<&Path>); 3] {
        [
            ("--proxy-ca-cert", self.proxy_ca_cert.as_deref()),
            ("--proxy-cert", self.proxy_cert.as_deref()),
            ("--proxy-key", self.proxy_key.as_deref()),
        ]
    }
}
