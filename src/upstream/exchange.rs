use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response, response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::UpstreamError;
use super::h1::{self, Chunk, RequestBody};
use super::pool::Lease;
use super::slot::Slot;

/// Chunks of a request's body on the way into an HTTP/1.1 connection.
const H1_CHUNKS: usize = 2;

/// The way there: the request's body. Dropping it before the end cancels the request.
pub struct Sender(Way);

enum Way {
    H2(SendStream<Bytes>),
    H1(mpsc::Sender<Chunk>),
    Done,
}

/// The way back: the response. Dropping it before the end cancels the request.
pub struct Receiver {
    from: From,
    /// Gives the place on the connection back when the exchange is over.
    slot: Option<Slot>,
    over: bool,
}

enum From {
    H2Head(ResponseFuture),
    H2Body(RecvStream),
    H1Head {
        response: Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>,
        informational: mpsc::Receiver<Response<()>>,
        connection: h1::Connection,
    },
    H1Body {
        body: Incoming,
        trailers: Option<HeaderMap>,
        connection: h1::Connection,
    },
    Done,
}

/// A response's header.
pub enum Head {
    /// 1xx: more is to come.
    Informational(Response<()>),
    /// The one that counts, and whether nothing follows it.
    Final(http::response::Parts, bool),
}

/// Puts a request on a connection. `end`: it has no body.
pub(super) fn start(
    lease: Lease,
    request: Request<()>,
    end: bool,
) -> Result<(Sender, Receiver), UpstreamError> {
    match lease {
        Lease::H2 { mut send, slot } => {
            let (response, body) = send.send_request(request, end).map_err(|error| {
                match slot.h2_error(&error) {
                    // Nothing was sent: the connection has ended or is being closed.
                    UpstreamError::Broken { cause, .. } => UpstreamError::Broken { cause, unprocessed: true },
                    refused => refused,
                }
            })?;
            let way = if end { Way::Done } else { Way::H2(body) };
            Ok((Sender(way), Receiver { from: From::H2Head(response), slot: Some(slot), over: false }))
        }
        Lease::H1 { mut connection, slot } => {
            let (way, body) = match end {
                true => (Way::Done, RequestBody::Empty),
                false => {
                    let (chunks, body) = mpsc::channel(H1_CHUNKS);
                    (Way::H1(chunks), RequestBody::Chunks(body))
                }
            };
            let (inform, informational) = mpsc::channel(4);
            let mut request = h1::origin_form(request, slot.authority(), end).map(|()| body);
            hyper::ext::on_informational(&mut request, move |response| {
                // A server that sends more of them than are read loses the rest: they are hints.
                let mut copy = Response::new(());
                *copy.status_mut() = response.status();
                *copy.headers_mut() = response.headers().clone();
                let _ = inform.try_send(copy);
            });
            let response = Box::pin(connection.send(request));
            let from = From::H1Head { response, informational, connection };
            Ok((Sender(way), Receiver { from, slot: Some(slot), over: false }))
        }
    }
}

impl Sender {
    /// Sends a part of the body as the server takes it, out of `data`. `end`: it is the last. Cancel safe: what is
    /// left in `data` was not sent.
    ///
    /// An error here says only that the server takes no more; what it has to say comes by the [`Receiver`].
    pub async fn send(&mut self, data: &mut Bytes, end: bool) -> Result<(), UpstreamError> {
        match &mut self.0 {
            Way::Done => Ok(()),
            Way::H1(chunks) => {
                if !data.is_empty() {
                    let place = chunks.reserve().await.map_err(|_| closed())?;
                    place.send(Chunk::Data(std::mem::take(data)));
                }
                if end {
                    chunks.reserve().await.map_err(|_| closed())?.send(Chunk::End);
                    self.0 = Way::Done;
                }
                Ok(())
            }
            Way::H2(stream) => {
                while !data.is_empty() {
                    stream.reserve_capacity(data.len());
                    match poll_fn(|context| stream.poll_capacity(context)).await {
                        Some(Ok(capacity)) => {
                            let part = data.split_to(capacity.min(data.len()));
                            let last = end && data.is_empty();
                            stream.send_data(part, last).map_err(|error| UpstreamError::h2("", &error))?;
                        }
                        Some(Err(error)) => return Err(UpstreamError::h2("", &error)),
                        None => return Err(closed()),
                    }
                    if data.is_empty() {
                        if end {
                            self.0 = Way::Done;
                        }
                        return Ok(());
                    }
                }
                if end {
                    stream.send_data(Bytes::new(), true).map_err(|error| UpstreamError::h2("", &error))?;
                    self.0 = Way::Done;
                }
                Ok(())
            }
        }
    }

    /// Gives the request up: the server is told, and never takes what it got for all.
    pub fn cancel(&mut self) {
        match std::mem::replace(&mut self.0, Way::Done) {
            Way::H2(mut stream) => stream.send_reset(h2::Reason::CANCEL),
            // A body that has not said that it ends was cut.
            Way::H1(_) | Way::Done => {}
        }
    }
}

