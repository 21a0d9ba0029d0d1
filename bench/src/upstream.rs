//! The light upstream: mutual TLS, HTTP/2 or HTTP/1.1, answers made beforehand. It is a process of its own, so that
//! its processor time is not anybody else's.
//!
//! A query steers it: `size=N` answers N bytes; `watch` answers an event at once and then one every
//! `every=MILLISECONDS` (none without it), each with the time of its sending; `credential` answers the request's
//! Authorization header. POST and PUT bodies are read to their end. An upgrade to any protocol is accepted and echoed.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use futures::stream::{self, Stream, StreamExt as _};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;

/// What an ordinary answer has, and an event.
pub(crate) const SIZE: usize = 1024;
/// Where an event has the time of its sending: nanoseconds of Unix time, in decimal.
pub(crate) const STAMP: std::ops::Range<usize> = 9..28;
/// The pieces of a large one.
const PIECE: usize = 64 << 10;

/// How it is started.
#[derive(Clone, Debug, Args)]
pub(crate) struct UpstreamOptions {
    /// Where it listens
    #[arg(long)]
    address: SocketAddr,
    /// Its certificate
    #[arg(long)]
    cert: PathBuf,
    /// Its key
    #[arg(long)]
    key: PathBuf,
    /// The authority of its clients' certificates
    #[arg(long)]
    client_ca: PathBuf,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Serves until it is killed: an event loop for each core, each with its own connections, so that no request of
/// whichever protocol wakes another core. What is measured are those in front of it.
pub(crate) async fn serve(options: UpstreamOptions) -> Result<()> {
    let acceptor = acceptor(&options)?;
    let listener = TcpListener::bind(options.address).await.with_context(|| options.address.to_string())?;
    let answers = Arc::new(Answers::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let loops: Vec<UnboundedSender<StdStream>> = (0..cores)
        .map(|_| event_loop(acceptor.clone(), Arc::clone(&answers)))
        .collect::<std::io::Result<_>>()?;
    for turn in loops.iter().cycle() {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        turn.send(stream.into_std()?).context("an event loop has ended")?;
    }
    Ok(())
}

fn event_loop(acceptor: TlsAcceptor, answers: Arc<Answers>) -> std::io::Result<UnboundedSender<StdStream>> {
    let (sender, mut streams) = unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = async move {
        while let Some(stream) = streams.recv().await {
            let (acceptor, answers) = (acceptor.clone(), Arc::clone(&answers));
            tokio::spawn(async move {
                // Clients that break off are none of its business.
                let _ = connection(stream, acceptor, answers).await;
            });
        }
    };
    std::thread::Builder::new().name("upstream".to_owned()).spawn(move || runtime.block_on(serve))?;
    Ok(sender)
}

async fn connection(stream: StdStream, acceptor: TlsAcceptor, answers: Arc<Answers>) -> Result<()> {
    let stream = acceptor.accept(TcpStream::from_std(stream)?).await?;
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| {
        let answers = Arc::clone(&answers);
        async move { Ok::<_, Infallible>(answers.answer(request).await) }
    });
    if h2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(1000)
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(64 << 20)
            .serve_connection(TokioIo::new(stream), service)
            .await?;
    } else {
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await?;
    }
    Ok(())
}

struct Answers {
    json: Bytes,
    piece: Bytes,
}

impl Answers {
    fn new() -> Self {
        Self { json: json(SIZE), piece: Bytes::from(vec![b'x'; PIECE]) }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if let Some(protocol) = request.headers().get(UPGRADE).cloned() {
            return echo(request, &protocol);
        }
        let credential = request.headers().get(AUTHORIZATION).cloned();
        let created = request.method() != http::Method::GET;
        let query = Query::of(&request);
        if created {
            let mut body = request.into_body();
            while let Some(Ok(_)) = body.frame().await {}
        }
        let (length, body) = match query {
            Query { watch: true, every, .. } => (None, self.watch(every)),
            Query { credential: true, .. } => {
                let shown =
                    credential.map_or_else(Bytes::new, |value| Bytes::copy_from_slice(value.as_bytes()));
                (Some(shown.len() as u64), Full::new(shown).boxed_unsync())
            }
            Query { size: Some(size), .. } => (Some(size), self.sized(size)),
            Query { .. } => (Some(self.json.len() as u64), Full::new(self.json.clone()).boxed_unsync()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = if created { StatusCode::CREATED } else { StatusCode::OK };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(length) = length {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }

    fn sized(&self, size: u64) -> Body {
        let piece = self.piece.clone();
        streamed(stream::unfold(size, move |left| {
            let next = piece.slice(..usize::try_from(left).unwrap_or(PIECE).min(PIECE));
            async move { (left > 0).then(|| (next.clone(), left - next.len() as u64)) }
        }))
    }

    fn watch(&self, every: Option<Duration>) -> Body {
        let first = stream::iter([event()]);
        match every {
            None => streamed(first.chain(stream::pending())),
            Some(every) => {
                // Watches that were opened together do not tick together.
                let first_tick = tokio::time::Instant::now() + every.mul_f64(rand::random());
                let interval = tokio::time::interval_at(first_tick, every);
                streamed(first.chain(stream::unfold(interval, |mut interval| async move {
                    interval.tick().await;
                    Some((event(), interval))
                })))
            }
        }
    }
}

fn streamed(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))).boxed_unsync()
}

/// What a request asks for.
#[derive(Default)]
struct Query {
    size: Option<u64>,
    watch: bool,
    every: Option<Duration>,
    credential: bool,
}

impl Query {
    fn of(request: &Request<Incoming>) -> Self {
        let mut query = Self::default();
        for part in request.uri().query().unwrap_or_default().split('&') {
            match part.split_once('=').unwrap_or((part, "")) {
                ("size", number) => query.size = number.parse().ok(),
                ("credential", _) => query.credential = true,
                ("watch", _) => query.watch = true,
                ("every", number) => query.every = number.parse().ok().map(Duration::from_millis),
                _ => {}
            }
        }
        query
    }
}

fn echo(request: Request<Incoming>, protocol: &HeaderValue) -> Response<Body> {
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    let mut response = Response::new(Full::new(Bytes::new()).boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, protocol.clone());
    response
}

/// An object of exactly `size` bytes.
fn json(size: usize) -> Bytes {
    let (start, rest) = (r#"{"kind":"ConfigMap","apiVersion":"v1","data":{"x":""#, r#""}}"#);
    let filling = size.saturating_sub(start.len() + rest.len());
    Bytes::from(format!("{start}{}{rest}", "y".repeat(filling)))
}

/// An event that was sent now.
fn event() -> Bytes {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let start = format!(r#"{{"sent":"{now:019}","object":""#);
    let filling = SIZE - start.len() - 3;
    Bytes::from(format!("{start}{}\"}}\n", "y".repeat(filling)))
}

fn acceptor(options: &UpstreamOptions) -> Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&options.client_ca)? {
        roots.add(certificate?)?;
    }
    // Those who come with a token have no certificate.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()?;
    let chain = CertificateDer::pem_file_iter(&options.cert)?.collect::<Result<Vec<_>, _>>()?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&options.key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_of_an_event_is_where_readers_look_for_it() {
        let event = event();
        assert_eq!(event.len(), SIZE);
        let stamp: u64 = std::str::from_utf8(&event[STAMP]).unwrap().parse().unwrap();
        let age = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_nanos(stamp)).unwrap();
        assert!(age < Duration::from_secs(10), "{age:?}");
    }
}
