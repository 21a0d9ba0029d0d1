//! Clusters whose connections fail in every way that there is: a request that may be repeated does not fail, and one
//! that may not is never sent twice.

use std::time::{Duration, Instant};

use e2e::client::{Answer, H2, bytes, empty};
use e2e::echo::{Echo, EchoOptions};
use e2e::lab::{Authority, Gateway, Identity, Registration};
use e2e::relay::Relay;
use http::Request;

use crate::through::{
    assert_failure, echo_cluster, master, own_gateway, path, received, register, until_code,
};

const CLUSTER: &str = "hostile";
/// When an idle connection is closed.
const IDLE: Duration = Duration::from_millis(15);
const SHORT: Duration = Duration::from_millis(1);

#[tokio::test]
async fn more_header_fields_than_a_map_can_have_are_refused_and_not_sent_on() {
    let hostile = Hostile::start("hostile-fields", EchoOptions::default(), &[]).await;
    let many = |count| {
        let mut request = Request::get(path(CLUSTER, "/many."));
        for _ in 0..count {
            request = request.header("a", "");
        }
        request.body(empty()).unwrap()
    };
    received(&hostile.connection.fetch(many(8000)).await.unwrap());
    let refused = hostile.connection.fetch(many(25_000)).await.unwrap();
    assert_eq!((refused.status, hostile.came("/many.")), (400, 1), "{}", refused.text());
    assert!(refused.text().contains("more than 8192 header fields"), "{}", refused.text());
}

#[tokio::test]
async fn no_read_fails_and_no_write_comes_twice_when_idle_connections_are_closed_just_as_they_are_reused() {
    for (name, options) in [("h2", EchoOptions::default()), ("h1", EchoOptions::h1())] {
        let hostile = Hostile::start(&format!("hostile-idle-{name}"), options.idle(IDLE), &[]).await;
        let mut failed = 0;
        for turn in 0..150 {
            // From a little before the connection is closed until a little after.
            let pause = IDLE - SHORT + SHORT * (turn % 8) / 2;
            tokio::time::sleep(pause).await;
            received(&hostile.get(&format!("/read-{turn}.")).await);
            tokio::time::sleep(pause).await;
            let answer = hostile.send("POST", &format!("/write-{turn}.")).await;
            let came = hostile.came(&format!("/write-{turn}."));
            if answer.status == 200 {
                assert_eq!(came, 1, "{name}: write {turn}");
            } else {
                assert_failure(&answer, answer.status, &[CLUSTER]);
                assert!(matches!(answer.status, 502 | 503) && came <= 1, "{name}: {came} {}", answer.text());
                failed += 1;
            }
        }
        let connections = hostile.echo.accepted();
        eprintln!("{name}: {failed} of 150 writes failed, none of the reads, {connections} connections");
        assert!(connections > 30, "{name}: {connections}: they were not closed often enough to say anything");
    }
}

#[tokio::test]
async fn a_connection_that_ends_instead_of_an_answer_is_made_up_for_where_that_changes_nothing() {
    for (name, options) in [("h2", EchoOptions::default()), ("h1", EchoOptions::h1())] {
        let hostile = Hostile::start(&format!("hostile-stale-{name}"), options, &[]).await;
        for turn in 0..20 {
            // There is a connection now that has had a request.
            received(&hostile.get("/warm").await);
            let target = format!("/read-{turn}.?stale=1");
            received(&hostile.get(&target).await);
            assert_eq!(hostile.came(&target), 2, "{name}: once in vain, once on a new connection");
            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                received(&hostile.get("/warm").await);
                let target = format!("/{method}-{turn}.?stale=1");
                let answer = hostile.send(method, &target).await;
                assert_failure(&answer, 502, &[CLUSTER]);
                assert_eq!(hostile.came(&target), 1, "{name}: {method}");
            }
        }
    }
}

#[tokio::test]
async fn what_breaks_off_after_its_header_is_not_asked_for_again() {
    for (name, options) in [("h2", EchoOptions::default()), ("h1", EchoOptions::h1())] {
        let hostile = Hostile::start(&format!("hostile-cut-{name}"), options, &[]).await;
        for turn in 0..5 {
            // In pieces with time between them, so that no reset overtakes the header.
            let target = format!("/cut-{turn}.?watch=50&cut=100");
            let request = Request::get(path(CLUSTER, &target)).body(empty()).unwrap();
            let broken = hostile.connection.fetch(request).await;
            assert!(broken.is_err(), "{name}: a body that broke off looks whole");
            assert_eq!(hostile.came(&target), 1, "{name}");
        }
    }
}