impl Receiver {
    /// What is left of an answer that refuses an upgrade, over a connection that is used for nothing else.
    pub(super) fn refusal(
        response: Response<Incoming>,
        connection: h1::Connection,
    ) -> (response::Parts, bool, Self) {
        let (head, body) = response.into_parts();
        let end = body.is_end_stream();
        (head, end, Self { from: From::H1Body { body, trailers: None, connection }, slot: None, over: false })
    }

    /// The next header: as many informational ones as the server sends, then the final one. Cancel safe.
    pub async fn head(&mut self) -> Result<Head, UpstreamError> {
        match &mut self.from {
            From::H2Head(response) => {
                let result = poll_fn(|context| {
                    if let Poll::Ready(Some(Ok(informational))) = response.poll_informational(context) {
                        return Poll::Ready(Ok(Err(informational)));
                    }
                    Pin::new(&mut *response).poll(context).map_ok(Ok)
                })
                .await;
                match result {
                    Ok(Err(informational)) => Ok(Head::Informational(informational)),
                    Ok(Ok(response)) => {
                        let (parts, body) = response.into_parts();
                        let end = body.is_end_stream();
                        self.from = From::H2Body(body);
                        if end {
                            self.finish();
                        }
                        Ok(Head::Final(parts, end))
                    }
                    Err(error) => Err(self.h2_error(&error)),
                }
            }
            From::H1Head { response, informational, .. } => {
                let result = tokio::select! {
                    biased;
                    Some(informational) = informational.recv() => {
                        return Ok(Head::Informational(informational));
                    }
                    result = response => result,
                };
                let response = match result {
                    Ok(response) => response,
                    Err(error) => return Err(self.h1_error(&error)),
                };
                let (parts, body) = response.into_parts();
                let end = body.is_end_stream();
                if let From::H1Head { connection, .. } = std::mem::replace(&mut self.from, From::Done) {
                    self.from = From::H1Body { body, trailers: None, connection };
                }
                if end {
                    self.finish();
                }
                Ok(Head::Final(parts, end))
            }
            From::H2Body(_) | From::H1Body { .. } | From::Done => Err(closed()),
        }
    }

    /// The next part of the body; none at its end. Cancel safe.
    pub async fn data(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        match &mut self.from {
            From::H2Body(body) => match body.data().await {
                Some(Ok(data)) => {
                    // So that the server may send more, on other streams too. Fails only when the stream is over.
                    let _ = body.flow_control().release_capacity(data.len());
                    self.over = body.is_end_stream();
                    Ok(Some(data))
                }
                Some(Err(error)) => Err(self.h2_error(&error)),
                None => Ok(None),
            },
            From::H1Body { body, trailers, .. } => loop {
                match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
                    None => return Ok(None),
                    Some(Err(error)) => return Err(self.h1_error(&error)),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => return Ok(Some(data)),
                        Err(frame) => *trailers = frame.into_trailers().ok(),
                    },
                }
            },
            From::H2Head(_) | From::H1Head { .. } | From::Done => Ok(None),
        }
    }

    /// Whether it is known already that nothing follows the last part of the body, trailers neither.
    ///
    /// The place on the connection is held until this is dropped: the server may still take the request's body.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// What follows the body, once [`Receiver::data`] has said that it ended.
    pub async fn trailers(&mut self) -> Result<Option<HeaderMap>, UpstreamError> {
        let trailers = match &mut self.from {
            From::H2Body(body) => body.trailers().await.map_err(|error| UpstreamError::h2("", &error))?,
            From::H1Body { trailers, .. } => trailers.take(),
            From::H2Head(_) | From::H1Head { .. } | From::Done => None,
        };
        self.finish();
        Ok(trailers)
    }

    /// Takes note of whether the server answers on this stream, for one that is seldom pinged.
    pub(super) fn answered(&self, in_time: bool) {
        if let Some(slot) = &self.slot {
            slot.answered(in_time);
        }
    }

    fn finish(&mut self) {
        let from = std::mem::replace(&mut self.from, From::Done);
        let slot = self.slot.take();
        if let (From::H1Body { mut connection, .. }, Some(slot)) = (from, slot) {
            // Ends within TURN_OVER.
            tokio::spawn(async move {
                if connection.turn_over().await {
                    slot.keep(connection);
                }
            });
        }
    }

    fn h1_error(&self, error: &hyper::Error) -> UpstreamError {
        UpstreamError::h1(self.slot.as_ref().map_or("", Slot::authority), error)
    }

    fn h2_error(&self, error: &h2::Error) -> UpstreamError {
        match &self.slot {
            Some(slot) => slot.h2_error(error),
            None => UpstreamError::h2("", error),
        }
    }
}

fn closed() -> UpstreamError {
    UpstreamError::Broken { cause: "the stream is closed".to_owned(), unprocessed: false }
}
