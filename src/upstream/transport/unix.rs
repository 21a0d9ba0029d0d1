use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::UnixStream;

use crate::upstream::UpstreamError;

use super::{Conduit, Dial, Transport};

/// A socket of this machine, behind which a server or a proxy listens.
pub(in crate::upstream) struct Unix(PathBuf);

impl Unix {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) async fn open(&self) -> Result<UnixStream, UpstreamError> {
        UnixStream::connect(&self.0).await.map_err(|error| UpstreamError::Connect {
            address: self.0.display().to_string(),
            cause: Arc::new(error),
        })
    }
}

impl Transport for Unix {
    async fn connect(&self, _: Dial<'_>) -> Result<Conduit, UpstreamError> {
        self.open().await.map(Conduit::unix)
    }

    fn late(&self, dial: Dial<'_>) -> UpstreamError {
        let address = self.0.display().to_string();
        UpstreamError::ConnectTimeout { address, seconds: dial.within.as_secs() }
    }
}
