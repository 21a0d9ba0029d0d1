//! What is measured: one file each.

mod bulk;
mod clusters;
mod handshakes;
mod latency;
mod model;
mod plots;
mod streams;
pub(crate) mod table;
mod throughput;
mod watches;

use anyhow::Result;
use futures::future::LocalBoxFuture;

use crate::load::Tally;
use crate::measure::Spread;
use crate::report::Findings;
use crate::stage::{Contender, OURS, Stage};

/// One of them.
pub(crate) struct Section {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What it is, in a line.
    pub(crate) title: &'static str,
    /// Whether a quick run has it.
    pub(crate) quick: bool,
    /// Measures. `stage.options.full` says whether there is time.
    pub(crate) run: fn(&Stage) -> LocalBoxFuture<'_, Result<Findings>>,
}

/// All of them, in the order of a run.
pub(crate) const ALL: &[Section] = &[
    Section {
        name: "table",
        title: "The reference's table: one request after the other, by each way",
        quick: true,
        run: |stage| Box::pin(table::run(stage)),
    },
    Section {
        name: "throughput",
        title: "Throughput, side by side with plain proxies",
        quick: true,
        run: |stage| Box::pin(throughput::run(stage)),
    },
    Section {
        name: "latency",
        title: "Added latency, one at a time and under load",
        quick: true,
        run: |stage| Box::pin(latency::run(stage)),
    },
    Section {
        name: "watches",
        title: "Watches: idle ones, and events",
        quick: true,
        run: |stage| Box::pin(watches::run(stage)),
    },
    Section {
        name: "bulk",
        title: "Large lists and writes",
        quick: true,
        run: |stage| Box::pin(bulk::run(stage)),
    },
    Section {
        name: "clusters",
        title: "Many clusters",
        quick: true,
        run: |stage| Box::pin(clusters::run(stage)),
    },
    Section {
        name: "streams",
        title: "Upgraded streams",
        quick: true,
        run: |stage| Box::pin(streams::run(stage)),
    },
    Section {
        name: "handshakes",
        title: "New connections",
        quick: true,
        run: |stage| Box::pin(handshakes::run(stage)),
    },
    Section {
        name: "model",
        title: "Scale past this machine",
        quick: false,
        run: |stage| Box::pin(model::run(stage)),
    },
];

/// A value of each round.
fn values(tallies: &[Tally], of: impl Fn(&Tally) -> f64) -> Vec<f64> {
    tallies.iter().map(of).collect()
}

/// Ours over each of the others', round by round; `SECTION/WHAT/against/NAME`. The upstream itself is none of them.
fn ratios<'a>(
    contenders: &'a [Contender],
    samples: &'a [Vec<Tally>],
    of: fn(&Tally) -> f64,
) -> impl Iterator<Item = (&'a str, Spread)> {
    let ours = values(&samples[OURS], of);
    contenders.iter().zip(samples).skip(OURS + 1).map(move |(contender, tallies)| {
        (contender.name.as_str(), Spread::ratio(&ours, &values(tallies, of)))
    })
}

/// Failures of all rounds.
fn failed(tallies: &[Tally]) -> f64 {
    tallies.iter().map(Tally::failed_requests).sum::<u64>() as f64
}

/// Says what failed most often, for each contender of which something did.
fn tell_failures(findings: &mut Findings, title: &str, contenders: &[Contender], samples: &[Vec<Tally>]) {
    for (contender, tallies) in contenders.iter().zip(samples) {
        let failures = tallies.iter().flat_map(|tally| &tally.failures);
        if let Some((message, _)) = failures.max_by_key(|(_, count)| **count) {
            let (name, failed) = (&contender.name, failed(tallies));
            findings.notes.push(format!("{title}: {name}: {failed} failed, most often by: {message}"));
        }
    }
}
