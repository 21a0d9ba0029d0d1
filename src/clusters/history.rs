use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use thiserror::Error;

use super::View;

/// The most events that are kept: every one of ten thousand clusters may change at once and its watchers still be
/// told. An event holds a view (2 kB, most of it the CA) that nobody else holds any more.
const MOST: usize = 16_384;
/// So many are kept however old they are, so that a quiet hub's watchers can always go on.
const LEAST: usize = 1_024;
/// Beyond those, what is older than this is forgotten. Watchers that have to connect again do so within seconds.
const FRESH: Duration = Duration::from_secs(300);
/// What the latest so many events look like, written out, is kept for those who have not sent it yet.
const RENDERED: usize = 512;
/// Stretches of the past of which only the outcome is known; one for each time that the hub was listed again.
const GAPS: usize = 16;

/// One change of one cluster: there is a view before, after, or both.
#[derive(Debug)]
pub struct Event {
    /// The hub's resourceVersion of the change.
    pub version: u64,
    /// Whether the hub has no version of its own for it, because time alone made it: it has that of what was before.
    pub(super) timed: bool,
    /// None: the cluster is new.
    pub before: Option<Arc<View>>,
    /// None: the cluster is gone.
    pub after: Option<Arc<View>>,
    /// None once the event is too old for more than a few to need it.
    rendered: Mutex<Option<Vec<(u32, Bytes)>>>,
}

/// What happened, as far as it is still known: consecutive events, numbered from the first one ever.
#[derive(Debug, Default)]
pub(super) struct History {
    events: VecDeque<(Arc<Event>, Instant)>,
    /// The number of the first event that is still there.
    first: u64,
    /// As of which resourceVersion everything is told; 0 before the first list.
    version: u64,
    /// From this resourceVersion on, every event is there.
    floor: u64,
    /// Between these (both excluded) only the outcome is known.
    gaps: VecDeque<(u64, u64)>,
}

/// Up to where somebody knows the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The number of the next event.
    pub(super) next: u64,
}

/// The history does not reach back so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct Expired {
    /// What was asked for.
    pub asked: u64,
    /// From where on it can be had.
    pub oldest: u64,
}

/// What comes next at a position was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

impl Event {
    pub(super) fn new(version: u64, before: Option<Arc<View>>, after: Option<Arc<View>>) -> Self {
        Self { version, timed: false, before, after, rendered: Mutex::new(Some(Vec::new())) }
    }

    /// One that time alone has made.
    pub(super) fn timed(version: u64, before: Arc<View>, after: Arc<View>) -> Self {
        Self::new(version, Some(before), Some(after)).without_own_version()
    }

    /// One that has the version of what was before it.
    pub(super) fn without_own_version(self) -> Self {
        Self { timed: true, ..self }
    }

    /// Whether those who know everything as of a resourceVersion have yet to learn of it. Of what time alone has
    /// made nobody can tell, so that they may learn of it twice.
    pub fn is_after(&self, version: u64) -> bool {
        self.version > version || self.timed && self.version == version
    }

    /// What the event looks like in some form: made by the first who needs it, for all who do.
    pub fn rendered(&self, form: u32, make: impl FnOnce() -> Bytes) -> Bytes {
        let mut rendered = self.rendered.lock();
        let Some(rendered) = rendered.as_mut() else { return make() };
        if let Some((_, bytes)) = rendered.iter().find(|(known, _)| *known == form) {
            return bytes.clone();
        }
        let bytes = make();
        rendered.push((form, bytes.clone()));
        bytes
    }
}

impl History {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Where those are who know all that there is.
    pub(super) fn end(&self) -> Position {
        Position { next: self.first + self.events.len() as u64 }
    }

    /// More has happened, and as of `version` nothing else. Events are in order, and none before `version()`.
    pub(super) fn push(&mut self, events: Vec<Event>, version: u64, now: Instant) {
        for event in events {
            self.events.push_back((Arc::new(event), now));
            if let Some((old, _)) = self.events.len().checked_sub(RENDERED + 1).map(|at| &self.events[at]) {
                *old.rendered.lock() = None;
            }
        }
        self.version = self.version.max(version);
        let is_old = |history: &Self| {
            history.events.front().is_some_and(|(_, since)| now.duration_since(*since) > FRESH)
        };
        while self.events.len() > MOST || self.events.len() > LEAST && is_old(self) {
            if let Some((event, _)) = self.events.pop_front() {
                self.first += 1;
                self.floor = self.floor.max(event.version + u64::from(event.timed));
            }
        }
    }

    /// Everything was read anew as of `version`, and is as it was: what happened in between is not known, so that
    /// nobody can go on from there.
    pub(super) fn skip(&mut self, version: u64) {
        if version > self.version + 1 {
            self.gaps.push_back((self.version, version));
            if self.gaps.len() > GAPS
                && let Some((_, end)) = self.gaps.pop_front()
            {
                self.floor = self.floor.max(end);
            }
        }
        self.version = version;
    }

    /// Everything was read anew as of `version`, and what was known before has nothing to do with it: whoever is
    /// watching has to begin anew.
    pub(super) fn reset(&mut self, version: u64) {
        self.first = self.end().next + 1;
        self.events.clear();
        self.gaps.clear();
        (self.version, self.floor) = (version, version);
    }

    /// Where somebody is who knows everything as of a resourceVersion, which may be one to come.
    pub(super) fn since(&self, version: u64) -> Result<Position, Expired> {
        let gap = self.gaps.iter().find(|(begin, end)| (*begin < version) && version < *end);
        let oldest = gap.map_or(self.floor, |(_, end)| *end);
        if version < oldest {
            return Err(Expired { asked: version, oldest });
        }
        let known = self.events.partition_point(|(event, _)| !event.is_after(version));
        Ok(Position { next: self.first + known as u64 })
    }

    /// The next events, at most so many.
    pub(super) fn next(&self, position: Position, most: usize) -> Result<Vec<Arc<Event>>, Lost> {
        let skipped = position.next.checked_sub(self.first).ok_or(Lost)?;
        let skipped = usize::try_from(skipped).map_err(|_| Lost)?;
        Ok(self.events.iter().skip(skipped).take(most).map(|(event, _)| Arc::clone(event)).collect())
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
