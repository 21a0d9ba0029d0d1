//! Connections that are told to end because they are old.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::client::{HttpsClient, bytes as body, empty};
use e2e::echo::{Echo, EchoOptions};
use e2e::lab::{Authority, Exposure, Gateway, GatewayOptions, shared, until};
use e2e::relay::Relay;
use http::Request;
use tokio::task::JoinSet;

use crate::through::{echo_cluster, first_event, master, own_gateway, path, register, until_code};

const CLUSTER: &str = "ageing";
/// Callers of the hub.
const CALLERS: usize = 12;
/// Connections that the hub has had in the end.
const CONNECTIONS: u64 = 5;
const LIMIT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_under_load_changes_connections_without_a_failed_request_and_keeps_its_watches() {
    let hub = shared().await.start_hub("ageing-hub").await.unwrap();
    let people = Authority::new("people").unwrap();
    let echo = Echo::start(EchoOptions::default().client_ca(people.pem())).unwrap();
    let options = GatewayOptions::new(&hub, "ageing").flag("--max-connection-age=2s");
    let gateway = Gateway::start(&hub, options).await.unwrap();
    let identity = people.client("gateway", &[]).unwrap();
    let cluster = echo_cluster("ageing", CLUSTER, &echo, &identity);
    cluster.apply(&hub.admin_client().await.unwrap()).await.unwrap();
    let relay = Relay::start(gateway.address()).unwrap();
    gateway.expose_at(&hub, Exposure::ExternalName, relay.address().port()).await.unwrap();
    let address = ([127, 0, 0, 1], hub.port()).into();
    let client = HttpsClient::new(address, "localhost", &hub.ca_pem(), Some(&hub.admin())).unwrap();
    let connection = client.h2().await.unwrap();
    until_code(&connection, &path(CLUSTER, "/x"), 200).await;

    let watch = Request::get(path(CLUSTER, "/api/v1/pods?watch=100")).body(empty()).unwrap();
    let mut watch = connection.send(watch).await.unwrap().into_body();
    first_event(&mut watch).await.unwrap();
    let first = relay.accepted();

    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (connection, stop) = (client.h2().await.unwrap(), Arc::clone(&stop));
        callers.spawn(async move {
            let mut answers = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let target = path(CLUSTER, &format!("/of-{caller}?number={answers}"));
                // One that nobody may repeat, and one with a body on its way for a while.
                let answer = match answers % 2 {
                    0 => connection.fetch(Request::post(target).body(body("once"))?).await?,
                    _ => connection.get(&format!("{target}&size=200000")).await?,
                };
                ensure!(answer.status == 200, "answer {answers}: {} {}", answer.status, answer.text());
                answers += 1;
            }
            Ok(answers)
        });
    }
    until("connections of age", LIMIT, || async {
        ensure!(relay.accepted() >= first + CONNECTIONS, "{} since {first}", relay.accepted());
        Ok(())
    })
    .await
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    let mut answers = 0;
    while let Some(ended) = callers.join_next().await {
        let ended: Result<u64> = ended.unwrap();
        answers += ended.unwrap();
    }
    // What was opened over the first connection goes on: beyond the last of what was on its way until now.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        first_event(&mut watch).await.unwrap();
    }
    println!("{answers} answers over {} connections", relay.accepted());
    // Those that have nothing any more are closed, those with a watch are not.
    drop(watch);
    until("old connections are closed", LIMIT, || async {
        ensure!(relay.live() <= 2, "{} are open", relay.live());
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn callers_are_told_how_many_streams_a_connection_may_have() {
    let gateway = own_gateway("ageing-streams", &["--http2-max-streams-per-connection=7"]).await;
    let stream = master(&gateway).tls(&["h2"]).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    until("the settings", LIMIT, || async {
        ensure!(sender.current_max_send_streams() == 7, "{}", sender.current_max_send_streams());
        Ok(())
    })
    .await
    .unwrap();
    connection.abort();
}

#[tokio::test]
async fn a_kept_alive_connection_ends_with_an_answer_that_says_so_and_not_while_it_is_idle() {
    let people = Authority::new("people").unwrap();
    let echo = Echo::start(EchoOptions::default().client_ca(people.pem())).unwrap();
    let gateway = own_gateway("ageing-h1", &["--max-connection-age=1s"]).await;
    let identity = people.client("gateway", &[]).unwrap();
    register([&echo_cluster("ageing-h1", CLUSTER, &echo, &identity)]).await;
    let client = master(&gateway);
    until_code(&client.h2().await.unwrap(), &path(CLUSTER, "/x"), 200).await;
    let (mut connection, mut idle) = (client.h1().await.unwrap(), client.h1().await.unwrap());
    let made = Instant::now();
    assert_eq!(idle.get("/version").await.unwrap().header("connection"), Some("keep-alive"));
    let limit = Instant::now() + LIMIT;
    loop {
        let answer = connection.get(&path(CLUSTER, "/y")).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        if answer.header("connection") == Some("close") {
            break;
        }
        assert!(Instant::now() < limit, "it is never of age");
    }
    until("it is closed", LIMIT, || async {
        ensure!(connection.is_closed(), "it is open");
        Ok(())
    })
    .await
    .unwrap();
    // Made after the other one, and asked for nothing since. Ages differ by a tenth either way.
    until("it is of age", LIMIT, || async {
        ensure!(made.elapsed() > Duration::from_millis(1100), "{:?}", made.elapsed());
        Ok(())
    })
    .await
    .unwrap();
    assert!(!idle.is_closed());
    let last = idle.get(&path(CLUSTER, "/z")).await.unwrap();
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    let metrics = client.h1().await.unwrap().get("/metrics").await.unwrap().text();
    let aged = metrics.lines().find_map(|line| line.strip_prefix("cluster_gateway_aged_connections_total "));
    assert!(aged.unwrap().parse::<u64>().unwrap() >= 2, "{aged:?}");
}
