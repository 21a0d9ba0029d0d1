use std::pin::pin;
use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use h2::PingPong;
use h2::client::{self, SendRequest};
use tokio::time::interval;

use super::UpstreamError;
use super::dial::{Io, Protocol};
use super::h1;
use super::keepalive;
use super::pool::Shared;

/// What one stream may have on the way to a slow reader. Times the streams of a connection it stays below
/// [`CONNECTION_WINDOW`], so that readers who stand still never stop their neighbours.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 100 * STREAM_WINDOW;
/// How often a connection is looked at whether anybody needs it.
const LOOK: Duration = Duration::from_secs(15);
/// Kubernetes objects carry large headers only with many groups; Go's server allows 1 MiB.
const HEADER_LIST: u32 = 1 << 20;

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
}

/// Dials and shakes hands.
pub(super) async fn open(shared: &Shared) -> Result<Opened, UpstreamError> {
    let target = &shared.target;
    let (io, protocol) = target.dial().await?;
    match protocol {
        Protocol::H1 => h1::Connection::open(io).await.map(Opened::H1),
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
            Ok(Opened::H2 { send, driver: Box::new(Driver { connection, ping_pong }) })
        }
    }
}

impl Driver {
    /// Runs until the connection ends: by the server, by silence, or because nobody needs it any more.
    pub(super) async fn run(self: Box<Self>, pool: Weak<Shared>, id: u64) {
        let Self { connection, ping_pong } = *self;
        tokio::select! {
            ended = connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection to a cluster ended");
                }
            }
            () = watch(ping_pong, &pool, id) => {}
        }
        if let Some(pool) = pool.upgrade() {
            pool.closed(id);
        }
    }
}

/// Ends when the server is silent for too long.
async fn watch(ping_pong: Option<PingPong>, pool: &Weak<Shared>, id: u64) {
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
    let silent = pin!(keepalive::until_silent(Some(ping_pong)));
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
