//! Watches: what an idle one costs, whether all of a thousand opened at once on a cold pool are served, and how soon
//! events arrive.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};
use bytes::BytesMut;
use e2e::lab::Gateway;
use futures::future::{join_all, try_join_all};
use h2::RecvStream;

use crate::load::{Connection, Tally, Target, Work, apart};
use crate::measure::Meter;
use crate::report::{Better, Cell, Findings, Table, Unit};
use crate::stage::{Contender, Stage, cluster_path, start_gateway};
use crate::upstream::{SIZE as EVENT, STAMP};

/// A hub's connection has so many streams at most.
const PER_CONNECTION: usize = 1000;
/// Events a second, over all watches.
const EVENTS: usize = 1000;
const OF_A_MEMBER: &str =
    "/api/v1/namespaces/default/configmaps?watch=true&fieldSelector=metadata.name%3Dwhoami&resourceVersion=0";

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    findings.notes.push(
        "A gateway that has just started and has connected nowhere; all watches are opened at once. Memory and CPU are \
         those of the gateway, at rest after the first event of each watch."
            .to_owned(),
    );
    let numbers: &[usize] = if stage.options.full { &[1000, 10_000] } else { &[1000] };
    let mut table = Table::new(
        "Idle watches",
        &["", "served", "refused", "all open after", "memory before", "each", "CPU at rest"],
    );
    let member = cluster_path(stage.lab.member(0).name());
    let mut cases: Vec<(String, usize, Option<&str>, &str)> = numbers
        .iter()
        .map(|&number| (format!("{number} of the light upstream"), number, None, "/api/v1/x?watch"))
        .collect();
    cases.push(("1000 of a real member".to_owned(), 1000, Some(&member), OF_A_MEMBER));
    for (title, number, prefix, path) in cases {
        let gateway = start_gateway(stage.lab.hub(), "watched", None).await?;
        let contender = Contender::gateway(&title, &gateway)?;
        let target =
            prefix.map_or(contender.target.clone(), |prefix| contender.target.clone().prefixed(prefix));
        let rest = Duration::from_secs(if stage.options.full { 10 } else { 3 });
        let idle = idle(target, Work::get(path), number, contender.meter.clone(), rest).await?;
        let refused = number - idle.served;
        table.rows.push(vec![
            title.as_str().into(),
            Cell::of([idle.served as f64], Unit::Count),
            Cell::of([refused as f64], Unit::Count),
            Cell::of([idle.opened.as_secs_f64()], Unit::Seconds),
            Cell::of([idle.before_kb as f64 / 1024.0], Unit::Megabytes),
            Cell::of([idle.each_kb], Unit::Kilobytes),
            Cell::of([idle.busy * 100.0], Unit::PercentOfACore),
        ]);
        findings.promise(&format!("idle watch, {title}"), idle.each_kb, Better::Lower, 20.0, Unit::Kilobytes);
        let what = format!("refused when opened at once, {title}");
        findings.promise(&what, refused as f64, Better::Lower, 0.0, Unit::Count);
        let spread = crate::measure::Spread::of([idle.each_kb]);
        findings.figure(&format!("watches/{title}/each"), spread, Unit::Kilobytes, Better::Lower, true);
        stopped(gateway).await?;
    }
    findings.tables.push(table);
    events(stage, &mut findings).await?;
    Ok(findings)
}

struct Idle {
    served: usize,
    opened: Duration,
    before_kb: u64,
    each_kb: f64,
    busy: f64,
}

async fn idle(target: Target, work: Work, number: usize, meter: Meter, rest: Duration) -> Result<Idle> {
    apart(move || async move {
        let mut connections = Vec::new();
        for _ in 0..number.div_ceil(PER_CONNECTION) {
            connections.push(Connection::open(&target).await?);
        }
        let before_kb = meter.rss_kb()?;
        let began = Instant::now();
        let opened =
            join_all((0..number).map(|index| watch(&connections[index / PER_CONNECTION], &work))).await;
        let took = began.elapsed();
        let bodies: Vec<RecvStream> = opened.into_iter().flatten().collect();
        let before = meter.cpu()?;
        tokio::time::sleep(rest).await;
        let busy = meter.cpu()?.saturating_sub(before).as_secs_f64() / rest.as_secs_f64();
        let more = meter.rss_kb()?.saturating_sub(before_kb);
        let served = bodies.len();
        Ok(Idle { served, opened: took, before_kb, each_kb: more as f64 / served.max(1) as f64, busy })
    })
    .await
}

