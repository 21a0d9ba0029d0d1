//! Konnectivity's server and agent die and come back, while requests, watches and a shell are under way: whoever asks
//! is told at once what is wrong, all is well again by itself, and nothing is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::client::{H2, empty};
use e2e::lab::konnectivity::{Frontend, Mode};
use e2e::lab::{Kubectl, Process, shared, until};
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::place::{NAMESPACE, STAND_IN, place, straight_to};
use super::transports::{Behind, existing};
use crate::through::{assert_failure, first_event, master, path, until_code};

const SOON: Duration = Duration::from_secs(60);
/// No caller waits longer for being told than the gateway's own limits say.
const QUICK: Duration = Duration::from_secs(8);
const FLAGS: &[&str] = &["--request-timeout=5s", "--connect-timeout=3s"];
const WHOAMI: &str = "/api/v1/namespaces/default/configmaps/whoami";
const WATCH: &str = "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0";

#[tokio::test]
async fn grpc_konnectivity_may_die_and_come_back_under_load() {
    die_and_come_back("streams-dying-grpc", Mode::Grpc).await.unwrap();
}

#[tokio::test]
async fn http_connect_konnectivity_may_die_and_come_back_under_load() {
    die_and_come_back("streams-dying-connect", Mode::HttpConnect).await.unwrap();
}

#[tokio::test]
async fn an_existing_secret_is_unverified_and_an_annotation_makes_it_verified() {
    let (place, hub) = (place().await, shared().await.hub());
    let name = "streams-verified";
    let behind = Behind::named(name, hub, place, (Mode::Grpc, Frontend::MutualTls), FLAGS).await.unwrap();
    let client = hub.admin_client().await.unwrap();
    let connection = master(&behind.gateway).h2().await.unwrap();
    let ask = path(name, WHOAMI);
    until_code(&connection, &ask, 200).await;
    let condition = async || -> Result<(String, String)> {
        let own = format!("/apis/cluster.core.oam.dev/v1alpha1/clustergateways/{name}");
        let gateway = connection.get(&own).await?.json()?;
        let conditions = gateway["status"]["conditions"].as_array().context("no conditions")?.clone();
        let verified = conditions.iter().find(|condition| condition["type"] == "Verified");
        let verified = verified.with_context(|| format!("{conditions:?}"))?;
        let text = |key: &str| verified[key].as_str().unwrap_or_default().to_owned();
        Ok((text("status"), text("message")))
    };
    let (status, message) = condition().await.unwrap();
    assert_eq!(status, "False", "{message}");
    assert!(behind.gateway.logs().contains("not verified"), "{}", behind.gateway.logs());

    // A CA alone verifies nothing: by which name?
    let with_ca = existing(place, name).unwrap().data("ca.crt", place.member.ca_pem());
    with_ca.apply(&client).await.unwrap();
    let hint = until("why not", SOON, || async {
        let (status, message) = condition().await?;
        ensure!(status == "False" && message.contains("tls-server-name"), "{status} {message}");
        Ok(message)
    });
    hint.await.unwrap();
    until_code(&connection, &ask, 200).await;

    let named = |server: &str| with_ca.clone().annotation("cluster.core.oam.dev/tls-server-name", server);
    named("kubernetes.default.svc").apply(&client).await.unwrap();
    until("verified", SOON, || async {
        let (status, message) = condition().await?;
        ensure!(status == "True", "{status} {message}");
        Ok(())
    })
    .await
    .unwrap();
    until_code(&connection, &ask, 200).await;

    named("somebody.else").apply(&client).await.unwrap();
    let refused = until_code(&connection, &ask, 502).await;
    assert_failure(&refused, 502, &[name, "is not to be trusted"]);
}

#[tokio::test]
#[ignore = "long: a tunnel is silent for longer than two of our pings to Konnectivity are apart"]
async fn pings_to_konnectivity_stay_within_what_its_server_bears() {
    let (place, hub) = (place().await, shared().await.hub());
    let name = "streams-pinged";
    let how = (Mode::Grpc, Frontend::MutualTls);
    let behind = Behind::named(name, hub, place, how, &[]).await.unwrap();
    let connection = master(&behind.gateway).h2().await.unwrap();
    until_code(&connection, &path(name, WHOAMI), 200).await;
    let quiet = path(name, &format!("{WATCH}&fieldSelector=metadata.name%3Dwhoami&timeoutSeconds=1200"));
    let request = Request::get(&quiet).body(empty()).unwrap();
    let mut watch = connection.send(request).await.unwrap().into_body();
    first_event(&mut watch).await.unwrap();
    // gRPC's servers hang up on whoever pings more often than every five minutes.
    let silent = tokio::time::timeout(Duration::from_secs(11 * 60), watch.frame()).await;
    assert!(silent.is_err(), "the watch said {silent:?}");
    until_code(&connection, &path(name, WHOAMI), 200).await;
}

