use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::task::AtomicWaker;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Method, Response, Version, header, response};
use pingora_core::protocols::http::v1::server::HttpSession;
use pingora_http::ResponseHeader;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// A caller who takes nothing for so long is given up, so that nobody holds memory and a cluster's stream for ever.
/// Watches may be silent for longer: that is us having nothing to write.
const WRITE_WITHIN: Duration = Duration::from_secs(60);

/// The caller can no longer be served. Nothing is to be answered.
#[derive(Debug, Clone, Error)]
pub(super) enum Gone {
    /// The stream was reset or the connection has ended.
    #[error("the caller left")]
    Left,
    /// The caller takes nothing.
    #[error("the caller took nothing for {} s", WRITE_WITHIN.as_secs())]
    Stalled,
    /// What the caller sends is no HTTP.
    #[error("the caller broke the protocol: {0}")]
    Protocol(String),
    /// It is not the caller: the rest of the answer could not be made.
    #[error("the answer broke off: {0}")]
    Unmade(String),
}

/// A request's body on its way in.
pub(super) struct Body(Incoming);

enum Incoming {
    H2(RecvStream),
    H1(Arc<Shared>),
}

/// Where the response goes. Dropped before the end it tells the caller that the response is not complete.
pub(super) struct Reply(Outgoing);

enum Outgoing {
    H2Head(SendResponse<Bytes>),
    H2Body(SendStream<Bytes>),
    H1(Arc<Shared>),
    Done,
}

/// An HTTP/1 session, which reads and writes by one object: whoever writes has it to himself, and reading goes on
/// in between.
pub(super) struct Shared {
    session: Mutex<HttpSession>,
    reader: AtomicWaker,
    version: Version,
    head_only: bool,
    /// What was written cannot be completed: nothing may follow it on this connection.
    broken: AtomicBool,
}

/// Splits an HTTP/2 request into what is read and what is written.
pub(super) fn h2(body: RecvStream, respond: SendResponse<Bytes>) -> (Body, Reply) {
    (Body(Incoming::H2(body)), Reply(Outgoing::H2Head(respond)))
}

/// Splits an HTTP/1 session into what is read and what is written. The session comes back by [`Shared::reclaim`].
pub(super) fn h1(session: HttpSession) -> (Body, Reply, Arc<Shared>) {
    let shared = Arc::new(Shared {
        version: session.req_header().version,
        head_only: session.req_header().method == Method::HEAD,
        session: Mutex::new(session),
        reader: AtomicWaker::new(),
        broken: AtomicBool::new(false),
    });
    (Body(Incoming::H1(Arc::clone(&shared))), Reply(Outgoing::H1(Arc::clone(&shared))), shared)
}

/// As [`h1`], for a session whose request could not be read.
pub(super) fn h1_unread(session: HttpSession) -> Reply {
    Reply(Outgoing::H1(Arc::new(Shared {
        version: Version::HTTP_11,
        head_only: false,
        session: Mutex::new(session),
        reader: AtomicWaker::new(),
        broken: AtomicBool::new(false),
    })))
}

impl Shared {
    /// The session, once both halves are dropped, unless its answer broke off: then only closing says so.
    pub(super) fn reclaim(self: Arc<Self>) -> Option<HttpSession> {
        let shared = Arc::into_inner(self)?;
        (!shared.broken.into_inner()).then(|| shared.session.into_inner())
    }

    /// Reads with the session only for as long as one poll takes.
    fn poll_read(&self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Gone>> {
        let mut session = match self.session.try_lock() {
            Ok(session) => session,
            Err(_) => {
                self.reader.register(context.waker());
                // It may have been given back between the two.
                let Ok(session) = self.session.try_lock() else { return Poll::Pending };
                session
            }
        };
        let read = pin!(session.read_body_or_idle(false));
        read.poll(context).map_err(|error| Gone::of(&error))
    }

    async fn write<T>(
        &self,
        write: impl AsyncFnOnce(&mut HttpSession) -> pingora_core::Result<T>,
    ) -> Result<T, Gone> {
        let result = {
            let mut session = self.session.lock().await;
            // Until it is done: whoever gives the write up leaves half of it on the connection.
            self.broken.store(true, Ordering::Relaxed);
            // Boxed: what only HTTP/1 needs is not to make the future of every request larger.
            timeout(WRITE_WITHIN, Box::pin(write(&mut session))).await
        };
        self.reader.wake();
        match result {
            Ok(Ok(value)) => {
                self.broken.store(false, Ordering::Relaxed);
                Ok(value)
            }
            Ok(Err(error)) => Err(Gone::of(&error)),
            Err(_) => Err(Gone::Stalled),
        }
    }
}

impl Body {
    /// Whether there is none.
    pub(super) fn is_empty(&mut self) -> bool {
        match &mut self.0 {
            Incoming::H2(body) => body.is_end_stream(),
            // Nobody else has the session before the first byte is read.
            Incoming::H1(shared) => {
                shared.session.try_lock().is_ok_and(|mut session| session.is_body_empty())
            }
        }
    }