/// Opens a watch and reads its first event.
async fn watch(connection: &Connection, work: &Work) -> Result<RecvStream> {
    let response = connection.send(work).await?;
    anyhow::ensure!(response.status() == 200, "answered {}", response.status());
    let mut body = response.into_body();
    let first = body.data().await.context("ended before its first event")??;
    body.flow_control().release_capacity(first.len())?;
    Ok(body)
}

/// A thousand events a second in all, over a thousand watches.
async fn events(stage: &Stage, findings: &mut Findings) -> Result<()> {
    let span = Duration::from_secs(if stage.options.full { 20 } else { 4 });
    let watches = 1000;
    let every = 1000 * watches / EVENTS;
    let mut contenders = vec![stage.bare()?, stage.ours()?];
    contenders.extend(stage.proxies().await?);
    let title =
        format!("{EVENTS} events a second over {watches} watches: from the upstream's write to the client");
    let mut table = Table::new(&title, &["", "events", "p50", "p99", "most", "CPU"]);
    for contender in &contenders {
        let work = Work::get(&format!("/api/v1/x?watch&every={every}"));
        let tally = arrivals(contender.target.clone(), work, watches, contender.meter.clone(), span).await?;
        let busy = tally.cpu.as_secs_f64() / tally.elapsed.as_secs_f64() * 100.0;
        table.rows.push(vec![
            contender.name.as_str().into(),
            Cell::of([tally.rate()], Unit::PerSecond),
            Cell::of([tally.percentile(50.0)], Unit::Milliseconds),
            Cell::of([tally.percentile(99.0)], Unit::Milliseconds),
            Cell::of([tally.percentile(100.0)], Unit::Milliseconds),
            Cell::of([busy], Unit::PercentOfACore),
        ]);
    }
    findings.tables.push(table);
    Ok(())
}

async fn arrivals(target: Target, work: Work, number: usize, meter: Meter, span: Duration) -> Result<Tally> {
    apart(move || async move {
        let connection = Connection::open(&target).await?;
        let bodies = try_join_all((0..number).map(|_| watch(&connection, &work))).await?;
        // Events from before all were there could not be read when they came.
        let since = SystemTime::now();
        let (began, before) = (Instant::now(), meter.cpu()?);
        let mut readers = tokio::task::JoinSet::new();
        for mut body in bodies {
            readers.spawn_local(async move {
                let mut tally = Tally::new();
                let mut unread = BytesMut::new();
                while let Ok(Some(piece)) = tokio::time::timeout_at((began + span).into(), body.data()).await
                {
                    match piece {
                        Ok(piece) => {
                            // Only a connection that is gone refuses, and that ends the loop.
                            let _ = body.flow_control().release_capacity(piece.len());
                            // A proxy may cut events in two, or join them.
                            unread.extend_from_slice(&piece);
                            while unread.len() >= EVENT {
                                let event = unread.split_to(EVENT);
                                match sent(&event) {
                                    Some(at) if at < since => {}
                                    Some(at) => {
                                        tally.succeeded(EVENT as u64, at.elapsed().unwrap_or_default())
                                    }
                                    None => tally.failed(&anyhow!("no event where one should begin")),
                                }
                            }
                        }
                        Err(error) => {
                            tally.failed(&error.into());
                            break;
                        }
                    }
                }
                tally
            });
        }
        let mut tally = Tally::new();
        while let Some(read) = readers.join_next().await {
            tally.add(&read?);
        }
        tally.elapsed = began.elapsed();
        tally.cpu = meter.cpu()?.saturating_sub(before);
        Ok(tally)
    })
    .await
}

/// When an event was sent, by the stamp that the upstream puts in front: nanoseconds of Unix time on the same machine.
fn sent(event: &[u8]) -> Option<SystemTime> {
    let stamp = std::str::from_utf8(event.get(STAMP)?).ok()?.parse().ok()?;
    Some(UNIX_EPOCH + Duration::from_nanos(stamp))
}

async fn stopped(gateway: Gateway) -> Result<()> {
    gateway.stop(Duration::from_secs(30)).await.map(drop)
}
