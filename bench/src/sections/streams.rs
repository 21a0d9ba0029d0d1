//! Upgraded streams, as of exec and port-forward: what a keystroke waits longer, what a byte costs, what an idle one
//! holds.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use crate::load::{Tally, Target, apart, upgraded};
use crate::measure::{Meter, Spread, rounds};
use crate::report::{Better, Cell, Findings, Table, Unit};
use crate::stage::{Contender, Stage, start_gateway};

const STREAMS: usize = 500;
/// As of 500 people who type fast.
const KEYSTROKE: Duration = Duration::from_millis(250);
const PIECE: usize = 32 << 10;
const PATH: &str = "/api/v1/namespaces/default/pods/x/exec?command=cat&stdin=true";

type Streams = Vec<TlsStream<TcpStream>>;

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    findings.notes.push(format!(
        "{STREAMS} upgraded streams (HTTP/1.1 with TLS on both sides) to an upstream that echoes. Keystrokes: each \
         stream a byte every {KEYSTROKE:?}. Bulk: 8 streams as fast as they can, bytes counted once."
    ));
    // One that has had no other load: what a stream holds shows in memory that was not there before.
    let gateway = start_gateway(stage.lab.hub(), "streams", None).await?;
    let mut contenders = vec![stage.bare()?, Contender::gateway("cluster-gateway", &gateway)?];
    // nginx with HTTP/2 on a listener takes upgrades as well; HAProxy's second form would show the same again.
    contenders.extend(stage.proxies().await?.into_iter().filter(|proxy| !proxy.name.contains("h2")));
    let mut memory = Vec::new();
    for contender in &contenders {
        memory.push(each_kb(contender).await.with_context(|| contender.name.clone())?);
    }
    let span = Duration::from_secs(if stage.options.full { 8 } else { 2 });
    let keystrokes = measure(stage, &contenders, span, keystrokes).await?;
    let bulk = measure(stage, &contenders, span, bulk).await?;
    let columns = [
        "",
        "keystroke p50",
        "p99",
        "CPU for 2,000 a second",
        "MB per CPU second",
        "MB a second",
        "memory each",
    ];
    let mut table = Table::new("Streams", &columns);
    for (index, contender) in contenders.iter().enumerate() {
        let (typed, moved) = (&keystrokes[index], &bulk[index]);
        let busy = |tally: &Tally| tally.cpu.as_secs_f64() / tally.elapsed.as_secs_f64() * 100.0;
        let rate = |tally: &Tally| tally.bytes as f64 / 1e6 / tally.elapsed.as_secs_f64();
        table.rows.push(vec![
            contender.name.as_str().into(),
            Cell::of(typed.iter().map(|tally| tally.percentile(50.0)), Unit::Milliseconds),
            Cell::of(typed.iter().map(|tally| tally.percentile(99.0)), Unit::Milliseconds),
            Cell::of(typed.iter().map(busy), Unit::PercentOfACore),
            Cell::of(moved.iter().map(Tally::megabytes_per_cpu_second), Unit::MegabytesPerCpuSecond),
            Cell::of(moved.iter().map(rate), Unit::PerSecond),
            Cell::of([memory[index]], Unit::Kilobytes),
        ]);
    }
    findings.tables.push(table);
    for (index, contender) in contenders.iter().enumerate().skip(2) {
        let values =
            |index: usize| -> Vec<f64> { bulk[index].iter().map(Tally::megabytes_per_cpu_second).collect() };
        let name = format!("streams/bulk/against/{}", contender.name);
        findings.figure(&name, Spread::ratio(&values(1), &values(index)), Unit::Times, Better::Higher, true);
    }
    Ok(findings)
}

async fn measure<F>(
    stage: &Stage,
    contenders: &[Contender],
    span: Duration,
    load: fn(Target, Meter, Duration) -> F,
) -> Result<Vec<Vec<Tally>>>
where
    F: Future<Output = Result<Tally>> + 'static,
{
    rounds(stage.rounds(2, 5), contenders, async |contender| {
        let (target, meter) = (contender.target.clone(), contender.meter.clone());
        apart(move || load(target, meter, span)).await.with_context(|| contender.name.clone())
    })
    .await
}

async fn keystrokes(target: Target, meter: Meter, span: Duration) -> Result<Tally> {
    let streams = open(&target, STREAMS).await?;
    let (began, before) = (Instant::now(), meter.cpu()?);
    let mut typists = JoinSet::new();
    for mut stream in streams {
        typists.spawn_local(async move {
            let mut tally = Tally::new();
            tokio::time::sleep(KEYSTROKE.mul_f64(rand::random())).await;
            while began.elapsed() < span {
                let pressed = Instant::now();
                match echoed(&mut stream).await {
                    Ok(()) => tally.succeeded(1, pressed.elapsed()),
                    Err(error) => {
                        tally.failed(&error);
                        break;
                    }
                }
                tokio::time::sleep(KEYSTROKE.saturating_sub(pressed.elapsed())).await;
            }
            tally
        });
    }
    whole(typists, began, before, &meter).await
}

async fn echoed(stream: &mut TlsStream<TcpStream>) -> Result<()> {
    stream.write_all(b"x").await?;
    stream.flush().await?;
    stream.read_u8().await?;
    Ok(())
}

async fn bulk(target: Target, meter: Meter, span: Duration) -> Result<Tally> {
    let streams = open(&target, 8).await?;
    let (began, before) = (Instant::now(), meter.cpu()?);
    let mut movers = JoinSet::new();
    for stream in streams {
        movers.spawn_local(async move {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let write = async {
                let piece = vec![b'x'; PIECE];
                while began.elapsed() < span {
                    writer.write_all(&piece).await?;
                }
                writer.flush().await?;
                std::io::Result::Ok(())
            };
            let mut tally = Tally::new();
            let read = async {
                let mut buffer = vec![0; PIECE];
                while let Ok(Ok(read @ 1..)) =
                    tokio::time::timeout_at((began + span).into(), reader.read(&mut buffer)).await
                {
                    tally.bytes += read as u64;
                }
            };
            // Whoever ends first: the time is over for both.
            tokio::select! {
                _ = write => {}
                () = read => {}
            }
            tally
        });
    }
    whole(movers, began, before, &meter).await
}

/// Memory of an idle one.
async fn each_kb(contender: &Contender) -> Result<f64> {
    let (target, meter) = (contender.target.clone(), contender.meter.clone());
    apart(move || async move {
        let before = meter.rss_kb()?;
        let streams = open(&target, STREAMS).await?;
        let more = meter.rss_kb()?.saturating_sub(before);
        drop(streams);
        Ok(more as f64 / STREAMS as f64)
    })
    .await
}

async fn open(target: &Target, number: usize) -> Result<Streams> {
    let mut streams = Vec::with_capacity(number);
    while streams.len() < number {
        let some = (number - streams.len()).min(25);
        streams.extend(try_join_all((0..some).map(|_| upgraded(target, PATH))).await?);
    }
    Ok(streams)
}

async fn whole(mut tasks: JoinSet<Tally>, began: Instant, before: Duration, meter: &Meter) -> Result<Tally> {
    let mut tally = Tally::new();
    while let Some(done) = tasks.join_next().await {
        tally.add(&done?);
    }
    tally.elapsed = began.elapsed();
    tally.cpu = meter.cpu()?.saturating_sub(before);
    Ok(tally)
}
