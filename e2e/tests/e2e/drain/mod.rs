//! SIGTERM: what runs ends well, what comes goes elsewhere.

mod traveller;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::client::{H1, H2, empty};
use e2e::echo::{Echo, EchoOptions};
use e2e::lab::{Authority, Gateway, until};
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::through::{echo_cluster, first_event, master, own_gateway, path, register, until_code};
use traveller::{Ledger, Travellers};

const CLUSTER: &str = "steady";

#[tokio::test]
async fn no_request_fails_while_each_of_two_replicas_is_ended_in_turn() {
    let flags = ["--shutdown-delay-duration=500ms", "--drain-timeout=15s"];
    let (echo, first) = with_echo("t2-rolling", &flags).await;
    let second = own_gateway("t2-rolling", &flags).await;
    let replicas = [master(&first), master(&second)];
    for replica in &replicas {
        until_code(&replica.h2().await.unwrap(), &path(CLUSTER, "/x"), 200).await;
    }
    let echo = Arc::new(echo);
    let travellers = Travellers::start(&replicas, Arc::clone(&echo));
    let mut done = travellers.served(5, Ledger::default()).await;
    for ended in [&first, &second] {
        ended.sigterm().unwrap();
        assert_eq!(
            ended.wait_exit(Duration::from_secs(20)).await.unwrap(),
            0,
            "{}",
            ended.process().log_tail(9)
        );
        // The other one serves all of them now.
        done = travellers.served(5, done).await;
        ended.start_again().await.unwrap();
    }
    let ledger = travellers.stop().await;
    eprintln!("{ledger:?}");
    assert_eq!(ledger.failed, Vec::<String>::new());
    assert!(ledger.moved >= 2, "nobody changed replicas: {ledger:?}");
}

