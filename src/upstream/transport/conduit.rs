use std::io::{self, IoSlice, Read};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::task::noop_waker_ref;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use crate::telemetry::{OpenConnection, OpenTunnel};
use crate::tls::Ahead;

use super::konnectivity::Tunnel;

/// A byte stream that leads to a server.
pub(in crate::upstream) struct Conduit {
    hop: Ahead<Hop>,
    /// Counts the tunnel; none where we go ourselves.
    _tunnel: Option<OpenTunnel>,
    /// Counts it once it is of use.
    open: Option<OpenConnection>,
}

/// What carries the bytes as far as we can see.
pub(super) enum Hop {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// To a proxy.
    Tls(Box<TlsStream<TcpStream>>),
    /// Through Konnectivity.
    Tunnel(Tunnel),
}

impl Conduit {
    pub(super) fn direct(stream: TcpStream) -> Self {
        Self::new(Ahead::new(Hop::Tcp(stream)), None)
    }

    pub(super) fn unix(stream: UnixStream) -> Self {
        Self::new(Ahead::new(Hop::Unix(stream)), None)
    }

    /// Through a proxy that says that it leads there, and what it said after that.
    pub(super) fn through(hop: Hop, early: Bytes, open: OpenTunnel) -> Self {
        Self::new(Ahead::after(early, hop), Some(open))
    }

    /// Through Konnectivity, which counts its tunnels itself.
    pub(super) fn tunnel(tunnel: Tunnel) -> Self {
        Self::new(Ahead::new(Hop::Tunnel(tunnel)), None)
    }

    fn new(hop: Ahead<Hop>, tunnel: Option<OpenTunnel>) -> Self {
        Self { hop, _tunnel: tunnel, open: None }
    }

    /// Counted as a connection to a server for as long as it lives.
    pub(in crate::upstream) fn count(&mut self, open: OpenConnection) {
        self.open = Some(open);
    }

    /// What is there to be read now, for somebody who cannot wait.
    pub(in crate::upstream) fn now(&mut self) -> Now<'_> {
        Now(self)
    }
}

/// Reads what is there already.
pub(in crate::upstream) struct Now<'a>(&'a mut Conduit);

impl Read for Now<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.0.hop.has_unread() {
            // The event loop may not know yet that there is something to read; the socket does.
            match self.0.hop.get_ref() {
                Hop::Tcp(stream) => {
                    return std::net::TcpStream::from(stream.as_fd().try_clone_to_owned()?).read(buffer);
                }
                Hop::Unix(stream) => {
                    let socket = stream.as_fd().try_clone_to_owned()?;
                    return std::os::unix::net::UnixStream::from(socket).read(buffer);
                }
                Hop::Tls(_) | Hop::Tunnel(_) => {}
            }
        }
        let mut buffer = ReadBuf::new(buffer);
        let mut context = Context::from_waker(noop_waker_ref());
        match Pin::new(&mut *self.0).poll_read(&mut context, &mut buffer) {
            Poll::Ready(result) => result.map(|()| buffer.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl AsyncRead for Conduit {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().hop).poll_read(context, buffer)
    }
}

impl AsyncWrite for Conduit {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().hop).poll_write(context, data)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().hop).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().hop).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().hop).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.hop.is_write_vectored()
    }
}

/// A proxy's TLS failed: nobody above may take it for the server's, whose TLS runs in it.
fn of_proxy(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("TLS with the proxy: {error}"))
}

/// Calls a method of whatever carries the bytes.
macro_rules! carried {
    ($hop:expr, $stream:ident => $call:expr) => {
        match $hop {
            Hop::Tcp($stream) => $call,
            Hop::Unix($stream) => $call,
            Hop::Tls($stream) => $call.map_err(of_proxy),
            Hop::Tunnel($stream) => $call,
        }
    };
}

impl AsyncRead for Hop {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        carried!(self.get_mut(), stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl AsyncWrite for Hop {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        carried!(self.get_mut(), stream => Pin::new(stream).poll_write(context, data))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        carried!(self.get_mut(), stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        carried!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(context))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        carried!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Hop::Tcp(stream) => stream.is_write_vectored(),
            Hop::Unix(stream) => stream.is_write_vectored(),
            Hop::Tls(stream) => stream.is_write_vectored(),
            Hop::Tunnel(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, Error};

    use super::*;

    #[test]
    fn a_proxys_alert_is_not_the_servers() {
        let alert = Error::AlertReceived(AlertDescription::AccessDenied);
        let error = of_proxy(io::Error::new(io::ErrorKind::InvalidData, alert));
        assert!(error.get_ref().is_some_and(|inner| inner.downcast_ref::<Error>().is_none()));
        assert!(error.to_string().contains("AccessDenied"), "{error}");
    }
}
