use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri, Version, header};
use http_body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::UpstreamError;
use super::dial::Io;

/// How long a connection may take to become ready for another request once an answer is read: it only has to turn
/// over. One that does not is closed.
const TURN_OVER: Duration = Duration::from_secs(1);

/// An HTTP/1.1 connection: one request at a time.
pub(super) struct Connection(http1::SendRequest<RequestBody>);

/// A request's body as hyper takes it: chunks as they come, or an error that tears the connection down so that a
/// body cut short never looks complete.
pub(super) enum RequestBody {
    Empty,
    Whole(Bytes),
    Chunks(mpsc::Receiver<Chunk>),
}

/// A part of a body. One that ends without [`Chunk::End`] was cut short.
pub(super) enum Chunk {
    Data(Bytes),
    End,
}

/// The caller left before the body was complete.
#[derive(Debug, thiserror::Error)]
#[error("the request's body was cut short")]
pub(super) struct Cut;

impl Connection {
    /// For request after request.
    pub(super) async fn open(io: Io, address: &str) -> Result<Self, UpstreamError> {
        let (send, connection) = handshake(io, address).await?;
        Self::run(send, connection, address).await
    }

    /// For one request, after which the connection may be taken over.
    pub(super) async fn open_upgradable(io: Io, address: &str) -> Result<Self, UpstreamError> {
        let (send, connection) = handshake(io, address).await?;
        Self::run(send, connection.with_upgrades(), address).await
    }

    async fn run(
        mut send: http1::SendRequest<RequestBody>,
        connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
        address: &str,
    ) -> Result<Self, UpstreamError> {
        // Ends with its connection: when the server closes it, the sender is dropped or it is taken over.
        let connection = tokio::spawn(async move {
            connection.await.inspect_err(|error| {
                tracing::debug!(%error, "HTTP/1.1 connection to a cluster ended");
            })
        });
        // It is ready only once the other side of the channel was polled; before that it would be taken for dead.
        if let Err(error) = send.ready().await {
            // The sender only knows that it is over, the connection why.
            let ended = connection.await;
            let cause = ended.as_ref().map_or(&error, |ended| ended.as_ref().err().unwrap_or(&error));
            return Err(UpstreamError::h1(address, cause));
        }
        Ok(Self(send))
    }

    pub(super) fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    /// Sends a request. The future resolves with the response's header.
    pub(super) fn send(
        &mut self,
        request: http::Request<RequestBody>,
    ) -> impl Future<Output = hyper::Result<http::Response<hyper::body::Incoming>>> + Send + 'static {
        self.0.send_request(request)
    }

    /// Whether it became ready for another request.
    pub(super) async fn turn_over(&mut self) -> bool {
        matches!(timeout(TURN_OVER, self.0.ready()).await, Ok(Ok(())))
    }
}

async fn handshake(
    io: Io,
    address: &str,
) -> Result<(http1::SendRequest<RequestBody>, http1::Connection<TokioIo<Io>, RequestBody>), UpstreamError> {
    http1::Builder::new()
        .max_buf_size(64 << 10)
        .handshake(TokioIo::new(io))
        .await
        .map_err(|error| UpstreamError::h1(address, &error))
}

/// Writes a request as HTTP/1.1 has it (RFC 9112 section 3.2.1): the path in the first line, the server in `Host`.
///
/// A body of unknown length is said to be chunked: hyper itself takes a GET for one without any.
pub(super) fn origin_form(mut request: Request<()>, authority: &str, bodiless: bool) -> Request<()> {
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    *request.version_mut() = Version::HTTP_11;
    if let Ok(host) = HeaderValue::from_str(authority) {
        request.headers_mut().insert(header::HOST, host);
    }
    if !bodiless && !request.headers().contains_key(header::CONTENT_LENGTH) {
        request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    request
}

impl RequestBody {
    /// A body that is there already.
    pub(super) fn whole(body: Bytes) -> Self {
        if body.is_empty() { Self::Empty } else { Self::Whole(body) }
    }

    /// Of a body that is there already, if there is one.
    pub(super) fn length(&self) -> Option<usize> {
        match self {
            Self::Whole(data) => Some(data.len()),
            Self::Empty | Self::Chunks(_) => None,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let body = self.get_mut();
        let chunks = match body {
            Self::Empty => return Poll::Ready(None),
            Self::Whole(data) => {
                let data = std::mem::take(data);
                *body = Self::Empty;
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Self::Chunks(chunks) => chunks,
        };
        match ready!(chunks.poll_recv(context)) {
            Some(Chunk::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Chunk::End) => {
                *body = Self::Empty;
                Poll::Ready(None)
            }
            None => Poll::Ready(Some(Err(Cut))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(data) => SizeHint::with_exact(data.len() as u64),
            Self::Chunks(_) => SizeHint::default(),
        }
    }
}
