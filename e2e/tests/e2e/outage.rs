//! Servers that are away: callers are told what is wrong, neighbours notice nothing, and nobody has to restart
//! anything when they are back.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::client::{H2, bytes, empty};
use e2e::echo::{Echo, EchoOptions};
use e2e::lab::{
    Authority, ControlPlane, Gateway, GatewayOptions, Identity, Registration, rule, shared, until, user,
};
use http::Request;
use http_body_util::BodyExt as _;

use crate::through::{
    assert_failure, echo_cluster, first_event, master, own_gateway, path, received, register, until_code,
};

const WHOAMI: &str = "/api/v1/namespaces/default/configmaps/whoami";

#[tokio::test]
async fn a_member_that_stops_is_named_with_the_cause_and_serves_again_when_it_is_back() {
    let lab = shared().await;
    let member = lab.start_member("t2-victim").await.unwrap();
    let namespace = "t2-outage";
    let gateway = own_gateway(namespace, &["--request-timeout=2s", "--connect-timeout=1s"]).await;
    let neighbour = lab.member(0);
    register(&[
        Registration::member(namespace, &member).unwrap(),
        Registration::member(namespace, neighbour).unwrap(),
    ])
    .await;
    let connection = master(&gateway).h2().await.unwrap();
    let (victim, other) = (path(member.name(), WHOAMI), path(neighbour.name(), WHOAMI));
    until_code(&connection, &victim, 200).await;
    until_code(&connection, &other, 200).await;
    let mut watch = watch_of(&connection, &member).await;

    // Away: at once, each time, and only there. Its watches end.
    member.kill().unwrap();
    let end = tokio::time::timeout(Duration::from_secs(20), async {
        while let Some(Ok(_)) = watch.frame().await {}
    });
    end.await.expect("a watch outlives its cluster");
    for _ in 0..5 {
        let asked = Instant::now();
        let answer = connection.get(&victim).await.unwrap();
        let address = format!("127.0.0.1:{}", member.port());
        assert_failure(&answer, 503, &["\"t2-victim\"", "cannot be reached", &address, "refused"]);
        assert!(asked.elapsed() < Duration::from_secs(2), "told after {:?}", asked.elapsed());
        assert_eq!(connection.get(&other).await.unwrap().status, 200);
    }
    member.start_again().await.unwrap();
    assert_is(&until_code(&connection, &victim, 200).await, "t2-victim");

    // It takes connections but says nothing, as a hanging machine does.
    member.process().pause().unwrap();
    let asked = Instant::now();
    let (answer, beside) = futures::join!(connection.get(&victim), connection.get(&other));
    assert_failure(&answer.unwrap(), 504, &["\"t2-victim\"", "did not answer in time"]);
    assert_eq!(beside.unwrap().status, 200);
    let took = asked.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(10), "told after {took:?}");
    // And with a fresh pool, where not even a handshake is answered.
    Registration::member(namespace, &member)
        .unwrap()
        .apply(&lab.hub().admin_client().await.unwrap())
        .await
        .unwrap();
    until("the handshake's deadline", Duration::from_secs(20), || async {
        let answer = connection.get(&victim).await?;
        ensure!(answer.status == 503, "{} {}", answer.status, answer.text());
        assert_failure(&answer, 503, &["\"t2-victim\"", "no connection", "within"]);
        Ok(())
    })
    .await
    .unwrap();
    member.process().resume().unwrap();
    assert_is(&until_code(&connection, &victim, 200).await, "t2-victim");
    assert!(!connection.is_closed(), "the caller's connection did not last");
}

#[tokio::test]
async fn a_hub_that_goes_away_takes_nothing_with_it_and_is_followed_again_when_it_is_back() {
    let lab = shared().await;
    let hub = lab.start_hub("t2-hub-lost").await.unwrap();
    let echo = Upstream::start();
    let gateway = Gateway::start(&hub, GatewayOptions::new(&hub, "t2-lost")).await.unwrap();
    let client = hub.admin_client().await.unwrap();
    let (stays, goes) = (echo.cluster("t2-lost", "stays"), echo.cluster("t2-lost", "goes"));
    stays.apply(&client).await.unwrap();
    goes.apply(&client).await.unwrap();
    let proxy = rule("cluster.core.oam.dev", "clustergateways/proxy", &["get"]);
    hub.grant("t2-lost-user", user("t2-lost-user"), vec![proxy]).await.unwrap();
    let connection = master(&gateway).h2().await.unwrap();
    for name in ["stays", "goes"] {
        until_code(&connection, &path(name, "/x"), 200).await;
    }
    let some_user = gateway.front_proxy("t2-lost-user", &[]).unwrap().h2().await.unwrap();
    hub.kill().unwrap();

    let away = Instant::now();
    while away.elapsed() < Duration::from_secs(4) {
        for name in ["stays", "goes"] {
            received(&connection.get(&path(name, "/x")).await.unwrap());
        }
        // A caller that comes only now, and what we answer ourselves.
        let late = master(&gateway).h2().await.unwrap();
        assert_eq!(late.get("/readyz").await.unwrap().status, 200);
        assert_eq!(late.get("/livez").await.unwrap().status, 200);
        let list = late.get("/apis/cluster.core.oam.dev/v1alpha1/clustergateways").await.unwrap();
        assert_eq!(list.json().unwrap()["items"].as_array().unwrap().len(), 2, "{}", list.text());
        assert_failure(&late.get(&path("unknown", "/x")).await.unwrap(), 404, &["\"unknown\" not found"]);
    }
    // Whose rights nobody can look up is not let in.
    assert_failure(&some_user.get(&path("stays", "/x")).await.unwrap(), 500, &[]);
    let warnings =
        gateway.logs().lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).count();
    assert!((1..=20).contains(&warnings), "{warnings} warnings:\n{}", gateway.process().log_tail(40));

    hub.start_again().await.unwrap();
    let client = hub.admin_client().await.unwrap();
    goes.delete(&client).await.unwrap();
    echo.cluster("t2-lost", "comes").apply(&client).await.unwrap();
    until_code(&connection, &path("comes", "/x"), 200).await;
    until_code(&connection, &path("goes", "/x"), 404).await;
    until_code(&some_user, &path("stays", "/x"), 200).await;
    assert!(!connection.is_closed(), "the caller's connection did not last");
}

