//! Closed loops against the light upstream, 1 kB answers, in three shapes: what a hub does (one connection, many
//! streams), several hubs, and many callers with a connection each.

use std::time::Duration;

use anyhow::Result;
use e2e::lab::Gateway;

use super::{failed, ratios, tell_failures, values};
use crate::load::{Closed, Tally, Work, closed};
use crate::measure::{Sampler, Spread, rounds};
use crate::report::{Better, Cell, Findings, Kind, Plot, Table, Unit};
use crate::stage::{Contender, OURS, Stage, start_on_cores, start_with_access_log};

type Shape = (usize, usize);

const SHAPES: [Shape; 3] = [(1, 200), (4, 32), (64, 1)];
/// Of the gateway itself.
const LOGGED: &str = "cluster-gateway, access log";
const ONE_CORE: &str = "cluster-gateway, one core";
const TWO_CORES: &str = "cluster-gateway, two cores";

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let cores = std::thread::available_parallelism()?.get();
    findings.notes.push(format!(
        "Mutual TLS in, path prefix cut, mutual TLS out, connections reused. Only the gateways check who asks and \
         whether they may. Requests per CPU second are those of the proxy's own processes (of the upstream in its \
         own row). Where nothing else is said a proxy may use all {cores} cores."
    ));
    let contenders = stage.contenders().await?;
    let variants = variants(stage, cores).await?;
    let all = |names: &[&str]| -> Vec<Contender> {
        let chosen = variants.iter().map(|(contender, _)| contender);
        let chosen = chosen.filter(|variant| names.contains(&variant.name.as_str()));
        contenders.iter().chain(chosen).cloned().collect()
    };
    let everything = all(&[LOGGED, ONE_CORE, TWO_CORES]);
    let sampler = Sampler::start(everything.iter().map(|contender| contender.meter.clone()).collect());
    for (connections, streams) in SHAPES {
        // A quick run has each variant where it tells something.
        let contenders = match (connections, streams) {
            _ if stage.options.full => everything.clone(),
            (1, 200) => all(&[ONE_CORE, TWO_CORES]),
            (4, 32) => everything.clone(),
            _ => all(&[]),
        };
        let shape = shape(stage, connections, streams);
        let title = format!("{connections} × {streams}, reads");
        let samples = measure(stage, &contenders, &Work::get("/api/v1/x"), shape).await?;
        show(&mut findings, &title, &format!("{connections}x{streams}/read"), &contenders, &samples);
        promise(&mut findings, (connections, streams), &contenders, &samples);
    }
    // Writes: what a controller sends. One shape tells.
    let contenders = all(&[]);
    let samples = measure(stage, &contenders, &Work::post("/api/v1/x", 1024), shape(stage, 4, 32)).await?;
    show(&mut findings, "4 × 32, writes of 1 kB", "4x32/write", &contenders, &samples);
    findings.plots.push(Plot::memory(&everything, sampler.stop().await));
    Ok(findings)
}

async fn variants(stage: &Stage, cores: usize) -> Result<Vec<(Contender, Gateway)>> {
    let hub = stage.lab.hub();
    let mut variants = Vec::new();
    let mut add = |name: &str, gateway: Gateway| -> Result<()> {
        variants.push((Contender::gateway(name, &gateway)?, gateway));
        Ok(())
    };
    add(LOGGED, start_with_access_log(hub, "access-log").await?)?;
    if cores > 1 {
        add(ONE_CORE, start_on_cores(hub, "one-core", 1).await?)?;
    }
    // On two cores this is ours itself.
    if cores > 2 {
        add(TWO_CORES, start_on_cores(hub, "two-cores", 2).await?)?;
    }
    Ok(variants)
}

fn shape(stage: &Stage, connections: usize, streams: usize) -> Closed {
    let (warm, span) = if stage.options.full { (2000, 8000) } else { (100, 400) };
    Closed { connections, streams, warm: Duration::from_millis(warm), span: Duration::from_millis(span) }
}

async fn measure(
    stage: &Stage,
    contenders: &[Contender],
    work: &Work,
    shape: Closed,
) -> Result<Vec<Vec<Tally>>> {
    rounds(stage.rounds(4, 7), contenders, async |contender| {
        closed(contender.target.clone(), work.clone(), shape, contender.meter.clone()).await
    })
    .await
}

fn show(findings: &mut Findings, title: &str, name: &str, contenders: &[Contender], samples: &[Vec<Tally>]) {
    let mut table = Table::new(
        title,
        &["", "requests", "p50", "p99", "p99.9", "requests per CPU second", "failed", "memory"],
    );
    for (contender, tallies) in contenders.iter().zip(samples) {
        let at = |percent| Cell::of(values(tallies, |tally| tally.percentile(percent)), Unit::Milliseconds);
        let memory = contender.meter.rss_kb().unwrap_or_default() as f64 / 1024.0;
        table.rows.push(vec![
            contender.name.as_str().into(),
            Cell::of(values(tallies, Tally::rate), Unit::PerSecond),
            at(50.0),
            at(99.0),
            at(99.9),
            Cell::of(values(tallies, Tally::per_cpu_second), Unit::PerCpuSecond),
            Cell::of([failed(tallies)], Unit::Count),
            Cell::of([memory], Unit::Megabytes),
        ]);
    }
    findings.tables.push(table);
    tell_failures(findings, title, contenders, samples);
    findings.plots.push(Plot::latencies(title, contenders, samples));
    figures(findings, name, contenders, samples);
}

fn figures(findings: &mut Findings, name: &str, contenders: &[Contender], samples: &[Vec<Tally>]) {
    let title = format!("throughput/{name}/{}", contenders[OURS].name);
    let mut absolute = |what: &str, of: fn(&Tally) -> f64, unit| {
        let spread = Spread::of(values(&samples[OURS], of));
        findings.figure(&format!("{title}/{what}"), spread, unit, Better::Higher, Kind::Absolute);
    };
    absolute("per-second", Tally::rate, Unit::PerSecond);
    absolute("per-cpu-second", Tally::per_cpu_second, Unit::PerCpuSecond);
    let p99 = Spread::of(values(&samples[OURS], |tally| tally.percentile(99.0)));
    findings.time(&format!("{title}/p99"), p99);
    for (other, ratio) in ratios(contenders, samples, Tally::per_cpu_second) {
        findings.ratio(&format!("{title}/against/{other}"), ratio);
    }
}

fn promise(findings: &mut Findings, shape: Shape, contenders: &[Contender], samples: &[Vec<Tally>]) {
    let bounds: &[(&str, f64)] = match shape {
        (4, 32) => &[("nginx (h1 upstream)", 1.2), ("HAProxy (h2 upstream)", 0.7)],
        (1, 200) => &[("nginx (h1 upstream)", 1.1)],
        _ => &[],
    };
    for (name, ratio) in ratios(contenders, samples, Tally::per_cpu_second) {
        let Some((_, bound)) = bounds.iter().find(|(other, _)| *other == name) else { continue };
        let what = format!("requests per CPU second, {} × {}, against {name}", shape.0, shape.1);
        findings.promise(&what, ratio, Better::Higher, *bound, Unit::Times);
    }
}
