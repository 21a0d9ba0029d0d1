//! Large lists and large writes.

use anyhow::Result;

use super::{failed, ratios, tell_failures, values};
use crate::load::{Tally, Work, serial};
use crate::measure::{Sampler, rounds};
use crate::report::{Better, Cell, Findings, Plot, Table, Unit};
use crate::stage::{Contender, Stage};

/// What one measurement moves.
const QUICK: u64 = 60 << 20;
const FULL: u64 = 2 << 30;

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    findings.notes.push(
        "HAProxy is as it comes: towards an HTTP/2 upstream it opens windows of 64 kB, and cannot read more at a time."
            .to_owned(),
    );
    let contenders = stage.contenders().await?;
    let sampler = Sampler::start(contenders.iter().map(|contender| contender.meter.clone()).collect());
    for megabytes in [1_u64, 10, 100] {
        let size = megabytes * 1_000_000;
        let work = Work::get(&format!("/api/v1/x?size={size}"));
        let title = format!("List of {megabytes} MB");
        measure(stage, &mut findings, &contenders, &title, work, size).await?;
    }
    let work = Work::post("/api/v1/x", 1_000_000);
    measure(stage, &mut findings, &contenders, "Create of 1 MB", work, 1_000_000).await?;
    findings.plots.push(Plot::memory(&contenders, sampler.stop().await));
    Ok(findings)
}

async fn measure(
    stage: &Stage,
    findings: &mut Findings,
    contenders: &[Contender],
    title: &str,
    work: Work,
    size: u64,
) -> Result<()> {
    let moved = if stage.options.full { FULL } else { QUICK };
    let count = usize::try_from((moved / size).max(2))?;
    let samples = rounds(stage.rounds(4, 7), contenders, async |contender| {
        serial(contender.target.clone(), work.clone(), count, contender.meter.clone()).await
    })
    .await?;
    let mut table =
        Table::new(title, &["", "a request", "MB a second", "MB per CPU second", "failed", "memory after"]);
    for (contender, tallies) in contenders.iter().zip(&samples) {
        table.rows.push(vec![
            contender.name.as_str().into(),
            Cell::of(values(tallies, |tally| tally.percentile(50.0)), Unit::Milliseconds),
            Cell::of(values(tallies, Tally::megabytes), Unit::MegabytesPerSecond),
            Cell::of(values(tallies, Tally::megabytes_per_cpu_second), Unit::MegabytesPerCpuSecond),
            Cell::of([failed(tallies)], Unit::Count),
            Cell::of([contender.meter.rss_kb()? as f64 / 1024.0], Unit::Megabytes),
        ]);
    }
    findings.tables.push(table);
    tell_failures(findings, title, contenders, &samples);
    for (name, ratio) in ratios(contenders, &samples, Tally::megabytes_per_cpu_second) {
        findings.ratio(&format!("bulk/{title}/against/{name}"), ratio);
        if name.starts_with("nginx") && title.starts_with("List") {
            let what = format!("{title}: MB per CPU second against nginx");
            findings.promise(&what, ratio, Better::Higher, 1.0, Unit::Times);
        }
    }
    for (name, ratio) in ratios(contenders, &samples, |tally| tally.percentile(50.0)) {
        findings.cost(&format!("bulk/{title}/time/against/{name}"), ratio);
    }
    Ok(())
}
