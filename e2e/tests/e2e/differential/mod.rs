//! What a client could tell from a kube-apiserver: the same requests, sent to the lab's kube-apiserver for a resource of
//! its own and to the gateway for ours, are answered the same.
//!
//! The tables in [`rows`] say what is asked and of which resource of kube-apiserver; [`compare`] says what is compared,
//! and which few things are made equal before; [`part`] what there is to compare where one side has more. A row that
//! may differ says why; there may be five of them, and one that does not differ any more is a failure as well.

mod compare;
mod part;
mod row;
mod rows;
mod setup;
mod sockets;
mod wire;

use anyhow::Result;

use row::{Row, Side};
use setup::Setup;

/// Rows that may differ.
const MOST_DIFFERENT: usize = 5;
/// Rows that there have to be.
const LEAST: usize = 150;

#[tokio::test]
async fn the_gateway_answers_as_kube_apiserver_does() {
    let rows = rows::all();
    let different = rows.iter().filter(|row| row.differs.is_some()).count();
    assert!(rows.len() >= LEAST && different <= MOST_DIFFERENT, "{} rows, {different} differ", rows.len());
    for row in &rows {
        if let Some(reason) = row.part.reason() {
            eprintln!("in part: {row}: {:?}, because {reason}", row.part);
        }
        if let Some(reason) = row.differs {
            eprintln!("may differ: {row}: {reason}");
        }
    }
    let setup = Setup::start("differential").await.unwrap();
    let mut problems = Vec::new();
    for row in &rows {
        if let Err(problem) = ask(&setup, row).await {
            problems.push(format!("{row}: {problem:#}"));
        }
    }
    eprintln!("{} rows, {different} may differ, {} problems", rows.len(), problems.len());
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// Asks both sides, and the gateway by way of the hub where that changes nothing.
async fn ask(setup: &Setup, row: &Row) -> Result<()> {
    let theirs = setup.ask(row, Side::Theirs).await?;
    let ours = setup.ask(row, Side::Ours).await?;
    let compared = compare::same(row, &ours, &theirs);
    match (&row.differs, compared) {
        (None, compared) => compared?,
        (Some(_), Err(_)) => {}
        (Some(reason), Ok(())) => anyhow::bail!("does not differ any more, though it may: {reason}"),
    }
    let changes_nothing = row.method == "GET" || theirs.status >= 400;
    if changes_nothing && row.is_below_version() {
        let (mut through, mut ours) = (setup.ask(row, Side::ThroughHub).await?, ours);
        // A hub takes gzip whether its client does or not, and decompresses.
        through.headers.remove("vary");
        ours.headers.remove("vary");
        compare::same(row, &through, &ours).map_err(|error| error.context("through the hub"))?;
    }
    Ok(())
}
