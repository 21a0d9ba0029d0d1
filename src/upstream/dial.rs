use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::addresses::Addresses;
use super::keepalive;
use super::{Scheme, UpstreamError, UpstreamSpec};

/// What a dial needs to know, shared by a server's pools on all workers.
pub(super) struct Target {
    pub(super) spec: UpstreamSpec,
    pub(super) tls: Arc<ClientConfig>,
    /// As `tls`, for those who can do with nothing but HTTP/1.1; made when first needed.
    pub(super) http1: OnceLock<Arc<ClientConfig>>,
    pub(super) server_name: ServerName<'static>,
    pub(super) addresses: Addresses,
    /// For TCP and TLS together.
    pub(super) connect_timeout: Duration,
}

/// A byte stream to a server.
pub(super) enum Io {
    Tls(Box<TlsStream<TcpStream>>),
    Plain(TcpStream),
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
    /// Where to, for messages.
    pub(super) fn authority(&self) -> &str {
        self.spec.endpoint.authority()
    }

    /// Connects, within the time that there is for it.
    pub(super) async fn dial(&self, offer: Offer) -> Result<(Io, Protocol), UpstreamError> {
        timeout(self.connect_timeout, self.connect(offer)).await.unwrap_or_else(|_| {
            Err(UpstreamError::ConnectTimeout {
                address: self.authority().to_owned(),
                seconds: self.connect_timeout.as_secs(),
            })
        })
    }

    async fn connect(&self, offer: Offer) -> Result<(Io, Protocol), UpstreamError> {
        let stream = self.tcp().await?;
        // A request is written in one piece; waiting for more to send only adds latency. Failing to say so costs
        // speed, and without probes a dead peer is found later; neither is worth a connection.
        let _ = stream.set_nodelay(true);
        let _ = keepalive::on_tcp(&stream);
        match self.spec.endpoint.scheme() {
            Scheme::Http => Ok((Io::Plain(stream), Protocol::H1)),
            Scheme::Https => {
                let stream = TlsConnector::from(self.tls(offer))
                    .connect(self.server_name.clone(), stream)
                    .await
                    .map_err(|error| UpstreamError::handshake(self.authority(), &error))?;
                let protocol = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Protocol::H2,
                    _ => Protocol::H1,
                };
                Ok((Io::Tls(Box::new(stream)), protocol))
            }
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

    /// The first address that takes the connection; the last one's error when none does.
    async fn tcp(&self) -> Result<TcpStream, UpstreamError> {
        let addresses = self.addresses.get(self.connect_timeout).await?;
        let mut failure = UpstreamError::NoAddress { host: self.spec.endpoint.host().to_string() };
        // So that one address that swallows packets leaves time for the next.
        let share = self.connect_timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        for address in addresses.iter() {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = refused(*address, error),
                Err(_) => {
                    failure = UpstreamError::ConnectTimeout {
                        address: address.to_string(),
                        seconds: share.as_secs(),
                    };
                }
            }
        }
        Err(failure)
    }
}

fn refused(address: SocketAddr, cause: io::Error) -> UpstreamError {
    UpstreamError::Connect { address: address.to_string(), cause: Arc::new(cause) }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer).map_err(refusal),
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(stream) => {
                Pin::new(&mut *stream).poll_write(context, data).map_err(|error| why(stream, error))
            }
            Self::Plain(stream) => Pin::new(stream).poll_write(context, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => {
                Pin::new(&mut *stream).poll_flush(context).map_err(|error| why(stream, error))
            }
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(&mut *stream)
                .poll_write_vectored(context, slices)
                .map_err(|error| why(stream, error)),
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Plain(stream) => stream.is_write_vectored(),
        }
    }
}

/// Why nothing more can be written. In TLS 1.3 a server decides on our certificate when our handshake is over
/// already: it may have closed before we wrote, and its alert waits to be read.
fn why(stream: &mut TlsStream<TcpStream>, error: io::Error) -> io::Error {
    let (socket, session) = stream.get_mut();
    // The event loop may not know yet that there is something to read; the socket does.
    let Ok(socket) = socket.as_fd().try_clone_to_owned() else {
        return error;
    };
    let mut socket = std::net::TcpStream::from(socket);
    // Ends when nothing is left, or when as much is there as a session keeps unread.
    while session.read_tls(&mut socket).is_ok_and(|read| read > 0) {
        if let Err(cause) = session.process_new_packets() {
            return refusal(io::Error::new(io::ErrorKind::InvalidData, cause));
        }
    }
    error
}

/// An alert that refuses our certificate, by a kind of error that no socket has: HTTP libraries pass the kind and
/// the text on, but not rustls' own error.
fn refusal(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::AlertReceived(alert)) if UpstreamError::refuses_certificate(*alert) => {
            io::Error::new(UpstreamError::REFUSED, format!("{alert:?}"))
        }
        _ => error,
    }
}
