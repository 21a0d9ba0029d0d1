//! One connection and several cores: streams of a worker that uses all of its own are served by another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::client::H2;
use e2e::echo::{Echo, EchoOptions};
use e2e::lab::{Authority, Gateway, GatewayOptions, shared, until};
use tokio::task::JoinSet;

use crate::through::{echo_cluster, master, path, received, register, until_code};

const NAMESPACE: &str = "spread";
const CLUSTER: &str = "spread-0";
/// Each makes the list of all clusters longer, which is what the gateway is kept busy with: it costs the gateway much
/// and its callers little.
const CLUSTERS: usize = 40;
const LIST: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
/// Requests at once, of lists and through the gateway.
const LISTS: usize = 48;
const PROXIED: usize = 16;
/// A machine on which other things run gives the gateway its cores after a while.
const BUSY: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_one_connection_are_served_on_two_cores_while_one_is_not_enough_and_none_is_lost() {
    let (echo, gateway) = start().await;
    let connection = master(&gateway).h2().await.unwrap();
    until_code(&connection, &path(CLUSTER, "/x"), 200).await;
    let list = until_listed(&connection).await;
    assert_eq!(spilled(&connection).await.unwrap(), 0, "nothing is passed on at rest");
    // The connection's own worker has its connection to the cluster already.
    let at_home = echo.accepted();
    let before = gateway.process().threads("worker-").unwrap();
    assert_eq!(before.len(), 2, "{before:?}");

    let load = Load::start(&connection, list.clone());
    let (spilled_streams, used) = until("both workers serve the one connection", BUSY, || async {
        load.check()?;
        let after = gateway.process().threads("worker-")?;
        let used: Vec<Duration> = before.iter().map(|(name, before)| after[name] - *before).collect();
        let spilled = spilled(&connection).await?;
        ensure!(
            spilled >= 500 && used.iter().all(|used| *used >= Duration::from_millis(500)),
            "{spilled}, {used:?}"
        );
        Ok((spilled, used))
    })
    .await
    .unwrap();
    println!(
        "{spilled_streams} streams passed on, CPU of the workers {used:?}, {} answers",
        load.stop().await
    );

    until("streams stay at home when it is calm", BUSY, || async {
        let before = self::spilled(&connection).await?;
        for _ in 0..20 {
            ensure!(connection.get(&path(CLUSTER, "/calm")).await?.status == 200, "not served");
        }
        ensure!(self::spilled(&connection).await? == before, "they do not");
        Ok(())
    })
    .await
    .unwrap();

    let load = Load::start(&connection, list);
    // Slow ones, some of which the other worker serves, over a connection of its own to the cluster.
    let mut slow = JoinSet::new();
    let mut number = 0_usize;
    until("slow requests at both workers", BUSY, || {
        load.check().unwrap();
        let connection = connection.clone();
        number += 1;
        let rest = format!("/slow-{number}?delay=4000");
        slow.spawn(async move { (rest.clone(), connection.get(&path(CLUSTER, &rest)).await) });
        let (echo, rest) = (&echo, format!("/slow-{number}?"));
        async move {
            let there = until("it is at the cluster", Duration::from_secs(3), || async {
                echo.last(&rest).context("it is not")
            });
            let connection = there.await?.connection as u64;
            ensure!(connection >= at_home, "served at home");
            Ok(())
        }
    })
    .await
    .unwrap();
    let answers = load.stop().await;
    gateway.sigterm().unwrap();
    while let Some(ended) = slow.join_next().await {
        let (rest, answer) = ended.unwrap();
        let answer = answer.unwrap_or_else(|error| panic!("{rest}: {error:#}"));
        assert!(received(&answer).target.ends_with(&rest));
    }
    let code = gateway.wait_exit(Duration::from_secs(20)).await.unwrap();
    assert_eq!(code, 0, "{}", gateway.process().log_tail(9));
    println!("{answers} answers in all, {number} slow ones");
}

/// A gateway with two workers, one cluster that answers and many that are only there.
async fn start() -> (Echo, Gateway) {
    let people = Authority::new("people").unwrap();
    let echo = Echo::start(EchoOptions::default().client_ca(people.pem())).unwrap();
    let hub = shared().await.hub();
    let options =
        GatewayOptions::new(hub, NAMESPACE).flag("--workers=2").flag("--shutdown-delay-duration=0s");
    // What else the machine does is not to keep a worker from its core: then it would pass nothing on, and rightly.
    // Who may not ask for that waits for a quieter moment.
    let first = ["sh", "-c", "chrt --rr 1 true && exec chrt --rr 1 \"$@\"; exec \"$@\"", "first"];
    let options =
        GatewayOptions { name: NAMESPACE.to_owned(), wrapper: first.map(str::to_owned).to_vec(), ..options };
    let gateway = Gateway::start(hub, options).await.unwrap();
    let identity = people.client("gateway", &[]).unwrap();
    let clusters: Vec<_> = (0..CLUSTERS)
        .map(|number| echo_cluster(NAMESPACE, &format!("spread-{number}"), &echo, &identity))
        .collect();
    register(&clusters).await;
    (echo, gateway)
}

/// The list of all clusters, once they are all there.
async fn until_listed(connection: &H2) -> bytes::Bytes {
    until("all clusters", BUSY, || async {
        let answer = connection.get(LIST).await?;
        let items = answer.json()?["items"].as_array().map_or(0, Vec::len);
        ensure!(items == CLUSTERS, "{items} of {CLUSTERS}");
        Ok(items_of(&answer.body).to_vec().into())
    })
    .await
    .unwrap()
}

/// What a list says of clusters: its version goes on with the hub's.
fn items_of(list: &[u8]) -> &[u8] {
    let start = list.windows(8).position(|name| name == b"\"items\":").unwrap();
    &list[start..]
}

async fn spilled(connection: &H2) -> Result<u64> {
    let metrics = connection.get("/metrics").await?.text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("cluster_gateway_spilled_streams_total "));
    Ok(line.context("no such metric")?.parse()?)
}

/// Requests over one connection, each as soon as the last one was answered. Every answer is looked at.
struct Load {
    state: Arc<State>,
    clients: JoinSet<Result<()>>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    answers: AtomicU64,
}

impl Load {
    fn start(connection: &H2, list: bytes::Bytes) -> Self {
        let state = Arc::new(State::default());
        let mut clients = JoinSet::new();
        for client in 0..LISTS + PROXIED {
            let (state, connection, list) = (Arc::clone(&state), connection.clone(), list.clone());
            clients.spawn(async move {
                for number in 0.. {
                    if state.stop.load(Ordering::Relaxed) {
                        break;
                    }
                    if client < LISTS {
                        let answer = connection.get(LIST).await?;
                        ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
                        ensure!(items_of(&answer.body) == list, "another list: {}", answer.text());
                    } else {
                        let target = format!("/of-{client}?number={number}");
                        let answer = connection.get(&path(CLUSTER, &target)).await?;
                        ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
                        ensure!(answer.text().contains(&target), "{target}: {}", answer.text());
                    }
                    state.answers.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        Self { state, clients }
    }

    /// Nobody has failed so far.
    fn check(&self) -> Result<()> {
        ensure!(self.clients.len() == LISTS + PROXIED, "a client has ended");
        Ok(())
    }

    fn answers(&self) -> u64 {
        self.state.answers.load(Ordering::Relaxed)
    }

    /// Lets what runs end, and gives how many answers there were.
    async fn stop(mut self) -> u64 {
        self.state.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap().unwrap();
        }
        self.answers()
    }
}
