//! Finds out that the other side of a connection is gone: behind a dead NAT entry nothing else tells.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use h2::{Ping, PingPong};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// As client-go's transports (`ReadIdleTimeout`).
pub const EVERY: Duration = Duration::from_secs(30);
/// gRPC servers take a client for a nuisance that pings more often than every five minutes without being sent
/// anything in between, and close the connection (grpc's keepalive.md, `GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL`).
pub const EVERY_GRPC: Duration = Duration::from_secs(5 * 60 + 10);
/// As client-go's transports (`PingTimeout`).
pub const ANSWER: Duration = Duration::from_secs(15);

/// Makes the kernel find out, for connections on which nobody pings.
pub fn on_tcp(stream: &TcpStream) -> io::Result<()> {
    let probes = TcpKeepalive::new().with_time(EVERY).with_interval(ANSWER / 3).with_retries(3);
    SockRef::from(stream).set_tcp_keepalive(&probes)
}

/// Pings every so often, and resolves when an answer is overdue or the connection has ended.
pub async fn until_silent(ping_pong: Option<PingPong>, every: Duration) {
    let Some(mut ping_pong) = ping_pong else {
        return std::future::pending().await;
    };
    loop {
        sleep(every).await;
        if !is_answered(&mut ping_pong).await {
            return;
        }
    }
}

/// Sends one ping. False: no answer in time.
pub async fn is_answered(ping_pong: &mut PingPong) -> bool {
    if ping_pong.send_ping(Ping::opaque()).is_err() {
        return false;
    }
    matches!(timeout(ANSWER, poll_fn(|context| ping_pong.poll_pong(context))).await, Ok(Ok(_)))
}
