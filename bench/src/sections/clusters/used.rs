//! A thousand of the ten thousand in use: what is kept open, and what a scrape of all takes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::client::H2;
use e2e::lab::crowd::Crowd;
use e2e::lab::sockets::connections_to;
use e2e::lab::{Gateway, until};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{READY, master, megabytes, registration};
use crate::load::{Open, Tally, Work, open};
use crate::measure::{Spread, rounds};
use crate::report::{Better, Cell, Findings, Kind, Table, Unit};
use crate::stage::{CLUSTER_GROUP_PATH, Contender, Stage, cluster_path};

const IN_TURN: usize = 1000;
/// Requests a second beside which scrapes are made: far from capacity, so that what is seen is theirs.
const RATE: f64 = 2000.0;
const SCRAPES: usize = 10;
/// Far more often than any Prometheus.
const SCRAPE_EVERY: Duration = Duration::from_millis(250);

/// `many` has nothing but its own crowd and the light upstream in its table.
pub(super) async fn run(stage: &Stage, crowd: &Crowd, many: &Gateway, findings: &mut Findings) -> Result<()> {
    let connection = master(many).await?;
    register(stage, crowd, &connection).await?;
    in_turn(stage, many, &connection, findings).await?;
    if stage.options.full {
        // Nobody is there; the question is counted all the same.
        for number in 0..crowd.count() {
            connection.get(&format!("{}/api/v1/x", cluster_path(&Crowd::name(number)))).await?;
        }
    }
    let prometheus = many.front_proxy("prometheus", &["system:masters"])?.h2().await?;
    scrapes(stage, crowd, many, &prometheus, findings).await
}

fn name(number: usize) -> String {
    format!("turn-{number:04}")
}

