use std::io::{self, Read};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::telemetry::{ConnectionKind, Connections};

use super::server::server_name;
use super::transport::{Conduit, Dial, Transport, Way};
use super::{InvalidUpstream, Network, Scheme, Speaks, UpstreamError, UpstreamSpec, Worker, trust};

/// What a dial needs to know, shared by a server's pools on all workers.
pub(super) struct Target {
    pub(super) spec: Arc<UpstreamSpec>,
    tls: Arc<ClientConfig>,
    /// As `tls`, for those who can do with nothing but HTTP/1.1; made when first needed.
    http1: OnceLock<Arc<ClientConfig>>,
    server_name: ServerName<'static>,
    way: Way,
    /// For the way there and TLS together.
    pub(super) connect_timeout: Duration,
    pub(super) connections: Connections,
}

/// A byte stream to a server.
pub(super) enum Io {
    Tls {
        stream: Box<TlsStream<Conduit>>,
        /// The server has said something since the handshake: it took our certificate.
        answered: bool,
    },
    Plain(Conduit),
}

/// What a dial may end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// Whatever both sides like best.
    Any,
    /// HTTP/1.1 only: upgrades know nothing else.
    Http1,
}

/// What server and client agreed to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    H2,
    H1,
}

impl Target {
    /// Compiles what is needed to reach a server, so that a dial only looks it up.
    pub(super) fn new(spec: &Arc<UpstreamSpec>, network: &Network) -> Result<Self, InvalidUpstream> {
        Ok(Self {
            tls: trust::client_config(spec, network)?,
            http1: OnceLock::new(),
            server_name: server_name(spec)?,
            way: Way::new(spec, network)?,
            connect_timeout: network.connect_timeout,
            connections: network.connections.clone(),
            spec: Arc::clone(spec),
        })
    }

    /// Where to, for messages.
    pub(super) fn authority(&self) -> &str {
        self.spec.endpoint.authority()
    }

    /// Connects for a worker, by the way that leads there and within the time that there is for it.
    pub(super) async fn dial(&self, worker: Worker, offer: Offer) -> Result<(Io, Protocol), UpstreamError> {
        let begun = Instant::now();
        let dialled = self.connect(worker, offer).await;
        let (mut io, protocol) = dialled.inspect_err(|error| self.connections.failed(error.kind()))?;
        let kind = match (offer, protocol) {
            (Offer::Http1, _) => ConnectionKind::Upgrade,
            (Offer::Any, Protocol::H2) => ConnectionKind::Http2,
            (Offer::Any, Protocol::H1) => ConnectionKind::Http1,
        };
        io.conduit().count(self.connections.opened(kind, begun.elapsed()));
        Ok((io, protocol))
    }

    async fn connect(&self, worker: Worker, offer: Offer) -> Result<(Io, Protocol), UpstreamError> {
        let endpoint = &self.spec.endpoint;
        let within = self.connect_timeout;
        let dial = Dial { host: endpoint.host(), port: endpoint.port(), worker, within };
        let deadline = Instant::now() + within;
        let conduit = timeout_at(deadline, self.way.connect(dial))
            .await
            .unwrap_or_else(|_| Err(self.way.late(dial)))?;
        match endpoint.scheme() {
            Scheme::Http => Ok((Io::Plain(conduit), self.protocol(None))),
            Scheme::Https => timeout_at(deadline, self.secure(conduit, offer)).await.unwrap_or_else(|_| {
                Err(UpstreamError::ConnectTimeout {
                    address: self.authority().to_owned(),
                    seconds: within.as_secs(),
                })
            }),
        }
    }

    async fn secure(&self, conduit: Conduit, offer: Offer) -> Result<(Io, Protocol), UpstreamError> {
        let connecting = TlsConnector::from(self.tls(offer)).connect(self.server_name.clone(), conduit);
        let stream = connecting.await.map_err(|error| match self.way.proxy() {
            Some(proxy) => UpstreamError::tunnelled_handshake(proxy, self.authority(), &error),
            None => UpstreamError::handshake(self.authority(), &error),
        })?;
        let protocol = self.protocol(stream.get_ref().1.alpn_protocol());
        Ok((Io::Tls { stream: Box::new(stream), answered: false }, protocol))
    }

