//! One request at a time, and open loops at a share of what the gateway can do.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::{failed, tell_failures, values};
use crate::load::{Closed, Open, Ramp, Tally, Work, closed, kept_up, open};
use crate::measure::{Meter, Spread, rounds};
use crate::report::{Better, Cell, Findings, Kind, Line, Plot, Table, Unit};
use crate::stage::{Contender, DIRECT, OURS, Stage};

/// Of our capacity; all contenders get the same rates.
const SHARES: [f64; 3] = [0.2, 0.5, 0.8];
/// What the plots have besides.
const BEYOND: [f64; 2] = [1.0, 1.4];
const CONNECTIONS: usize = 4;
/// After that long a load begins whatever is still going on.
const CALM: Duration = Duration::from_secs(3);

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let contenders = stage.contenders().await?;
    alone(stage, &contenders, &mut findings).await?;
    loaded(stage, &contenders, &mut findings).await?;
    Ok(findings)
}

fn p50(tally: &Tally) -> f64 {
    tally.percentile(50.0)
}

fn p99(tally: &Tally) -> f64 {
    tally.percentile(99.0)
}

/// Many short rounds: which core each process of the way happens to run on makes 30 µs, and stays for a connection.
async fn alone(stage: &Stage, contenders: &[Contender], findings: &mut Findings) -> Result<()> {
    let (warm, span) = if stage.options.full { (500, 4000) } else { (50, 150) };
    let (warm, span) = (Duration::from_millis(warm), Duration::from_millis(span));
    let shape = Closed { connections: 1, streams: 1, warm, span };
    let samples = rounds(stage.rounds(15, 15), contenders, async |contender| {
        closed(contender.target.clone(), Work::get("/api/v1/x"), shape, contender.meter.clone()).await
    })
    .await?;
    let medians = |index: usize| values(&samples[index], p50);
    let direct = medians(DIRECT);
    let mut table = Table::new("One request at a time", &["", "p50", "p90", "p99", "added to direct, p50"]);
    for (index, contender) in contenders.iter().enumerate() {
        let at = |percent| {
            Cell::of(values(&samples[index], |tally| tally.percentile(percent)), Unit::Milliseconds)
        };
        let added = Spread::difference(&medians(index), &direct);
        table.rows.push(vec![
            contender.name.as_str().into(),
            at(50.0),
            at(90.0),
            at(99.0),
            Cell::spread(added, Unit::Milliseconds),
        ]);
    }
    findings.tables.push(table);
    findings.plots.push(Plot::latencies("One request at a time", contenders, &samples));
    let nginx = contenders.iter().position(|contender| contender.name.starts_with("nginx"));
    let nginx = nginx.context("no nginx")?;
    let what = "one at a time, p50 beyond nginx's";
    let more = Spread::difference(&medians(OURS), &medians(nginx));
    findings.promise(what, more, Better::Lower, 0.020, Unit::Milliseconds);
    findings.time("latency/alone/added-to-direct", Spread::difference(&medians(OURS), &direct));
    for (index, contender) in contenders.iter().enumerate().filter(|(index, _)| *index != OURS) {
        let ratio = Spread::ratio(&medians(OURS), &medians(index));
        findings.cost(&format!("latency/alone/against/{}", contender.name), ratio);
    }
    Ok(())
}

async fn loaded(stage: &Stage, contenders: &[Contender], findings: &mut Findings) -> Result<()> {
    let capacity = capacity(stage, &contenders[OURS]).await?;
    findings.notes.push(format!(
        "Open loops: Poisson arrivals, latency from when a request is due. All get the same rates: shares of what \
         cluster-gateway keeps up with here, beside the load generator, in an open loop that is raised step by step: \
         {capacity:.0} requests a second. \"answered\" has what came before the end."
    ));
    let line = |contender: &Contender| Line { name: contender.name.clone(), points: Vec::new() };
    let mut answered: Vec<Line> = contenders.iter().map(line).collect();
    let mut slowest: Vec<Line> = contenders.iter().map(line).collect();
    for share in SHARES.into_iter().chain(BEYOND) {
        let rate = capacity * share;
        let shown = SHARES.contains(&share);
        let count = if shown { stage.rounds(3, 7) } else { stage.rounds(1, 3) };
        let shape = shape(stage, rate);
        let samples = rounds(count, contenders, async |contender| {
            calm(stage, contender).await?;
            open(contender.target.clone(), Work::get("/api/v1/x"), shape, contender.meter.clone()).await
        })
        .await?;
        for (index, tallies) in samples.iter().enumerate() {
            answered[index].points.push((rate, Spread::of(values(tallies, Tally::rate)).median));
            slowest[index].points.push((rate, Spread::of(values(tallies, p99)).median));
        }
        if shown {
            show(findings, share, rate, contenders, &samples);
        }
    }
    let plot = |title: &str, y: &str, log, lines| Plot {
        title: title.to_owned(),
        x: "requests a second that are due".to_owned(),
        y: y.to_owned(),
        log,
        lines,
    };
    findings.plots.push(plot("Throughput against load", "answered a second", (false, false), answered));
    findings.plots.push(plot("p99 against load", "milliseconds", (false, true), slowest));
    Ok(())
}