    /// The next part; none at the end. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Gone> {
        match &mut self.0 {
            Incoming::H2(body) => match body.data().await {
                Some(Ok(data)) => {
                    // So that the caller may send more. Fails only when the stream is over.
                    let _ = body.flow_control().release_capacity(data.len());
                    Ok(Some(data))
                }
                Some(Err(_)) => Err(Gone::Left),
                None => Ok(None),
            },
            Incoming::H1(shared) => {
                if shared.session.lock().await.is_body_done() {
                    return Ok(None);
                }
                poll_fn(|context| shared.poll_read(context)).await
            }
        }
    }

    /// Resolves when the caller leaves, after the end of the body, where reading is how one finds out.
    pub(super) async fn left(&mut self) -> Gone {
        match &mut self.0 {
            Incoming::H2(_) => std::future::pending().await,
            Incoming::H1(shared) => loop {
                if let Err(gone) = poll_fn(|context| shared.poll_read(context)).await {
                    return gone;
                }
            },
        }
    }
}

impl Reply {
    /// Resolves when the caller leaves, where writing is how one finds out. Cancel safe.
    pub(super) async fn left(&mut self) -> Gone {
        match &mut self.0 {
            Outgoing::H2Head(respond) => {
                let _ = poll_fn(|context| respond.poll_reset(context)).await;
                Gone::Left
            }
            Outgoing::H2Body(stream) => {
                let _ = poll_fn(|context| stream.poll_reset(context)).await;
                Gone::Left
            }
            Outgoing::H1(_) | Outgoing::Done => std::future::pending().await,
        }
    }

    /// Passes a 1xx header on.
    pub(super) async fn inform(&mut self, response: Response<()>) -> Result<(), Gone> {
        match &mut self.0 {
            Outgoing::H2Head(respond) => respond.send_informational(response).map_err(|_| Gone::Left),
            Outgoing::H1(shared) if shared.version == Version::HTTP_11 => {
                let header = h1_header(&response.into_parts().0)?;
                shared.write(async |session| session.write_response_header(header).await).await
            }
            Outgoing::H1(_) | Outgoing::H2Body(_) | Outgoing::Done => Ok(()),
        }
    }

    /// Writes the header. `end`: nothing follows.
    pub(super) async fn head(&mut self, mut head: response::Parts, end: bool) -> Result<(), Gone> {
        match std::mem::replace(&mut self.0, Outgoing::Done) {
            Outgoing::H2Head(mut respond) => {
                head.version = Version::HTTP_2;
                let stream =
                    respond.send_response(Response::from_parts(head, ()), end).map_err(|_| Gone::Left)?;
                if !end {
                    self.0 = Outgoing::H2Body(stream);
                }
                Ok(())
            }
            Outgoing::H1(shared) => {
                let bodiless = shared.head_only || matches!(head.status.as_u16(), 204 | 304);
                if !bodiless && !head.headers.contains_key(header::CONTENT_LENGTH) {
                    if end {
                        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
                    } else if shared.version == Version::HTTP_11 {
                        head.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                    }
                }
                let header =
                    h1_header(&head).inspect_err(|_| shared.broken.store(true, Ordering::Relaxed))?;
                shared.write(async |session| session.write_response_header(header).await).await?;
                self.0 = Outgoing::H1(shared);
                if end { self.finish().await } else { Ok(()) }
            }
            Outgoing::H2Body(_) | Outgoing::Done => Ok(()),
        }
    }

    /// Writes a part of the body, when the caller takes it.
    pub(super) async fn data(&mut self, data: Bytes) -> Result<(), Gone> {
        self.part(data, false).await
    }

    /// Writes the last part of the body and ends the response with it.
    pub(super) async fn last(&mut self, data: Bytes) -> Result<(), Gone> {
        if !data.is_empty() {
            self.part(data, true).await?;
        }
        self.finish().await
    }

    async fn part(&mut self, mut data: Bytes, last: bool) -> Result<(), Gone> {
        match &mut self.0 {
            Outgoing::H2Body(stream) => {
                while !data.is_empty() {
                    let part = data.split_to(room(stream, data.len()).await?);
                    stream.send_data(part, last && data.is_empty()).map_err(|_| Gone::Left)?;
                }
                if last {
                    self.0 = Outgoing::Done;
                }
                Ok(())
            }
            Outgoing::H1(shared) => {
                if data.is_empty() {
                    return Ok(());
                }
                shared.write(async |session| session.write_body(&data).await).await.map(|_| ())
            }
            Outgoing::H2Head(_) | Outgoing::Done => Ok(()),
        }
    }