    fn protocol(&self, agreed: Option<&[u8]>) -> Protocol {
        match (self.spec.speaks, agreed) {
            (Speaks::Grpc, _) | (Speaks::Http, Some(b"h2")) => Protocol::H2,
            (Speaks::Http, _) => Protocol::H1,
        }
    }

    fn tls(&self, offer: Offer) -> Arc<ClientConfig> {
        match offer {
            Offer::Any => Arc::clone(&self.tls),
            Offer::Http1 => Arc::clone(self.http1.get_or_init(|| {
                // Shares tickets and parsed certificates with the other.
                let mut config = ClientConfig::clone(&self.tls);
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
                Arc::new(config)
            })),
        }
    }
}

impl Io {
    fn conduit(&mut self) -> &mut Conduit {
        match self {
            Self::Tls { stream, .. } => stream.get_mut().0,
            Self::Plain(conduit) => conduit,
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls { stream, answered } => {
                let before = buffer.filled().len();
                let read = Pin::new(stream).poll_read(context, buffer);
                *answered |= buffer.filled().len() > before;
                read.map_err(|error| meaning(error, *answered))
            }
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer).map_err(no_refusal),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls { stream, answered } => Pin::new(&mut *stream)
                .poll_write(context, data)
                .map_err(|error| why(stream, *answered, error)),
            Self::Plain(stream) => Pin::new(stream).poll_write(context, data).map_err(no_refusal),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls { stream, answered } => {
                Pin::new(&mut *stream).poll_flush(context).map_err(|error| why(stream, *answered, error))
            }
            Self::Plain(stream) => Pin::new(stream).poll_flush(context).map_err(no_refusal),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = match self.get_mut() {
            Self::Tls { stream, .. } => Pin::new(stream).poll_shutdown(context),
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
        };
        ended.map_err(no_refusal)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls { stream, answered } => Pin::new(&mut *stream)
                .poll_write_vectored(context, slices)
                .map_err(|error| why(stream, *answered, error)),
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices).map_err(no_refusal),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tls { stream, .. } => stream.is_write_vectored(),
            Self::Plain(stream) => stream.is_write_vectored(),
        }
    }
}

/// Why nothing more can be written. In TLS 1.3 a server decides on our certificate when our handshake is over
/// already: it may have closed before we wrote, and its alert waits to be read.
fn why(stream: &mut TlsStream<Conduit>, answered: bool, error: io::Error) -> io::Error {
    let (conduit, session) = stream.get_mut();
    // Ends when nothing is left, or when as much is there as a session keeps unread.
    while session.read_tls(&mut conduit.now()).is_ok_and(|read| read > 0) {
        if let Err(cause) = session.process_new_packets() {
            let answered = answered || matches!(session.reader().read(&mut [0]), Ok(1..));
            return meaning(io::Error::new(io::ErrorKind::InvalidData, cause), answered);
        }
    }
    no_refusal(error)
}

/// An alert that refuses our certificate, by a kind of error that then stands for nothing else: HTTP libraries pass
/// the kind and the text on, but not rustls' own error. A request is repeated after it, so that it counts only as
/// long as the server cannot have taken any.
fn meaning(error: io::Error, answered: bool) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::AlertReceived(alert))
            if !answered && UpstreamError::refuses_certificate(*alert) =>
        {
            io::Error::new(UpstreamError::REFUSED, format!("{alert:?}"))
        }
        _ => no_refusal(error),
    }
}

/// The system has errors of that kind too (EACCES, EPERM: a firewall's, say).
fn no_refusal(error: io::Error) -> io::Error {
    match error.kind() {
        UpstreamError::REFUSED => io::Error::other(error.to_string()),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription as Alert;

    use super::*;

    fn alert(alert: Alert) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert))
    }

    #[test]
    fn only_the_servers_first_word_can_refuse_our_certificate() {
        let refused = |error, answered| meaning(error, answered).kind() == UpstreamError::REFUSED;
        assert!(refused(alert(Alert::CertificateRequired), false));
        assert!(!refused(alert(Alert::CertificateRequired), true));
        assert!(!refused(alert(Alert::InternalError), false));
        for code in [1, 13] {
            let system = || io::Error::from_raw_os_error(code);
            assert_eq!(system().kind(), UpstreamError::REFUSED);
            assert!(!refused(system(), false));
            assert!(meaning(system(), false).to_string().contains("ermi"), "the system's words are lost");
        }
    }
}
