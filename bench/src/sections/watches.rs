//! Watches: what an idle one costs, whether all of a thousand opened at once on a cold pool are served, and how soon
//! events arrive.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::BytesMut;
use futures::future::{join_all, try_join_all};
use h2::RecvStream;

use super::{tell_failures, values};
use crate::load::{Connection, Tally, Target, Work, apart};
use crate::measure::{Meter, Spread, rounds};
use crate::report::{Better, Cell, Findings, Kind, Table, Unit};
use crate::stage::{DIRECT, OURS, SETTLED, Stage, cluster_path};
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
        "Each round has a gateway that has just started and has connected nowhere; all watches are opened at once. \
         Memory and CPU are those of the gateway, at rest after the first event of each watch."
            .to_owned(),
    );
    let columns = ["", "", "served", "refused", "all open after", "memory before", "each", "CPU at rest"];
    let mut table = Table::new("Idle watches", &columns);
    let numbers: &[usize] = if stage.options.full { &[1000, 10_000] } else { &[1000] };
    for &number in numbers {
        let case = Case { title: format!("{number} of the light upstream"), number, member: None };
        idle(stage, &case, &mut table, &mut findings).await?;
    }
    let member = Some(cluster_path(stage.lab.member(0).name()));
    let case = Case { title: "1000 of a real member".to_owned(), number: 1000, member };
    idle(stage, &case, &mut table, &mut findings).await?;
    findings.tables.push(table);
    events(stage, &mut findings).await?;
    Ok(findings)
}

struct Case {
    title: String,
    number: usize,
    /// Its path, unless it is the light upstream.
    member: Option<String>,
}

struct Idle {
    served: usize,
    opened: Duration,
    before_kb: u64,
    each_kb: f64,
    busy: f64,
}

async fn idle(stage: &Stage, case: &Case, table: &mut Table, findings: &mut Findings) -> Result<()> {
    let rest = Duration::from_millis(if stage.options.full { 10_000 } else { 1200 });
    let mut measured: Vec<(String, Vec<Idle>)> = Vec::new();
    for round in 0..stage.rounds(3, 3) {
        for (index, (contender, gateway)) in stage.fresh_gateways().await?.into_iter().enumerate() {
            let (target, work) = match &case.member {
                None => (contender.target.clone(), Work::get("/api/v1/x?watch")),
                Some(prefix) => (contender.target.clone().prefixed(prefix), Work::get(OF_A_MEMBER)),
            };
            let found = rested(target, work, case.number, contender.meter.clone(), rest).await?;
            if round == 0 {
                measured.push((contender.name.clone(), Vec::new()));
            }
            measured[index].1.push(found);
            drop(gateway);
        }
    }
    let title = &case.title;
    for (name, rounds) in &measured {
        let of = |value: fn(&Idle) -> f64| Spread::of(rounds.iter().map(value));
        let refused = Spread::of(rounds.iter().map(|idle| (case.number - idle.served) as f64));
        let each = of(|idle| idle.each_kb);
        table.rows.push(vec![
            title.as_str().into(),
            name.as_str().into(),
            Cell::spread(of(|idle| idle.served as f64), Unit::Count),
            Cell::spread(refused, Unit::Count),
            Cell::spread(of(|idle| idle.opened.as_secs_f64()), Unit::Seconds),
            Cell::spread(of(|idle| idle.before_kb as f64 / 1024.0), Unit::Megabytes),
            Cell::spread(each, Unit::Kilobytes),
            Cell::spread(of(|idle| idle.busy * 100.0), Unit::PercentOfACore),
        ]);
        // The others promise nothing.
        if *name != measured[0].0 {
            continue;
        }
        findings.promise(&format!("idle watch, {title}"), each, Better::Lower, 20.0, Unit::Kilobytes);
        // Once is too often: the worst round counts.
        let worst = Spread::of([refused.most]);
        let what = format!("refused when opened at once, {title}");
        findings.promise(&what, worst, Better::Lower, 0.0, Unit::Count);
        let mut figure = |what: &str, spread, unit, kind| {
            findings.figure(&format!("watches/{title}/{what}"), spread, unit, Better::Lower, kind);
        };
        figure("each", each, Unit::Kilobytes, Kind::Stable);
        figure("refused", worst, Unit::Count, Kind::Stable);
        figure("opened", of(|idle| idle.opened.as_secs_f64()), Unit::Seconds, Kind::Absolute);
        figure("cpu-at-rest", of(|idle| idle.busy * 100.0), Unit::PercentOfACore, Kind::Absolute);
    }
    Ok(())
}

