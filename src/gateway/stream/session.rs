use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::header::{self, HeaderMap};
use http::{StatusCode, response};
use pingora_core::protocols::Stream as Connection;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::clusters::{Cluster, Stream};
use crate::telemetry::{ErrorKind, OpenStream};
use crate::upstream::Upgraded;

use super::super::headers;
use super::Switched;
use super::framing::Framing;
use super::splice::{Count, End, Limits, Splice};

/// For a caller to take the last words, and the frame that is under way before them.
const LAST_WORDS: Duration = Duration::from_millis(800);

/// What the operator chose of streams.
#[derive(Debug, Clone)]
pub struct Options {
    /// For either side to take what is there for it.
    pub write_timeout: Duration,
    /// Without a byte either way; none: for ever.
    pub idle_timeout: Option<Duration>,
    /// Open at once into one cluster; 0: no limit.
    pub per_cluster: usize,
}

/// A cluster has switched protocols; the caller is to be told, and then bytes are passed on.
pub(in crate::gateway) struct Session {
    head: response::Parts,
    upgraded: Box<Upgraded>,
    cluster: Arc<Cluster>,
    /// Its place among those of its cluster.
    place: Stream,
}

/// How much went by in a session that has ended, and what cut it short.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::gateway) struct Ended {
    /// From the caller.
    pub(in crate::gateway) received: u64,
    /// To the caller.
    pub(in crate::gateway) sent: u64,
    pub(in crate::gateway) error: Option<ErrorKind>,
}

impl Session {
    pub(in crate::gateway) fn new(switched: Switched, cluster: Arc<Cluster>) -> Self {
        let Switched { head, upgraded, place, traffic: _ } = switched;
        Self { head, upgraded, cluster, place }
    }

    /// Carries the session to its end. `early`: what the caller sent after its request.
    pub(in crate::gateway) async fn run(
        self,
        caller: Connection,
        early: BytesMut,
        options: &Options,
        last_call: &CancellationToken,
    ) -> Ended {
        let Self { head, upgraded, cluster, place } = self;
        let open = cluster.series.stream();
        let framing = Framing::of(&head.headers);
        let limits = Limits { write: options.write_timeout, idle: options.idle_timeout };
        let mut splice = Splice::new(caller, *upgraded, Counted(&open), framing, limits);
        splice.early(&early, &written(head));
        // It is a part of what the request was read into, which is not to live as long as the stream.
        drop(early);
        let end = tokio::select! {
            biased;
            () = cluster.streams.removed() => Err("the cluster was removed"),
            () = last_call.cancelled() => Err("the gateway is shutting down"),
            end = splice.run() => Ok(end),
        };
        let error = match end {
            Ok(end) => kind(&cluster, &end),
            Err(why) => {
                tracing::debug!(cluster = %cluster.name, why, "a stream is ended");
                // Nobody waits for those who do not listen.
                let _ = timeout(LAST_WORDS, splice.tell(why)).await;
                None
            }
        };
        drop((splice, place));
        Ended { received: open.to_cluster(), sent: open.to_caller(), error }
    }
}

struct Counted<'a>(&'a OpenStream);

impl Count for Counted<'_> {
    fn to_cluster(&self, bytes: u64) {
        self.0.add_to_cluster(bytes);
    }

    fn to_caller(&self, bytes: u64) {
        self.0.add_to_caller(bytes);
    }
}

fn kind(cluster: &Cluster, end: &End) -> Option<ErrorKind> {
    tracing::debug!(cluster = %cluster.name, %end, "a stream ended");
    match end {
        End::Closed | End::Idle => None,
        End::Caller(_) => Some(ErrorKind::ClientGone),
        End::Cluster(_) => Some(ErrorKind::Broken),
        End::Stalled => Some(ErrorKind::Timeout),
    }
}

/// The header of the answer as the cluster wrote it, but for what was meant for its own connection only.
fn written(mut head: response::Parts) -> Vec<u8> {
    let upgrade = head.headers.get(header::UPGRADE).cloned();
    headers::clean_response(&mut head.headers);
    let mut headers = HeaderMap::with_capacity(head.headers.len() + 2);
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    headers.extend(upgrade.map(|upgrade| (header::UPGRADE, upgrade)));
    headers.extend(head.headers);
    let mut text = Vec::with_capacity(256);
    let reason = StatusCode::SWITCHING_PROTOCOLS.canonical_reason().unwrap_or_default();
    text.extend_from_slice(format!("HTTP/1.1 101 {reason}\r\n").as_bytes());
    for (name, value) in &headers {
        text.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    text.extend_from_slice(b"\r\n");
    text
}
