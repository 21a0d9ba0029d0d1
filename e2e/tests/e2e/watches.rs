//! Many watches at once on a cold pool: all of them succeed, over as few connections as their streams need.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::client::{Answer, H2, HttpsClient, empty};
use e2e::echo::{Echo, EchoOptions};
use e2e::lab::sockets::connections_to;
use e2e::lab::{Authority, Exposure, Gateway, GatewayOptions, Registration, shared, until};
use futures::future::try_join_all;
use http::Request;
use hyper::body::Incoming;

use crate::through::{echo_cluster, first_event, master, own_gateway, path, register, until_code};

/// One event at once and no other for an hour.
const QUIET: &str = "/api/v1/pods?watch=3600000";
/// One event at once: the name that every member carries.
const WHOAMI: &str =
    "/api/v1/namespaces/default/configmaps?watch=true&fieldSelector=metadata.name%3Dwhoami&resourceVersion=0";

#[tokio::test]
async fn a_thousand_watches_opened_at_once_need_ten_connections_of_a_hundred_streams() {
    let watches = Watches::of_an_echo("t2-thousand", EchoOptions::default().streams(100), 1000).await;
    assert_eq!(watches.echo.live(), 10, "{:?}", watches.echo.requests_per_connection());
    // Nor were there more that are closed by now.
    assert_eq!(watches.echo.accepted(), 10);
    // There is room beside them for a request that is not one of them.
    let beside = master(&watches.gateway).h2().await.unwrap();
    until_code(&beside, &path("watched", "/x"), 200).await;
    let watches = watches.leave().await;
    // Their places are free again: as many watches find room where the first ones were.
    let again = open(&watches.connections, "watched", QUIET, 1000, "ADDED").await.unwrap();
    assert_eq!(again.len(), 1000);
    let accepted = watches.echo.accepted();
    assert!(accepted <= 11, "{accepted} connections: {:?}", watches.echo.requests_per_connection());
}

#[tokio::test]
async fn a_server_s_own_limit_of_streams_is_kept_and_used_up() {
    let watches = Watches::of_an_echo("t2-seven", EchoOptions::default().streams(7), 50).await;
    // As many as fifty streams need; and not much beyond while the limit was not known yet.
    let (live, accepted) = (watches.echo.live(), watches.echo.accepted());
    let per_connection = watches.echo.requests_per_connection();
    assert!(per_connection.iter().all(|requests| *requests <= 7), "{per_connection:?}");
    assert!((8..=9).contains(&live) && accepted <= 9, "{live} of {accepted}: {per_connection:?}");
    watches.leave().await;
}

#[tokio::test]
async fn a_server_with_many_streams_is_needed_once() {
    let watches = Watches::of_an_echo("t2-many-streams", EchoOptions::default().streams(1000), 500).await;
    assert!(watches.echo.accepted() <= 5, "{:?}", watches.echo.requests_per_connection());
    watches.leave().await;
}

#[tokio::test]
async fn watches_on_a_cluster_that_speaks_http1_only_all_succeed() {
    let watches = Watches::of_an_echo("t2-watch-h1", EchoOptions::h1(), 200).await;
    assert_eq!(watches.echo.live(), 200);
    watches.leave().await;
}

#[tokio::test]
async fn a_thousand_watches_opened_at_once_on_a_real_member_all_succeed() {
    let member = shared().await.member(1);
    let gateway = own_gateway("t2-member-watches", &[]).await;
    // Exempt from the member's priority and fairness: its admin.
    register([&Registration::member("t2-member-watches", member).unwrap()]).await;
    let connection = master(&gateway).h2().await.unwrap();
    let known = format!("/apis/cluster.core.oam.dev/v1alpha1/clustergateways/{}", member.name());
    until_code(&connection, &known, 200).await;
    let pid = gateway.process().pid().unwrap();
    assert_eq!(connections_to(pid, member.port()).unwrap(), 0, "the pool is not cold");
    let before = gateway.rss_kb().unwrap();
    let began = Instant::now();
    let watches = open(&[connection], member.name(), WHOAMI, 1000, "whoami").await.unwrap();
    let took = began.elapsed();
    let connections = connections_to(pid, member.port()).unwrap();
    report("a real member", watches.len(), connections, took, before, &gateway);
    assert_eq!(connections, 10, "kube-apiserver allows a hundred streams on each");
}

