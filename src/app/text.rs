use std::time::Duration;

use tokio::time::sleep;

use crate::admin::Readiness;

/// For the first requests, after which what they run stays.
const SETTLED: Duration = Duration::from_secs(1);

/// Gives back the memory of what only start-up ran (the command line, certificates, documents, the first list), once
/// everything is ready.
pub(super) async fn give_back_start_up(readiness: Readiness) {
    readiness.ready().await;
    sleep(SETTLED).await;
    match resident::give_back_text() {
        Ok(bytes) => tracing::debug!(bytes, "text of the program given back; what is needed comes again"),
        // A sandbox without /proc: some megabytes more is all that comes of it.
        Err(error) => tracing::debug!(%error, "text of the program stays resident"),
    }
}