#[tokio::test]
async fn a_slow_header_is_waited_for_as_long_as_may_be() {
    let flags = ["--request-timeout=2s"];
    let hostile = Hostile::start("hostile-slow", EchoOptions::h1(), &flags).await;
    received(&hostile.get("/slow?drip=100").await);
    let began = Instant::now();
    let answer = hostile.get("/slower?drip=1500").await;
    assert_failure(&answer, 504, &[CLUSTER, "2 s"]);
    assert!(began.elapsed() < Duration::from_secs(10), "told after {:?}", began.elapsed());
    assert_eq!(hostile.came("/slower"), 1);
    received(&hostile.get("/next").await);
}

#[tokio::test]
async fn a_half_open_connection_over_http1_is_given_up_with_the_request_that_met_it() {
    let flags = ["--request-timeout=2s"];
    let hostile = Hostile::start("hostile-half-h1", EchoOptions::h1(), &flags).await;
    assert_eq!(hostile.relay.freeze(), 1);
    let answer = hostile.send("POST", "/lost").await;
    assert_failure(&answer, 504, &[CLUSTER, "2 s"]);
    received(&hostile.get("/found").await);
    assert_eq!(hostile.came("/lost"), 0, "it was sent again");
}

#[tokio::test]
#[ignore = "long: an HTTP/2 connection is pinged for 45 seconds before it is given up"]
async fn a_half_open_connection_over_http2_fails_no_read_and_repeats_no_write() {
    let hostile = Hostile::start("hostile-half-h2", EchoOptions::default(), &[]).await;
    assert_eq!(hostile.relay.freeze(), 1);
    let began = Instant::now();
    let reads = futures::future::join_all((0..20).map(|_| hostile.get("/found")));
    let writes = futures::future::join_all((0..20).map(|_| hostile.send("POST", "/lost")));
    let (reads, writes) = futures::join!(reads, writes);
    eprintln!("a frozen connection was given up after {:?}", began.elapsed());
    reads.iter().for_each(|answer| drop(received(answer)));
    for answer in writes {
        assert_failure(&answer, 502, &[CLUSTER]);
    }
    assert_eq!((hostile.came("/found"), hostile.came("/lost")), (20, 0));
    assert!(hostile.echo.accepted() <= 3, "{} connections", hostile.echo.accepted());
}

/// An echo behind a relay, and a gateway of its own.
struct Hostile {
    echo: Echo,
    relay: Relay,
    connection: H2,
    _gateway: Gateway,
}

impl Hostile {
    async fn start(namespace: &str, options: EchoOptions, flags: &[&str]) -> Self {
        let people = Authority::new("people").unwrap();
        let echo = Echo::start(options.client_ca(people.pem())).unwrap();
        let relay = Relay::start(echo.address()).unwrap();
        let gateway = own_gateway(namespace, flags).await;
        let identity: Identity = people.client("gateway", &[]).unwrap();
        let cluster: Registration = echo_cluster(namespace, CLUSTER, &echo, &identity);
        register([&cluster.data("endpoint", format!("https://{}", relay.address()))]).await;
        let connection = master(&gateway).h2().await.unwrap();
        until_code(&connection, &path(CLUSTER, "/ready"), 200).await;
        Self { echo, relay, connection, _gateway: gateway }
    }

    async fn get(&self, target: &str) -> Answer {
        self.connection.get(&path(CLUSTER, target)).await.unwrap()
    }

    async fn send(&self, method: &str, target: &str) -> Answer {
        let request = Request::builder().method(method).uri(path(CLUSTER, target)).body(bytes("{}")).unwrap();
        self.connection.fetch(request).await.unwrap()
    }

    /// How often requests came to the cluster whose target starts so.
    fn came(&self, target: &str) -> usize {
        self.echo.received().iter().filter(|received| received.target.starts_with(target)).count()
    }
}