async fn rested(target: Target, work: Work, number: usize, meter: Meter, rest: Duration) -> Result<Idle> {
    apart(move || async move {
        let mut connections = Vec::new();
        for _ in 0..number.div_ceil(PER_CONNECTION) {
            connections.push(Connection::open(&target).await?);
        }
        tokio::time::sleep(SETTLED).await;
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
    ensure!(response.status() == 200, "answered {}", response.status());
    let mut body = response.into_body();
    let first = body.data().await.context("ended before its first event")??;
    body.flow_control().release_capacity(first.len())?;
    Ok(body)
}

/// A thousand events a second in all, over a thousand watches.
async fn events(stage: &Stage, findings: &mut Findings) -> Result<()> {
    let span = Duration::from_millis(if stage.options.full { 20_000 } else { 800 });
    let watches = 1000;
    let every = 1000 * watches / EVENTS;
    let contenders = stage.contenders().await?;
    let work = Work::get(&format!("/api/v1/x?watch&every={every}"));
    let samples = rounds(stage.rounds(3, 3), &contenders, async |contender| {
        arrivals(contender.target.clone(), work.clone(), watches, contender.meter.clone(), span).await
    })
    .await?;
    let title =
        format!("{EVENTS} events a second over {watches} watches: from the upstream's write to the client");
    let mut table = Table::new(&title, &["", "events", "p50", "added to direct, p50", "p99", "most", "CPU"]);
    let p50 = |tally: &Tally| tally.percentile(50.0);
    let direct = values(&samples[DIRECT], p50);
    for (contender, tallies) in contenders.iter().zip(&samples) {
        let at = |percent| Cell::of(values(tallies, |tally| tally.percentile(percent)), Unit::Milliseconds);
        table.rows.push(vec![
            contender.name.as_str().into(),
            Cell::of(values(tallies, Tally::rate), Unit::PerSecond),
            at(50.0),
            Cell::spread(Spread::difference(&values(tallies, p50), &direct), Unit::Milliseconds),
            at(99.0),
            at(100.0),
            Cell::of(values(tallies, Tally::busy), Unit::PercentOfACore),
        ]);
    }
    findings.tables.push(table);
    tell_failures(findings, "Events", &contenders, &samples);
    let ours = &samples[OURS];
    findings.time("watches/events/p50", Spread::of(values(ours, p50)));
    findings.time("watches/events/p99", Spread::of(values(ours, |tally| tally.percentile(99.0))));
    for (index, contender) in contenders.iter().enumerate().filter(|(index, _)| *index > OURS) {
        let ratio = Spread::ratio(&values(ours, Tally::busy), &values(&samples[index], Tally::busy));
        findings.cost(&format!("watches/events/cpu/against/{}", contender.name), ratio);
    }
    Ok(())
}

async fn arrivals(target: Target, work: Work, number: usize, meter: Meter, span: Duration) -> Result<Tally> {
    apart(move || async move {
        let connection = Connection::open(&target).await?;
        let bodies = try_join_all((0..number).map(|_| watch(&connection, &work))).await?;
        let tally = Rc::new(RefCell::new(Tally::new()));
        let mut readers = tokio::task::JoinSet::new();
        // Events from before all were there could not be read when they came.
        let since = SystemTime::now();
        let (began, before) = (Instant::now(), meter.cpu()?);
        for body in bodies {
            readers.spawn_local(read(body, Rc::clone(&tally), since));
        }
        tokio::time::sleep(span).await;
        let (elapsed, cpu) = (began.elapsed(), meter.cpu()?.saturating_sub(before));
        readers.shutdown().await;
        let mut tally = tally.borrow().clone();
        tally.elapsed = elapsed;
        tally.cpu = cpu;
        Ok(tally)
    })
    .await
}

/// Reads events to the watch's end; those sent before a moment do not count.
async fn read(mut body: RecvStream, tally: Rc<RefCell<Tally>>, since: SystemTime) {
    let mut unread = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => return tally.borrow_mut().failed(&error.into()),
        };
        // Only a connection that is gone refuses, and that ends the loop.
        let _ = body.flow_control().release_capacity(piece.len());
        // A proxy may cut events in two, or join them.
        unread.extend_from_slice(&piece);
        while unread.len() >= EVENT {
            match sent(&unread.split_to(EVENT)) {
                Some(at) if at < since => {}
                Some(at) => tally.borrow_mut().succeeded(EVENT as u64, at.elapsed().unwrap_or_default()),
                None => tally.borrow_mut().failed(&anyhow!("no event where one should begin")),
            }
        }
    }
    tally.borrow_mut().failed(&anyhow!("the watch ended"));
}

/// When an event was sent, by the stamp that the upstream puts in front: nanoseconds of Unix time on the same machine.
fn sent(event: &[u8]) -> Option<SystemTime> {
    let stamp = std::str::from_utf8(event.get(STAMP)?).ok()?.parse().ok()?;
    Some(UNIX_EPOCH + Duration::from_nanos(stamp))
}
