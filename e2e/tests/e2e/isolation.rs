//! Clusters at one address have nothing in common: no connection, no trust, no credential.

use std::collections::{BTreeMap, BTreeSet};

use e2e::client::{Answer, H2};
use e2e::echo::{Echo, EchoOptions, Received};
use e2e::lab::{Authority, CertificateRequest, Gateway, Registration};
use futures::future::{join_all, try_join_all};

use crate::through::{
    assert_failure, echo_cluster, master, own_gateway, path, received, register, until_code,
};

/// Requests to each cluster, all at once.
const EACH: usize = 30;

#[tokio::test]
async fn clusters_at_one_address_never_share_a_connection_over_http2() {
    never_share("t2-share-h2", EchoOptions::default()).await;
}

#[tokio::test]
async fn clusters_at_one_address_never_share_a_connection_over_http1() {
    never_share("t2-share-h1", EchoOptions::h1()).await;
}

async fn never_share(namespace: &str, options: EchoOptions) {
    let people = Authority::new("people").unwrap();
    // The same serial number: a pool that tells certificates apart by it would mix them up.
    let issue = |name: &str| people.issue(&CertificateRequest::client(name, &[]).serial(7)).unwrap();
    let (alice, bob) = (issue("alice"), issue("bob"));
    let over_h2 = options.protocols.len() > 1;
    let echo = Echo::start(options.client_ca(people.pem())).unwrap();
    let gateway = own_gateway(namespace, &[]).await;
    let cluster = |name: &str, identity| echo_cluster(namespace, name, &echo, identity);
    // Two have everything but their name in common.
    let clusters = [cluster("of-alice", &alice), cluster("of-bob", &bob), cluster("also-of-bob", &bob)];
    let names = ["of-alice", "of-bob", "also-of-bob"];
    register(&clusters).await;
    // A connection for each worker, as two hubs would have them.
    let connections = connect(&gateway, 4).await;
    for name in names {
        until_code(&connections[0], &path(name, "/ready"), 200).await;
    }
    for answer in ask_at_once(&connections, &names).await {
        received(&answer);
    }
    // And one right after the other.
    for round in 0..10 {
        for name in names {
            received(&connections[round % 4].get(&path(name, &format!("/{name}/x"))).await.unwrap());
        }
    }
    let mut used: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for request in echo.received() {
        let Some(name) = names.into_iter().find(|name| request.target.starts_with(&format!("/{name}/")))
        else {
            continue;
        };
        let owner = if name == "of-alice" { "alice" } else { "bob" };
        assert_eq!(request.client.as_deref(), Some(owner), "{}", request.target);
        used.entry(name).or_default().insert(request.connection);
    }
    let total: usize = used.values().map(BTreeSet::len).sum();
    let different: BTreeSet<usize> = used.values().flatten().copied().collect();
    assert_eq!(used.len(), 3);
    assert_eq!(total, different.len(), "shared: {used:?}");
    // It is not by a connection for each request that nothing is shared.
    let workers = std::thread::available_parallelism().unwrap().get();
    if over_h2 {
        assert!(echo.accepted() <= (3 * workers) as u64, "{} connections", echo.accepted());
    } else {
        // One for each that was under way at one time; the thirty after them needed none.
        assert!(echo.accepted() <= (3 * EACH + 3) as u64, "{} connections", echo.accepted());
    }
}

#[tokio::test]
async fn a_cluster_with_a_wrong_ca_is_refused_while_its_neighbours_at_the_address_work() {
    let people = Authority::new("people").unwrap();
    let identity = people.client("gateway", &[]).unwrap();
    let echo = Echo::start(EchoOptions::default().named("victim").client_ca(people.pem())).unwrap();
    // Of the same name as the right one.
    let wrong = Authority::new("victim-ca").unwrap();
    let namespace = "t2-wrong-ca";
    let gateway = own_gateway(namespace, &[]).await;
    register(&[
        echo_cluster(namespace, "right", &echo, &identity),
        echo_cluster(namespace, "unverified", &echo, &identity).without_ca(),
        Registration::x509(namespace, "wrong", &echo.url(), wrong.pem(), &identity),
    ])
    .await;
    let connections = connect(&gateway, 2).await;
    for name in ["right", "unverified"] {
        until_code(&connections[0], &path(name, "/ready"), 200).await;
    }
    until_code(&connections[0], &path("wrong", "/ready"), 502).await;
    let address = echo.address().to_string();
    let judge = |name: &str, answer: &Answer| match name {
        "wrong" => assert_failure(answer, 502, &["\"wrong\"", "not trusted", &address, "ca.crt"]),
        _ => drop(received(answer)),
    };
    for _ in 0..5 {
        for name in ["right", "wrong", "unverified", "wrong"] {
            judge(name, &connections[0].get(&path(name, "/x")).await.unwrap());
        }
    }
    let names = ["right", "wrong", "unverified"];
    for (answer, name) in ask_at_once(&connections, &names).await.iter().zip(names.into_iter().cycle()) {
        judge(name, answer);
    }
    assert!(echo.last("/wrong").is_none(), "a request went to a server that is not trusted");
}

#[tokio::test]
async fn each_cluster_at_an_address_is_shown_its_own_credential_and_nothing_else() {
    let people = Authority::new("people").unwrap();
    let identity = people.client("certificate-holder", &[]).unwrap();
    let echo = Echo::start(EchoOptions::default().client_ca(people.pem()).client_optional()).unwrap();
    let namespace = "t2-credentials";
    let gateway = own_gateway(namespace, &[]).await;
    let by_token =
        |name: &str, token: &str| Registration::token(namespace, name, &echo.url(), echo.ca_pem(), token);
    register(&[
        by_token("token-one", "first-secret"),
        by_token("token-two", "second-secret"),
        echo_cluster(namespace, "certified", &echo, &identity),
    ])
    .await;
    let connections = connect(&gateway, 2).await;
    let names = ["token-one", "token-two", "certified"];
    for name in names {
        until_code(&connections[0], &path(name, "/ready"), 200).await;
    }
    for (answer, name) in ask_at_once(&connections, &names).await.iter().zip(names.into_iter().cycle()) {
        let request = received(answer);
        let shown = (request.client.as_deref(), request.header("authorization"));
        let expected = match name {
            "token-one" => (None, vec!["Bearer first-secret"]),
            "token-two" => (None, vec!["Bearer second-secret"]),
            _ => (Some("certificate-holder"), vec![]),
        };
        assert_eq!(shown, expected, "{name}");
    }
    let connections_of = |client: Option<&str>| -> BTreeSet<usize> {
        let shown = |request: &&Received| request.client.as_deref() == client;
        echo.received().iter().filter(shown).map(|request| request.connection).collect()
    };
    assert!(connections_of(None).is_disjoint(&connections_of(Some("certificate-holder"))));
    let logs = gateway.logs();
    assert!(!logs.contains("first-secret") && !logs.contains("second-secret"), "a token is in the log");
}

async fn connect(gateway: &Gateway, count: usize) -> Vec<H2> {
    let client = master(gateway);
    try_join_all((0..count).map(|_| client.h2())).await.unwrap()
}

/// [`EACH`] requests to each cluster at one time, the clusters in turn; each tells its cluster in its path.
async fn ask_at_once(connections: &[H2], names: &[&str]) -> Vec<Answer> {
    let ask = |number: usize| {
        let name = names[number % names.len()];
        // So that they overlap.
        let path = path(name, &format!("/{name}/x?delay=20"));
        let connection = &connections[number % connections.len()];
        async move { connection.get(&path).await.unwrap() }
    };
    join_all((0..EACH * names.len()).map(ask)).await
}
