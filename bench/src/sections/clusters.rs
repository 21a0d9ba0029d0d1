//! Many clusters: what they weigh, what a request costs beside them, how soon a new one is served, what is kept open
//! when all are used in turn.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::client::H2;
use e2e::lab::crowd::{Cost, Crowd};
use e2e::lab::sockets::connections_to;
use e2e::lab::{Gateway, GatewayOptions, Registration, until};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::load::{Closed, Tally, Work, closed};
use crate::measure::{Spread, rounds};
use crate::report::{Better, Cell, Findings, Line, Plot, Table, Unit};
use crate::stage::{CLUSTER, Contender, GROUPS, Stage, USER, cluster_path, start_gateway};

const MANY: usize = 10_000;
const IN_TURN: usize = 1000;
const READY: Duration = Duration::from_secs(30);

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let sizes: &[usize] = if stage.options.full { &[3, 1000, MANY] } else { &[3, MANY] };
    let many = weigh(stage, sizes, &mut findings).await?;
    beside(stage, &many, &mut findings).await?;
    drop(many);
    changes(stage, &mut findings).await?;
    in_turn(stage, &mut findings).await?;
    Ok(findings)
}

/// Starts a gateway for crowds of these sizes; gives the last, with [`CLUSTER`] among its clusters.
async fn weigh(stage: &Stage, sizes: &[usize], findings: &mut Findings) -> Result<Gateway> {
    let hub = stage.lab.hub();
    let columns = [
        "clusters",
        "start to ready",
        "memory at rest",
        "after 5 lists",
        "with 1,000 watches",
        "list, by the gateway",
        "list, by the client",
        "a change reaches 1,000 watches, p99",
    ];
    let mut table = Table::new("Clusters with an authority, a certificate and a key of their own", &columns);
    let mut points = Vec::new();
    let mut last = None;
    for &size in sizes {
        let crowd = Crowd::new(&format!("bench-crowd-{size}"), size);
        crowd.register(hub).await?;
        let (cost, gateway) = Cost::measure(hub, &crowd, 1000).await?;
        let megabytes = |kb: u64| Cell::of([kb as f64 / 1024.0], Unit::Megabytes);
        let seconds = |times: &[Duration]| {
            Cell::of(times.iter().map(|time| time.as_secs_f64() * 1e3), Unit::Milliseconds)
        };
        table.rows.push(vec![
            Cell::of([size as f64], Unit::Count),
            Cell::of([cost.ready.as_secs_f64()], Unit::Seconds),
            megabytes(cost.rest_kb),
            megabytes(cost.listed_kb),
            megabytes(cost.told_kb),
            seconds(&cost.served),
            seconds(&cost.lists),
            seconds(&[cost.told_within(99)]),
        ]);
        points.push((size as f64, cost.rest_kb as f64 / 1024.0));
        promise(findings, size, &cost);
        drop(gateway);
        last = Some(crowd);
    }
    findings.tables.push(table);
    findings.plots.push(Plot {
        title: "Memory at rest".to_owned(),
        x: "clusters".to_owned(),
        y: "MB".to_owned(),
        log: (false, false),
        lines: vec![Line { name: "cluster-gateway".to_owned(), points }],
    });
    let crowd = last.context("no sizes")?;
    register(stage, crowd.namespace(), CLUSTER).await?;
    // Another one: the one before wrote an access log, from which the times of lists were read.
    let hub = stage.lab.hub();
    let gateway = Gateway::start(hub, GatewayOptions::new(hub, crowd.namespace())).await?;
    served(&master(&gateway).await?, CLUSTER).await?;
    Ok(gateway)
}

fn promise(findings: &mut Findings, size: usize, cost: &Cost) {
    let rest = cost.rest_kb as f64 / 1024.0;
    let spread = Spread::of([rest]);
    findings.figure(&format!("clusters/{size}/memory"), spread, Unit::Megabytes, Better::Lower, true);
    match size {
        3 => findings.promise("memory at rest, 3 clusters", rest, Better::Lower, 15.0, Unit::Megabytes),
        MANY => {
            findings.promise("memory at rest, 10,000 clusters", rest, Better::Lower, 100.0, Unit::Megabytes);
            let ready = cost.ready.as_secs_f64();
            findings.promise(
                "10,000 clusters: process start to ready",
                ready,
                Better::Lower,
                1.0,
                Unit::Seconds,
            );
            let list = cost.served.get(cost.served.len() / 2).copied().unwrap_or_default();
            let list = list.as_secs_f64() * 1e3;
            findings.promise(
                "full list of 10,000, by the gateway",
                list,
                Better::Lower,
                100.0,
                Unit::Milliseconds,
            );
            let told = cost.told_within(99).as_secs_f64() * 1e3;
            let what = "a change reaches 1,000 watches, p99";
            findings.promise(what, told, Better::Lower, 100.0, Unit::Milliseconds);
        }
        _ => {}
    }
}