#[tokio::test]
async fn readiness_goes_first_then_watches_end_cleanly_and_what_runs_is_finished() {
    let flags = ["--shutdown-delay-duration=4s", "--drain-timeout=20s"];
    let (echo, gateway) = with_echo("t2-drain", &flags).await;
    let client = master(&gateway);
    let connection = client.h2().await.unwrap();
    let mut keep_alive = client.h1().await.unwrap();
    until_code(&connection, &path(CLUSTER, "/x"), 200).await;
    let watches = Watches::open(&gateway).await;
    // Slow enough to be there still when all else has ended, and with a body on its way.
    let slow = path(CLUSTER, "/slow?delay=6500&size=3000000");
    let sender = connection.clone();
    let slow = tokio::spawn(async move { sender.get(&slow).await });
    let mut slow_h1 = client.h1().await.unwrap();
    let slow_h1 = tokio::spawn(async move {
        let answer = slow_h1.get(&path(CLUSTER, "/slow-too?delay=6500")).await;
        (answer, slow_h1)
    });
    until("slow requests at the cluster", Duration::from_secs(20), || async {
        ensure!(echo.last("/slow?").is_some() && echo.last("/slow-too").is_some(), "not there");
        Ok(())
    })
    .await
    .unwrap();

    let began = Instant::now();
    gateway.sigterm().unwrap();
    // Not ready, but everything is served, over new connections too, until the delay is over.
    until("not ready", Duration::from_secs(4), || async {
        let answer = gateway.anonymous()?.h1().await?.get("/readyz").await?;
        ensure!(answer.status == 500, "{} {}", answer.status, answer.text());
        ensure!(answer.text().contains("[-]shutdown failed"), "{}", answer.text());
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(gateway.anonymous().unwrap().h1().await.unwrap().get("/livez").await.unwrap().status, 200);
    let late = client.h2().await.unwrap();
    for answer in [
        late.get(&path(CLUSTER, "/late")).await.unwrap(),
        connection.get(&path(CLUSTER, "/late")).await.unwrap(),
        keep_alive.get(&path(CLUSTER, "/late")).await.unwrap(),
    ] {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert!(began.elapsed() < Duration::from_secs(4), "this machine is too slow: the delay was over before");

    watches.end_cleanly().await;
    assert!(began.elapsed() >= Duration::from_secs(4), "watches ended before the delay was over");
    let slow = slow.await.unwrap().unwrap();
    assert_eq!((slow.status, slow.body.len()), (200, 3_000_000));
    let (answer, _connection) = slow_h1.await.unwrap();
    assert_eq!(answer.unwrap().status, 200);
    until("the connections to be closed", Duration::from_secs(20), || async {
        ensure!(connection.is_closed() && late.is_closed() && keep_alive.is_closed(), "open");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(
        gateway.wait_exit(Duration::from_secs(20)).await.unwrap(),
        0,
        "{}",
        gateway.process().log_tail(9)
    );
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
}

#[tokio::test]
async fn what_does_not_end_is_cut_off_at_the_limit_and_the_exit_code_is_still_0() {
    let flags = ["--shutdown-delay-duration=0s", "--drain-timeout=2s"];
    let (echo, gateway) = with_echo("t2-limit", &flags).await;
    let connection = master(&gateway).h2().await.unwrap();
    until_code(&connection, &path(CLUSTER, "/x"), 200).await;
    let endless = tokio::spawn(async move { connection.get(&path(CLUSTER, "/endless?delay=50000")).await });
    until("the request at the cluster", Duration::from_secs(20), || async {
        ensure!(echo.last("/endless").is_some(), "not there");
        Ok(())
    })
    .await
    .unwrap();
    let began = Instant::now();
    gateway.sigterm().unwrap();
    assert_eq!(
        gateway.wait_exit(Duration::from_secs(20)).await.unwrap(),
        0,
        "{}",
        gateway.process().log_tail(9)
    );
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(10), "it took {took:?}");
    assert!(endless.await.unwrap().is_err(), "a request that was cut off was answered");
}

/// A gateway with an echo as its cluster.
async fn with_echo(namespace: &str, flags: &[&str]) -> (Echo, Gateway) {
    let people = Authority::new("people").unwrap();
    let echo = Echo::start(EchoOptions::default().client_ca(people.pem())).unwrap();
    let gateway = own_gateway(namespace, flags).await;
    let identity = people.client("gateway", &[]).unwrap();
    register([&echo_cluster(namespace, CLUSTER, &echo, &identity)]).await;
    (echo, gateway)
}

/// Watches with events and without, over both protocols.
struct Watches {
    open: Vec<Incoming>,
    _connections: (Vec<H1>, H2),
}

impl Watches {
    async fn open(gateway: &Gateway) -> Self {
        let client = master(gateway);
        let h2 = client.h2().await.unwrap();
        let request = |number: usize| {
            let interval = if number.is_multiple_of(2) { 20 } else { 3_600_000 };
            let rest = format!("/api/v1/pods?watch={interval}");
            Request::get(path(CLUSTER, &rest)).body(empty()).unwrap()
        };
        let (mut open, mut h1s) = (Vec::new(), Vec::new());
        for number in 0..20 {
            open.push(h2.send(request(number)).await.unwrap().into_body());
        }
        for number in 0..4 {
            let mut h1 = client.h1().await.unwrap();
            open.push(h1.send(request(number)).await.unwrap().into_body());
            h1s.push(h1);
        }
        for body in &mut open {
            first_event(body).await.unwrap();
        }
        Self { open, _connections: (h1s, h2) }
    }

    /// Each ends as a watch ends whose time is over: after a whole event, with the end of its stream.
    async fn end_cleanly(self) {
        for (number, mut body) in self.open.into_iter().enumerate() {
            let mut text = Vec::new();
            let end = tokio::time::timeout(Duration::from_secs(20), async {
                while let Some(frame) = body.frame().await {
                    text.extend_from_slice(frame?.data_ref().map(AsRef::as_ref).unwrap_or_default());
                }
                Ok::<_, hyper::Error>(())
            });
            end.await.expect("it did not end").unwrap_or_else(|error| panic!("watch {number}: {error:?}"));
            let text = String::from_utf8(text).unwrap();
            assert!(text.is_empty() || text.ends_with("}\n"), "it ended in an event: {text:?}");
        }
    }
}
