//! One request at a time, and open loops at a share of what the gateway can do.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::load::{Closed, Open, Tally, Work, closed, open};
use crate::measure::{Meter, Spread, rounds};
use crate::report::{Better, Cell, Findings, Line, Plot, Table, Unit};
use crate::stage::{Contender, Stage};

const SHARES: [f64; 3] = [0.2, 0.5, 0.8];
const CONNECTIONS: usize = 4;

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut contenders = vec![stage.bare()?, stage.ours()?];
    contenders.extend(stage.proxies().await?);
    alone(stage, &contenders, &mut findings).await?;
    loaded(stage, &contenders, &mut findings).await?;
    Ok(findings)
}

async fn alone(stage: &Stage, contenders: &[Contender], findings: &mut Findings) -> Result<()> {
    let span = Duration::from_millis(if stage.options.full { 4000 } else { 500 });
    let shape = Closed { connections: 1, streams: 1, warm: Duration::from_millis(200), span };
    let samples = rounds(stage.rounds(5, 11), contenders, async |contender| {
        closed(contender.target.clone(), Work::get("/api/v1/x"), shape, contender.meter.clone()).await
    })
    .await?;
    let medians =
        |index: usize| -> Vec<f64> { samples[index].iter().map(|tally| tally.percentile(50.0)).collect() };
    let direct = medians(0);
    let mut table = Table::new("One request at a time", &["", "p50", "p90", "p99", "added to direct, p50"]);
    for (index, contender) in contenders.iter().enumerate() {
        let at = |percent| {
            Cell::of(samples[index].iter().map(|tally| tally.percentile(percent)), Unit::Milliseconds)
        };
        let added = difference(&medians(index), &direct);
        table.rows.push(vec![
            contender.name.as_str().into(),
            at(50.0),
            at(90.0),
            at(99.0),
            Cell::spread(added, Unit::Milliseconds),
        ]);
    }
    findings.tables.push(table);
    let nginx =
        contenders.iter().position(|contender| contender.name.starts_with("nginx")).context("no nginx")?;
    let more = difference(&medians(1), &medians(nginx));
    findings.promise(
        "one at a time, p50 beyond nginx's",
        more.median,
        Better::Lower,
        0.020,
        Unit::Milliseconds,
    );
    let ratio = Spread::ratio(&medians(1), &direct);
    findings.figure("latency/alone/against/direct", ratio, Unit::Times, Better::Lower, true);
    let ratio = Spread::ratio(&medians(1), &medians(nginx));
    findings.figure("latency/alone/against/nginx", ratio, Unit::Times, Better::Lower, true);
    Ok(())
}

async fn loaded(stage: &Stage, contenders: &[Contender], findings: &mut Findings) -> Result<()> {
    let (warm, span) = if stage.options.full { (1000, 8000) } else { (300, 1000) };
    let (warm, span) = (Duration::from_millis(warm), Duration::from_millis(span));
    let full = Closed { connections: CONNECTIONS, streams: 32, warm, span };
    let ours = &contenders[1];
    let capacity = closed(ours.target.clone(), Work::get("/api/v1/x"), full, Meter::none()).await?.rate();
    findings.notes.push(format!(
        "Open loops (Poisson arrivals, latency from when a request is due) at 20, 50 and 80 % of what the gateway does \
         here in a closed loop: {capacity:.0} requests a second."
    ));
    let mut lines: Vec<Line> = contenders
        .iter()
        .map(|contender| Line { name: contender.name.clone(), points: Vec::new() })
        .collect();
    for share in SHARES {
        let rate = capacity * share;
        let shape = Open { connections: CONNECTIONS, rate, warm, span };
        let samples = rounds(stage.rounds(2, 5), contenders, async |contender| {
            open(contender.target.clone(), Work::get("/api/v1/x"), shape, contender.meter.clone()).await
        })
        .await?;
        let title = format!("At {:.0} % of capacity, {rate:.0} requests a second", share * 100.0);
        let mut table = Table::new(&title, &["", "requests", "p50", "p90", "p99", "p99.9", "failed", "CPU"]);
        for ((contender, tallies), line) in contenders.iter().zip(&samples).zip(&mut lines) {
            let at =
                |percent| Cell::of(tallies.iter().map(|tally| tally.percentile(percent)), Unit::Milliseconds);
            let busy = |tally: &Tally| tally.cpu.as_secs_f64() / tally.elapsed.as_secs_f64() * 100.0;
            table.rows.push(vec![
                contender.name.as_str().into(),
                Cell::of(tallies.iter().map(Tally::rate), Unit::PerSecond),
                at(50.0),
                at(90.0),
                at(99.0),
                at(99.9),
                Cell::of([tallies.iter().map(Tally::failed_requests).sum::<u64>() as f64], Unit::Count),
                Cell::of(tallies.iter().map(busy), Unit::PercentOfACore),
            ]);
            line.points.push((rate, Spread::of(tallies.iter().map(|tally| tally.percentile(99.0))).median));
        }
        findings.tables.push(table);
    }
    findings.plots.push(Plot {
        title: "p99 against load".to_owned(),
        x: "requests a second".to_owned(),
        y: "milliseconds".to_owned(),
        log: (false, true),
        lines,
    });
    Ok(())
}

/// Of each round.
fn difference(more: &[f64], less: &[f64]) -> Spread {
    Spread::of(more.iter().zip(less).map(|(more, less)| more - less))
}