#[tokio::test]
async fn konnectivity_that_hangs_keeps_nobody_waiting_for_longer_than_may_be() {
    let (place, hub) = (place().await, shared().await.hub());
    for (name, mode) in [("streams-hanging-grpc", Mode::Grpc), ("streams-hanging-connect", Mode::HttpConnect)]
    {
        let how = (mode, Frontend::MutualTls);
        let flags = ["--request-timeout=2s", "--connect-timeout=2s"];
        let behind = Behind::named(name, hub, place, how, &flags).await.unwrap();
        let connection = master(&behind.gateway).h2().await.unwrap();
        let ask = path(name, WHOAMI);
        until_code(&connection, &ask, 200).await;
        let before = Rest::of(&behind).await.unwrap();
        for process in [behind.konnectivity.agent(), behind.konnectivity.server()] {
            process.pause().unwrap();
            for _ in 0..2 {
                let asked = Instant::now();
                let answers = futures::future::join_all((0..20).map(|_| connection.get(&ask))).await;
                for answer in answers {
                    assert_failure(&answer.unwrap(), 504, &[name, "did not answer in time"]);
                }
                assert!(asked.elapsed() < QUICK, "{name}: told after {:?}", asked.elapsed());
            }
            process.resume().unwrap();
            until_code(&connection, &ask, 200).await;
            until("as it was before", SOON * 2, || async {
                let now = Rest::of(&behind).await?;
                ensure!(now.is_within(&before), "{now:?} instead of {before:?}");
                Ok(())
            })
            .await
            .unwrap();
        }
    }
}

async fn die_and_come_back(name: &str, mode: Mode) -> Result<()> {
    let (place, hub) = (place().await, shared().await.hub());
    let behind = Behind::named(name, hub, place, (mode, Frontend::MutualTls), FLAGS).await?;
    let kubectl = Kubectl::new(straight_to(&behind.gateway, hub, name)?);
    let connection = master(&behind.gateway).h2().await?;
    until_code(&connection, &path(name, WHOAMI), 200).await;
    let round = Load::start(name, &kubectl, &connection).await?;
    round.stop().await?;
    let before = until("rest", SOON, || Rest::of(&behind)).await?;
    eprintln!("{name}: at rest {before:?}");
    let konnectivity = &behind.konnectivity;
    for (what, process) in [("agent", konnectivity.agent()), ("server", konnectivity.server())] {
        let load = Load::start(name, &kubectl, &connection).await?;
        process.kill()?;
        // Told at once and each time, until it is back.
        let down = Instant::now();
        let mut told = 0;
        while told < 10 {
            let asked = Instant::now();
            let answer = connection.get(&path(name, WHOAMI)).await?;
            ensure!(asked.elapsed() < QUICK, "the {what} is away: told after {:?}", asked.elapsed());
            match answer.status {
                503 if answer.text().contains("onnectivity") => told += 1,
                // What was under way when it died.
                200 | 502 | 503 | 504 if down.elapsed() < SOON / 2 => told = 0,
                _ => bail!("the {what} is away: {} {}", answer.status, answer.text()),
            }
        }
        eprintln!("{name}: {what} away, told so ten times within {:?}", down.elapsed());
        load.ended(what).await?;
        let dialed = konnectivity.to_cluster(name)?.accepted();
        process.start_again()?;
        let up = Instant::now();
        konnectivity.ready().await?;
        until_code(&connection, &path(name, WHOAMI), 200).await;
        eprintln!("{name}: {what} back, served again after {:?}", up.elapsed());
        // Everybody who waited waited for the same connection.
        let answers = (0..40).map(|_| async { connection.get(&path(name, WHOAMI)).await });
        for answer in futures::future::join_all(answers).await {
            ensure!(answer?.status == 200, "not everybody is served");
        }
        let more = konnectivity.to_cluster(name)?.accepted() - dialed;
        ensure!(more <= 2, "the {what} is back: {more} connections for one worker's requests");
        let slowest = load.stop().await?;
        ensure!(slowest < QUICK, "a request beside took {slowest:?}");
        // And as before: a shell, watches.
        Load::start(name, &kubectl, &connection).await?.stop().await?;
        let now = until("as it was before", SOON * 2, || async {
            let now = Rest::of(&behind).await?;
            ensure!(now.is_within(&before), "{now:?} instead of {before:?}");
            Ok(now)
        })
        .await?;
        eprintln!("{name}: after the {what}'s death {now:?}");
    }
    Ok(())
}

