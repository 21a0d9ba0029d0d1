//! Upgraded streams, as of exec and port-forward: what a keystroke waits longer, what a byte costs, what an idle one
//! holds.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use super::{ratios, tell_failures, values};
use crate::load::{Tally, Target, apart, upgraded};
use crate::measure::{Meter, Spread, rounds};
use crate::report::{Better, Cell, Findings, Kind, Table, Unit};
use crate::stage::{Contender, DIRECT, OURS, Stage};

const STREAMS: usize = 500;
const FEW: usize = 8;
/// As of 500 people who type fast.
const KEYSTROKE: Duration = Duration::from_millis(250);
const PIECE: usize = 32 << 10;
const PATH: &str = "/api/v1/namespaces/default/pods/x/exec?command=cat&stdin=true";

type Stream = TlsStream<TcpStream>;
type Shared = Rc<RefCell<Tally>>;

/// What a round finds.
struct Found {
    /// Memory of an idle stream, kB.
    each_kb: f64,
    typed: Tally,
    /// Bytes over all of the streams, and over a few.
    all: Tally,
    few: Tally,
}

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    findings.notes.push(format!(
        "{STREAMS} upgraded streams (HTTP/1.1 with TLS on both sides) to an upstream that echoes. Keystrokes: each \
         stream a byte every {KEYSTROKE:?}. Bulk: over all of them, each with 32 kB under way, and over {FEW} as fast \
         as they can; bytes counted once. Memory: one round, the first, of processes that had done nothing before."
    ));
    // What a stream holds shows in memory that was not there before.
    let mut gateways = stage.fresh_gateways().await?;
    let others = gateways.split_off(1);
    let mut contenders = vec![stage.bare()?];
    contenders.extend(gateways.iter().map(|(contender, _)| contender.clone()));
    // nginx with HTTP/2 on a listener takes upgrades as well; HAProxy's second form would show the same again.
    contenders.extend(stage.fresh_proxies().await?.into_iter().filter(|proxy| !proxy.name.contains("h2")));
    contenders.extend(others.iter().map(|(contender, _)| contender.clone()));
    let (typing, moving) = if stage.options.full { (8000, 8000) } else { (600, 400) };
    let spans = (Duration::from_millis(typing), Duration::from_millis(moving));
    let found = rounds(stage.rounds(3, 5), &contenders, async |contender| {
        let (target, meter) = (contender.target.clone(), contender.meter.clone());
        apart(move || round(target, meter, spans)).await.with_context(|| contender.name.clone())
    })
    .await?;
    show(&mut findings, &contenders, &found);
    Ok(findings)
}

fn show(findings: &mut Findings, contenders: &[Contender], found: &[Vec<Found>]) {
    let columns = [
        "",
        "keystroke p50",
        "added to direct, p50",
        "p99",
        "CPU for 2,000 a second",
        "MB per CPU second, 500",
        "MB per CPU second, 8",
        "MB a second, 500",
        "MB a second, 8",
        "memory each",
    ];
    let mut table = Table::new("Streams", &columns);
    let of = |part: fn(&Found) -> &Tally| -> Vec<Vec<Tally>> {
        found.iter().map(|rounds| rounds.iter().map(|round| part(round).clone()).collect()).collect()
    };
    let (typed, all, few) = (of(|round| &round.typed), of(|round| &round.all), of(|round| &round.few));
    let medians = |index: usize| values(&typed[index], |tally| tally.percentile(50.0));
    let p99 = |index: usize| values(&typed[index], |tally| tally.percentile(99.0));
    for (index, contender) in contenders.iter().enumerate() {
        let added = Spread::difference(&medians(index), &medians(DIRECT));
        table.rows.push(vec![
            contender.name.as_str().into(),
            Cell::of(medians(index), Unit::Milliseconds),
            Cell::spread(added, Unit::Milliseconds),
            Cell::of(p99(index), Unit::Milliseconds),
            Cell::of(values(&typed[index], Tally::busy), Unit::PercentOfACore),
            Cell::of(values(&all[index], Tally::megabytes_per_cpu_second), Unit::MegabytesPerCpuSecond),
            Cell::of(values(&few[index], Tally::megabytes_per_cpu_second), Unit::MegabytesPerCpuSecond),
            Cell::of(values(&all[index], Tally::megabytes), Unit::MegabytesPerSecond),
            Cell::of(values(&few[index], Tally::megabytes), Unit::MegabytesPerSecond),
            Cell::of(found[index].first().map(|round| round.each_kb), Unit::Kilobytes),
        ]);
    }
    findings.tables.push(table);
    tell_failures(findings, "Keystrokes", contenders, &typed);
    for (what, samples) in [("bulk-500", &all), ("bulk-8", &few)] {
        tell_failures(findings, what, contenders, samples);
        for (name, ratio) in ratios(contenders, samples, Tally::megabytes_per_cpu_second) {
            findings.ratio(&format!("streams/{what}/against/{name}"), ratio);
        }
    }
    for (name, ratio) in ratios(contenders, &typed, Tally::busy) {
        findings.cost(&format!("streams/keystroke/cpu/against/{name}"), ratio);
    }
    let added = Spread::difference(&medians(OURS), &medians(DIRECT));
    findings.time("streams/keystroke/added-to-direct", added);
    findings.time("streams/keystroke/p99", Spread::of(p99(OURS)));
    let each = Spread::of(found[OURS].first().map(|round| round.each_kb));
    findings.figure("streams/memory-each", each, Unit::Kilobytes, Better::Lower, Kind::Stable);
}

