use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{HeaderValue, Request, StatusCode, header, response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dial::{Io, Offer};
use super::exchange::Receiver;
use super::h1::{self, Connection, RequestBody};
use super::{Upstream, UpstreamError, Worker};

/// What a server answers to a request that wants to leave HTTP (RFC 9110 section 7.8).
pub enum Upgrade {
    /// 101: from here on the bytes are the new protocol's.
    Switched(response::Parts, Box<Upgraded>),
    /// Any other answer, and whether nothing follows its header.
    Refused(response::Parts, bool, Receiver),
}

/// A connection that has left HTTP: bytes both ways, and an end of its own for each way.
pub struct Upgraded {
    io: Io,
    /// What came together with the 101.
    early: Bytes,
}

impl Upstream {
    /// Sends a request that wants another protocol, with its whole body, over a connection of its own: nothing
    /// else is ever sent on that. The header is to hold `Connection: upgrade` and `Upgrade`.
    ///
    /// Never repeated: a command may have been run.
    pub async fn upgrade(
        &self,
        worker: Worker,
        request: Request<()>,
        body: Bytes,
    ) -> Result<Upgrade, UpstreamError> {
        let target = self.target()?;
        let (io, _) = target.dial(worker, Offer::Http1).await?;
        let mut connection = Connection::open_upgradable(io, target.authority()).await?;
        let broken = |error: &hyper::Error| UpstreamError::h1(target.authority(), error);
        let mut request =
            h1::origin_form(request, target.authority(), true).map(|()| RequestBody::whole(body));
        // However it came, it goes as one piece.
        if let Some(length) = request.body().length() {
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        let response = connection.send(request).await.map_err(|error| broken(&error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let (head, end, receiver) = Receiver::refusal(response, connection);
            return Ok(Upgrade::Refused(head, end, receiver));
        }
        let (head, body) = response.into_parts();
        let response = http::Response::from_parts(head.clone(), body);
        let upgraded = hyper::upgrade::on(response).await.map_err(|error| broken(&error))?;
        let parts = upgraded.downcast::<TokioIo<Io>>().map_err(|_| UpstreamError::Broken {
            cause: "the connection cannot be taken over".to_owned(),
            unprocessed: false,
        })?;
        // An empty one still holds the buffer that the header was read into.
        let early = Some(parts.read_buf).filter(|early| !early.is_empty()).unwrap_or_default();
        let upgraded = Upgraded { io: parts.io.into_inner(), early };
        Ok(Upgrade::Switched(head, Box::new(upgraded)))
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.early.is_empty() {
            return Pin::new(&mut this.io).poll_read(context, buffer);
        }
        let size = this.early.len().min(buffer.remaining());
        buffer.put_slice(&this.early[..size]);
        this.early.advance(size);
        if this.early.is_empty() {
            // What it was cut from is larger.
            this.early = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, data)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}
