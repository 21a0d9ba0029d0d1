//! What 100,000 clusters and 1,000,000 watches would take: a model on paper, its parts measured here, and checked at
//! two points that fit here.
//!
//! Memory = base + clusters × a + connections × b + watches × c. Four points give the four numbers.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::lab::crowd::Crowd;
use e2e::lab::{Gateway, GatewayOptions};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::clusters::registration;
use crate::load::{Closed, Connection, Tally, Work, apart, closed};
use crate::measure::Spread;
use crate::report::{Better, Cell, Findings, Kind, Table, Unit};
use crate::stage::{Contender, Stage, cluster_path};

/// Streams of one connection from a hub: our own limit.
const FROM_HUB: usize = 1000;
/// Streams of one connection to a cluster: kube-apiserver's limit.
const TO_CLUSTER: f64 = 100.0;
/// A pod that nobody wonders about.
const POD_MEMORY_MB: f64 = 4096.0;

/// What a gateway has to do with.
#[derive(Clone, Copy, Debug)]
struct Load {
    clusters: usize,
    /// Of them, those that a connection is open to.
    used: usize,
    /// On each used one.
    watches_each: usize,
}

/// kB.
struct Model {
    base: f64,
    cluster: f64,
    connection: f64,
    watch: f64,
}

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let load = |clusters, used, watches_each| Load { clusters, used, watches_each };
    let nothing = measure(stage, load(1, 0, 0)).await?;
    let clusters = measure(stage, load(8000, 0, 0)).await?;
    let connections = measure(stage, load(1000, 1000, 1)).await?;
    let watches = measure(stage, load(1000, 100, 30)).await?;
    let model = Model::fit(nothing, clusters, connections, watches);
    findings.notes.push(format!(
        "Memory = {:.1} MB + clusters × {:.2} kB + connections to clusters × {:.1} kB + watches × {:.1} kB.",
        model.base / 1024.0,
        model.cluster,
        model.connection,
        model.watch
    ));
    for (what, kilobytes) in
        [("cluster", model.cluster), ("connection", model.connection), ("watch", model.watch)]
    {
        let spread = Spread::of([kilobytes]);
        findings.figure(&format!("model/{what}"), spread, Unit::Kilobytes, Better::Lower, Kind::Stable);
    }
    let mut table = Table::new("Checked here", &["", "predicted", "measured", "off by"]);
    for (clusters, used, watches_each) in [(5000, 500, 5), (2000, 200, 25)] {
        let point = load(clusters, used, watches_each);
        let (predicted, measured) = (model.memory(point), measure(stage, point).await?);
        let off = (predicted / measured - 1.0).abs() * 100.0;
        let title = format!("{clusters} clusters, {used} in use, {} watches", used * watches_each);
        table.rows.push(vec![
            title.as_str().into(),
            Cell::of([predicted / 1024.0], Unit::Megabytes),
            Cell::of([measured / 1024.0], Unit::Megabytes),
            Cell::of([off], Unit::Percent),
        ]);
        let what = format!("what the model is off by: {title}");
        findings.promise(&what, Spread::of([off]), Better::Lower, 25.0, Unit::Percent);
    }
    findings.tables.push(table);
    paper(stage, &model, &mut findings).await?;
    Ok(findings)
}

impl Model {
    fn fit(nothing: f64, clusters: f64, connections: f64, watches: f64) -> Self {
        let cluster = (clusters - nothing) / 7999.0;
        let base = nothing - cluster;
        // 1000 c + 1000 w = one, 100 c + 3000 w = other.
        let (one, other) = (connections - base - 1000.0 * cluster, watches - base - 1000.0 * cluster);
        let watch = (other - one / 10.0) / 2900.0;
        Self { base, cluster, connection: one / 1000.0 - watch, watch }
    }

    /// kB.
    fn memory(&self, load: Load) -> f64 {
        self.base
            + load.clusters as f64 * self.cluster
            + load.used as f64 * self.connection
            + (load.used * load.watches_each) as f64 * self.watch
    }
}

