//! Whatever callers make up, there are no more series and no more memory.

use e2e::client::{H2, bytes, empty};
use e2e::echo::{Echo, EchoOptions};
use e2e::lab::Authority;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::{Method, Request};

use crate::identity::GATEWAYS;
use crate::through::{echo_cluster, master, own_gateway, path, register, until_code};

const NAMESPACE: &str = "metrics-flood";
/// In so many every method has met every code.
const FIRST: usize = 8_000;
const FLOOD: usize = 40_000;
/// What an allocator may take meanwhile, kB. A series, or a remembered path, for each request would be ten times that.
const FLAT: u64 = 4 << 10;

#[tokio::test]
async fn tens_of_thousands_of_made_up_paths_names_and_methods_leave_series_and_memory_flat() {
    let gateway = own_gateway(NAMESPACE, &[]).await;
    let echo = Echo::start(EchoOptions::default()).unwrap();
    let identity = Authority::new("flood-ca").unwrap().client("gateway", &[]).unwrap();
    register([&echo_cluster(NAMESPACE, "echo", &echo, &identity)]).await;
    let connection = master(&gateway).h2().await.unwrap();
    until_code(&connection, &path("echo", "/api"), 200).await;
    flood(&connection, 0..FIRST).await;
    let before = (scrape(&connection).await, gateway.rss_kb().unwrap());
    flood(&connection, FIRST..FIRST + FLOOD).await;
    let after = (scrape(&connection).await, gateway.rss_kb().unwrap());
    let (few, many) = (before.0.lines().count(), after.0.lines().count());
    eprintln!(
        "{FLOOD} requests: {few} lines before, {many} after; {} kB before, {} after",
        before.1, after.1
    );
    assert_eq!(many, few, "there are new series");
    assert!(after.1 < before.1 + FLAT, "{} kB before, {} kB after", before.1, after.1);
    let made_up = after.0.lines().find(|line| line.contains("made-up"));
    assert_eq!(made_up, None, "what a caller made up is told");
}

async fn scrape(connection: &H2) -> String {
    let answer = connection.get("/metrics").await.unwrap();
    assert_eq!(answer.status, 200);
    answer.text()
}

async fn flood(connection: &H2, numbers: std::ops::Range<usize>) {
    let requests = numbers.map(|number| {
        let request = request(number);
        async move { connection.fetch(request).await.map(drop) }
    });
    stream::iter(requests).buffer_unordered(64).try_collect::<Vec<_>>().await.unwrap();
}

/// Each with a name of its own, in one of the places for names.
fn request(number: usize) -> Request<e2e::client::Body> {
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "MADE-UP"];
    let method = methods[number % methods.len()];
    let status = 200 + number / methods.len() % 400;
    let target = match number % 5 {
        0 => path("echo", &format!("/apis/made-up-{number}/v1/made-up-{number}/a?status={status}")),
        1 => path(
            "echo",
            &format!("/api/v1/namespaces/made-up-{number}/pods/made-up-{number}?status={status}"),
        ),
        2 => path("echo", &format!("/made-up-{number}/{number}?status={status}")),
        3 => path(&format!("made-up-{number}"), "/api"),
        _ => format!("{GATEWAYS}/made-up-{number}"),
    };
    let method = match method {
        "MADE-UP" => Method::from_bytes(format!("MADE-UP-{number}").as_bytes()).unwrap(),
        method => method.parse().unwrap(),
    };
    let body =
        if matches!(method, Method::POST | Method::PUT | Method::PATCH) { bytes("{}") } else { empty() };
    Request::builder().method(method).uri(target).body(body).unwrap()
}
