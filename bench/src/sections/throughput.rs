//! Closed loops against the light upstream, 1 kB answers, in three shapes: what a hub does (one connection, many
//! streams), several hubs, and many callers with a connection each.

use std::time::Duration;

use anyhow::Result;

use crate::load::{Closed, Tally, Work, closed};
use crate::measure::{Spread, rounds};
use crate::report::{Better, Cell, Findings, Line, Plot, Table, Unit};
use crate::stage::{Contender, Stage, start_on_one_core, start_with_access_log};

const SHAPES: [(usize, usize); 3] = [(1, 200), (4, 32), (64, 1)];

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    findings.notes.push(
        "Mutual TLS in, path prefix cut, mutual TLS out, connections reused. Only the gateways check who asks and \
         whether they may. Requests per CPU second are those of the proxy's own processes (of the upstream in its \
         own row)."
            .to_owned(),
    );
    let others = stage.others().await?;
    let mut contenders = vec![stage.bare()?, stage.ours()?];
    contenders.extend(stage.proxies().await?);
    let mut running = Vec::new();
    for (contender, gateway) in others {
        contenders.push(contender);
        running.push(gateway);
    }
    let gateway = start_with_access_log(stage.lab.hub(), "access-log").await?;
    contenders.push(Contender::gateway("cluster-gateway, access log", &gateway)?);
    running.push(gateway);
    if stage.options.full {
        let gateway = start_on_one_core(stage.lab.hub(), "one-core").await?;
        contenders.push(Contender::gateway("cluster-gateway, one core", &gateway)?);
        running.push(gateway);
    }
    for (connections, streams) in SHAPES {
        let shape = shape(stage, connections, streams);
        let title = format!("{connections} × {streams}, reads");
        let samples = measure(stage, &contenders, &Work::get("/api/v1/x"), shape).await?;
        show(&mut findings, &title, &format!("{connections}x{streams}/read"), &contenders, &samples);
        promise(&mut findings, (connections, streams), &contenders, &samples);
    }
    // Writes: what a controller sends. One shape tells.
    let samples = measure(stage, &contenders, &Work::post("/api/v1/x", 1024), shape(stage, 4, 32)).await?;
    show(&mut findings, "4 × 32, writes of 1 kB", "4x32/write", &contenders, &samples);
    drop(running);
    Ok(findings)
}

fn shape(stage: &Stage, connections: usize, streams: usize) -> Closed {
    let (warm, span) = if stage.options.full { (2000, 8000) } else { (200, 800) };
    Closed { connections, streams, warm: Duration::from_millis(warm), span: Duration::from_millis(span) }
}

async fn measure(
    stage: &Stage,
    contenders: &[Contender],
    work: &Work,
    shape: Closed,
) -> Result<Vec<Vec<Tally>>> {
    rounds(stage.rounds(3, 7), contenders, async |contender| {
        closed(contender.target.clone(), work.clone(), shape, contender.meter.clone()).await
    })
    .await
}

fn show(findings: &mut Findings, title: &str, name: &str, contenders: &[Contender], samples: &[Vec<Tally>]) {
    let mut table = Table::new(
        title,
        &["", "requests", "p50", "p99", "p99.9", "requests per CPU second", "failed", "memory"],
    );
    let mut lines = Vec::new();
    for (contender, tallies) in contenders.iter().zip(samples) {
        let of = |value: fn(&Tally) -> f64, unit| Cell::of(tallies.iter().map(value), unit);
        let memory = contender.meter.rss_kb().unwrap_or_default() as f64 / 1024.0;
        table.rows.push(vec![
            contender.name.as_str().into(),
            of(Tally::rate, Unit::PerSecond),
            of(|tally| tally.percentile(50.0), Unit::Milliseconds),
            of(|tally| tally.percentile(99.0), Unit::Milliseconds),
            of(|tally| tally.percentile(99.9), Unit::Milliseconds),
            of(Tally::per_cpu_second, Unit::PerCpuSecond),
            Cell::of([tallies.iter().map(Tally::failed_requests).sum::<u64>() as f64], Unit::Count),
            Cell::of([memory], Unit::Megabytes),
        ]);
        lines.push(Line { name: contender.name.clone(), points: distribution(tallies) });
    }
    for (contender, tallies) in contenders.iter().zip(samples) {
        let failures = tallies.iter().flat_map(|tally| &tally.failures);
        if let Some((message, _)) = failures.max_by_key(|(_, count)| **count) {
            findings.notes.push(format!("{title}: {} failed most often by: {message}", contender.name));
        }
    }
    findings.tables.push(table);
    findings.plots.push(Plot {
        title: format!("{title}: share of requests within a latency"),
        x: "milliseconds".to_owned(),
        y: "percent".to_owned(),
        log: (true, false),
        lines,
    });
    figures(findings, name, contenders, samples);
}

/// Percent of requests (of all rounds) that stay below a latency in milliseconds.
fn distribution(tallies: &[Tally]) -> Vec<(f64, f64)> {
    let mut all = Tally::new().latencies;
    for tally in tallies {
        // The bounds are the same.
        let _ = all.add(&tally.latencies);
    }
    (0..=200)
        .map(|half| f64::from(half) / 2.0)
        .map(|percent| (all.value_at_percentile(percent) as f64 / 1e6, percent))
        .collect()
}

fn figures(findings: &mut Findings, name: &str, contenders: &[Contender], samples: &[Vec<Tally>]) {
    let (Some(ours), Some(values)) = (contenders.get(1), samples.get(1)) else { return };
    let own: Vec<f64> = values.iter().map(Tally::per_cpu_second).collect();
    let title = format!("throughput/{name}/{}", ours.name);
    let spread = Spread::of(own.iter().copied());
    findings.figure(&format!("{title}/per-cpu-second"), spread, Unit::PerCpuSecond, Better::Higher, false);
    for (contender, tallies) in contenders.iter().zip(samples).skip(2) {
        let theirs: Vec<f64> = tallies.iter().map(Tally::per_cpu_second).collect();
        let figure = format!("{title}/against/{}", contender.name);
        findings.figure(&figure, Spread::ratio(&own, &theirs), Unit::Times, Better::Higher, true);
    }
}

fn promise(findings: &mut Findings, shape: (usize, usize), contenders: &[Contender], samples: &[Vec<Tally>]) {
    let bounds: &[(&str, f64)] = match shape {
        (4, 32) => &[("nginx (h1 upstream)", 1.2), ("HAProxy (h2 upstream)", 0.7)],
        (1, 200) => &[("nginx (h1 upstream)", 1.1)],
        _ => &[],
    };
    let values = |name: &str| -> Option<Vec<f64>> {
        let index = contenders.iter().position(|contender| contender.name == name)?;
        Some(samples[index].iter().map(Tally::per_cpu_second).collect())
    };
    for (name, bound) in bounds {
        let (Some(own), Some(theirs)) = (values("cluster-gateway"), values(name)) else { continue };
        let what = format!("requests per CPU second, {} × {}, against {name}", shape.0, shape.1);
        findings.promise(&what, Spread::ratio(&own, &theirs).median, Better::Higher, *bound, Unit::Times);
    }
}
