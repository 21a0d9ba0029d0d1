//! New connections: mutual TLS, one request, closed again; with a full handshake each and with a resumed session.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustls::HandshakeKind;

use super::{failed, ratios, tell_failures, values};
use crate::load::{Connection, Tally, Target, Work, apart};
use crate::measure::{Meter, rounds};
use crate::report::{Cell, Findings, Table, Unit};
use crate::stage::Stage;

/// Connections being made at once.
const AT_ONCE: usize = 8;

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    findings.notes.push(
        "Each connection: TLS 1.3 with both certificates (ECDSA P-256), HTTP/2, one request of 1 kB. Resumed ones show \
         the session of an earlier connection instead of certificates."
            .to_owned(),
    );
    let contenders = stage.contenders().await?;
    let span = Duration::from_millis(if stage.options.full { 5000 } else { 350 });
    for (title, kind) in
        [("Full handshakes", HandshakeKind::Full), ("Resumed handshakes", HandshakeKind::Resumed)]
    {
        let samples = rounds(stage.rounds(3, 7), &contenders, async |contender| {
            let (target, meter) = (contender.target.clone(), contender.meter.clone());
            connect(target, kind, span, meter).await
        })
        .await?;
        let mut table = Table::new(title, &["", "connections", "p50", "p99", "per CPU second", "failed"]);
        for (contender, tallies) in contenders.iter().zip(&samples) {
            table.rows.push(vec![
                contender.name.as_str().into(),
                Cell::of(values(tallies, Tally::rate), Unit::PerSecond),
                Cell::of(values(tallies, |tally| tally.percentile(50.0)), Unit::Milliseconds),
                Cell::of(values(tallies, |tally| tally.percentile(99.0)), Unit::Milliseconds),
                Cell::of(values(tallies, Tally::per_cpu_second), Unit::PerCpuSecond),
                Cell::of([failed(tallies)], Unit::Count),
            ]);
        }
        findings.tables.push(table);
        tell_failures(&mut findings, title, &contenders, &samples);
        for (name, ratio) in ratios(&contenders, &samples, Tally::per_cpu_second) {
            findings.ratio(&format!("handshakes/{title}/against/{name}"), ratio);
        }
    }
    Ok(findings)
}

async fn connect(target: Target, kind: HandshakeKind, span: Duration, meter: Meter) -> Result<Tally> {
    apart(move || async move {
        let target =
            if kind == HandshakeKind::Full { target.never_resumes() } else { target.resumes_afresh() };
        let work = Work::get("/api/v1/x");
        // The first connection has nothing to resume.
        Connection::open(&target).await?.fetch(&work).await?;
        let mut tally = Tally::new();
        let (began, before) = (Instant::now(), meter.cpu()?);
        let mut makers = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (target, work) = (target.clone(), work.clone());
            makers.spawn_local(async move {
                let mut tally = Tally::new();
                // A session is resumed once: until as many have come as are made at once, some have none.
                let mut resumes = kind == HandshakeKind::Full;
                while began.elapsed() < span {
                    let start = Instant::now();
                    match once(&target, &work, kind).await {
                        Ok(bytes) => {
                            resumes = true;
                            tally.succeeded(bytes, start.elapsed());
                        }
                        Err(error) if resumes || began.elapsed() > span / 2 => tally.failed(&error),
                        Err(_) => {}
                    }
                }
                tally
            });
        }
        while let Some(made) = makers.join_next().await {
            tally.add(&made?);
        }
        tally.elapsed = began.elapsed();
        tally.cpu = meter.cpu()?.saturating_sub(before);
        Ok(tally)
    })
    .await
}

async fn once(target: &Target, work: &Work, kind: HandshakeKind) -> Result<u64> {
    let connection = Connection::open(target).await?;
    let (bytes, _) = connection.fetch(work).await?;
    let made = connection.handshake;
    ensure!(made == Some(kind), "the handshake was {made:?}, not {kind:?}");
    Ok(bytes)
}
