use std::path::PathBuf;

use clap::{ArgMatches, Args, FromArgMatches};

use super::{Error, values};

/// What the subcommand `patch` is asked for: a CA from a Secret for an APIService.
#[derive(Debug, Clone, Args)]
pub struct Patch {
    /// Namespace of the Secret that holds the CA
    #[arg(long, value_name = "NAMESPACE")]
    pub secret_namespace: String,
    /// Name of the Secret that holds the CA
    #[arg(long, value_name = "NAME")]
    pub secret_name: String,
    /// The Secret's data key that holds the CA, PEM
    #[arg(long, value_name = "KEY", default_value = "ca")]
    pub secret_ca_bundle_key: String,
    /// The APIService that is to trust the CA
    #[arg(long = "target-APIService", value_name = "NAME", default_value = "v1alpha1.cluster.core.oam.dev")]
    pub target_api_service: String,
    /// Kubeconfig for the hub; without it the pod's service account
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    pub kubeconfig: Option<PathBuf>,
}

impl Patch {
    /// The arguments of a command whose matches [`Patch::from_matches`] reads.
    pub fn augment(command: clap::Command) -> clap::Command {
        Self::augment_args(command).args_override_self(true)
    }

    /// Makes a configuration of what was given.
    pub fn from_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut patch = Self::from_arg_matches(matches).map_err(|error| Error::from_clap(&error))?;
        patch.kubeconfig.take_if(|path| path.as_os_str().is_empty());
        Ok(patch)
    }
}
