use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::tls::Ahead;

use super::spare;

/// Two TLS records: enough for what a turn of the event loop has ready, small enough to stay in the cache.
const GATHERED: usize = 32 << 10;

/// A TLS connection that writes what one turn of the event loop has ready in one record and one system call.
///
/// The HTTP/2 library flushes after every frame of every stream. Here a flush is only noted, and done when the
/// library next reads, which it does in the same turn or, because the flush wakes it, in the next: so nothing waits
/// for anything but for what is ready already.
pub(super) struct Coalesced {
    inner: TlsStream<Ahead<TcpStream>>,
    gathered: Vec<u8>,
    /// How much of it is written.
    written: usize,
    flush_due: bool,
    /// Write at once instead: for HTTP/1, which does not read while it writes, and flushes an answer of known length
    /// only at its end.
    eager: bool,
}

impl Coalesced {
    pub(super) fn new(inner: TlsStream<Ahead<TcpStream>>, eager: bool) -> Self {
        Self { inner, gathered: Vec::new(), written: 0, flush_due: false, eager }
    }

    fn poll_write_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.gathered.len() {
            let rest = &self.gathered[self.written..];
            let count = ready!(Pin::new(&mut self.inner).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        self.written = 0;
        // Idle connections, of which there may be many, keep no buffer.
        spare::give(std::mem::take(&mut self.gathered));
        Poll::Ready(Ok(()))
    }

    fn poll_flush_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_out(context))?;
        ready!(Pin::new(&mut self.inner).poll_flush(context))?;
        self.flush_due = false;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Coalesced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.flush_due {
            // Where the socket is full, reading goes on: the socket wakes us when it has room.
            if let Poll::Ready(Err(error)) = self.poll_flush_out(context) {
                return Poll::Ready(Err(error));
            }
        }
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Coalesced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.eager {
            return Pin::new(&mut self.inner).poll_write(context, data);
        }
        if self.gathered.len() + data.len() > GATHERED {
            ready!(self.poll_write_out(context))?;
            if data.len() >= GATHERED {
                return Pin::new(&mut self.inner).poll_write(context, data);
            }
        }
        if self.gathered.capacity() == 0 {
            self.gathered = spare::take(GATHERED);
        }
        self.gathered.extend_from_slice(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The HTTP/2 library flushes at each poll, whether it wrote or not: waking ourselves for nothing would never end.
        if self.eager || self.gathered.is_empty() && !self.flush_due {
            return self.poll_flush_out(context);
        }
        if !self.flush_due {
            self.flush_due = true;
            context.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush_out(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl fmt::Debug for Coalesced {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Coalesced").field("fd", &self.id()).finish_non_exhaustive()
    }
}

// What pingora asks of a stream besides reading and writing. It uses the digests for its own logs only.

#[async_trait]
impl Shutdown for Coalesced {
    async fn shutdown(&mut self) {
        // The other side may be gone already.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Coalesced {
    fn id(&self) -> UniqueIDType {
        let fd: RawFd = self.inner.get_ref().0.get_ref().as_raw_fd();
        fd
    }
}

impl Ssl for Coalesced {}

impl GetTimingDigest for Coalesced {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Coalesced {
    fn get_proxy_digest(&self) -> Option<Arc<pingora_core::protocols::raw_connect::ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Coalesced {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Peek for Coalesced {}
