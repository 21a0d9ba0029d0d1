use std::time::Duration;

use prometheus::{IntCounter, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

fn operations() -> (Operations, Readiness, Condition) {
    let readiness = Readiness::default();
    let condition = readiness.condition("table-synced", "the clusters have not been listed yet");
    let metrics = Metrics::new(&Registry::new()).unwrap();
    (Operations::new(readiness.clone(), metrics, Handle::current()), readiness, condition)
}

async fn get(operations: &Operations, target: &str) -> (u16, String) {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let answer = operations.answer(&Method::GET, path, query).await.unwrap();
    (answer.status().as_u16(), String::from_utf8(answer.body().to_vec()).unwrap())
}

#[tokio::test]
async fn health_speaks_as_kube_apiserver_does() {
    let (operations, _, condition) = operations();
    let ok = |text: &str| (200, text.to_owned());
    assert_eq!(get(&operations, "/healthz").await, ok("ok"));
    assert_eq!(get(&operations, "/livez?verbose").await, ok("[+]ping ok\nlivez check passed\n"));
    assert_eq!(
        get(&operations, "/readyz").await,
        (
            500,
            "[+]ping ok\n[-]table-synced failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n"
                .to_owned()
        )
    );
    assert_eq!(get(&operations, "/readyz?exclude=table-synced").await, ok("ok"));
    assert_eq!(
        get(&operations, "/readyz?verbose=1&exclude=table-synced&exclude=none").await,
        ok(
            "[+]ping ok\n[+]table-synced excluded: ok\n[+]shutdown ok\nwarn: some health checks cannot be excluded: no matches for \"none\"\nreadyz check passed\n"
        )
    );
    assert_eq!(
        get(&operations, "/readyz/table-synced").await,
        (500, "internal server error: the clusters have not been listed yet\n".to_owned())
    );
    condition.met();
    assert_eq!(get(&operations, "/readyz").await, ok("ok"));
    assert_eq!(get(&operations, "/readyz/table-synced").await, ok("ok"));
    assert_eq!(get(&operations, "/readyz/none").await.0, 404);
    assert_eq!(get(&operations, "/healthz/ping").await, ok("ok"));
}

#[tokio::test]
async fn shutting_down_ends_readiness_and_not_life() {
    let (operations, readiness, condition) = operations();
    condition.met();
    assert!(readiness.is_ready());
    readiness.shut_down();
    assert!(!readiness.is_ready());
    assert_eq!((get(&operations, "/readyz").await.0, get(&operations, "/livez").await.0), (500, 200));
}

#[tokio::test]
async fn a_condition_that_nobody_meets_keeps_it_unready() {
    let (operations, readiness, condition) = operations();
    drop(condition);
    assert!(!readiness.is_ready());
    assert_eq!(get(&operations, "/readyz").await.0, 500);
}

#[tokio::test]
async fn other_paths_are_not_taken_and_nothing_is_changed_here() {
    let (operations, ..) = operations();
    for path in ["/", "/healthzz", "/apis", "/metrics/x", "//healthz", "/version/"] {
        assert!(
            !Operations::is_path(path) && operations.answer(&Method::GET, path, None).await.is_none(),
            "{path}"
        );
    }
    assert_eq!(operations.answer(&Method::POST, "/metrics", None).await.unwrap().status(), 405);
    let head = operations.answer(&Method::HEAD, "/healthz", None).await.unwrap();
    assert_eq!((head.body().len(), &head.headers()["content-length"]), (0, &"2".parse().unwrap()));
}

#[tokio::test]
async fn version_has_every_field_that_clients_decode() {
    let (operations, ..) = operations();
    let (code, body) = get(&operations, "/version").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let fields = [
        "major",
        "minor",
        "gitVersion",
        "gitCommit",
        "gitTreeState",
        "buildDate",
        "goVersion",
        "compiler",
        "platform",
    ];
    assert!(code == 200 && fields.iter().all(|field| body[field].is_string()), "{body}");
    assert!(body["gitVersion"].as_str().unwrap().starts_with('v'));
}

#[tokio::test]
async fn the_plain_listener_serves_operations_and_nothing_else() {
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    registry.register(Box::new(IntCounter::new("some_total", "Some").unwrap())).unwrap();
    let operations = Operations::new(Readiness::default(), metrics, Handle::current());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = tokio::task::JoinSet::new();
    server.spawn(listen(listener, operations));
    for (path, status, contents) in [
        ("/livez", "200 OK", "ok"),
        ("/metrics", "200 OK", "some_total 0"),
        ("/apis", "404 Not Found", "\"code\":404"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(contents), "{answer}");
        assert!(answer.contains("cache-control: no-cache, private"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_readiness_is_told_when_the_last_condition_is_met() {
    let readiness = Readiness::default();
    let (first, last) = (readiness.condition("a", "a"), readiness.condition("b", "b"));
    let mut waiting = tokio::spawn({
        let readiness = readiness.clone();
        async move { readiness.ready().await }
    });
    first.met();
    let hour = Duration::from_secs(3600);
    assert!(tokio::time::timeout(hour, &mut waiting).await.is_err(), "ready without the last one");
    last.met();
    tokio::time::timeout(hour, waiting).await.unwrap().unwrap();
    readiness.ready().await;
}
