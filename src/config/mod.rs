//! What the operator wants: the command line, parsed into one typed [`Config`].
//!
//! Flags keep the names and meanings of the Go cluster-gateway and of Kubernetes' generic apiserver, so that existing
//! manifests work unchanged. Past this room there are no texts to parse any more. [`Config::from_matches`] looks at
//! the command line only; [`Config::check_files`] then reads every file that is named, so that whatever is wrong is
//! said in one line with flag, value and cure before anything listens. Flags that mean nothing here are accepted and
//! end up in [`Config::warnings`]; flags that nobody knows are an [`Error`].

mod authentication;
mod authorization;
mod check;
mod clusters;
mod credentials;
mod error;
mod gates;
mod hub;
mod logging;
mod metrics;
mod patch;
mod runtime;
mod serving;
mod streams;
mod tunnel;
mod unused;
mod values;

use clap::{ArgMatches, Args, FromArgMatches};

pub use authentication::{Authentication, RequestHeader};
pub use authorization::Authorization;
pub use clusters::Clusters;
pub use credentials::Credentials;
pub use error::Error;
pub use gates::Gates;
pub use hub::Hub;
pub use logging::Logging;
pub use metrics::Metrics;
pub use patch::Patch;
pub use runtime::Runtime;
pub use serving::{Serving, TlsVersion};
pub use streams::Streams;
pub use tunnel::{Tunnel, TunnelAddress};
pub use unused::Warning;

/// Everything the operator can choose, valid as far as the command line alone can tell.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// The secure port and what is shown on it.
    #[command(flatten)]
    pub serving: Serving,
    /// How the hub is reached.
    #[command(flatten)]
    pub hub: Hub,
    /// Who calls.
    #[command(flatten)]
    pub authentication: Authentication,
    /// Whether they may.
    #[command(flatten)]
    pub authorization: Authorization,
    /// Which clusters there are, and what is asked of them.
    #[command(flatten)]
    pub clusters: Clusters,
    /// Commands and files that give credentials.
    #[command(flatten)]
    pub credentials: Credentials,
    /// Konnectivity, for clusters of endpoint type ClusterProxy.
    #[command(flatten)]
    pub tunnel: Tunnel,
    /// Workers, deadlines and draining.
    #[command(flatten)]
    pub runtime: Runtime,
    /// Connections that have left HTTP.
    #[command(flatten)]
    pub streams: Streams,
    /// What is logged and how.
    #[command(flatten)]
    pub logging: Logging,
    /// How much is told apart in metrics.
    #[command(flatten)]
    pub metrics: Metrics,
    /// `--feature-gates`.
    #[arg(skip)]
    pub gates: Gates,
    /// Flags that were given and do not do what their name says, to be logged once.
    #[arg(skip)]
    pub warnings: Vec<Warning>,
}

impl Config {
    /// The arguments of a command whose matches [`Config::from_matches`] reads.
    pub fn augment(command: clap::Command) -> clap::Command {
        let command = Self::augment_args(command).args_override_self(true);
        unused::augment(gates::augment(command))
    }

    /// Makes a configuration of what was given. Reads no file.
    pub fn from_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut config = Self::from_arg_matches(matches).map_err(|error| Error::from_clap(&error))?;
        config.forget_empty_values();
        let mut warnings = Vec::new();
        config.gates = Gates::from_matches(matches, &mut warnings)?;
        check::combinations(&config)?;
        unused::warn(matches, &config, &mut warnings);
        config.warnings = warnings;
        Ok(config)
    }

    /// Reads every file that is named, as those who need it later will: missing ones, unreadable ones and keys that
    /// do not fit their certificates are errors now.
    pub fn check_files(&self) -> Result<(), Error> {
        check::files(self)
    }
    /// `--flag=` means as much as no flag in Go, and templates of charts write it.
    fn forget_empty_values(&mut self) {
        let front_proxy = &mut self.authentication.request_header;
        for path in [
            &mut self.serving.tls_cert_file,
            &mut self.serving.tls_private_key_file,
            &mut self.authentication.client_ca_file,
            &mut front_proxy.client_ca_file,
            &mut self.clusters.cluster_gateway_proxy_config,
            &mut self.credentials.credential_dir,
            &mut self.tunnel.proxy_ca_cert,
            &mut self.tunnel.proxy_cert,
            &mut self.tunnel.proxy_key,
            &mut self.tunnel.proxy_uds,
        ]
        .into_iter()
        .chain(self.hub.paths_mut())
        {
            path.take_if(|path| path.as_os_str().is_empty());
        }
        for list in [
            &mut front_proxy.username_headers,
            &mut front_proxy.uid_headers,
            &mut front_proxy.group_headers,
            &mut front_proxy.extra_headers_prefix,
            &mut front_proxy.allowed_names,
            &mut self.authorization.authorization_always_allow_paths,
        ] {
            list.retain(|item| !item.is_empty());
        }
    }
}

#[cfg(test)]
mod tests;
