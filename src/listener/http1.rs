use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::Stream;
use pingora_core::protocols::http::v1::server::HttpSession;
use tokio::time::timeout;

use crate::gateway::Caller;

use super::age::Age;
use super::coalesce::Coalesced;
use super::worker::Desk;

/// For a request's whole header, and how long a connection may be idle between two: client-go's transport keeps
/// idle connections for 90 s, so that we would be the one to close; both sides cope.
const HEADER: Duration = Duration::from_secs(75);
/// For reading what is left of a body that nobody wanted, so that the connection can be used again.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves an HTTP/1 connection, request after request. Of age, it ends with the next answer, which says so: closing
/// it in between could cross with a request that nobody may send again.
pub(super) async fn serve(stream: Coalesced, caller: Arc<Caller>, desk: &Desk, age: Age) {
    let gateway = &desk.gateway;
    let mut next: Option<(Stream, Option<bytes::BytesMut>)> = Some((Box::new(stream), None));
    while let Some((stream, prefix)) = next.take() {
        let mut session = HttpSession::new(stream);
        session.set_server_keepalive(Some(HEADER.as_secs()));
        session.set_read_timeout(None);
        session.set_total_drain_timeout(Some(DRAIN));
        session.set_pipelining_enabled(true);
        if let Some(prefix) = prefix {
            session.set_pipelined_prefix(prefix);
        }
        let read = tokio::select! {
            biased;
            read = timeout(HEADER, session.read_request()) => read,
            () = caller.drain.cancelled() => return session.shutdown().await,
        };
        match read {
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(error)) => {
                // Only its kind: its text repeats what was sent, which may be a token.
                tracing::debug!(peer = %caller.peer, error = error.etype().as_str(), "request could not be read");
                return gateway.refuse_h1(session).await;
            }
        }
        let aged = age.is_over();
        if aged || caller.drain.is_cancelled() {
            session.set_server_keepalive(None);
        }
        if aged {
            desk.metrics.aged();
        }
        next = Arc::clone(gateway).serve_h1(session, Arc::clone(&caller)).await;
    }
}
