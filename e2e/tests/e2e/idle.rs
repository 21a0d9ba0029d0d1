//! What a gateway costs while nobody asks it for anything.

use std::time::Duration;

use e2e::lab::{Gateway, GatewayOptions, shared};

/// Long enough that a loop that never rests is seen, whatever else the machine does.
const WATCHED: Duration = Duration::from_secs(3);
/// Timers, the hub's watches and /proc itself; a core that never rests would be three seconds.
const RESTS: Duration = Duration::from_millis(600);

#[tokio::test]
async fn open_connections_that_say_nothing_cost_no_cpu() {
    let hub = shared().await.hub();
    let gateway = Gateway::start(hub, GatewayOptions::new(hub, "idle-secrets")).await.unwrap();
    let client = gateway.front_proxy("idle", &["system:masters"]).unwrap();
    let (connection, mut keeps_alive) = (client.h2().await.unwrap(), client.h1().await.unwrap());
    assert_eq!(connection.get("/version").await.unwrap().status, 200);
    assert_eq!(keeps_alive.get("/version").await.unwrap().status, 200);
    let before = gateway.process().usage().unwrap().cpu;
    // A span of time is what is measured here, not waited for.
    tokio::time::sleep(WATCHED).await;
    let used = gateway.process().usage().unwrap().cpu - before;
    println!("idle: {used:?} of CPU in {WATCHED:?}, {} kB resident", gateway.rss_kb().unwrap());
    assert!(used < RESTS, "{used:?} of CPU in {WATCHED:?}");
    assert_eq!(connection.get("/version").await.unwrap().status, 200);
}