fn shape(stage: &Stage, rate: f64) -> Open {
    let (warm, span) = if stage.options.full { (1000, 8000) } else { (200, 400) };
    let (warm, span) = (Duration::from_millis(warm), Duration::from_millis(span));
    Open { connections: CONNECTIONS, rate, warm, span }
}

/// Waits until a contender and the upstream have nothing more to do: an overload leaves hundreds of handshakes, which
/// would be the next one's to wait for.
async fn calm(stage: &Stage, contender: &Contender) -> Result<()> {
    const LOOK: Duration = Duration::from_millis(20);
    let upstream = stage.upstream.meter()?;
    let used = || -> Result<Duration> { Ok(upstream.cpu()? + contender.meter.cpu()?) };
    let began = Instant::now();
    while began.elapsed() < CALM {
        let before = used()?;
        tokio::time::sleep(LOOK).await;
        if used()?.saturating_sub(before) < LOOK / 10 {
            break;
        }
    }
    Ok(())
}

/// The highest rate that it keeps up with.
async fn capacity(stage: &Stage, ours: &Contender) -> Result<f64> {
    let Open { warm, span, .. } = shape(stage, 0.0);
    let closed_loop = Closed { connections: CONNECTIONS, streams: 32, warm, span };
    let most = closed(ours.target.clone(), Work::get("/api/v1/x"), closed_loop, Meter::none()).await?.rate();
    let mut ramp = Ramp::new(most * 0.3, if stage.options.full { 1.06 } else { 1.12 });
    while let Some(rate) = ramp.next() {
        let shape = shape(stage, rate);
        calm(stage, ours).await?;
        let tally = open(ours.target.clone(), Work::get("/api/v1/x"), shape, ours.meter.clone()).await?;
        ramp.tried(kept_up(&tally));
    }
    ramp.capacity().context("cluster-gateway keeps up with no rate here: is the machine busy?")
}

fn show(findings: &mut Findings, share: f64, rate: f64, contenders: &[Contender], samples: &[Vec<Tally>]) {
    let percent = share * 100.0;
    let title = format!("At {percent:.0} % of capacity, {rate:.0} requests a second");
    let columns = ["", "due", "answered", "p50", "added to direct", "p90", "p99", "p99.9", "failed", "CPU"];
    let mut table = Table::new(&title, &columns);
    let direct = values(&samples[DIRECT], p50);
    for (contender, tallies) in contenders.iter().zip(samples) {
        let at = |percent| Cell::of(values(tallies, |tally| tally.percentile(percent)), Unit::Milliseconds);
        let due = |tally: &Tally| tally.offered as f64 / tally.elapsed.as_secs_f64();
        table.rows.push(vec![
            contender.name.as_str().into(),
            Cell::of(values(tallies, due), Unit::PerSecond),
            Cell::of(values(tallies, Tally::rate), Unit::PerSecond),
            at(50.0),
            Cell::spread(Spread::difference(&values(tallies, p50), &direct), Unit::Milliseconds),
            at(90.0),
            at(99.0),
            at(99.9),
            Cell::of([failed(tallies)], Unit::Count),
            Cell::of(values(tallies, Tally::busy), Unit::PercentOfACore),
        ]);
    }
    findings.tables.push(table);
    tell_failures(findings, &title, contenders, samples);
    let name = format!("latency/at-{percent:.0}-percent");
    findings.plots.push(Plot::latencies(&format!("At {percent:.0} % of capacity"), contenders, samples));
    findings.time(&format!("{name}/p50"), Spread::of(values(&samples[OURS], p50)));
    findings.time(&format!("{name}/p99"), Spread::of(values(&samples[OURS], p99)));
    for (index, contender) in contenders.iter().enumerate().filter(|(index, _)| *index != OURS) {
        for (what, of) in [("p50", p50 as fn(&Tally) -> f64), ("p99", p99)] {
            let ratio = Spread::ratio(&values(&samples[OURS], of), &values(&samples[index], of));
            let name = format!("{name}/{what}/against/{}", contender.name);
            // Where queues begin, and beside one that is overloaded, a ratio says little about ours.
            let tells = index == DIRECT && what == "p50" && share <= 0.5;
            let kind = if tells { Kind::Ratio } else { Kind::Absolute };
            findings.figure(&name, ratio, Unit::Times, Better::Lower, kind);
        }
    }
}
