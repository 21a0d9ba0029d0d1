use std::cell::RefCell;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::telemetry::OpenTunnel;
use crate::upstream::{Scheme, Sender, Upstream, UpstreamError};

use super::super::Dial;
use super::packet::{CloseRequest, Data, DialClose, DialRequest, Payload};
use super::packets::{Packets, finish, send, shown};

/// As the Go server and agent cut it.
const CHUNK: usize = 32 << 10;
/// Between us and the tunnel's task, each way.
const BUFFER: usize = 64 << 10;
/// How long the server may take to say that it closed what we are done with; as the Go client.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);
/// What the server says when there is nobody to lead anywhere (its `ErrNotFound`).
const NO_AGENT: &str = "No agent available";

thread_local! {
    /// Shared by all tunnels of a thread, so that an idle one holds no memory for what it may be given.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// One connection through Konnectivity, as a byte stream. Dropping it ends it.
pub(in crate::upstream::transport) struct Tunnel {
    io: DuplexStream,
    broken: Broken,
    _alive: DropGuard,
}

/// Why a tunnel ended that nobody wanted to end.
type Broken = Arc<OnceLock<String>>;

/// Opens a stream to the server and asks it to connect. A server that goes away, or takes no more streams over one
/// connection, is asked once more: it has not looked at what it was asked.
///
/// Whoever does not wait for the answer drops the future: the server is told.
pub(super) async fn dial(
    server: &Upstream,
    dial: Dial<'_>,
    name: &str,
    open: impl Fn() -> OpenTunnel,
) -> Result<Tunnel, UpstreamError> {
    let dialed = match dial_once(server, dial, open()).await {
        Err(Refusal::Unprocessed(_)) => dial_once(server, dial, open()).await,
        dialed => dialed,
    };
    dialed.map_err(|refusal| match refusal {
        Refusal::Own(cause) | Refusal::Unprocessed(cause) => {
            UpstreamError::Proxy { proxy: name.to_owned(), cause }
        }
        Refusal::Unreached(cause) => {
            UpstreamError::Unreached { proxy: name.to_owned(), address: dial.to_string(), cause }
        }
    })
}

async fn dial_once(server: &Upstream, dial: Dial<'_>, open: OpenTunnel) -> Result<Tunnel, Refusal> {
    let request = request(server).map_err(|error| Refusal::Own(error.to_string()))?;
    let exchange = server.exchange(dial.worker, request, false).await;
    let (sender, receiver) = exchange.map_err(|error| match error.is_unprocessed() {
        true => Refusal::Unprocessed(error.to_string()),
        false => Refusal::Own(error.to_string()),
    })?;
    let (near, far) = tokio::io::duplex(BUFFER);
    let (gone, broken) = (CancellationToken::new(), Broken::default());
    let tunnel = Tunnel { io: near, broken: Arc::clone(&broken), _alive: gone.clone().drop_guard() };
    let task = Task { sender, packets: Packets::new(receiver), gone, broken, _open: open };
    let (answer, answered) = oneshot::channel();
    // Ends with the tunnel or the server, whichever goes first, and CLOSE_WITHIN at most.
    tokio::spawn(task.run(far, dial.to_string(), dial.within, answer));
    let answer = answered.await.map_err(|_| Refusal::Own("the tunnel's task has ended".to_owned()))?;
    answer.map(|()| tunnel)
}

fn request(server: &Upstream) -> http::Result<Request<()>> {
    let endpoint = server.endpoint();
    let scheme = match endpoint.scheme() {
        Scheme::Https => "https",
        Scheme::Http => "http",
    };
    Request::post(format!("{scheme}://{}/ProxyService/Proxy", endpoint.authority()))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::USER_AGENT, concat!("cluster-gateway/", env!("CARGO_PKG_VERSION")))
        .body(())
}

/// Why there is no tunnel.
enum Refusal {
    /// The server's doing: it does not answer as one, or has no agent.
    Own(String),
    /// The connection to the server ended, or took no more streams, before it looked at this one.
    Unprocessed(String),
    /// The agent tried.
    Unreached(String),
}

/// Carries a tunnel's bytes between its stream and the server.
struct Task {
    sender: Sender,
    packets: Packets,
    /// The stream was dropped.
    gone: CancellationToken,
    broken: Broken,
    _open: OpenTunnel,
}

impl Task {
    async fn run(
        mut self,
        far: DuplexStream,
        address: String,
        within: Duration,
        answer: oneshot::Sender<Result<(), Refusal>>,
    ) {
        let (random, begun) = (random(), Instant::now());
        let gone = self.gone.clone();
        let dialed = tokio::select! {
            dialed = self.ask(address, random) => dialed,
            () = gone.cancelled() => {
                if begun.elapsed() >= within / 2 {
                    self.packets.answered(false);
                }
                let close = send(&mut self.sender, Payload::DialClose(DialClose { random }));
                // What it says to that, if anything, comes too late for anybody.
                let _ = timeout(CLOSE_WITHIN, close).await;
                return self.end().await;
            }
        };
        match dialed {
            Ok(connect_id) => {
                self.packets.answered(true);
                // Whoever has gone in the meantime dropped the stream, which ends what follows.
                let _ = answer.send(Ok(()));
                self.carry(far, connect_id).await;
            }
            Err(refusal) => {
                if self.packets.has_begun() {
                    self.packets.answered(true);
                }
                // As above.
                let _ = answer.send(Err(refusal));
            }
        }
        self.end().await;
    }

