use std::sync::Arc;

use pingora_core::protocols::http::v2::server::{H2Options, handshake};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::gateway::Caller;
use crate::upstream::keepalive;

use super::age::Age;
use super::coalesce::Coalesced;
use super::neighbours::Stream;
use super::worker::Desk;

/// Impersonating somebody with many groups makes large headers; Go's server allows 1 MiB.
const HEADER_LIST: u32 = 1 << 20;
/// What one stream's body may have on the way to a cluster that does not take it.
const STREAM_WINDOW: u32 = 256 << 10;
/// The largest that there is (RFC 9113 section 6.9.1).
const LARGEST_WINDOW: u32 = (1 << 31) - 1;

/// What one stream's answer may have on the way to a caller who does not take it.
const SEND_BUFFER: usize = 128 << 10;

/// Serves an HTTP/2 connection until its last stream is over after either side said that it goes away.
pub(super) async fn serve(stream: Coalesced, caller: Arc<Caller>, desk: &Desk, age: Age) {
    let streams = desk.options.max_streams;
    // Room for every stream's share: clusters that take nothing never hold up what callers send to others.
    let window = streams.saturating_mul(STREAM_WINDOW).min(LARGEST_WINDOW);
    // Streams that a caller may reset before we have looked at them. A hub whose controller dies resets all of its
    // watches at once, and the others' watches on the same connection must not go with them.
    let resets = streams as usize;
    let mut options = H2Options::new();
    options
        .max_concurrent_streams(streams)
        .max_header_list_size(HEADER_LIST)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(window)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(resets)
        .max_concurrent_reset_streams(resets);
    let mut connection = match timeout(keepalive::ANSWER, handshake(Box::new(stream), Some(options))).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(peer = %caller.peer, %error, "HTTP/2 handshake failed"),
        Err(_) => return tracing::debug!(peer = %caller.peer, "HTTP/2 handshake took too long"),
    };
    let ping_pong = connection.ping_pong();
    let requests = TaskTracker::new();
    let mut silence = std::pin::pin!(keepalive::until_silent(ping_pong, keepalive::EVERY));
    let mut of_age = std::pin::pin!(age.over());
    let mut leaving = false;
    loop {
        tokio::select! {
            biased;
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    desk.neighbours.look();
                    let stream = Stream { request, respond, caller: Arc::clone(&caller) };
                    if let Some(stream) = desk.neighbours.pass_on(stream, &requests) {
                        requests.spawn(stream.serve(Arc::clone(&desk.gateway)));
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(peer = %caller.peer, %error, "HTTP/2 connection ended");
                    break;
                }
                None => break,
            },
            () = caller.drain.cancelled(), if !leaving => {
                leaving = true;
                connection.graceful_shutdown();
            }
            // What is under way goes on for as long as it likes: a watch is not cut for this.
            () = &mut of_age, if !leaving => {
                leaving = true;
                desk.metrics.aged();
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
