//! From a change of a Secret to its effect, at rest and under full load.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::client::H2;
use e2e::lab::Registration;
use tokio::sync::oneshot;

use super::{READY, master, registration};
use crate::load::{Closed, Tally, Work, until_stopped};
use crate::measure::{Spread, until_quiet};
use crate::report::{Better, Cell, Findings, Table, Unit};
use crate::stage::{Stage, cluster_path};

const CASES: [Case; 4] = [
    Case { change: Change::New, loaded: false },
    Case { change: Change::Token, loaded: false },
    Case { change: Change::New, loaded: true },
    Case { change: Change::Token, loaded: true },
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// A Secret that was not there; its effect is the first 200.
    New,
    /// Another token in a Secret; its effect is the first request that comes to the cluster with it.
    Token,
}

#[derive(Clone, Copy)]
struct Case {
    change: Change,
    loaded: bool,
}

impl Case {
    fn title(self) -> String {
        let change = match self.change {
            Change::New => "new Secret to first proxied 200",
            Change::Token => "changed token to first request with it",
        };
        format!("{change}, {}", if self.loaded { "under full load" } else { "at rest" })
    }

    fn bound(self) -> Option<f64> {
        match (self.change, self.loaded) {
            (Change::New, false) => Some(8.0),
            (Change::New, true) => Some(50.0),
            (Change::Token, _) => None,
        }
    }
}

/// What came of one, in all of its rounds.
struct Found {
    all: Tally,
    medians: Vec<f64>,
    meanwhile: Tally,
}

pub(super) async fn run(stage: &Stage, findings: &mut Findings) -> Result<()> {
    let mut found = CASES.map(|_| Found { all: Tally::new(), medians: Vec::new(), meanwhile: Tally::new() });
    let mut busy = 0;
    for round in 0..stage.rounds(3, 5) {
        for (case, found) in CASES.iter().zip(&mut found) {
            if !case.loaded && !until_quiet().await? {
                busy += 1;
            }
            let (delays, meanwhile) = measure(stage, *case, round).await?;
            found.medians.push(delays.percentile(50.0));
            found.all.add(&delays);
            found.meanwhile.add(&meanwhile);
        }
    }
    let columns = ["", "changes", "p50", "p99", "most", "refused", "load: answered", "failed"];
    let mut table = Table::new("From the hub's answer to a change of a Secret to its effect", &columns);
    for (case, found) in CASES.iter().zip(&found) {
        let title = case.title();
        let at = |percent| Spread::of([found.all.percentile(percent)]);
        let load = |count: u64| Cell::of(case.loaded.then_some(count as f64), Unit::Count);
        table.rows.push(vec![
            title.as_str().into(),
            Cell::of([found.all.requests as f64], Unit::Count),
            Cell::of(found.medians.iter().copied(), Unit::Milliseconds),
            Cell::spread(at(99.0), Unit::Milliseconds),
            Cell::spread(at(100.0), Unit::Milliseconds),
            Cell::of([found.all.failed_requests() as f64], Unit::Count),
            load(found.meanwhile.requests),
            load(found.meanwhile.failed_requests()),
        ]);
        if let Some((message, count)) = found.meanwhile.failures.iter().max_by_key(|(_, count)| **count) {
            findings.notes.push(format!("{title}: {count} requests of the load failed by: {message}"));
        }
        if let Some(bound) = case.bound() {
            findings.promise(&format!("{title}, p99"), at(99.0), Better::Lower, bound, Unit::Milliseconds);
        }
        findings.time(&format!("clusters/{title}/p50"), Spread::of(found.medians.iter().copied()));
        findings.time(&format!("clusters/{title}/p99"), at(99.0));
    }
    findings.tables.push(table);
    if busy > 0 {
        let note = format!("\"At rest\" the machine was busy with something else, {busy} times.");
        findings.notes.push(note);
    }
    findings.notes.push(
        "\"refused\" counts requests to a cluster whose token was being changed that were answered with something \
         else than 200; those to a new one are, until it is known."
            .to_owned(),
    );
    Ok(())
}

/// The delays, and what the load did meanwhile.
async fn measure(stage: &Stage, case: Case, round: u32) -> Result<(Tally, Tally)> {
    let count = match (stage.options.full, case.loaded) {
        (true, _) => 200,
        (false, false) => 60,
        (false, true) => 40,
    };
    let name = format!("{}-{round}", if case.loaded { "load" } else { "rest" });
    if !case.loaded {
        return Ok((delays(stage, case.change, &name, count).await?, Tally::new()));
    }
    let shape = Closed { connections: 4, streams: 32, warm: Duration::ZERO, span: Duration::from_secs(600) };
    let ours = stage.ours()?;
    let (stop, stopped) = oneshot::channel();
    let load = until_stopped(ours.target.clone(), Work::get("/api/v1/x"), shape, ours.meter.clone(), stopped);
    let load = tokio::spawn(load);
    let delays = delays(stage, case.change, &name, count).await;
    // It may have ended by an error, which it tells itself.
    let _ = stop.send(());
    let meanwhile = load.await??;
    ensure!(meanwhile.requests > 0, "the load was not answered meanwhile");
    Ok((delays?, meanwhile))
}

async fn delays(stage: &Stage, change: Change, name: &str, count: usize) -> Result<Tally> {
    match change {
        Change::New => new(stage, name, count).await,
        Change::Token => changed(stage, name, count).await,
    }
}

async fn new(stage: &Stage, name: &str, count: usize) -> Result<Tally> {
    let namespace = &stage.gateway.options().secret_namespace;
    let client = stage.lab.hub().admin_client().await?;
    let connection = master(&stage.gateway).await?;
    let mut delays = Tally::new();
    for number in 0..count {
        let name = format!("new-{name}-{number}");
        let registration = registration(stage, namespace, &name)?;
        registration.apply(&client).await?;
        let written = Instant::now();
        let path = format!("{}/api/v1/x", cluster_path(&name));
        while connection.get(&path).await?.status != 200 {
            ensure!(written.elapsed() < READY, "{name} is not served after {READY:?}");
        }
        delays.succeeded(0, written.elapsed());
        registration.delete(&client).await?;
    }
    Ok(delays)
}

async fn changed(stage: &Stage, name: &str, count: usize) -> Result<Tally> {
    let namespace = &stage.gateway.options().secret_namespace;
    let client = stage.lab.hub().admin_client().await?;
    let connection = master(&stage.gateway).await?;
    let name = format!("changed-{name}");
    let (upstream, mut delays) = (&stage.upstream, Tally::new());
    let shown =
        |token: &str| Registration::token(namespace, &name, &upstream.url(), upstream.ca_pem(), token);
    let first = shown("token-first");
    first.apply(&client).await?;
    super::served(&connection, &name).await?;
    for number in 0..count {
        let token = format!("token-{number}");
        shown(&token).apply(&client).await?;
        let written = Instant::now();
        while !shows(&connection, &name, &token, &mut delays).await? {
            ensure!(written.elapsed() < READY, "{name} is asked with its old token after {READY:?}");
        }
        delays.succeeded(0, written.elapsed());
    }
    first.delete(&client).await?;
    Ok(delays)
}

/// Whether the cluster is shown this token now.
async fn shows(connection: &H2, name: &str, token: &str, delays: &mut Tally) -> Result<bool> {
    let answer = connection.get(&format!("{}/api/v1/x?credential", cluster_path(name))).await?;
    if answer.status != 200 {
        delays.failed(&anyhow::anyhow!("{} {}", answer.status, answer.text()));
    }
    Ok(answer.body == format!("Bearer {token}"))
}
