//! Watches of the own resources, as kube-apiserver's watch cache serves them.
//!
//! A [`Watch`] is a place in the history of the clusters (`clusters::Tables`) and nothing else: no queue fills up
//! while its reader is slow, and an idle one costs next to nothing. What an event looks like in a form is written
//! once, by the first watch that sends it. Each event is told once and in order, from the resourceVersion that was
//! asked for; a watch that would have to leave something out ends instead: with an ERROR event (410) where it
//! begins, without a word where its reader was left behind.
//!
//! resourceVersions are the hub's. One can be gone on from at any replica that has told, or was told, everything
//! since: not before its first list, and not from within a time for which it only knows the outcome.

mod encode;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use prometheus::IntGauge;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

use crate::clusters::{Event, Position, Tables, View};
use crate::model::{Query, Reason, Status};

use super::encode::Encoding;
use super::list::fresh;
use super::negotiation::{self, Form};
use super::options::{ListOptions, version};
use super::resource::{Kept, Object, Resource};
use super::selector::Selectors;
use super::serve::filled;
use super::table::Include;
use super::{Api, Request};

use encode::{Encoder, Kind};

/// kube-apiserver's `--min-request-timeout`: watches that do not say how long they are to last do so for this long,
/// and up to twice as long, so that they do not all come back at once.
const SHORTEST: Duration = Duration::from_secs(1800);
/// How often those who take bookmarks get one.
const BOOKMARK: Duration = Duration::from_secs(60);
/// So long before the end they get the last one.
const BEFORE_END: Duration = Duration::from_secs(2);
/// So many events are taken from the history at once.
const BATCH: usize = 64;

/// The events of one watch.
#[derive(Debug)]
pub struct Watch {
    api: Arc<Api>,
    tables: Tables,
    published: Receiver<u64>,
    resource: Resource,
    selectors: Selectors,
    encoder: Encoder,
    position: Position,
    /// Everything up to this resourceVersion is known already.
    after: u64,
    /// What there was when it began.
    initial: VecDeque<Kept>,
    /// To be said once that is told.
    initial_end: Option<u64>,
    queue: VecDeque<Arc<Event>>,
    bookmark: Option<Instant>,
    deadline: Instant,
    failure: Option<Status>,
    ended: bool,
    _open: Open,
}