async fn round(target: Target, meter: Meter, (typing, moving): (Duration, Duration)) -> Result<Found> {
    let before = meter.rss_kb()?;
    let streams = open(&target, STREAMS).await?;
    let each_kb = meter.rss_kb()?.saturating_sub(before) as f64 / STREAMS as f64;
    let (typed, streams) = keystrokes(streams, &meter, typing).await?;
    let all = bulk(streams, &meter, moving).await?;
    let few = bulk(open(&target, FEW).await?, &meter, moving).await?;
    Ok(Found { each_kb, typed, all, few })
}

/// Gives the streams back, less those that broke.
async fn keystrokes(streams: Vec<Stream>, meter: &Meter, span: Duration) -> Result<(Tally, Vec<Stream>)> {
    let tally = Shared::new(RefCell::new(Tally::new()));
    let (began, before) = (Instant::now(), meter.cpu()?);
    let mut typists = JoinSet::new();
    for mut stream in streams {
        let tally = Rc::clone(&tally);
        typists.spawn_local(async move {
            tokio::time::sleep(KEYSTROKE.mul_f64(rand::random())).await;
            while began.elapsed() < span {
                let pressed = Instant::now();
                if let Err(error) = echoed(&mut stream).await {
                    tally.borrow_mut().failed(&error);
                    return None;
                }
                tally.borrow_mut().succeeded(1, pressed.elapsed());
                tokio::time::sleep(KEYSTROKE.saturating_sub(pressed.elapsed())).await;
            }
            Some(stream)
        });
    }
    let mut whole = Vec::new();
    while let Some(stream) = typists.join_next().await {
        whole.extend(stream?);
    }
    Ok((timed(&tally, began, before, meter)?, whole))
}

async fn echoed(stream: &mut Stream) -> Result<()> {
    stream.write_all(b"x").await?;
    stream.flush().await?;
    stream.read_u8().await?;
    Ok(())
}

async fn bulk(streams: Vec<Stream>, meter: &Meter, span: Duration) -> Result<Tally> {
    let tally = Shared::new(RefCell::new(Tally::new()));
    let many = streams.len() > FEW;
    let (began, before) = (Instant::now(), meter.cpu()?);
    let mut movers = JoinSet::new();
    for stream in streams {
        let tally = Rc::clone(&tally);
        movers.spawn_local(async move {
            // Many would first fill everybody's buffers with gigabytes if each wrote as much as is taken.
            let broken = if many { in_turns(stream, &tally).await } else { both_ways(stream, &tally).await };
            let Err(error) = broken;
            tally.borrow_mut().failed(&error.into());
        });
    }
    tokio::time::sleep_until((began + span).into()).await;
    let tally = timed(&tally, began, before, meter)?;
    movers.shutdown().await;
    Ok(tally)
}

/// A piece there and back, and the next.
async fn in_turns(mut stream: Stream, tally: &RefCell<Tally>) -> std::io::Result<Infallible> {
    let (piece, mut buffer) = (vec![b'x'; PIECE], vec![0; PIECE]);
    loop {
        stream.write_all(&piece).await?;
        stream.flush().await?;
        stream.read_exact(&mut buffer).await?;
        tally.borrow_mut().bytes += PIECE as u64;
    }
}

/// As much as is taken, while it comes back.
async fn both_ways(stream: Stream, tally: &RefCell<Tally>) -> std::io::Result<Infallible> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        let piece = vec![b'x'; PIECE];
        loop {
            writer.write_all(&piece).await?;
        }
    };
    let read = async {
        let mut buffer = vec![0; PIECE];
        loop {
            match reader.read(&mut buffer).await? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                read => tally.borrow_mut().bytes += read as u64,
            }
        }
    };
    tokio::select! {
        broken = write => broken,
        broken = read => broken,
    }
}

async fn open(target: &Target, number: usize) -> Result<Vec<Stream>> {
    let mut streams = Vec::with_capacity(number);
    while streams.len() < number {
        let some = (number - streams.len()).min(25);
        streams.extend(try_join_all((0..some).map(|_| upgraded(target, PATH))).await?);
    }
    Ok(streams)
}

fn timed(tally: &RefCell<Tally>, began: Instant, before: Duration, meter: &Meter) -> Result<Tally> {
    let mut tally = tally.borrow().clone();
    tally.elapsed = began.elapsed();
    tally.cpu = meter.cpu()?.saturating_sub(before);
    Ok(tally)
}