#[tokio::test]
async fn a_gateway_that_finds_no_hub_waits_for_it_says_so_once_and_serves_when_it_is_there() {
    let lab = shared().await;
    let hub = lab.start_hub("t2-hub-late").await.unwrap();
    let echo = Upstream::start();
    hub.ensure_namespace("t2-late").await.unwrap();
    echo.cluster("t2-late", "known").apply(&hub.admin_client().await.unwrap()).await.unwrap();
    hub.kill().unwrap();
    let knocks = Knocks::count(hub.port());
    let gateway = Gateway::start_unready(&hub, GatewayOptions::new(&hub, "t2-late")).await.unwrap();
    let anonymous = gateway.anonymous().unwrap();
    until("three tries", Duration::from_secs(30), || async {
        ensure!(knocks.so_far() >= 6, "{} connections", knocks.so_far());
        let alive = anonymous.h1().await?.get("/livez").await?;
        ensure!(alive.status == 200, "/livez: {}", alive.status);
        Ok(())
    })
    .await
    .unwrap();
    let ready = anonymous.h1().await.unwrap().get("/readyz").await.unwrap();
    assert_eq!(ready.status, 500, "{}", ready.text());
    assert!(ready.text().contains("[-]clusters failed"), "{}", ready.text());
    // Nobody is let in by a gateway that does not know whom to believe.
    let answer = master(&gateway).h2().await.unwrap().get(&path("known", "/x")).await.unwrap();
    assert!(matches!(answer.status, 401 | 503), "{} {}", answer.status, answer.text());
    let (since, before) = (Instant::now(), knocks.so_far());
    until("three seconds to pass", Duration::from_secs(20), || async {
        ensure!(since.elapsed() > Duration::from_secs(3), "not yet");
        Ok(())
    })
    .await
    .unwrap();
    let tries = knocks.so_far() - before;
    assert!(tries <= 12, "{tries} tries in three seconds are no backoff");
    let log = gateway.logs();
    let told: Vec<&str> =
        log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    eprintln!("without a hub, {} tries: {told:#?}", knocks.so_far());
    // The table and the authentication configuration are two things that it waits for.
    assert!((1..=2).contains(&told.len()), "{told:#?}");

    drop(knocks);
    hub.start_again().await.unwrap();
    gateway.ready().await.unwrap();
    let connection = master(&gateway).h2().await.unwrap();
    received(&connection.get(&path("known", "/x")).await.unwrap());
}

#[tokio::test]
async fn a_cluster_that_accepts_and_never_answers_is_504_and_its_neighbours_do_not_wait() {
    let echo = Upstream::start();
    let namespace = "t2-silent";
    let gateway = own_gateway(namespace, &["--request-timeout=1s"]).await;
    register(&[echo.cluster(namespace, "silent"), echo.cluster(namespace, "beside")]).await;
    let connection = master(&gateway).h2().await.unwrap();
    for name in ["silent", "beside"] {
        until_code(&connection, &path(name, "/x"), 200).await;
    }
    let asked = Instant::now();
    let silent = path("silent", "/never?delay=600000");
    let all = futures::future::join_all((0..20).map(|_| connection.get(&silent)));
    let beside = async {
        let mut served = 0;
        while asked.elapsed() < Duration::from_millis(900) {
            received(&connection.get(&path("beside", "/x")).await.unwrap());
            served += 1;
        }
        served
    };
    let (all, served) = futures::join!(all, beside);
    for answer in all {
        assert_failure(&answer.unwrap(), 504, &["\"silent\"", "did not answer in time", "1 s"]);
    }
    assert!(asked.elapsed() < Duration::from_secs(10), "told after {:?}", asked.elapsed());
    assert!(served > 0);
    // The streams were given up, not the cluster: what answers in time still does, a watch has no such limit.
    received(&connection.get(&path("silent", "/x?delay=500")).await.unwrap());
    let quiet = Request::get(path("silent", "/api/v1/pods?watch=1500")).body(empty()).unwrap();
    let mut quiet = connection.send(quiet).await.unwrap().into_body();
    for _ in 0..3 {
        first_event(&mut quiet).await.unwrap();
    }
}

