//! What a crowd costs a gateway: the time until it is ready, memory, lists, and how late watchers learn of a change.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::future::{join_all, try_join_all};
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};

use super::Crowd;
use crate::client::{H2, empty};
use crate::lab::control_plane::ControlPlane;
use crate::lab::gateway::{Gateway, GatewayOptions};
use crate::lab::wait::until;

/// The list that is asked for.
pub const LIST: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
/// Lists, one after the other.
const LISTS: usize = 5;
/// Changes that every watcher is told of.
const ROUNDS: usize = 10;
/// A hub opens more than one connection to where many watch.
const CONNECTIONS: usize = 4;
/// For everything that is waited for.
const WITHIN: Duration = Duration::from_secs(60);

/// What a crowd costs.
#[derive(Clone, Debug)]
pub struct Cost {
    /// How many clusters there were.
    pub clusters: usize,
    /// From the start of the process to its readiness: process, connections, the hub's list and the table.
    pub ready: Duration,
    /// Resident memory then, kB.
    pub rest_kb: u64,
    /// The size of a list in bytes.
    pub list_bytes: usize,
    /// Each list as its client sees it, in order.
    pub lists: Vec<Duration>,
    /// The same as the gateway sees it, by its access log: from the request's header to the last byte handed over.
    pub served: Vec<Duration>,
    /// Processor time that a list takes the gateway, on average.
    pub list_cpu: Duration,
    /// Resident memory after the lists, kB.
    pub listed_kb: u64,
    /// Idle watches, all of the list's resource.
    pub watches: usize,
    /// Resident memory that one of them takes, bytes.
    pub watch_bytes: u64,
    /// From the hub's answer to a change to each watcher's hearing of it, in order: all changes, all watchers.
    pub told: Vec<Duration>,
    /// Resident memory while they are told, kB.
    pub told_kb: u64,
    /// Resident memory after the watchers have left, kB.
    pub left_kb: u64,
}

impl Cost {
    /// Starts a gateway for a crowd that its hub knows already, and measures it with so many watchers. The gateway
    /// is kept for whoever wants to look at it further.
    pub async fn measure(hub: &ControlPlane, crowd: &Crowd, watches: usize) -> Result<(Self, Gateway)> {
        let began = Instant::now();
        let options = GatewayOptions::new(hub, crowd.namespace()).flag("--access-log");
        let gateway = Gateway::start(hub, options).await?;
        let ready = began.elapsed();
        let rest_kb = gateway.rss_kb()?;
        let connections = connections(&gateway).await?;

        let before = gateway.process().usage()?.cpu;
        let mut lists = Vec::with_capacity(LISTS);
        let mut list_bytes = 0;
        for _ in 0..LISTS {
            let began = Instant::now();
            let answer = connections[0].get(LIST).await?;
            lists.push(began.elapsed());
            ensure!(answer.status == 200, "a list: {} {}", answer.status, answer.text());
            list_bytes = answer.body.len();
            if lists.len() == 1 {
                let items = answer.json()?["items"].as_array().map_or(0, Vec::len);
                ensure!(items == crowd.count(), "{items} of {} clusters in the list", crowd.count());
            }
        }
        let list_cpu = (gateway.process().usage()?.cpu - before) / LISTS as u32;
        let listed_kb = gateway.rss_kb()?;
        let served = until("the lists in the access log", WITHIN, || async {
            let served = served(&gateway.logs());
            ensure!(served.len() == LISTS, "{} of {LISTS} lists are logged", served.len());
            Ok(served)
        });
        let mut served = served.await?;
        lists.sort_unstable();
        served.sort_unstable();

        let list = connections[0].get(&format!("{LIST}?limit=1")).await?.json()?;
        let version = list["metadata"]["resourceVersion"].as_str().context("a list without a version")?;
        let before = gateway.rss_kb()?;
        let opened = (0..watches).map(|number| open(&connections[number % CONNECTIONS], version));
        let mut opened = try_join_all(opened).await?;
        let watch_bytes = gateway.rss_kb()?.saturating_sub(before) * 1024 / (watches as u64).max(1);
        let told = tell(hub, crowd, &mut opened).await?;
        let told_kb = gateway.rss_kb()?;
        drop(opened);
        let zero = "cluster_gateway_api_watches{resource=\"clustergateways\"} 0";
        let gone = until("the watches to be gone", WITHIN, || async {
            let text = connections[0].get("/metrics").await?.text();
            ensure!(text.contains(zero), "{text}");
            Ok(())
        });
        gone.await?;
        let left_kb = gateway.rss_kb()?;
        let cost = Self {
            clusters: crowd.count(),
            ready,
            rest_kb,
            list_bytes,
            lists,
            served,
            list_cpu,
            listed_kb,
            watches,
            watch_bytes,
            told,
            told_kb,
            left_kb,
        };
        Ok((cost, gateway))
    }

