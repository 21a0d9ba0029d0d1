//! Large lists and large writes.

use anyhow::Result;

use crate::load::{Tally, Work, serial};
use crate::measure::{Spread, rounds};
use crate::report::{Better, Cell, Findings, Table, Unit};
use crate::stage::{Contender, Stage};

/// What one measurement moves, so that a tick of the kernel's clock (10 ms) is little of it.
const QUICK: u64 = 150 << 20;
const FULL: u64 = 2 << 30;

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    let others = stage.others().await?;
    let mut contenders = vec![stage.bare()?, stage.ours()?];
    contenders.extend(stage.proxies().await?);
    let (more, _running): (Vec<Contender>, Vec<_>) = others.into_iter().unzip();
    contenders.extend(more);
    for megabytes in [1_u64, 10, 100] {
        let size = megabytes * 1_000_000;
        let work = Work::get(&format!("/api/v1/x?size={size}"));
        let title = format!("List of {megabytes} MB");
        measure(stage, &mut findings, &contenders, &title, work, size).await?;
    }
    let work = Work::post("/api/v1/x", 1_000_000);
    measure(stage, &mut findings, &contenders, "Create of 1 MB", work, 1_000_000).await?;
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
    let count = usize::try_from((moved / size).max(3))?;
    let samples = rounds(stage.rounds(3, 5), contenders, async |contender| {
        serial(contender.target.clone(), work.clone(), count, contender.meter.clone()).await
    })
    .await?;
    let mut table =
        Table::new(title, &["", "a request", "MB a second", "MB per CPU second", "failed", "memory after"]);
    for (contender, tallies) in contenders.iter().zip(&samples) {
        let rate = |tally: &Tally| tally.bytes as f64 / 1e6 / tally.elapsed.as_secs_f64();
        table.rows.push(vec![
            contender.name.as_str().into(),
            Cell::of(tallies.iter().map(|tally| tally.percentile(50.0)), Unit::Milliseconds),
            Cell::of(tallies.iter().map(rate), Unit::PerSecond),
            Cell::of(tallies.iter().map(Tally::megabytes_per_cpu_second), Unit::MegabytesPerCpuSecond),
            Cell::of([tallies.iter().map(Tally::failed_requests).sum::<u64>() as f64], Unit::Count),
            Cell::of([contender.meter.rss_kb()? as f64 / 1024.0], Unit::Megabytes),
        ]);
    }
    findings.tables.push(table);
    let values =
        |index: usize| -> Vec<f64> { samples[index].iter().map(Tally::megabytes_per_cpu_second).collect() };
    for (index, contender) in contenders.iter().enumerate().skip(2) {
        let ratio = Spread::ratio(&values(1), &values(index));
        let name = format!("bulk/{title}/against/{}", contender.name);
        findings.figure(&name, ratio, Unit::Times, Better::Higher, true);
        if contender.name.starts_with("nginx") && title.starts_with("List") {
            let what = format!("{title}: MB per CPU second against nginx");
            findings.promise(&what, ratio.median, Better::Higher, 1.0, Unit::Times);
        }
    }
    Ok(())
}