#[tokio::test]
async fn refused_trust_and_refused_credentials_are_502_and_say_whose_fault_it_is() {
    let (echo, over_h1) = (Upstream::start(), Upstream::speaking(EchoOptions::h1()));
    let lab = shared().await;
    let (member, stranger) = (lab.member(0), lab.member(1));
    let namespace = "t2-refused";
    let gateway = own_gateway(namespace, &[]).await;
    let by = |name: &str, ca: &str, identity: &Identity| {
        Registration::x509(namespace, name, &member.url(), ca, identity)
    };
    let admin = |plane: &ControlPlane| plane.issue("gateway", &["system:masters"]).unwrap();
    let by_authority = |name: &str| Authority::new(name).unwrap().client("nobody", &[]).unwrap();
    register(&[
        by("untrusted", &stranger.ca_pem(), &admin(member)),
        by("foreign-certificate", &member.ca_pem(), &admin(stranger)),
        Registration::token(namespace, "bad-token", &member.url(), &member.ca_pem(), "no-such-token"),
        echo_cluster(namespace, "refused-in-tls", &echo.echo, &by_authority("strangers")),
        echo_cluster(namespace, "refused-over-http1", &over_h1.echo, &by_authority("strangers")),
        // As after an authority was replaced by one of the same name.
        echo_cluster(namespace, "outdated-in-tls", &echo.echo, &by_authority("people")),
        Registration::token(namespace, "needs-certificate", &echo.echo.url(), echo.echo.ca_pem(), "a-token"),
        echo.cluster(namespace, "right"),
    ])
    .await;
    let connection = master(&gateway).h2().await.unwrap();
    until_code(&connection, &path("right", "/x"), 200).await;
    for (cluster, words) in [
        ("untrusted", &["is not to be trusted", "ca.crt"][..]),
        ("foreign-certificate", &["refused the gateway's credential", "Secret"]),
        ("bad-token", &["refused the gateway's credential", "Secret"]),
        ("refused-in-tls", &["refused the gateway's credential", "Secret"]),
        ("refused-over-http1", &["refused the gateway's credential", "Secret"]),
        ("outdated-in-tls", &["refused the gateway's credential", "Secret"]),
        ("needs-certificate", &["refused the gateway's credential", "Secret"]),
    ] {
        // The first answer that is not "not known yet"; then many, since each may meet its connection at another
        // moment of its end.
        until_code(&connection, &path(cluster, WHOAMI), 502).await;
        let get = || Request::get(path(cluster, WHOAMI)).body(empty()).unwrap();
        let post = || Request::post(path(cluster, "/api/v1/namespaces")).body(bytes("{}")).unwrap();
        let requests = (0..20).map(|number| connection.fetch(if number % 2 == 0 { get() } else { post() }));
        for answer in futures::future::join_all(requests).await {
            let answer = answer.unwrap();
            assert_failure(&answer, 502, words);
            assert_failure(&answer, 502, &[&format!("\"{cluster}\"")]);
            assert!(answer.header("www-authenticate").is_none(), "the caller is not whom it is about");
            assert!(!answer.text().contains("a-token") && !answer.text().contains("no-such-token"));
        }
        received(&connection.get(&path("right", "/x")).await.unwrap());
    }
    // A 403 is about what the credential may do: the cluster's own answer.
    let echo_403 = connection.get(&path("right", "/x?status=403&size=3")).await.unwrap();
    assert_eq!((echo_403.status, echo_403.text().as_str()), (403, "abc"));
}

/// An echo that knows its clients.
struct Upstream {
    echo: Echo,
    identity: Identity,
}

impl Upstream {
    fn start() -> Self {
        Self::speaking(EchoOptions::default())
    }

    fn speaking(options: EchoOptions) -> Self {
        let people = Authority::new("people").unwrap();
        let echo = Echo::start(options.client_ca(people.pem())).unwrap();
        Self { echo, identity: people.client("gateway", &[]).unwrap() }
    }

    fn cluster(&self, namespace: &str, name: &str) -> Registration {
        echo_cluster(namespace, name, &self.echo, &self.identity)
    }
}

/// Stands where the hub should and hangs up on everybody.
struct Knocks {
    count: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Knocks {
    fn count(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let task = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { count, task }
    }

    fn so_far(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Knocks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch_of(connection: &H2, member: &ControlPlane) -> hyper::body::Incoming {
    let target = path(member.name(), "/api/v1/namespaces/default/configmaps?watch=true");
    let mut body = connection.send(Request::get(target).body(empty()).unwrap()).await.unwrap().into_body();
    first_event(&mut body).await.unwrap();
    body
}

#[track_caller]
fn assert_is(answer: &e2e::client::Answer, member: &str) {
    assert_eq!(answer.json().unwrap()["data"]["name"], member, "{}", answer.text());
}
