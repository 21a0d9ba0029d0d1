//! The echo over HTTP/2.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;

use super::Connection;
use super::plan::Plan;
use super::received::{BodyDigest, Received};

pub(super) async fn serve(stream: TlsStream<TcpStream>, connection: Connection) -> Result<()> {
    let mut streams = h2::server::Builder::new()
        .max_concurrent_streams(connection.state.streams)
        .initial_window_size(1 << 20)
        .initial_connection_window_size(16 << 20)
        .max_header_list_size(4 << 20)
        .handshake(stream)
        .await?;
    let connection = Arc::new(connection);
    let mut answers = JoinSet::new();
    let mut first = true;
    loop {
        tokio::select! {
            () = connection.idle(), if answers.is_empty() => return Ok(()),
            next = streams.accept() => {
                let Some(next) = next else { return Ok(()) };
                let (request, respond) = next?;
                answers.spawn(answer(request, respond, Arc::clone(&connection), first));
                first = false;
            }
            Some(answered) = answers.join_next() => {
                if matches!(answered, Ok(Ok(Then::HangUp))) {
                    return Ok(());
                }
            }
        }
    }
}

/// What becomes of the connection after an answer.
enum Then {
    GoOn,
    HangUp,
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    connection: Arc<Connection>,
    first: bool,
) -> Result<Then> {
    let (head, mut body) = request.into_parts();
    let mut received = Received {
        echo: connection.state.name.clone(),
        version: "HTTP/2.0".to_owned(),
        method: head.method.to_string(),
        target: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        authority: head.uri.authority().map(ToString::to_string).unwrap_or_default(),
        headers: lines(&head.headers),
        client: connection.client.clone(),
        connection: connection.number,
        ..Received::default()
    };
    let plan = Plan::parse(&received.target);
    if !(plan.echo || plan.watch.is_some() || plan.early) {
        let mut digest = BodyDigest::default();
        while let Some(piece) = next(&mut body).await? {
            digest.add(&piece);
        }
        digest.put_into(&mut received);
        received.trailers = body.trailers().await?.as_ref().map(lines).unwrap_or_default();
    }
    connection.state.note(connection.number, &received);
    if plan.stale && !first {
        return Ok(Then::HangUp);
    }
    tokio::time::sleep(plan.delay).await;
    for _ in 0..plan.hints {
        respond.send_informational(
            Response::builder().status(103).header("link", "</x>; rel=preload").body(())?,
        )?;
    }
    let json = serde_json::to_vec(&received)?;
    let size = plan.size.unwrap_or(json.len() as u64);
    let mut response = Response::builder().status(plan.code()).header("x-echo", &received.echo);
    if !matches!(plan.code(), 204 | 304) {
        response = response.header("content-type", "application/json");
        if plan.length_known() {
            response = response.header("content-length", size);
        }
    }
    for (name, value) in &plan.headers {
        response = response.header(name.parse::<HeaderName>()?, value.parse::<HeaderValue>()?);
    }
    let has_body = plan.has_body(&received.method);
    let stream = respond.send_response(response.body(())?, !has_body)?;
    if !has_body {
        return Ok(Then::GoOn);
    }
    let mut sink = Sink { stream, left: plan.cut };
    send_body(&mut sink, &plan, &mut body, json).await?;
    let end =
        HeaderMap::from_iter([(HeaderName::from_static("x-echo-trailer"), HeaderValue::from_static("done"))]);
    if plan.trailers {
        sink.stream.send_trailers(end)?
    } else {
        sink.stream.send_data(Bytes::new(), true)?
    }
    Ok(Then::GoOn)
}

async fn send_body(sink: &mut Sink, plan: &Plan, body: &mut RecvStream, json: Vec<u8>) -> Result<()> {
    if plan.echo {
        while let Some(piece) = next(body).await? {
            sink.send(piece).await?;
        }
    } else if let Some(interval) = plan.watch {
        for number in 0..plan.events.unwrap_or(u64::MAX) {
            sink.send(Plan::event(number).into()).await?;
            tokio::time::sleep(interval).await;
        }
    } else if let Some(size) = plan.size {
        for piece in Plan::pieces(size) {
            sink.send(piece.into()).await?;
        }
    } else {
        sink.send(json.into()).await?;
    }
    Ok(())
}

async fn next(body: &mut RecvStream) -> Result<Option<Bytes>> {
    let Some(piece) = body.data().await else { return Ok(None) };
    let piece = piece?;
    body.flow_control().release_capacity(piece.len())?;
    Ok(Some(piece))
}

/// Where an answer's body goes, as fast as the other side takes it.
struct Sink {
    stream: SendStream<Bytes>,
    left: Option<u64>,
}

impl Sink {
    async fn send(&mut self, mut piece: Bytes) -> Result<()> {
        if let Some(left) = self.left {
            piece.truncate(left as usize);
        }
        if let Some(left) = &mut self.left {
            *left -= piece.len() as u64;
        }
        while !piece.is_empty() {
            self.stream.reserve_capacity(piece.len());
            let room = std::future::poll_fn(|task| self.stream.poll_capacity(task)).await;
            let room = room.context("the stream is closed")??;
            self.stream.send_data(piece.split_to(room.min(piece.len())), false)?;
        }
        if self.left == Some(0) {
            self.stream.send_reset(Reason::INTERNAL_ERROR);
            bail!("cut off as planned");
        }
        Ok(())
    }
}

fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    headers.iter().map(line).collect()
}
