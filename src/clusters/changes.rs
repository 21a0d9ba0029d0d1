//! What a writer did to the table, as events for those who watch.

use std::sync::Arc;

use super::history::Event;
use super::{Cluster, View};

/// What a change has made of a cluster.
pub(super) struct Step {
    pub(super) before: Option<Arc<Cluster>>,
    pub(super) after: Option<Arc<Cluster>>,
}

/// How a table came about.
#[derive(Debug)]
pub(super) enum Changes {
    /// By these, and no others.
    Told(Vec<Event>),
    /// It was read anew and is the same as before, whatever happened in between.
    Same,
    /// It was read anew, and what led to the differences is not known.
    Unknown,
}

impl Step {
    /// An event as of a version; two where the name belongs to another object now.
    fn events(&self, version: u64) -> impl Iterator<Item = Event> {
        let view = |cluster: &Option<Arc<Cluster>>| cluster.as_ref().map(|cluster| Arc::clone(&cluster.view));
        let (before, after) = (view(&self.before), view(&self.after));
        let (first, second) = match (before, after) {
            (None, None) => (None, None),
            (Some(before), Some(after)) if Arc::ptr_eq(&before, &after) => (None, None),
            (Some(before), Some(after)) if is_another(&before, &after) => {
                (Some((Some(before), None)), Some((None, Some(after))))
            }
            pair => (Some(pair), None),
        };
        first.into_iter().chain(second).map(move |(before, after)| Event::new(version, before, after))
    }
}

/// Of steps that the hub told one by one, each with its resourceVersion (0: it had none), when the table was as of
/// `version`. Also gives the last one's version.
pub(super) fn told<'a>(steps: impl Iterator<Item = (&'a Step, u64)>, version: u64) -> (Changes, u64) {
    let mut last = version;
    let mut events = Vec::new();
    for (step, version) in steps {
        let has_own = version > last;
        last = last.max(version);
        let new = step.events(last);
        events.extend(new.map(|event| if has_own { event } else { event.without_own_version() }));
    }
    (Changes::Told(events), last)
}

/// Of the differences between a table as of one version and a list as of another.
///
/// They are not told as events: whoever learned of half of them, and went on at another replica from there, would
/// miss what this one cannot know. Watches end instead and begin anew, as those of kube-apiserver do when it lists.
pub(super) fn found(steps: &[Step], from: u64, to: u64) -> Changes {
    match steps.is_empty() && 0 < from && from <= to {
        true => Changes::Same,
        false => Changes::Unknown,
    }
}

fn is_another(before: &View, after: &View) -> bool {
    before.metadata.uid != after.metadata.uid
}