/// Resident memory, kB.
async fn measure(stage: &Stage, load: Load) -> Result<f64> {
    let namespace = format!("bench-model-{}-{}-{}", load.clusters, load.used, load.watches_each);
    let hub = stage.lab.hub();
    Crowd::new(&namespace, load.clusters - load.used).register(hub).await?;
    let client = hub.admin_client().await?;
    stream::iter(0..load.used)
        .map(|number| {
            let client = client.clone();
            let made = registration(stage, &namespace, &format!("used-{number}"));
            async move { made?.apply(&client).await }
        })
        .buffer_unordered(16)
        .try_collect::<Vec<()>>()
        .await?;
    let gateway = Gateway::start(hub, GatewayOptions::new(hub, &namespace)).await?;
    let contender = Contender::gateway("model", &gateway)?;
    let (target, meter) = (contender.target.clone().prefixed(""), contender.meter.clone());
    let kilobytes = apart(move || async move {
        let mut connections = Vec::new();
        let mut bodies = Vec::new();
        for index in 0..load.used * load.watches_each {
            if index % FROM_HUB == 0 {
                connections.push(Connection::open(&target).await?);
            }
            let connection = connections.last().context("no connection")?;
            let path = format!("{}/x?watch", cluster_path(&format!("used-{}", index / load.watches_each)));
            let response = connection.send(&Work::get(&path)).await?;
            ensure!(response.status() == 200, "a watch: {}", response.status());
            let mut body = response.into_body();
            let event = body.data().await.context("no first event")??;
            body.flow_control().release_capacity(event.len())?;
            bodies.push(body);
        }
        // What opening them left over is given back meanwhile.
        tokio::time::sleep(Duration::from_secs(2)).await;
        meter.rss_kb()
    })
    .await?;
    gateway.stop(Duration::from_secs(60)).await?;
    Ok(kilobytes as f64)
}

/// The numbers of the target, by the model and what a request costs.
async fn paper(stage: &Stage, model: &Model, findings: &mut Findings) -> Result<()> {
    const CLUSTERS: f64 = 100_000.0;
    const WATCHES: f64 = 1_000_000.0;
    const EVENTS: f64 = 100_000.0;
    let ours = stage.ours()?;
    let shape =
        Closed { connections: 4, streams: 32, warm: Duration::from_secs(1), span: Duration::from_secs(5) };
    let tally: Tally = closed(ours.target.clone(), Work::get("/api/v1/x"), shape, ours.meter.clone()).await?;
    let rate = tally.per_cpu_second();
    let connections = CLUSTERS.max(WATCHES / TO_CLUSTER);
    let kilobytes = CLUSTERS * model.cluster + connections * model.connection + WATCHES * model.watch;
    // Each replica knows all clusters and has its share of the rest.
    let own = model.base + CLUSTERS * model.cluster;
    let shared = kilobytes - CLUSTERS * model.cluster;
    let replicas = (shared / (POD_MEMORY_MB * 1024.0 - own).max(1.0)).ceil().max(1.0);
    let mut table = Table::new(
        "On paper: 100,000 clusters, 1,000,000 watches, 100,000 requests or events a second",
        &["", "all", "each of the replicas"],
    );
    let mut row = |title: &str, all: f64, each: f64, unit| {
        table.rows.push(vec![title.into(), Cell::of([all], unit), Cell::of([each], unit)]);
    };
    row("replicas of 4 GB", replicas, 1.0, Unit::Count);
    row("memory", (shared + own * replicas) / 1024.0, (shared / replicas + own) / 1024.0, Unit::Megabytes);
    row("cores, at what a request costs here", EVENTS / rate, EVENTS / rate / replicas, Unit::Count);
    row(
        "connections to clusters, if no two replicas use the same",
        connections,
        connections / replicas,
        Unit::Count,
    );
    // A replica's share of the watches still takes a connection to each cluster.
    let each = CLUSTERS.max(WATCHES / TO_CLUSTER / replicas);
    row("the same, if every replica uses every cluster", each * replicas, each, Unit::Count);
    let worst = own + each * model.connection + WATCHES / replicas * model.watch;
    row("memory then", worst * replicas / 1024.0, worst / 1024.0, Unit::Megabytes);
    row(
        "connections from hubs",
        WATCHES / FROM_HUB as f64,
        WATCHES / FROM_HUB as f64 / replicas,
        Unit::Count,
    );
    let descriptors = each + WATCHES / FROM_HUB as f64 / replicas;
    row("descriptors then", descriptors * replicas, descriptors, Unit::Count);
    findings.tables.push(table);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_points_give_the_four_numbers_back() {
        let truth = Model { base: 10_000.0, cluster: 5.0, connection: 40.0, watch: 9.0 };
        let at = |clusters, used, watches_each| truth.memory(Load { clusters, used, watches_each });
        let model = Model::fit(at(1, 0, 0), at(8000, 0, 0), at(1000, 1000, 1), at(1000, 100, 30));
        for (fitted, true_one) in [
            (model.base, truth.base),
            (model.cluster, truth.cluster),
            (model.connection, truth.connection),
            (model.watch, truth.watch),
        ] {
            assert!((fitted - true_one).abs() < 1e-6, "{fitted} for {true_one}");
        }
    }
}