#[tokio::test]
#[ignore = "long: a thousand watches through a hub of its own, opened five times"]
async fn a_thousand_watches_through_a_hub_succeed_each_time() {
    let lab = shared().await;
    let member = lab.start_member("t2-watched").await.unwrap();
    let hub = lab.start_hub("t2-watch-hub").await.unwrap();
    let gateway = Gateway::start(&hub, GatewayOptions::new(&hub, "t2-watch-hub")).await.unwrap();
    let client = hub.admin_client().await.unwrap();
    Registration::member("t2-watch-hub", &member).unwrap().apply(&client).await.unwrap();
    gateway.expose(&hub, Exposure::ExternalName).await.unwrap();
    let address = ([127, 0, 0, 1], hub.port()).into();
    let client = HttpsClient::new(address, "127.0.0.1", &hub.ca_pem(), Some(&hub.admin())).unwrap();
    let pid = gateway.process().pid().unwrap();
    for _ in 0..5 {
        // A hub allows a hundred streams on each of its clients' connections.
        let connections = try_join_all((0..10).map(|_| client.h2())).await.unwrap();
        let before = gateway.rss_kb().unwrap();
        let began = Instant::now();
        let watches = open(&connections, member.name(), WHOAMI, 1000, "whoami").await.unwrap();
        let count = connections_to(pid, member.port()).unwrap();
        report("a real member through a hub", watches.len(), count, began.elapsed(), before, &gateway);
        assert!(count <= 12, "{count} connections");
        drop((watches, connections));
    }
}

/// Watches that are open, on an echo that is a cluster called `watched`.
struct Watches {
    echo: Echo,
    gateway: Gateway,
    connections: Vec<H2>,
    open: Vec<Incoming>,
    over_h2: bool,
}

impl Watches {
    async fn of_an_echo(namespace: &str, options: EchoOptions, count: usize) -> Self {
        let people = Authority::new("people").unwrap();
        let over_h2 = options.protocols.len() > 1;
        let echo = Echo::start(options.client_ca(people.pem())).unwrap();
        let gateway = own_gateway(namespace, &[]).await;
        let identity = people.client("gateway", &[]).unwrap();
        register([&echo_cluster(namespace, "watched", &echo, &identity)]).await;
        // One connection carries a hub's whole traffic.
        let connection = master(&gateway).h2().await.unwrap();
        until_code(&connection, "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/watched", 200).await;
        assert_eq!(echo.accepted(), 0, "the pool is not cold");
        let before = gateway.rss_kb().unwrap();
        let began = Instant::now();
        let connections = vec![connection];
        let open = open(&connections, "watched", QUIET, count, "ADDED").await.unwrap();
        report(namespace, open.len(), echo.live() as usize, began.elapsed(), before, &gateway);
        Self { echo, gateway, connections, open, over_h2 }
    }

    /// The clients leave: nothing is left of their streams, no more than one connection where each had its own.
    async fn leave(mut self) -> Self {
        self.open.clear();
        let pid = self.gateway.process().pid().unwrap();
        let most = if self.over_h2 { self.echo.live() as usize } else { 1 };
        until("the gateway to let the cluster go", Duration::from_secs(20), || async {
            let upstream = connections_to(pid, self.echo.address().port())?;
            ensure!(upstream <= most, "{upstream} connections");
            Ok(())
        })
        .await
        .unwrap();
        until_code(&self.connections[0], &path("watched", "/after"), 200).await;
        self
    }
}

/// Opens all of them at once, and reads the first event of each.
async fn open(
    connections: &[H2],
    cluster: &str,
    rest: &str,
    count: usize,
    expected: &str,
) -> Result<Vec<Incoming>> {
    let one = |number: usize| {
        let connection = connections[number % connections.len()].clone();
        let target = path(cluster, rest);
        async move {
            let response = connection.send(Request::get(target).body(empty())?).await?;
            if response.status() != 200 {
                let answer = Answer::read(response).await?;
                anyhow::bail!("{} {}", answer.status, answer.text());
            }
            let mut body = response.into_body();
            let event = first_event(&mut body).await?;
            ensure!(event.contains(expected), "{event}");
            Ok(body)
        }
    };
    let all = try_join_all((0..count).map(|number| {
        let one = one(number);
        async move { one.await.with_context(|| format!("watch {number} of {count}")) }
    }));
    tokio::time::timeout(Duration::from_secs(60), all).await.context("not all were opened in time")?
}

fn report(what: &str, watches: usize, connections: usize, took: Duration, before: u64, gateway: &Gateway) {
    let kb = gateway.rss_kb().unwrap().saturating_sub(before) as f64 / watches as f64;
    eprintln!(
        "{what}: {watches} watches in {took:?} over {connections} connections, {kb:.1} kB of the gateway each"
    );
}