    /// The connection's number.
    async fn ask(&mut self, address: String, random: i64) -> Result<i64, Refusal> {
        let request = DialRequest { protocol: "tcp".to_owned(), address, random };
        // Why the server takes nothing is what it says then.
        let _ = send(&mut self.sender, Payload::DialRequest(request)).await;
        loop {
            let packet = self.packets.next().await.map_err(|cause| match self.packets.is_unprocessed() {
                true => Refusal::Unprocessed(cause),
                false => Refusal::Own(cause),
            })?;
            match packet {
                Some(Payload::DialResponse(response)) if response.random == random => {
                    return match response.error.as_str() {
                        "" => Ok(response.connect_id),
                        NO_AGENT => Err(Refusal::Own("no agent is connected to it".to_owned())),
                        error => Err(Refusal::Unreached(format!("its agent says: {}", shown(error)))),
                    };
                }
                Some(Payload::DialClose(close)) if close.random == random => {
                    return Err(Refusal::Unreached("its agent has given up".to_owned()));
                }
                Some(Payload::CloseResponse(response)) => {
                    return Err(Refusal::Unreached(format!(
                        "it has closed the tunnel: {}",
                        shown(&response.error)
                    )));
                }
                Some(_) => {}
                None => return Err(Refusal::Own("it ended the stream before it answered".to_owned())),
            }
        }
    }

    /// Until either side is done. There is no half-close in this protocol: whoever has shut down goes on reading
    /// until the other side closes too, which it does because it was told so above us (by TLS' close_notify).
    async fn carry(&mut self, far: DuplexStream, connect_id: i64) {
        let Self { sender, packets, gone, broken, .. } = self;
        let (mut from, mut into) = tokio::io::split(far);
        let there = async {
            pump(&mut from, sender, connect_id).await;
            gone.cancelled().await;
            // What it says to that comes back with the packets.
            let _ = send(sender, Payload::CloseRequest(CloseRequest { connect_id })).await;
            std::future::pending().await
        };
        let too_late = async {
            gone.cancelled().await;
            sleep(CLOSE_WITHIN).await;
        };
        tokio::select! {
            end = back(packets, &mut into) => {
                if let Err(reason) = end {
                    // Before the stream is dropped, so that its reader finds it there.
                    let _ = broken.set(reason);
                }
            }
            () = there => {}
            () = too_late => tracing::debug!("Konnectivity did not say that a connection was closed"),
        }
    }

    /// Leaves nothing behind on the server: it ends what belongs to a stream when that ends.
    async fn end(mut self) {
        let end = async {
            if finish(&mut self.sender).await.is_ok() {
                while let Ok(Some(_)) = self.packets.next().await {}
            }
        };
        // Dropped before, it is reset, which says the same less politely.
        let _ = timeout(CLOSE_WITHIN, end).await;
    }
}

/// Sends what is written into the stream, until that is shut down or the server takes no more.
async fn pump(from: &mut (impl AsyncRead + Unpin), sender: &mut Sender, connect_id: i64) {
    loop {
        let data = match poll_fn(|context| poll_chunk(from, context)).await {
            Ok(chunk) if !chunk.is_empty() => chunk,
            Ok(_) | Err(_) => return,
        };
        let data = Data { connect_id, error: String::new(), data };
        if send(sender, Payload::Data(data)).await.is_err() {
            return;
        }
    }
}

/// What there is to read, as much as is sent at once; nothing at the end.
fn poll_chunk(from: &mut (impl AsyncRead + Unpin), context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    READ.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(from).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(Bytes::copy_from_slice(buffer.filled())))
    })
}

/// Gives what the server sends to the stream until the connection is closed. When nobody reads any more it goes on:
/// what is not taken from the server stops others on its way to us.
async fn back(packets: &mut Packets, into: &mut (impl AsyncWrite + Unpin)) -> Result<(), String> {
    let mut is_read = true;
    loop {
        match packets.next().await? {
            Some(Payload::Data(data)) => {
                is_read = is_read && into.write_all(&data.data).await.is_ok();
            }
            Some(Payload::CloseResponse(_) | Payload::CloseRequest(_)) => return Ok(()),
            Some(_) => {}
            None => return Err("the server ended the tunnel".to_owned()),
        }
    }
}

/// Only has to be another one than those of other dials that are under way.
fn random() -> i64 {
    i64::from_ne_bytes(RandomState::new().hash_one(()).to_ne_bytes()) & i64::MAX
}

impl AsyncRead for Tunnel {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
        let is_end = buffer.filled().len() == before && buffer.remaining() > 0;
        Poll::Ready(match this.broken.get().filter(|_| is_end) {
            Some(reason) => {
                Err(io::Error::new(io::ErrorKind::ConnectionReset, format!("Konnectivity: {reason}")))
            }
            None => Ok(()),
        })
    }
}

impl AsyncWrite for Tunnel {
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