    /// Ends the response.
    pub(super) async fn finish(&mut self) -> Result<(), Gone> {
        match std::mem::replace(&mut self.0, Outgoing::Done) {
            Outgoing::H2Body(mut stream) => stream.send_data(Bytes::new(), true).map_err(|_| Gone::Left),
            Outgoing::H1(shared) => {
                shared.write(async |session| session.finish_body().await).await.map(|_| ())
            }
            Outgoing::H2Head(_) | Outgoing::Done => Ok(()),
        }
    }

    /// Ends the response with trailers. HTTP/1 callers get none: pingora's session cannot write them, and RFC 9110
    /// section 6.5.1 lets a proxy drop them.
    pub(super) async fn trailers(&mut self, trailers: HeaderMap) -> Result<(), Gone> {
        match std::mem::replace(&mut self.0, Outgoing::Done) {
            Outgoing::H2Body(mut stream) => stream.send_trailers(trailers).map_err(|_| Gone::Left),
            other => {
                self.0 = other;
                self.finish().await
            }
        }
    }

    /// Ends the response in a way that nobody takes for its end.
    pub(super) fn abort(&mut self) {
        match std::mem::replace(&mut self.0, Outgoing::Done) {
            Outgoing::H2Head(mut respond) => respond.send_reset(h2::Reason::INTERNAL_ERROR),
            Outgoing::H2Body(mut stream) => stream.send_reset(h2::Reason::INTERNAL_ERROR),
            // Closed without the last chunk, or short of the announced length.
            Outgoing::H1(shared) => shared.broken.store(true, Ordering::Relaxed),
            Outgoing::Done => {}
        }
    }
}

/// How much of so many bytes the caller takes now, once it takes anything.
async fn room(stream: &mut SendStream<Bytes>, wanted: usize) -> Result<usize, Gone> {
    stream.reserve_capacity(wanted);
    // There is room at once, usually: no clock is asked for that.
    let mut capacity = poll_fn(|context| Poll::Ready(stream.poll_capacity(context))).await;
    if capacity.is_pending() {
        let waited = timeout(WRITE_WITHIN, poll_fn(|context| stream.poll_capacity(context))).await;
        capacity = Poll::Ready(waited.map_err(|_| Gone::Stalled)?);
    }
    match capacity {
        Poll::Ready(Some(Ok(capacity))) => Ok(capacity.min(wanted)),
        _ => Err(Gone::Left),
    }
}

fn h1_header(head: &response::Parts) -> Result<Box<ResponseHeader>, Gone> {
    let impossible = |error: Box<pingora_core::Error>| Gone::Protocol(error.to_string());
    let mut header = ResponseHeader::build(head.status, Some(head.headers.len())).map_err(impossible)?;
    for (name, value) in &head.headers {
        header.append_header(name.clone(), value.clone()).map_err(impossible)?;
    }
    Ok(Box::new(header))
}

impl Gone {
    fn of(error: &pingora_core::Error) -> Self {
        use pingora_core::ErrorType;
        match error.etype() {
            ErrorType::ReadError
            | ErrorType::WriteError
            | ErrorType::ConnectionClosed
            | ErrorType::ConnectError => Self::Left,
            ErrorType::WriteTimedout | ErrorType::ReadTimedout => Self::Stalled,
            other => Self::Protocol(other.as_str().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    /// A session whose client takes so many bytes and no more, and the client.
    async fn session(room: usize) -> (HttpSession, tokio::io::DuplexStream) {
        let (mut client, server) = duplex(room);
        let mut session = HttpSession::new(Box::new(server));
        let write = client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let (read, written) = tokio::join!(session.read_request(), write);
        read.unwrap();
        written.unwrap();
        (session, client)
    }

    fn head(length: usize) -> response::Parts {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::OK;
        let value = HeaderValue::from_str(&"x".repeat(length)).unwrap();
        response.headers_mut().insert("x-long", value);
        response.into_parts().0
    }

    #[tokio::test]
    async fn a_connection_on_which_an_answer_is_whole_is_used_again() {
        let (session, _client) = session(4096).await;
        let (body, mut reply, shared) = h1(session);
        reply.head(head(10), true).await.unwrap();
        drop((body, reply));
        assert!(shared.reclaim().is_some());
    }

    #[tokio::test]
    async fn a_connection_on_which_a_write_was_given_up_is_never_used_again() {
        let (session, _client) = session(64).await;
        let (body, mut reply, shared) = h1(session);
        {
            let mut write = pin!(reply.head(head(1000), true));
            assert!(futures::poll!(write.as_mut()).is_pending(), "the client has room for all of it");
        }
        reply.abort();
        drop((body, reply));
        assert!(shared.reclaim().is_none());
    }
}