/// What is open when nobody asks for anything.
#[derive(Debug)]
struct Rest {
    gateway: usize,
    server: usize,
    agent: usize,
    /// Connections of the agent to the cluster.
    endpoints: f64,
    /// Connections that the server knows of.
    established: f64,
    streams: f64,
}

impl Rest {
    /// An error while a shell or a watch of the load is still being closed.
    async fn of(behind: &Behind) -> Result<Self> {
        let konnectivity = &behind.konnectivity;
        let files = |process: &Process| process.usage().map(|usage| usage.open_files);
        let endpoints =
            konnectivity.agent_metric("konnectivity_network_proxy_agent_open_endpoint_connections").await?;
        ensure!(endpoints <= 2.0, "{endpoints} connections into the cluster: more than pools keep");
        Ok(Self {
            gateway: files(behind.gateway.process())?,
            server: files(konnectivity.server())?,
            agent: files(konnectivity.agent())?,
            endpoints,
            established: konnectivity
                .server_metric("konnectivity_network_proxy_server_established_connections")
                .await?,
            streams: konnectivity.server_metric("konnectivity_network_proxy_server_grpc_connections").await?,
        })
    }

    /// No more is open than then, but for one connection that a metrics request or a pool may have more.
    fn is_within(&self, before: &Self) -> bool {
        self.gateway <= before.gateway + 2
            && self.server <= before.server + 2
            && self.agent <= before.agent + 2
            && self.endpoints <= before.endpoints + 1.0
            && self.established <= before.established + 1.0
            && self.streams <= before.streams + 1.0
    }
}

/// Requests one after the other, watches, and a shell.
struct Load {
    stop: Arc<AtomicBool>,
    requests: Vec<tokio::task::JoinHandle<Duration>>,
    watches: Vec<Incoming>,
    shell: Process,
}

impl Load {
    async fn start(name: &str, kubectl: &Kubectl, connection: &H2) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let shell = format!("{name}-shell-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let arguments = ["exec", "-n", NAMESPACE, STAND_IN, "--", "sh", "-c", "echo it runs; sleep 3600"];
        let shell = kubectl.start(&shell, &arguments).await?;
        let mut watches = Vec::new();
        for _ in 0..10 {
            let request = Request::get(path(name, WATCH)).body(empty())?;
            let mut watch = connection.send(request).await?.into_body();
            first_event(&mut watch).await?;
            watches.push(watch);
        }
        until("the shell", SOON, || async {
            let logs = shell.logs();
            ensure!(shell.exit().is_none() && logs.ends_with("it runs\n"), "{logs}");
            Ok(())
        })
        .await?;
        let stop = Arc::new(AtomicBool::new(false));
        let request = |_| {
            let (stop, connection, target) = (Arc::clone(&stop), connection.clone(), path(name, WHOAMI));
            tokio::spawn(async move {
                let mut slowest = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    // Which answer is another test's; that there is one in time is this one's.
                    let _ = connection.get(&target).await;
                    slowest = slowest.max(asked.elapsed());
                }
                slowest
            })
        };
        Ok(Self { requests: (0..4).map(request).collect(), stop, watches, shell })
    }

    /// Waits until everything that went through what died has ended.
    async fn ended(&self, what: &str) -> Result<()> {
        self.shell.wait_exit(SOON).await.with_context(|| format!("the {what} is away, a shell goes on"))?;
        Ok(())
    }

    /// Ends it; gives how long the slowest request took.
    async fn stop(self) -> Result<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        let mut slowest = Duration::ZERO;
        for request in self.requests {
            slowest = slowest.max(request.await?);
        }
        for mut watch in self.watches {
            // Those that have ended say so; those that go on are left.
            let _ = tokio::time::timeout(Duration::ZERO, watch.frame()).await;
        }
        self.shell.kill()?;
        Ok(slowest)
    }
}
