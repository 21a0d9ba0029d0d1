use std::sync::Arc;

use pingora_core::protocols::http::v2::server::{H2Options, handshake};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::gateway::{Caller, Gateway};
use crate::upstream::keepalive;

use super::coalesce::Coalesced;

/// A hub sends everything over one connection: as many streams as Go's server can be asked for.
const STREAMS: u32 = 1000;
/// Impersonating somebody with many groups makes large headers; Go's server allows 1 MiB.
const HEADER_LIST: u32 = 1 << 20;
/// What one stream's body may have on the way to a cluster that does not take it.
const STREAM_WINDOW: u32 = 256 << 10;
/// Room for every stream's share: clusters that take nothing never hold up what callers send to others.
const CONNECTION_WINDOW: u32 = STREAMS * STREAM_WINDOW;

/// What one stream's answer may have on the way to a caller who does not take it.
const SEND_BUFFER: usize = 128 << 10;
/// Streams that a caller may reset before we have looked at them. A hub whose controller dies resets all of its
/// watches at once, and the others' watches on the same connection must not go with them.
const RESETS: usize = STREAMS as usize;

/// Serves an HTTP/2 connection until its last stream is over after either side said that it goes away.
pub(super) async fn serve(stream: Coalesced, caller: Arc<Caller>, gateway: Arc<Gateway>) {
    let mut options = H2Options::new();
    options
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS)
        .max_concurrent_reset_streams(RESETS);
    let mut connection = match timeout(keepalive::ANSWER, handshake(Box::new(stream), Some(options))).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(peer = %caller.peer, %error, "HTTP/2 handshake failed"),
        Err(_) => return tracing::debug!(peer = %caller.peer, "HTTP/2 handshake took too long"),
    };
    let ping_pong = connection.ping_pong();
    let requests = TaskTracker::new();
    let mut silence = std::pin::pin!(keepalive::until_silent(ping_pong, keepalive::EVERY));
    let mut draining = false;
    loop {
        tokio::select! {
            biased;
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let serve = Arc::clone(&gateway).serve_h2(request, respond, Arc::clone(&caller));
                    requests.spawn(serve);
                }
                Some(Err(error)) => {
                    tracing::debug!(peer = %caller.peer, %error, "HTTP/2 connection ended");
                    break;
                }
                None => break,
            },
            () = caller.drain.cancelled(), if !draining => {
                draining = true;
                connection.graceful_shutdown();
            }
            () = &mut silence => {
                tracing::info!(peer = %caller.peer, "a caller no longer answers pings: its connection is given up");
                break;
            }
        }
    }
    // Their streams are gone with the connection, so they end at once; what they have to record they record.
    drop(connection);
    requests.close();
    requests.wait().await;
}
