use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config as KubeConfig};

use crate::config::{Error, Hub};

/// Clients of the hub, by what they are for. The same one where the operator names the same kubeconfig.
pub(super) struct Clients {
    /// Reads the clusters' Secrets.
    pub(super) clusters: Client,
    /// Reads the authentication configuration and reviews tokens.
    pub(super) authentication: Client,
    /// Reviews access.
    pub(super) authorization: Client,
}

impl Clients {
    /// Connects to nothing yet: a hub that cannot be reached is waited for, not an error.
    pub(super) async fn new(hub: &Hub) -> Result<Self, Error> {
        let agent = &hub.user_agent;
        Ok(Self {
            clusters: client(agent, "--kubeconfig", hub.kubeconfig.as_deref()).await?,
            authentication: client(agent, "--authentication-kubeconfig", hub.authentication_kubeconfig())
                .await?,
            authorization: client(agent, "--authorization-kubeconfig", hub.authorization_kubeconfig())
                .await?,
        })
    }
}

/// A client for what the flag is for; connects to nothing yet.
pub(super) async fn client(
    user_agent: &str,
    flag: &'static str,
    path: Option<&Path>,
) -> Result<Client, Error> {
    let mut config = match path {
        Some(path) => from_file(flag, path).await?,
        None => KubeConfig::incluster().map_err(|error| {
            Error::Usage(format!(
                "{flag} is not given and this is no pod with a service account ({error}): name a kubeconfig of the hub"
            ))
        })?,
    };
    let agent = user_agent.parse().map_err(|_| bad_user_agent(user_agent))?;
    config.headers.push((http::header::USER_AGENT, agent));
    Client::try_from(config).map_err(|error| match path {
        Some(path) => unusable(flag, path, &error),
        None => Error::Usage(format!("the pod's service account cannot be used: {error}")),
    })
}

async fn from_file(flag: &'static str, path: &Path) -> Result<KubeConfig, Error> {
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(flag, path, &error))?;
    KubeConfig::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| unusable(flag, path, &error))
}

fn unusable(flag: &'static str, path: &Path, error: &dyn std::error::Error) -> Error {
    Error::file(flag, path, error, "name a kubeconfig whose current context can be used")
}

fn bad_user_agent(value: &str) -> Error {
    Error::Value {
        flag: "--user-agent".to_owned(),
        value: value.to_owned(),
        problem: "it cannot stand in a header".to_owned(),
        cure: "use visible ASCII characters".to_owned(),
    }
}
