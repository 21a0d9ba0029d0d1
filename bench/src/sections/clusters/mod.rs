//! Many clusters: what they weigh, what a request costs beside them, how soon a new or changed one is served, what is
//! kept open when many are used in turn, what a scrape takes.

mod changes;
mod used;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::client::H2;
use e2e::lab::crowd::{Cost, Crowd};
use e2e::lab::{Gateway, GatewayOptions, Registration, until};

use super::values;
use crate::load::{Closed, Tally, Work, closed};
use crate::measure::{Spread, rounds};
use crate::report::{Better, Cell, Findings, Kind, Line, Plot, Table, Unit};
use crate::stage::{CLUSTER, Contender, GROUPS, SETTLED, Stage, USER, cluster_path, start_gateway};

const MANY: usize = 10_000;
const READY: Duration = Duration::from_secs(30);

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let sizes: &[usize] = if stage.options.full { &[3, 1000, MANY] } else { &[3, MANY] };
    let (crowd, many) = weigh(stage, sizes, &mut findings).await?;
    beside(stage, &many, &mut findings).await?;
    used::run(stage, &crowd, &many, &mut findings).await?;
    drop(many);
    changes::run(stage, &mut findings).await?;
    Ok(findings)
}

/// Starts gateways for crowds of these sizes; gives the last crowd and a gateway for it that has done nothing yet,
/// with [`CLUSTER`] among its clusters.
async fn weigh(stage: &Stage, sizes: &[usize], findings: &mut Findings) -> Result<(Crowd, Gateway)> {
    let hub = stage.lab.hub();
    let columns = [
        "clusters",
        "start to ready",
        "memory at rest",
        "after 5 lists",
        "with 1,000 watches",
        "list, by the gateway",
        "list, by the client",
        "a change reaches 1,000 watches, p50",
        "p99",
    ];
    let mut table = Table::new("Clusters with an authority, a certificate and a key of their own", &columns);
    let mut points = Vec::new();
    let mut last = None;
    for &size in sizes {
        let crowd = Crowd::new(&format!("bench-crowd-{size}"), size);
        crowd.register(hub).await?;
        let (cost, gateway) = Cost::measure(hub, &crowd, 1000).await?;
        drop(gateway);
        register(stage, crowd.namespace(), CLUSTER).await?;
        // Its memory was read as soon as it was ready, which is not at rest.
        let (mut ready, mut rest) = (vec![cost.ready.as_secs_f64()], Vec::new());
        let mut another = None;
        for _ in 1..stage.rounds(3, 5).max(2) {
            drop(another.take());
            // Without the access log, from which the times of lists were read.
            let began = Instant::now();
            let gateway = Gateway::start(hub, GatewayOptions::new(hub, crowd.namespace())).await?;
            ready.push(began.elapsed().as_secs_f64());
            tokio::time::sleep(SETTLED).await;
            rest.push(megabytes(gateway.rss_kb()?));
            another = Some(gateway);
        }
        let (ready, rest) = (Spread::of(ready), Spread::of(rest));
        let told = |percent| Spread::of([milliseconds(&cost.told_within(percent))]);
        table.rows.push(vec![
            Cell::of([size as f64], Unit::Count),
            Cell::spread(ready, Unit::Seconds),
            Cell::spread(rest, Unit::Megabytes),
            Cell::of([megabytes(cost.listed_kb)], Unit::Megabytes),
            Cell::of([megabytes(cost.told_kb)], Unit::Megabytes),
            Cell::of(cost.served.iter().map(milliseconds), Unit::Milliseconds),
            Cell::of(cost.lists.iter().map(milliseconds), Unit::Milliseconds),
            Cell::spread(told(50), Unit::Milliseconds),
            Cell::spread(told(99), Unit::Milliseconds),
        ]);
        points.push((size as f64, rest.median));
        promise(findings, size, &cost, ready, rest);
        last = another.map(|gateway| (crowd, gateway));
    }
    findings.tables.push(table);
    findings.notes.push(
        "Memory after lists and with watches is of one round; news of ten changes reach 1,000 watches each."
            .to_owned(),
    );
    findings.plots.push(Plot {
        title: "Memory at rest".to_owned(),
        x: "clusters".to_owned(),
        y: "MB".to_owned(),
        log: (false, false),
        lines: vec![Line { name: "cluster-gateway".to_owned(), points }],
    });
    let (crowd, gateway) = last.context("no sizes")?;
    served(&master(&gateway).await?, CLUSTER).await?;
    Ok((crowd, gateway))
}

fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}

fn milliseconds(time: &Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn promise(findings: &mut Findings, size: usize, cost: &Cost, ready: Spread, rest: Spread) {
    let name = format!("clusters/{size}");
    findings.figure(&format!("{name}/memory"), rest, Unit::Megabytes, Better::Lower, Kind::Stable);
    findings.figure(&format!("{name}/ready"), ready, Unit::Seconds, Better::Lower, Kind::Absolute);
    let list = Spread::of(cost.served.iter().map(milliseconds));
    let told = Spread::of([milliseconds(&cost.told_within(99))]);
    findings.time(&format!("{name}/list"), list);
    findings.time(&format!("{name}/told-p99"), told);
    let mut promise =
        |what: &str, measured, bound, unit| findings.promise(what, measured, Better::Lower, bound, unit);
    match size {
        3 => promise("memory at rest, 3 clusters", rest, 15.0, Unit::Megabytes),
        MANY => {
            promise("memory at rest, 10,000 clusters", rest, 100.0, Unit::Megabytes);
            promise("10,000 clusters: process start to ready", ready, 1.0, Unit::Seconds);
            promise("full list of 10,000, by the gateway", list, 100.0, Unit::Milliseconds);
            promise("a change reaches 1,000 watches, p99", told, 100.0, Unit::Milliseconds);
        }
        _ => {}
    }
}

/// The same requests, by the gateway that knows few clusters and by the one that knows many.
async fn beside(stage: &Stage, many: &Gateway, findings: &mut Findings) -> Result<()> {
    let (warm, span) = if stage.options.full { (1000, 5000) } else { (150, 600) };
    let (warm, span) = (Duration::from_millis(warm), Duration::from_millis(span));
    let shape = Closed { connections: 4, streams: 32, warm, span };
    // Both have done nothing else before.
    let few = start_gateway(stage.lab.hub(), "few", None).await?;
    let contenders = [Contender::gateway("2 clusters", &few)?, Contender::gateway("10,000 clusters", many)?];
    let samples = rounds(stage.rounds(7, 11), &contenders, async |contender| {
        closed(contender.target.clone(), Work::get("/api/v1/x"), shape, contender.meter.clone()).await
    })
    .await?;
    let costs = |index: usize| values(&samples[index], |tally: &Tally| 1e6 / tally.per_cpu_second());
    let ratio = Spread::ratio(&costs(1), &costs(0));
    findings.notes.push(format!(
        "A request costs {:.1} µs of CPU with 2 clusters and {:.1} µs with 10,001.",
        Spread::of(costs(0)).median,
        Spread::of(costs(1)).median
    ));
    findings.cost("clusters/cost-of-a-request/10000-against-2", ratio);
    let what = "cost per request with 10,000 clusters against 2";
    findings.promise(what, ratio, Better::Lower, 1.03, Unit::Times);
    Ok(())
}

/// A cluster that is the light upstream, with a certificate of its own.
pub(super) fn registration(stage: &Stage, namespace: &str, name: &str) -> Result<Registration> {
    let (upstream, identity) = (&stage.upstream, stage.upstream.client(name)?);
    Ok(Registration::x509(namespace, name, &upstream.url(), upstream.ca_pem(), &identity))
}

async fn register(stage: &Stage, namespace: &str, name: &str) -> Result<()> {
    registration(stage, namespace, name)?.apply(&stage.lab.hub().admin_client().await?).await
}

async fn master(gateway: &Gateway) -> Result<H2> {
    gateway.front_proxy(USER, GROUPS)?.h2().await
}

async fn served(connection: &H2, name: &str) -> Result<()> {
    let path = format!("{}/api/v1/x", cluster_path(name));
    until(&format!("{name} served"), READY, || async {
        let answer = connection.get(&path).await?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
        Ok(())
    })
    .await
}
