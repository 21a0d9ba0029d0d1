use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use cluster_gateway::telemetry::logging::{self, Level, LogFormat};
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, client, server};
use http::{Request, Response, StatusCode, Uri};
use tokio::io::{DuplexStream, duplex};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::TaskTracker;

use super::{Cluster, Stand, request};

/// What stands between the caller and the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// Nothing but the two HTTP/2 libraries: what is passed on is passed on as it came. What this costs is not ours.
    Bare,
    /// The gateway.
    Gateway,
}

/// A caller, a hop and a cluster in one thread.
pub struct Line {
    runtime: Runtime,
    caller: SendRequest<Bytes>,
    /// Who answers, for as long as it is asked.
    _cluster: Cluster,
}

/// Room in the socket between caller and hop: both directions of one request fit.
const ROOM: usize = 64 << 10;

impl Line {
    /// Connects everything, so that requests find it all there.
    pub fn through(hop: Hop) -> Self {
        // As in a gateway's process: where nobody listens, `tracing` asks the `log` crate each time. Nothing is said.
        logging::init(logging::Options { format: LogFormat::Text, level: Level::Error, access_log: false });
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (caller, cluster) = runtime.block_on(async {
            let cluster = Cluster::start();
            let (near, far) = duplex(ROOM);
            match hop {
                Hop::Bare => {
                    tokio::spawn(bare(far, UnixStream::connect(cluster.socket()).await.expect("a cluster")))
                }
                Hop::Gateway => tokio::spawn(gateway(far, Stand::new(&cluster.socket(), 0))),
            };
            let (caller, connection) = client::handshake(near).await.expect("HTTP/2");
            tokio::spawn(async move { connection.await.expect("HTTP/2 to the end") });
            (caller, cluster)
        });
        let mut line = Self { runtime, caller, _cluster: cluster };
        // Dials, asks the hub, fills memories, and lets every buffer grow to its size.
        line.ask(1000);
        line
    }

    /// Asks one after the other, and reads every answer to its end.
    pub fn ask(&mut self, times: usize) {
        let caller = &mut self.caller;
        let request = request();
        self.runtime.block_on(async {
            for _ in 0..times {
                poll_fn(|context| caller.poll_ready(context)).await.expect("a connection");
                let (answer, _) = caller.send_request(request.clone(), true).expect("a stream");
                let (head, mut body) = answer.await.expect("an answer").into_parts();
                assert_eq!(head.status, StatusCode::OK);
                let mut size = 0;
                while let Some(part) = body.data().await {
                    let part = part.expect("a part");
                    size += part.len();
                    body.flow_control().release_capacity(part.len()).expect("a stream");
                }
                assert_eq!(size, 1024);
            }
        });
    }
}

/// As `listener::http2`, less pings and drain.
async fn gateway(stream: DuplexStream, stand: Stand) {
    let mut connection = server::handshake(stream).await.expect("HTTP/2");
    let requests = TaskTracker::new();
    while let Some(accepted) = connection.accept().await {
        let Ok((request, respond)) = accepted else { return };
        requests.spawn(Arc::clone(&stand.gateway).serve_h2(request, respond, Arc::clone(&stand.caller)));
    }
}

async fn bare(stream: DuplexStream, cluster: UnixStream) {
    let mut connection = server::handshake(stream).await.expect("HTTP/2");
    let (mut cluster, driver) = client::handshake(cluster).await.expect("HTTP/2");
    tokio::spawn(async move {
        // Ends with those who measure.
        let _ = driver.await;
    });
    let target: Uri =
        "http://member-1.example:6443/api/v1/namespaces/default/configmaps/one".parse().expect("a URI");
    while let Some(accepted) = connection.accept().await {
        let Ok((request, respond)) = accepted else { return };
        let mut passing = pin!(pass(request, respond, &mut cluster, &target));
        tokio::select! {
            () = &mut passing => {}
            _ = poll_fn(|context| connection.poll_closed(context)) => return,
        }
    }
}

async fn pass(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    cluster: &mut SendRequest<Bytes>,
    target: &Uri,
) {
    let mut onward = request.map(|_| ());
    *onward.uri_mut() = target.clone();
    poll_fn(|context| cluster.poll_ready(context)).await.expect("a connection");
    let (answer, _) = cluster.send_request(onward, true).expect("a stream");
    let (head, mut body) = answer.await.expect("an answer").into_parts();
    let mut reply = respond.send_response(Response::from_parts(head, ()), false).expect("a caller");
    while let Some(part) = body.data().await {
        let mut part = part.expect("a part");
        body.flow_control().release_capacity(part.len()).expect("a stream");
        while !part.is_empty() {
            reply.reserve_capacity(part.len());
            let room =
                poll_fn(|context| reply.poll_capacity(context)).await.expect("a stream").expect("room");
            reply.send_data(part.split_to(room.min(part.len())), false).expect("a caller");
        }
    }
    reply.send_data(Bytes::new(), true).expect("a caller");
}