/// Counts a watch as long as it is there.
#[derive(Debug)]
pub(super) struct Open(IntGauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Watch {
    /// Begins a watch. What cannot be watched because of what is asked is a Status; what cannot be watched because of
    /// when it is asked is the watch's first and only event, as in kube-apiserver.
    pub(super) async fn start(
        api: &Arc<Api>,
        request: &Request<'_>,
        resource: Resource,
        options: ListOptions,
        tables: &Tables,
    ) -> Result<Self, Status> {
        let wanted = negotiation::stream(request)?;
        let include = match wanted.form {
            Form::Table(_) => Include::of(&Query::new(request.query))?,
            Form::Plain | Form::Partial(_) => Include::Metadata,
        };
        let since = version(&options.version).map_err(|message| Status::new(Reason::BadRequest, message))?;
        filled(&tables.load())?;
        let begun = Instant::now();
        let deadline = begun + lifetime(options.timeout);
        let bookmarks = options.bookmarks;
        let mut watch = Self {
            published: tables.subscribe(),
            encoder: Encoder::new(wanted, include),
            position: tables.now().1,
            after: since,
            initial: VecDeque::new(),
            initial_end: None,
            queue: VecDeque::new(),
            bookmark: next_bookmark(begun, deadline).filter(|_| bookmarks),
            deadline,
            failure: None,
            ended: false,
            _open: api.metrics.opened(resource),
            selectors: options.selectors,
            resource,
            api: Arc::clone(api),
            tables: tables.clone(),
        };
        watch.failure = watch.begin(since, options.initial_events, bookmarks).await.err();
        Ok(watch)
    }

    /// The type of what is told.
    pub fn content_type(&self) -> HeaderValue {
        match self.encoder.encoding() {
            Encoding::Protobuf => {
                HeaderValue::from_static("application/vnd.kubernetes.protobuf;stream=watch")
            }
            Encoding::Json | Encoding::Yaml => HeaderValue::from_static("application/json"),
        }
    }

    /// The bytes in front of each event that say how long it is; none where an event is a line of text.
    pub fn prefix(&self) -> Option<usize> {
        (self.encoder.encoding() == Encoding::Protobuf).then_some(encode::PREFIX)
    }

    /// The next event: a line of JSON, or a message with its length. None: it is over. Cancel safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.ended {
                return None;
            }
            if let Some(failure) = self.failure.take() {
                self.ended = true;
                return Some(self.encoder.failure(&failure));
            }
            if Instant::now() >= self.deadline {
                self.ended = true;
                return None;
            }
            if let Some(initial) = self.initial.pop_front() {
                if self.initial.is_empty() {
                    // It was as long as the table.
                    self.initial = VecDeque::new();
                }
                return Some(self.tell_initial(&initial));
            }
            if let Some(version) = self.initial_end.take() {
                return Some(self.encoder.bookmark(self.resource, version, true, &self.api));
            }
            if let Some(event) = self.queue.pop_front() {
                match self.tell(&event) {
                    Some(told) => return Some(told),
                    None => continue,
                }
            }
            // Before looking: what is published from here on wakes us.
            self.published.mark_unchanged();
            let Ok((events, version)) = self.tables.next(&mut self.position, BATCH) else {
                self.api.metrics.left_behind(self.resource);
                tracing::debug!(resource = self.resource.name(), "a watch was left behind and ends");
                self.ended = true;
                return None;
            };
            if !events.is_empty() {
                self.queue = events.into();
                continue;
            }
            if let Some(due) = self.bookmark.filter(|due| *due <= Instant::now()) {
                self.bookmark = next_bookmark(due, self.deadline);
                if version > self.after {
                    return Some(self.encoder.bookmark(self.resource, version, false, &self.api));
                }
            }
            let until = self.bookmark.unwrap_or(self.deadline).min(self.deadline);
            tokio::select! {
                changed = self.published.changed() => self.ended = changed.is_err(),
                () = sleep_until(until) => {}
            }
        }
    }

    async fn begin(
        &mut self,
        since: u64,
        initial_events: Option<bool>,
        bookmarks: bool,
    ) -> Result<(), Status> {
        match initial_events {
            Some(true) => {
                fresh(&self.tables, since).await?;
                let (table, position) = self.tables.now();
                let made = table.iter().filter_map(|cluster| {
                    Some((self.resource.object(&cluster.view, &self.api)?, Some(&cluster.view)))
                });
                let constant = self.resource.constant(&self.api).map(|object| (object, None));
                let mut objects: Vec<(Object<'_>, Option<&Arc<View>>)> = constant
                    .into_iter()
                    .chain(made)
                    .filter(|(object, _)| object.is_chosen(&self.selectors, &self.api))
                    .collect();
                objects.sort_unstable_by(|(one, _), (other, _)| one.place().cmp(&other.place()));
                self.initial = objects.into_iter().map(|(_, view)| Kept::of(view)).collect();
                (self.position, self.after) = (position, table.version());
                self.initial_end = bookmarks.then_some(table.version());
            }
            Some(false) if since == 0 => {
                let (table, position) = self.tables.now();
                (self.position, self.after) = (position, table.version());
            }
            Some(false) | None => {
                let position = self.tables.since(since);
                self.position =
                    position.map_err(|expired| Status::new(Reason::Expired, expired.to_string()))?;
            }
        }
        Ok(())
    }

    fn tell_initial(&mut self, initial: &Kept) -> Bytes {
        let object = initial.object(self.resource, &self.api);
        // It was one when the watch began, and views do not change.
        object.map_or_else(Bytes::new, |object| {
            self.encoder.event(self.resource, Kind::Added, object, object.version(), &self.api)
        })
    }

    /// What a change is to those who only see some objects.
    fn tell(&mut self, event: &Event) -> Option<Bytes> {
        if !event.is_after(self.after) {
            return None;
        }
        let wanted = |view: &Option<Arc<View>>| -> Option<()> {
            let object = self.resource.object(view.as_ref()?, &self.api)?;
            object.is_chosen(&self.selectors, &self.api).then_some(())
        };
        let kind = match (wanted(&event.before), wanted(&event.after)) {
            (None, None) => return None,
            (None, Some(())) => Kind::Added,
            (Some(()), Some(())) => Kind::Modified,
            (Some(()), None) => Kind::Deleted,
        };
        let view = if kind == Kind::Deleted { event.before.as_ref() } else { event.after.as_ref() };
        let object = self.resource.object(view?, &self.api)?;
        let version = if kind == Kind::Deleted { event.version } else { object.version() };
        let form = self.encoder.key(self.resource, kind);
        Some(
            event.rendered(form, || {
                self.encoder.clone().event(self.resource, kind, object, version, &self.api)
            }),
        )
        .inspect(|_| self.encoder.begun())
    }
}

fn lifetime(timeout: Option<Duration>) -> Duration {
    match timeout {
        Some(time) => time,
        None => {
            // Every RandomState has other keys: a random number without a generator to carry around.
            let random = RandomState::new().hash_one(()) % 1024;
            SHORTEST + SHORTEST.mul_f64(random as f64 / 1024.0)
        }
    }
}

/// A while after the last one, or shortly before the end.
fn next_bookmark(last: Instant, deadline: Instant) -> Option<Instant> {
    let next = deadline.checked_sub(BEFORE_END).map_or(last, |end| end.min(last + BOOKMARK));
    (next > last).then_some(next)
}

impl Open {
    pub(super) fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
