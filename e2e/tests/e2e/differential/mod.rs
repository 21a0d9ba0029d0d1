//! What a client could tell from a kube-apiserver: the same requests, sent to the lab's kube-apiserver for a resource of
//! its own and to the gateway for ours, are answered the same.
//!
//! The tables in [`rows`] say what is asked and of which resource of kube-apiserver: a built-in one ([`peer`]), or a
//! custom one where an object is compared whole, and where built-in ones are written in protobuf. [`compare`] says what
//! is compared, and which few things are made equal before; [`part`] what there is to compare where one side has more. A
//! row that may differ says why; there may be five of them, and one that does not differ any more is a failure as well.

mod changes;
mod compare;
mod names;
mod part;
mod peer;
mod row;
mod rows;
mod setup;
mod sockets;
mod wire;

use std::collections::HashSet;

use anyhow::Result;
use futures::{StreamExt as _, stream};

use row::{Row, Side};
use setup::Setup;

/// Rows that may differ.
const MOST_DIFFERENT: usize = 5;
/// Requests that there have to be.
const LEAST: usize = 400;
/// Of these, what is compared with a resource that is built into kube-apiserver.
const LEAST_BUILT_IN: usize = 300;
/// Rows that change nothing are asked so many at once: most of the time of a watch is waiting for its end.
const AT_ONCE: usize = 16;

#[tokio::test]
async fn the_gateway_answers_as_kube_apiserver_does() {
    let (reads, changes, writes) = (rows::reads(), rows::changes(), rows::writes());
    let rows = || reads.iter().chain(&changes).chain(&writes);
    let built_in: HashSet<_> = rows().filter(|row| row.peer.is_built_in()).map(Row::request).collect();
    let built_in = built_in.len();
    let different = rows().filter(|row| row.differs.is_some()).count();
    let told = format!(
        "{} rows, {built_in} requests compared with a built-in resource, {different} may differ",
        rows().count()
    );
    assert!(rows().map(Row::request).collect::<HashSet<_>>().len() >= LEAST, "{told}");
    assert!(built_in >= LEAST_BUILT_IN && different <= MOST_DIFFERENT, "{told}");
    for row in rows() {
        if let Some(reason) = row.part.reason() {
            eprintln!("in part: {row}: {:?}, because {reason}", row.part);
        }
        if let Some(reason) = row.differs {
            eprintln!("may differ: {row}: {reason}");
        }
    }
    let setup = Setup::start("differential").await.unwrap();
    let ask = async |row| ask(&setup, row).await.err().map(|problem| format!("{row}: {problem:#}"));
    let mut problems: Vec<_> = stream::iter(&reads).map(ask).buffered(AT_ONCE).collect().await;
    problems.extend(changes::problems(&setup, &changes).await.unwrap().into_iter().map(Some));
    // Each as the ones before have left it.
    problems.extend(stream::iter(&writes).then(ask).collect::<Vec<_>>().await);
    let problems: Vec<_> = problems.into_iter().flatten().collect();
    eprintln!("{told}, {} problems", problems.len());
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
