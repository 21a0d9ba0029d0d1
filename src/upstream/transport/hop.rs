use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::upstream::{Host, InvalidUpstream, Resolver, UpstreamError};

use super::conduit::Hop;
use super::direct::Direct;
use super::unix::Unix;

/// How a proxy is reached.
pub(super) enum ToProxy {
    Tcp(Direct),
    Tls { direct: Direct, config: Arc<ClientConfig>, server_name: ServerName<'static> },
    Unix(Unix),
}

impl ToProxy {
    pub(super) fn tcp(host: &Host, port: u16, resolver: &Resolver) -> Self {
        Self::Tcp(Direct::new(host, port, resolver))
    }

    pub(super) fn tls(
        host: &Host,
        port: u16,
        config: Arc<ClientConfig>,
        resolver: &Resolver,
    ) -> Result<Self, InvalidUpstream> {
        let server_name = host.server_name()?;
        Ok(Self::Tls { direct: Direct::new(host, port, resolver), config, server_name })
    }

    pub(super) fn unix(path: PathBuf) -> Self {
        Self::Unix(Unix::new(path))
    }

    /// Whatever goes wrong is told as the proxy's failure: `name` is what it is called.
    pub(super) async fn open(&self, name: &str, within: Duration) -> Result<Hop, UpstreamError> {
        let opened = match self {
            Self::Tcp(direct) => direct.tcp(within).await.map(Hop::Tcp),
            Self::Unix(unix) => unix.open().await.map(Hop::Unix),
            Self::Tls { direct, config, server_name } => match direct.tcp(within).await {
                Ok(stream) => TlsConnector::from(Arc::clone(config))
                    .connect(server_name.clone(), stream)
                    .await
                    .map(|stream| Hop::Tls(Box::new(stream)))
                    .map_err(|error| UpstreamError::handshake("the proxy", &error)),
                Err(error) => Err(error),
            },
        };
        opened.map_err(|error| error.of_proxy(name))
    }
}