    /// That so many percent of the watchers' news came no later.
    pub fn told_within(&self, percent: usize) -> Duration {
        let place = (self.told.len() * percent).div_ceil(100).clamp(1, self.told.len().max(1)) - 1;
        self.told.get(place).copied().unwrap_or_default()
    }
}

/// For people.
impl std::fmt::Display for Cost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mb = |kb: u64| kb as f64 / 1024.0;
        writeln!(formatter, "{} clusters: ready {:?} after the start", self.clusters, self.ready)?;
        writeln!(
            formatter,
            "resident: {:.1} MB at rest, {:.1} MB after {LISTS} lists, {:.1} MB with {} watches ({} bytes each), \
             {:.1} MB when they have left",
            mb(self.rest_kb),
            mb(self.listed_kb),
            mb(self.told_kb),
            self.watches,
            self.watch_bytes,
            mb(self.left_kb),
        )?;
        writeln!(
            formatter,
            "a list of {:.1} MB: seen by the client {:?}, by the gateway {:?}; {:?} of CPU each",
            self.list_bytes as f64 / 1e6,
            self.lists,
            self.served,
            self.list_cpu,
        )?;
        write!(
            formatter,
            "a change reaches {} watches: p50 {:?}, p99 {:?} after the hub's answer",
            self.watches,
            self.told_within(50),
            self.told_within(99),
        )
    }
}

async fn connections(gateway: &Gateway) -> Result<Vec<H2>> {
    let client = gateway.front_proxy("crowd", &["system:masters"])?;
    let dial = || async { client.h2().await };
    try_join_all((0..CONNECTIONS).map(|_| dial())).await
}

/// How long each list took, by the access log.
fn served(log: &str) -> Vec<Duration> {
    let lists = log.lines().filter(|line| line.contains(&format!("path=\"{LIST}\"")));
    let word = |line: &str| -> Option<f64> {
        let (_, rest) = line.split_once("duration_ms=")?;
        rest.split_whitespace().next()?.parse().ok()
    };
    lists.filter_map(word).map(|milliseconds| Duration::from_secs_f64(milliseconds / 1e3)).collect()
}

async fn open(connection: &H2, version: &str) -> Result<Incoming> {
    let path = format!("{LIST}?watch=1&allowWatchBookmarks=1&resourceVersion={version}&timeoutSeconds=3000");
    let answer = connection.send(Request::get(path).body(empty())?).await?;
    ensure!(answer.status() == 200, "a watch: {}", answer.status());
    Ok(answer.into_body())
}

/// Changes a cluster, again and again; how long after the hub's answer each watch was told.
async fn tell(hub: &ControlPlane, crowd: &Crowd, watches: &mut [Incoming]) -> Result<Vec<Duration>> {
    let secrets = Api::<Secret>::namespaced(hub.admin_client().await?, crowd.namespace());
    let mut told = Vec::with_capacity(ROUNDS * watches.len());
    for round in 0..ROUNDS {
        let label = format!("round-{round}");
        let change = serde_json::json!({"metadata": {"labels": {"round": label}}});
        let heard = join_all(watches.iter_mut().map(|watch| arrival(watch, &label)));
        let write = async {
            let name = Crowd::name(crowd.count() / 2);
            secrets.patch(&name, &PatchParams::default(), &Patch::Merge(&change)).await?;
            anyhow::Ok(Instant::now())
        };
        let (written, heard) = tokio::join!(write, heard);
        let written = written?;
        for at in heard {
            told.push(at?.saturating_duration_since(written));
        }
    }
    told.sort_unstable();
    Ok(told)
}

/// When a watch was told of a round.
async fn arrival(watch: &mut Incoming, label: &str) -> Result<Instant> {
    let wanted = format!("\"round\":\"{label}\"");
    let mut text = String::new();
    loop {
        let frame = tokio::time::timeout(WITHIN, watch.frame()).await?;
        let data = frame.context("the watch has ended")??.into_data().unwrap_or_default();
        text.push_str(&String::from_utf8_lossy(&data));
        if text.contains(&wanted) {
            return Ok(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lists_time_is_read_from_its_line_of_the_access_log() {
        let log = format!(
            "x path=\"{LIST}\" code=200 duration_ms=88.5 sent=1\nx path=\"{LIST}/a\" duration_ms=1.0\n"
        );
        assert_eq!(served(&log), [Duration::from_micros(88_500)]);
    }
}
