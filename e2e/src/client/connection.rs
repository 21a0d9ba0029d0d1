//! One connection, over which requests go.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::client::TlsStream;

/// The body of a request.
pub type Body = BoxBody<Bytes, std::io::Error>;

/// How long a whole answer may take; streams are read frame by frame and have no limit.
const ANSWER: Duration = Duration::from_secs(60);

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Its trailers, when there were some.
    pub trailers: Option<HeaderMap>,
}

/// An HTTP/1.1 connection: one request after the other.
pub struct H1 {
    sender: http1::SendRequest<Body>,
    common: Common,
}

/// An HTTP/2 connection; clones share it.
#[derive(Clone)]
pub struct H2 {
    sender: http2::SendRequest<Body>,
    common: Arc<Common>,
}

struct Common {
    authority: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    driver: AbortHandle,
}

/// No body.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

/// A body with a known length.
pub fn bytes(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed()
}

/// A body of unknown length, as it comes: chunked over HTTP/1.1.
pub fn streamed(chunks: impl Stream<Item = std::io::Result<Bytes>> + Send + Sync + 'static) -> Body {
    http_body_util::BodyExt::boxed(StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))))
}

impl H1 {
    pub(super) async fn new(
        stream: TlsStream<TcpStream>,
        authority: String,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Self> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection.with_upgrades()).abort_handle();
        Ok(Self { sender, common: Common { authority, headers, driver } })
    }

    /// Sends a request; the path and query go out as they are in its URI, the client's headers are added.
    pub async fn send(&mut self, mut request: Request<Body>) -> Result<Response<Incoming>> {
        if !request.headers().contains_key(HOST) {
            request.headers_mut().insert(HOST, self.common.authority.parse()?);
        }
        self.common.add_headers(&mut request);
        self.sender.ready().await?;
        self.sender.send_request(request).await.context("HTTP/1.1 request")
    }

    /// Sends a request and reads its whole answer.
    pub async fn fetch(&mut self, request: Request<Body>) -> Result<Answer> {
        whole(self.send(request)).await
    }

    /// GET of a path.
    pub async fn get(&mut self, path: &str) -> Result<Answer> {
        self.fetch(Request::get(path).body(empty())?).await
    }

    /// Whether the server has closed it.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl H2 {
    pub(super) async fn new(
        stream: TlsStream<TcpStream>,
        authority: String,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Self> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(16 << 20)
            .handshake(TokioIo::new(stream))
            .await?;
        let driver = tokio::spawn(connection).abort_handle();
        Ok(Self { sender, common: Arc::new(Common { authority, headers, driver }) })
    }

    /// Sends a request; the path and query go out as they are in its URI, the client's headers are added.
    pub async fn send(&self, mut request: Request<Body>) -> Result<Response<Incoming>> {
        let mut parts = request.uri().clone().into_parts();
        if parts.authority.is_none() {
            parts.authority = Some(self.common.authority.parse()?);
        }
        parts.scheme = Some(http::uri::Scheme::HTTPS);
        *request.uri_mut() = Uri::from_parts(parts)?;
        self.common.add_headers(&mut request);
        let mut sender = self.sender.clone();
        sender.ready().await?;
        sender.send_request(request).await.context("HTTP/2 request")
    }

    /// Sends a request and reads its whole answer.
    pub async fn fetch(&self, request: Request<Body>) -> Result<Answer> {
        whole(self.send(request)).await
    }

    /// GET of a path.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.fetch(Request::get(path).body(empty())?).await
    }

    /// Whether the server has closed it, or asked for no more requests.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Answer {
    /// Reads an answer to its end.
    pub async fn read(response: Response<Incoming>) -> Result<Self> {
        let (head, body) = response.into_parts();
        let body = body.collect().await.context("the answer's body")?;
        let trailers = body.trailers().cloned();
        Ok(Self { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes(), trailers })
    }

    /// Its body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Its body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{}: no JSON: {}", self.status, self.text()))
    }

    /// A header, when it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Common {
    fn add_headers(&self, request: &mut Request<Body>) {
        for (name, value) in &self.headers {
            request.headers_mut().append(name.clone(), value.clone());
        }
    }
}

impl Drop for Common {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn whole(answer: impl Future<Output = Result<Response<Incoming>>>) -> Result<Answer> {
    let read = async { Answer::read(answer.await?).await };
    tokio::time::timeout(ANSWER, read).await.context("no whole answer in time")?
}
