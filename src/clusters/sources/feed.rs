//! Lists and watches one kind of object for ever.
//!
//! As kube's `watcher` does with its list-then-watch strategy (which every hub understands, unlike streaming lists),
//! but it hands over at once all that is ready, tells when the hub is back although nothing has changed, keeps
//! backing off when it is the list that fails, and lists again when the hub has lost history that it had.

use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use super::connection::{Connection, Failure};
use super::pace::Pace;

/// As client-go: some MB of Secrets in one answer.
const PAGE: u32 = 500;
/// For one page, or for a watch to begin.
const ANSWER: Duration = Duration::from_secs(30);
/// After which the hub is to end a watch, seconds: below the five minutes of common proxies.
const WATCH: u32 = 290;
/// A hub sends a bookmark about every minute: after this long without a word the connection is dead.
const SILENCE: Duration = Duration::from_secs(150);
/// A watch that lives this long, or says something, has begun.
const BEGUN: Duration = Duration::from_secs(1);
/// So that a burst's first change is in force before its last one has come.
const BATCH: usize = 256;

/// Who is told.
pub(super) trait Sink<K>: Send {
    /// A list begins (again): what was staged is void.
    fn begin(&mut self);
    /// A part of the list.
    fn stage(&mut self, page: Vec<K>);
    /// The list is complete.
    fn finish(&mut self, resource_version: String);
    /// What has changed since, in order; never empty.
    fn apply(&mut self, changes: Vec<Change<K>>, resource_version: String);
    /// Nothing else has changed up to this resourceVersion.
    fn progress(&mut self, resource_version: String);
}

/// One change. Not `Debug`: it may hold a Secret.
pub(super) enum Change<K> {
    Applied(K),
    Removed(K),
}

/// What ends an attempt, and the resourceVersion to go on from, if there is one.
struct Broken {
    failure: Failure,
    resume: Option<String>,
}

/// Feeds the sink until dropped.
pub(super) async fn run<K>(
    api: &Api<K>,
    selector: &str,
    connection: &mut Connection,
    sink: &mut impl Sink<K>,
) -> Infallible
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut pace = Pace::new();
    let mut position = None;
    loop {
        let outcome = match position.take() {
            None => list(api, selector, connection, sink).await,
            Some(version) => watch(api, selector, version, connection, &mut pace, sink).await,
        };
        match outcome {
            Ok(version) => position = Some(version),
            Err(Broken { failure, resume }) => {
                connection.lost(&failure);
                position = resume.filter(|_| !failure.needs_list());
                sleep(pace.after(&failure)).await;
            }
        }
    }
}

async fn list<K>(
    api: &Api<K>,
    selector: &str,
    connection: &mut Connection,
    sink: &mut impl Sink<K>,
) -> Result<String, Broken>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let broken = |failure| Broken { failure, resume: None };
    let mut params = ListParams::default().labels(selector).limit(PAGE);
    sink.begin();
    loop {
        let page = timeout(ANSWER, api.list(&params)).await.map_err(|_| broken(Failure::Silent))?;
        let page = page.map_err(|error| broken(error.into()))?;
        connection.heard();
        sink.stage(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => {
                let is_number = |version: &String| version.parse::<u64>().is_ok();
                let version = page.metadata.resource_version.filter(is_number);
                let version = version.ok_or(broken(Failure::NoResourceVersion))?;
                sink.finish(version.clone());
                return Ok(version);
            }
        }
    }
}

/// Watches until the hub ends it, which is no failure when it has begun.
async fn watch<K>(
    api: &Api<K>,
    selector: &str,
    version: String,
    connection: &mut Connection,
    pace: &mut Pace,
    sink: &mut impl Sink<K>,
) -> Result<String, Broken>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let params = WatchParams::default().labels(selector).timeout(WATCH);
    let broken = |failure, version: &String| Broken { failure, resume: Some(version.clone()) };
    let stream = timeout(ANSWER, api.watch(&params, &version)).await;
    let stream = stream.map_err(|_| broken(Failure::Silent, &version))?;
    let mut stream = pin!(stream.map_err(|error| broken(error.into(), &version))?);
    let mut next = match timeout(BEGUN, stream.next()).await {
        Ok(Some(event)) => Some(Some(event)),
        Ok(None) => return Err(broken(Failure::EndedAtOnce, &version)),
        Err(_) => {
            connection.established();
            pace.works();
            None
        }
    };
    let mut version = version;
    loop {
        let first = match next.take() {
            Some(event) => event,
            None => match timeout(SILENCE, stream.next()).await {
                Ok(event) => event,
                Err(_) => return Ok(version),
            },
        };
        let before = version.clone();
        let (changes, end) = ready(first, stream.as_mut(), &mut version);
        if !matches!(end, End::Failed(_)) {
            connection.established();
            pace.works();
        }
        if !changes.is_empty() {
            sink.apply(changes, version.clone());
        } else if version != before {
            sink.progress(version.clone());
        }
        match end {
            End::NotYet => {}
            End::Closed => return Ok(version),
            End::Failed(failure) => return Err(broken(failure, &version)),
        }
    }
}

enum End {
    NotYet,
    Closed,
    Failed(Failure),
}

/// Takes what there is without waiting.
fn ready<K: Resource>(
    first: Option<kube::Result<WatchEvent<K>>>,
    mut stream: std::pin::Pin<&mut impl Stream<Item = kube::Result<WatchEvent<K>>>>,
    version: &mut String,
) -> (Vec<Change<K>>, End) {
    let mut changes = Vec::new();
    let mut event = first;
    loop {
        let seen = match event {
            None => return (changes, End::Closed),
            Some(Err(error)) => return (changes, End::Failed(error.into())),
            Some(Ok(WatchEvent::Error(status))) => return (changes, End::Failed(Failure::Refused(status))),
            Some(Ok(WatchEvent::Bookmark(bookmark))) => Some(bookmark.metadata.resource_version),
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                let seen = object.resource_version();
                changes.push(Change::Applied(object));
                seen
            }
            Some(Ok(WatchEvent::Deleted(object))) => {
                let seen = object.resource_version();
                changes.push(Change::Removed(object));
                seen
            }
        };
        if let Some(seen) = seen.filter(|seen| !seen.is_empty()) {
            *version = seen;
        }
        if changes.len() >= BATCH {
            return (changes, End::NotYet);
        }
        match stream.next().now_or_never() {
            Some(next) => event = next,
            None => return (changes, End::NotYet),
        }
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
