//! Finds out that the other side of an HTTP/2 connection is gone: behind a dead NAT entry nothing else tells.

use std::future::poll_fn;
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{sleep, timeout};

/// As client-go's transports (`ReadIdleTimeout`).
pub const EVERY: Duration = Duration::from_secs(30);
/// As client-go's transports (`PingTimeout`).
pub const ANSWER: Duration = Duration::from_secs(15);

/// Pings now and then, and resolves when an answer is overdue or the connection has ended.
pub async fn until_silent(ping_pong: Option<PingPong>) {
    let Some(mut ping_pong) = ping_pong else {
        return std::future::pending().await;
    };
    loop {
        sleep(EVERY).await;
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
