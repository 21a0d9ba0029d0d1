use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use h2::PingPong;
use h2::client::{self, SendRequest};
use tokio::time::interval;

use super::dial::{Io, Offer, Protocol};
use super::h1;
use super::keepalive;
use super::pool::{MAX_STREAMS, Shared};
use super::{Speaks, UpstreamError};

/// What one stream may have on the way to a slow reader. Times the streams of a connection it stays below
/// [`CONNECTION_WINDOW`], so that readers who stand still never stop their neighbours.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = MAX_STREAMS as u32 * STREAM_WINDOW;
/// How often a connection is looked at whether anybody needs it.
const LOOK: Duration = Duration::from_secs(15);
/// Kubernetes objects carry large headers only with many groups; Go's server allows 1 MiB.
const HEADER_LIST: u32 = 1 << 20;

/// Streams in a row that a gRPC server may leave without an answer until it is asked over another connection: it is
/// pinged too seldom to find out in time. Others may just have slow agents.
const PATIENCE: usize = 3;
/// Streams that are remembered after we have reset them: callers leave many watches at once.
const RESETS: usize = 1000;

/// A connection that has just been made.
pub(super) enum Opened {
    H2 { send: SendRequest<Bytes>, driver: Box<Driver> },
    H1(h1::Connection),
}

/// What keeps an HTTP/2 connection going.
pub(super) struct Driver {
    connection: client::Connection<Io, Bytes>,
    ping_pong: Option<PingPong>,
    address: String,
    ended: Ended,
    /// How often it is pinged.
    every: Duration,
}

/// Why a connection ended, for those whose streams it took along. h2 tells them of an error in reading; of one in
/// writing only that it is all over.
#[derive(Clone, Default)]
pub(super) struct Ended(Arc<Fate>);

#[derive(Default)]
struct Fate {
    reason: OnceLock<UpstreamError>,
    /// Streams in a row that were given up without an answer.
    unanswered: AtomicUsize,
}

/// Dials and shakes hands.
pub(super) async fn open(shared: &Shared) -> Result<Opened, UpstreamError> {
    let target = &shared.target;
    let (io, protocol) = target.dial(shared.worker, Offer::Any).await?;
    match protocol {
        Protocol::H1 => h1::Connection::open(io, target.authority()).await.map(Opened::H1),
        Protocol::H2 => {
            let (send, mut connection) = client::Builder::new()
                .enable_push(false)
                .initial_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(HEADER_LIST)
                .max_concurrent_reset_streams(RESETS)
                .handshake(io)
                .await
                .map_err(|error| UpstreamError::h2(target.authority(), &error))?;
            let ping_pong = connection.ping_pong();
            let address = target.authority().to_owned();
            let every = match target.spec.speaks {
                Speaks::Http => keepalive::EVERY,
                Speaks::Grpc => keepalive::EVERY_GRPC,
            };
            let driver = Driver { connection, ping_pong, address, ended: Ended::default(), every };
            Ok(Opened::H2 { send, driver: Box::new(driver) })
        }
    }
}

impl Ended {
    /// What an error of a stream means: where that is no more than the connection's end, the reason for it.
    pub(super) fn explain(&self, address: &str, error: &h2::Error) -> UpstreamError {
        match (UpstreamError::h2(address, error), self.0.reason.get()) {
            (UpstreamError::Broken { unprocessed, .. }, Some(UpstreamError::Broken { cause, .. }))
                if error.is_io() =>
            {
                UpstreamError::Broken { cause: cause.clone(), unprocessed }
            }
            (UpstreamError::Broken { .. }, Some(reason)) if error.is_io() => reason.clone(),
            (error, _) => error,
        }
    }

    /// Takes note of whether a stream was answered. True when too many in a row were not.
    pub(super) fn is_mute(&self, answered: bool) -> bool {
        let unanswered = &self.0.unanswered;
        if answered {
            unanswered.store(0, Ordering::Relaxed);
            return false;
        }
        unanswered.fetch_add(1, Ordering::Relaxed) + 1 >= PATIENCE
    }
}

impl Driver {
    /// Where it will say why it ended.
    pub(super) fn ended(&self) -> Ended {
        self.ended.clone()
    }

    /// Runs until the connection ends: by the server, by silence, or because nobody needs it any more.
    pub(super) async fn run(self: Box<Self>, pool: Weak<Shared>, id: u64) {
        let Self { connection, ping_pong, address, ended, every } = *self;
        // Dropped, which its streams notice, only after the reason is known.
        let mut connection = pin!(connection);
        tokio::select! {
            end = &mut connection => {
                if let Err(error) = end {
                    tracing::debug!(%error, "connection to a cluster ended");
                    // It is the only one that says so.
                    let _ = ended.0.reason.set(UpstreamError::h2(&address, &error));
                }
            }
            () = watch(ping_pong, &pool, id, every) => {}
        }
        if let Some(pool) = pool.upgrade() {
            pool.closed(id);
        }
    }
}

/// Ends when the server is silent for too long.
async fn watch(ping_pong: Option<PingPong>, pool: &Weak<Shared>, id: u64, every: Duration) {
    let Some(mut ping_pong) = ping_pong else {
        return std::future::pending().await;
    };
    // SETTINGS are the first thing that a server sends, so whoever has answered a ping has sent them.
    if !keepalive::is_answered(&mut ping_pong).await {
        return;
    }
    if let Some(pool) = pool.upgrade() {
        pool.settled(id);
    }
    let mut looks = interval(LOOK);
    let silent = pin!(keepalive::until_silent(Some(ping_pong), every));
    let look = async {
        loop {
            looks.tick().await;
            if let Some(pool) = pool.upgrade() {
                pool.retire_if_idle(id);
            }
        }
    };
    tokio::select! {
        () = silent => tracing::info!("a cluster no longer answers pings: its connection is given up"),
        () = look => {}
    }
}
