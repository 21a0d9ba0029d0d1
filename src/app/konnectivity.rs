use tokio::task::JoinSet;

use crate::authn::HubConfigError;
use crate::config::{self, Config, Tunnel, TunnelAddress};
use crate::telemetry::{Metrics, Reloaded};
use crate::tls::FileWatcher;
use crate::upstream::{InvalidUpstream, Konnectivity, KonnectivityIdentity, Network};

use super::Error;

/// Konnectivity, if the operator has one, and the task that takes its certificates when they change.
pub(super) async fn build(
    config: &Config,
    network: &Network,
    metrics: &Metrics,
    tasks: &mut JoinSet<Result<(), HubConfigError>>,
) -> Result<Option<Konnectivity>, Error> {
    let tunnel = &config.tunnel;
    let konnectivity = match tunnel.address()? {
        None => return Ok(None),
        Some(TunnelAddress::Socket(path)) => {
            return Ok(Some(Konnectivity::by_socket(tunnel.mode(), path, network).map_err(unusable)?));
        }
        Some(TunnelAddress::Host(host, port)) => {
            // Before they are read: what changes in between is seen as a change.
            let watcher = FileWatcher::new(tunnel.required_files()?.map(|(_, path)| path.to_owned())).await;
            let identity = tunnel.identity()?;
            let made =
                Konnectivity::by_tls(tunnel.mode(), host, port, identity, network).map_err(unusable)?;
            tasks.spawn(reload(tunnel.clone(), watcher, made.clone(), metrics.clone()));
            made
        }
    };
    Ok(Some(konnectivity))
}

/// Takes certificates that have changed, for new connections, and says so.
async fn reload(
    tunnel: Tunnel,
    mut watcher: FileWatcher,
    konnectivity: Konnectivity,
    metrics: Metrics,
) -> Result<(), HubConfigError> {
    loop {
        watcher.changed().await;
        let replaced = replace(&tunnel, &konnectivity);
        metrics.reloaded(Reloaded::Konnectivity, replaced.is_ok());
        match replaced {
            Ok(()) => tracing::info!("Konnectivity's certificates were replaced"),
            Err(error) => {
                tracing::warn!(%error, "Konnectivity's new certificates cannot be used: the old ones stay in force");
            }
        }
    }
}

fn replace(tunnel: &Tunnel, konnectivity: &Konnectivity) -> Result<(), config::Error> {
    let identity: KonnectivityIdentity = tunnel.identity()?;
    konnectivity.replace(identity).map_err(problem)
}

fn unusable(error: InvalidUpstream) -> Error {
    problem(error).into()
}

fn problem(error: InvalidUpstream) -> config::Error {
    config::Error::Usage(format!("Konnectivity (--proxy-host) cannot be used: {error}"))
}