/// The same requests, by the gateway that knows few clusters and by the one that knows many.
async fn beside(stage: &Stage, many: &Gateway, findings: &mut Findings) -> Result<()> {
    let (warm, span) = if stage.options.full { (1000, 5000) } else { (300, 1000) };
    let shape = Closed {
        connections: 4,
        streams: 32,
        warm: Duration::from_millis(warm),
        span: Duration::from_millis(span),
    };
    // Both have done nothing else before.
    let few = start_gateway(stage.lab.hub(), "few", None).await?;
    let contenders = [Contender::gateway("2 clusters", &few)?, Contender::gateway("10,000 clusters", many)?];
    let samples = rounds(stage.rounds(5, 9), &contenders, async |contender| {
        closed(contender.target.clone(), Work::get("/api/v1/x"), shape, contender.meter.clone()).await
    })
    .await?;
    let costs = |index: usize| -> Vec<f64> {
        samples[index].iter().map(|tally: &Tally| 1e6 / tally.per_cpu_second()).collect()
    };
    let ratio = Spread::ratio(&costs(1), &costs(0));
    findings.notes.push(format!(
        "A request costs {:.1} µs of CPU with 2 clusters and {:.1} µs with 10,001.",
        Spread::of(costs(0)).median,
        Spread::of(costs(1)).median
    ));
    findings.figure("clusters/cost-of-a-request/10000-against-2", ratio, Unit::Times, Better::Lower, true);
    let what = "cost per request with 10,000 clusters against 2";
    findings.promise(what, ratio.median, Better::Lower, 1.03, Unit::Times);
    Ok(())
}

/// From the hub's answer to a new Secret to the first proxied 200, at rest and under full load.
async fn changes(stage: &Stage, findings: &mut Findings) -> Result<()> {
    let count = if stage.options.full { 500 } else { 200 };
    let mut table =
        Table::new("From the hub's answer to a new Secret to the first 200", &["", "p50", "p99", "most"]);
    let rest = delays(stage, "rest", count).await?;
    let shape = Closed { connections: 4, streams: 32, warm: Duration::ZERO, span: Duration::from_secs(600) };
    let ours = stage.ours()?;
    let load = tokio::spawn(closed(ours.target.clone(), Work::get("/api/v1/x"), shape, ours.meter.clone()));
    let loaded = delays(stage, "load", count).await;
    load.abort();
    for (title, delays, bound) in [("at rest", rest, 8.0), ("under full load", loaded?, 50.0)] {
        let at = |percent| delays.value_at_percentile(percent) as f64 / 1e6;
        table.rows.push(vec![
            title.into(),
            Cell::of([at(50.0)], Unit::Milliseconds),
            Cell::of([at(99.0)], Unit::Milliseconds),
            Cell::of([at(100.0)], Unit::Milliseconds),
        ]);
        let what = format!("new Secret to first proxied 200, p99, {title}");
        findings.promise(&what, at(99.0), Better::Lower, bound, Unit::Milliseconds);
    }
    findings.tables.push(table);
    Ok(())
}

async fn delays(stage: &Stage, kind: &str, count: usize) -> Result<hdrhistogram::Histogram<u64>> {
    let namespace = stage.gateway.options().secret_namespace.clone();
    let client = stage.lab.hub().admin_client().await?;
    let connection = master(&stage.gateway).await?;
    let mut delays = Tally::new().latencies;
    for number in 0..count {
        let name = format!("new-{kind}-{number}");
        let registration = registration(stage, &namespace, &name)?;
        registration.apply(&client).await?;
        let written = Instant::now();
        let path = format!("{}/api/v1/x", cluster_path(&name));
        while connection.get(&path).await?.status != 200 {
            ensure!(written.elapsed() < READY, "{name} is not served after {READY:?}");
        }
        delays.saturating_record(u64::try_from(written.elapsed().as_nanos())?);
        registration.delete(&client).await?;
    }
    Ok(delays)
}

/// A thousand clusters, each asked once, twice over.
async fn in_turn(stage: &Stage, findings: &mut Findings) -> Result<()> {
    const NAMESPACE: &str = "bench-in-turn";
    let hub = stage.lab.hub();
    hub.ensure_namespace(NAMESPACE).await?;
    let client = hub.admin_client().await?;
    stream::iter(0..IN_TURN)
        .map(|number| {
            let client = client.clone();
            let made = registration(stage, NAMESPACE, &format!("turn-{number}"));
            async move { made?.apply(&client).await }
        })
        .buffer_unordered(16)
        .try_collect::<Vec<()>>()
        .await?;
    let gateway = Gateway::start(hub, GatewayOptions::new(hub, NAMESPACE)).await?;
    let connection = master(&gateway).await?;
    let pid = gateway.process().pid().context("the gateway has ended")?;
    let columns = ["", "a request, p50", "p99", "connections open after", "memory after"];
    let mut table = Table::new(&format!("{IN_TURN} clusters used in turn"), &columns);
    for title in ["first time (dials)", "again"] {
        let mut latencies = Tally::new().latencies;
        for number in 0..IN_TURN {
            let began = Instant::now();
            let answer =
                connection.get(&format!("{}/api/v1/x", cluster_path(&format!("turn-{number}")))).await?;
            ensure!(answer.status == 200, "turn-{number}: {} {}", answer.status, answer.text());
            latencies.saturating_record(u64::try_from(began.elapsed().as_nanos())?);
        }
        table.rows.push(vec![
            title.into(),
            Cell::of([latencies.value_at_quantile(0.5) as f64 / 1e6], Unit::Milliseconds),
            Cell::of([latencies.value_at_quantile(0.99) as f64 / 1e6], Unit::Milliseconds),
            Cell::of([connections_to(pid, stage.upstream.address().port())? as f64], Unit::Count),
            Cell::of([gateway.rss_kb()? as f64 / 1024.0], Unit::Megabytes),
        ]);
    }
    findings.tables.push(table);
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