async fn register(stage: &Stage, crowd: &Crowd, connection: &H2) -> Result<()> {
    let client = stage.lab.hub().admin_client().await?;
    stream::iter(0..IN_TURN)
        .map(|number| {
            let client = client.clone();
            let made = registration(stage, crowd.namespace(), &name(number));
            async move { made?.apply(&client).await }
        })
        .buffer_unordered(32)
        .try_collect::<Vec<()>>()
        .await?;
    // Known, but not asked: the first request is to dial.
    for number in 0..IN_TURN {
        let path = format!("{CLUSTER_GROUP_PATH}/{}", name(number));
        until("the cluster to be known", READY, || async {
            let answer = connection.get(&path).await?;
            ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Each asked once, several times over.
async fn in_turn(stage: &Stage, many: &Gateway, connection: &H2, findings: &mut Findings) -> Result<()> {
    let pid = many.process().pid().context("the gateway has ended")?;
    let port = stage.upstream.address().port();
    let mut rows = Vec::new();
    for _ in 0..=stage.rounds(3, 5) {
        let mut tally = Tally::new();
        for number in 0..IN_TURN {
            let began = Instant::now();
            let name = name(number);
            let answer = connection.get(&format!("{}/api/v1/x", cluster_path(&name))).await?;
            ensure!(answer.status == 200, "{name}: {} {}", answer.status, answer.text());
            tally.succeeded(0, began.elapsed());
        }
        rows.push((tally, connections_to(pid, port)? as f64, megabytes(many.rss_kb()?)));
    }
    let columns = ["", "a request, p50", "p99", "connections open after", "memory after"];
    let mut table =
        Table::new(&format!("{IN_TURN} of {} clusters used in turn", super::MANY + IN_TURN + 1), &columns);
    for (title, rows) in [("first time (dials, one round)", &rows[..1]), ("again", &rows[1..])] {
        let of = |value: fn(&(Tally, f64, f64)) -> f64| Spread::of(rows.iter().map(value));
        let (p50, p99) = (of(|row| row.0.percentile(50.0)), of(|row| row.0.percentile(99.0)));
        let open = of(|row| row.1);
        table.rows.push(vec![
            title.into(),
            Cell::spread(p50, Unit::Milliseconds),
            Cell::spread(p99, Unit::Milliseconds),
            Cell::spread(open, Unit::Count),
            Cell::spread(of(|row| row.2), Unit::Megabytes),
        ]);
        findings.time(&format!("clusters/in-turn/{title}/p50"), p50);
        findings.time(&format!("clusters/in-turn/{title}/p99"), p99);
        findings.figure(
            &format!("clusters/in-turn/{title}/kept"),
            open,
            Unit::Count,
            Better::Higher,
            Kind::Stable,
        );
    }
    findings.tables.push(table);
    Ok(())
}

async fn scrapes(
    stage: &Stage,
    crowd: &Crowd,
    many: &Gateway,
    connection: &H2,
    findings: &mut Findings,
) -> Result<()> {
    let (mut times, mut bytes) = (Vec::new(), 0);
    for _ in 0..SCRAPES {
        let (took, size) = scrape(connection).await?;
        times.push(took.as_secs_f64() * 1e3);
        bytes = size;
    }
    let (warm, span) = if stage.options.full { (1000, 8000) } else { (150, 800) };
    let (warm, span) = (Duration::from_millis(warm), Duration::from_millis(span));
    let shape = Open { connections: 4, rate: RATE, warm, span };
    let contender = Contender::gateway("10,000 clusters", many)?;
    let samples = rounds(stage.rounds(4, 7), &[false, true], async |&scraped| {
        let load = open(contender.target.clone(), Work::get("/api/v1/x"), shape, contender.meter.clone());
        if !scraped {
            return load.await;
        }
        tokio::select! {
            tally = load => tally,
            Err(error) = again_and_again(connection) => Err(error),
        }
    })
    .await?;
    let p99 = |index: usize| crate::sections::values(&samples[index], |tally: &Tally| tally.percentile(99.0));
    let (time, ratio) = (Spread::of(times), Spread::ratio(&p99(1), &p99(0)));
    let asked = IN_TURN + 1 + if stage.options.full { crowd.count() } else { 0 };
    let title =
        format!("GET /metrics, {} clusters, of which {asked} were asked", crowd.count() + IN_TURN + 1);
    let columns = ["", "a scrape", "size", "requests' p50", "p99", "p99 against none", "failed"];
    let mut table = Table::new(&title, &columns);
    for (index, title) in ["no scrapes", "a scrape every 250 ms"].into_iter().enumerate() {
        let p50 = crate::sections::values(&samples[index], |tally: &Tally| tally.percentile(50.0));
        table.rows.push(vec![
            title.into(),
            Cell::spread(if index == 1 { time } else { Spread::of([]) }, Unit::Milliseconds),
            Cell::of((index == 1).then_some(bytes as f64 / (1 << 20) as f64), Unit::Megabytes),
            Cell::of(p50, Unit::Milliseconds),
            Cell::of(p99(index), Unit::Milliseconds),
            Cell::spread(Spread::ratio(&p99(index), &p99(0)), Unit::Times),
            Cell::of([crate::sections::failed(&samples[index])], Unit::Count),
        ]);
    }
    findings.tables.push(table);
    findings.time("clusters/scrape/time", time);
    findings.cost("clusters/scrape/p99-against-none", ratio);
    findings.promise("a scrape with 10,000 clusters", time, Better::Lower, 200.0, Unit::Milliseconds);
    Ok(())
}

async fn scrape(connection: &H2) -> Result<(Duration, usize)> {
    let began = Instant::now();
    let answer = connection.get("/metrics").await?;
    ensure!(answer.status == 200, "/metrics: {} {}", answer.status, answer.text());
    Ok((began.elapsed(), answer.body.len()))
}

async fn again_and_again(connection: &H2) -> Result<std::convert::Infallible> {
    let mut interval = tokio::time::interval(SCRAPE_EVERY);
    loop {
        interval.tick().await;
        scrape(connection).await?;
    }
}
