use std::time::Duration;

use prometheus::Registry;
use tokio::io::duplex;
use tokio_util::sync::CancellationToken;

use super::*;

/// Two workers of which the first is saturated and the second is not.
struct Two {
    saturated: Arc<Neighbours>,
    guests: mpsc::Receiver<Guest>,
    registry: Registry,
}

impl Two {
    fn new() -> Self {
        let registry = Registry::new();
        let mut workers = Neighbours::new(2, &Metrics::register(&registry).unwrap()).into_iter();
        let (saturated, _) = workers.next().unwrap();
        let (_, guests) = workers.next().unwrap();
        // Until every stream is the other's.
        for _ in 0..10 {
            saturated.spill.lock().adapt(1.0, Duration::from_millis(50), |_| 0.0);
        }
        Self { saturated, guests, registry }
    }

    fn spilled(&self) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name().contains("spilled")).unwrap();
        family.get_metric()[0].get_counter().get_value()
    }
}

/// A stream that a client has just opened, and what has to live for it.
async fn stream() -> (Stream, impl Sized) {
    let (client, server) = duplex(64 << 10);
    let (client, server) = tokio::join!(h2::client::handshake(client), h2::server::handshake(server));
    let ((mut sender, connection), mut server) = (client.unwrap(), server.unwrap());
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(Request::new(()), true).unwrap();
    let (request, respond) = server.accept().await.unwrap().unwrap();
    let token = CancellationToken::new;
    let peer = ([127, 0, 0, 1], 1).into();
    let caller = Arc::new(Caller::new(peer, None, token(), token()));
    (Stream { request, respond, caller }, (connection, sender, answer, server))
}

#[tokio::test]
async fn a_connection_waits_for_the_streams_that_another_worker_serves() {
    let mut two = Two::new();
    let (stream, _alive) = stream().await;
    let home = TaskTracker::new();
    assert!(two.saturated.pass_on(stream, &home).is_none(), "it was to be passed on");
    home.close();
    assert!(futures::poll!(std::pin::pin!(home.wait())).is_pending());
    drop(two.guests.try_recv().unwrap());
    home.wait().await;
    assert_eq!(two.spilled(), 1.0);
}

#[tokio::test]
async fn a_stream_is_served_at_home_when_the_other_worker_takes_no_more() {
    let mut two = Two::new();
    two.guests.close();
    let (stream, _alive) = stream().await;
    let home = TaskTracker::new();
    assert!(two.saturated.pass_on(stream, &home).is_some(), "it is lost");
    assert!(home.is_empty());
    assert_eq!(two.spilled(), 0.0);
}

#[tokio::test]
async fn a_stream_is_served_at_home_when_the_other_worker_is_behind() {
    let two = Two::new();
    let home = TaskTracker::new();
    let mut alive = Vec::new();
    for number in 0..=QUEUE {
        let (stream, lives) = stream().await;
        alive.push(lives);
        assert_eq!(two.saturated.pass_on(stream, &home).is_some(), number == QUEUE, "{number}");
    }
    assert_eq!(home.len(), QUEUE);
}

#[tokio::test]
async fn the_only_worker_keeps_every_stream() {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let (only, _) = Neighbours::new(1, &metrics).pop().unwrap();
    let (stream, _alive) = stream().await;
    assert!(only.pass_on(stream, &TaskTracker::new()).is_some());
}
