//! What watches tell of changes: all begin, then the same is done to the Secrets that are compared with and to those
//! of the clusters, and each is read until it tells of the last change.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::client::Answer;
use futures::future::try_join_all;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::row::{Row, Side};
use super::setup::Setup;
use super::{compare, wire};

/// For all changes to be told.
const SOON: Duration = Duration::from_secs(60);
/// The object that everybody is told of at last.
const LAST: &str = "finis";
const SIDES: [Side; 3] = [Side::Theirs, Side::Ours, Side::ThroughHub];

/// The answers to rows that do not end by themselves, compared.
pub(super) async fn problems(setup: &Setup, rows: &[Row]) -> Result<Vec<String>> {
    let begin = |row| try_join_all(SIDES.map(|side| setup.begin(row, side)));
    let begun = try_join_all(rows.iter().map(begin)).await?;
    let ((), told) = tokio::try_join!(change(setup), async {
        let read = begun.into_iter().map(|watches| try_join_all(watches.into_iter().map(read)));
        tokio::time::timeout(SOON, try_join_all(read)).await.context("not all changes were told")?
    })?;
    let mut problems = Vec::new();
    for (row, answers) in rows.iter().zip(told) {
        let [theirs, ours, through] = <[Answer; 3]>::try_from(answers).ok().context("not all sides")?;
        for (way, ours) in [("direct", ours), ("through the hub", through)] {
            if let Err(problem) = compare::same(row, &ours, &theirs) {
                problems.push(format!("{row} {way}: {problem:#}"));
            }
        }
    }
    Ok(problems)
}

/// The same to both sides, one after the other.
async fn change(setup: &Setup) -> Result<()> {
    let labelled = |env: Value| json!({"metadata": {"labels": {"env": env}}});
    for (name, patch) in [
        ("one", labelled("moved".into())),
        ("two", json!({"metadata": {"annotations": {"cluster.core.oam.dev/note": "seen"}}})),
        ("three", labelled(Value::Null)),
        ("one", labelled("one".into())),
        ("three", labelled("three".into())),
        ("two", json!({"metadata": {"annotations": {"cluster.core.oam.dev/note": null}}})),
    ] {
        setup.patch(name, &patch).await?;
    }
    setup.register("new").await?;
    setup.unregister("new").await?;
    setup.register(LAST).await
}

/// What is told until the last change is.
async fn read((connection, response): (impl Sized, Response<Incoming>)) -> Result<Answer> {
    let (head, mut incoming) = response.into_parts();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        body.extend_from_slice(frame?.data_ref().map_or(&[][..], |data| data));
        let told = body.windows(LAST.len()).any(|part| part == LAST.as_bytes());
        if told && (body.ends_with(b"}\n") || wire::events(&body).is_ok()) {
            break;
        }
    }
    drop(connection);
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.into(), trailers: None })
}
