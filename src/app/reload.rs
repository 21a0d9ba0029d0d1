use crate::authn::HubConfigError;
use crate::telemetry::{Metrics, Reloaded};
use crate::tls::{Reload, ServingCertificate};

/// Takes a serving certificate that has changed, and says so.
pub(super) async fn serving_certificate(
    certificate: ServingCertificate,
    metrics: Metrics,
) -> Result<(), HubConfigError> {
    let mut watcher = certificate.watcher().await;
    loop {
        match certificate.changed(&mut watcher).await {
            Reload::Replaced => {
                metrics.reloaded(Reloaded::ServingCertificate, true);
                metrics.serving_certificate(certificate.not_after());
                tracing::info!("the serving certificate was replaced");
            }
            Reload::Kept(error) => {
                metrics.reloaded(Reloaded::ServingCertificate, false);
                tracing::warn!(%error, "the new serving certificate cannot be used: the old one stays in force");
            }
        }
    }
}
