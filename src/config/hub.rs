use std::path::{Path, PathBuf};

use clap::Args;

use super::values;

/// How the hub's API is reached. Without any kubeconfig: as a pod's service account.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Hub")]
pub struct Hub {
    /// Kubeconfig for the hub; without it the pod's service account
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    pub kubeconfig: Option<PathBuf>,
    /// Kubeconfig for TokenReviews and the authentication ConfigMap; --kubeconfig when not given
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    authentication_kubeconfig: Option<PathBuf>,
    /// Kubeconfig for SubjectAccessReviews; --kubeconfig when not given
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    authorization_kubeconfig: Option<PathBuf>,
    /// User agent of requests that this program makes of its own
    #[arg(long, value_name = "TEXT", default_value = concat!("cluster-gateway/", env!("CARGO_PKG_VERSION")))]
    pub user_agent: String,
}

impl Hub {
    /// The kubeconfig for reviews of tokens and for the authentication ConfigMap; none means in-cluster.
    pub fn authentication_kubeconfig(&self) -> Option<&Path> {
        self.authentication_kubeconfig.as_deref().or(self.kubeconfig.as_deref())
    }

    /// The kubeconfig for reviews of access; none means in-cluster.
    pub fn authorization_kubeconfig(&self) -> Option<&Path> {
        self.authorization_kubeconfig.as_deref().or(self.kubeconfig.as_deref())
    }

    pub(super) fn paths_mut(&mut self) -> [&mut Option<PathBuf>; 3] {
        [&mut self.kubeconfig, &mut self.authentication_kubeconfig, &mut self.authorization_kubeconfig]
    }

    /// Every file that is named, with the flag that names it.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        [
            ("--kubeconfig", &self.kubeconfig),
            ("--authentication-kubeconfig", &self.authentication_kubeconfig),
            ("--authorization-kubeconfig", &self.authorization_kubeconfig),
        ]
        .into_iter()
        .filter_map(|(flag, path)| Some((flag, path.as_deref()?)))
    }
}
