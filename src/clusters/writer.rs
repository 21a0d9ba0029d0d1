use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::{Instant, SystemTime};

use k8s_openapi::api::core::v1::Secret;

use crate::model::ClusterName;

use super::changes::{Changes, Step, found, told};
use super::compile::{Compiled, Options, compile};
use super::history::Event;
use super::{Cluster, Metrics, Table, Tables, journal};

/// From how many Secrets on a thread of its own pays: starting one costs about as much as compiling one Secret.
const PARALLEL_FROM: usize = 32;

/// Keeps the table true. There is one, owned by whoever runs the source.
///
/// Its calls compute, and never wait.
#[derive(Debug)]
pub struct Writer {
    tables: Tables,
    options: Options,
    metrics: Metrics,
    index: HashMap<ClusterName, Compiled>,
    /// Of the table in force; 0 before the first list.
    version: u64,
    /// The clusters of a list that is still coming in.
    staged: HashMap<ClusterName, Compiled>,
}

/// One change of one Secret. Not `Debug`: it holds the Secret.
pub enum Change {
    /// It is like this now.
    Apply(Box<Secret>),
    /// It is gone, or no cluster any more.
    Remove(Box<Secret>),
}

impl Writer {
    /// A writer of these tables, which are empty until a list is complete.
    pub fn new(tables: Tables, options: Options, metrics: Metrics) -> Self {
        Self { tables, options, metrics, index: HashMap::new(), version: 0, staged: HashMap::new() }
    }

    /// How Secrets are read.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A list of all Secrets begins (again). What is in force stays.
    pub fn begin(&mut self) {
        self.staged = HashMap::new();
    }

    /// A part of the list.
    pub fn stage(&mut self, secrets: &[Secret]) {
        let known = secrets.iter().map(|secret| (secret, self.known(secret))).collect::<Vec<_>>();
        let compiled = self.compile(&known);
        self.staged.extend(compiled.into_iter().flatten().map(|made| (made.cluster.name.clone(), made)));
    }

    /// The list is complete as of a resourceVersion: puts it in force, and nothing else.
    pub fn finish(&mut self, resource_version: &str) {
        let began = Instant::now();
        let version = number(resource_version);
        let before = std::mem::replace(&mut self.index, std::mem::take(&mut self.staged));
        let mut steps: Vec<Step> = self
            .index
            .iter()
            .filter_map(|(name, new)| {
                let old = before.get(name).map(|old| &old.cluster);
                let same = old.is_some_and(|old| Arc::ptr_eq(old, &new.cluster));
                (!same).then(|| Step { before: old.cloned(), after: Some(Arc::clone(&new.cluster)) })
            })
            .collect();
        let gone = before.iter().filter(|(name, _)| !self.index.contains_key(*name));
        let gone: Vec<Step> =
            gone.map(|(_, old)| Step { before: Some(Arc::clone(&old.cluster)), after: None }).collect();
        let removed = gone.len();
        steps.extend(gone);
        let changes = found(&steps, self.version, version);
        self.publish(version, changes);
        self.settle(&steps);
        let pairs = steps.iter().filter_map(|step| Some((step.before.as_deref(), step.after.as_deref()?)));
        journal::listed(self.index.len(), removed, pairs);
        self.metrics.published(began.elapsed());
    }

    /// Puts changes in force, all at once, as of a resourceVersion. They are told as they came, each one.
    pub fn apply(&mut self, changes: &[Change], resource_version: &str) {
        let began = Instant::now();
        let mut steps: Vec<Option<Step>> = changes.iter().map(|_| None).collect();
        for round in rounds(changes) {
            let secrets = round.iter().map(|at| changes[*at].secret());
            let known = secrets.map(|secret| (secret, self.known(secret))).collect::<Vec<_>>();
            let present: Vec<_> = round.iter().map(|at| matches!(changes[*at], Change::Apply(_))).collect();
            let kept = known.iter().zip(&present).filter(|(_, present)| **present);
            let mut compiled = self.compile(&kept.map(|(pair, _)| *pair).collect::<Vec<_>>()).into_iter();
            for (at, present) in round.into_iter().zip(present) {
                let made = if present { compiled.next().flatten() } else { None };
                let name = changes[at].secret().metadata.name.as_deref().unwrap_or_default();
                let before = self.index.remove(name).map(|old| old.cluster);
                let after = made.as_ref().map(|made| Arc::clone(&made.cluster));
                if let Some(made) = made {
                    self.index.insert(made.cluster.name.clone(), made);
                }
                steps[at] = Some(Step { before, after });
            }
        }
        let dated = changes.iter().zip(&steps).filter_map(|(change, step)| {
            let version = change.secret().metadata.resource_version.as_deref().map_or(0, number);
            step.as_ref().map(|step| (step, version))
        });
        let (told, last) = told(dated, self.version);
        self.publish(last.max(number(resource_version)), told);
        self.metrics.published(began.elapsed());
        let steps: Vec<Step> = steps.into_iter().flatten().collect();
        self.settle(&steps);
        for step in &steps {
            match (&step.before, &step.after) {
                (before, Some(after)) => journal::changed(before.as_deref(), after),
                (Some(before), None) => journal::removed(before),
                (None, None) => {}
            }
        }
    }

    /// The hub has nothing else to tell up to a resourceVersion.
    pub fn progress(&mut self, resource_version: &str) {
        let version = number(resource_version);
        if self.version > 0 && version > self.version {
            self.version = version;
            self.tables.progress(version);
        }
    }

    /// Says of clusters what only time has made true, that a certificate has expired for one.
    pub fn as_of(&mut self, now: SystemTime) {
        let (version, group) = (self.version, self.options.group.as_str());
        let changed: Vec<Compiled> =
            self.index.values().filter_map(|compiled| compiled.as_of(now, version, group)).collect();
        if changed.is_empty() {
            return;
        }
        let mut events = Vec::with_capacity(changed.len());
        for new in changed {
            let cluster = Arc::clone(&new.cluster);
            if let Some(old) = self.index.insert(cluster.name.clone(), new) {
                journal::changed(Some(&old.cluster), &cluster);
                events.push(Event::timed(version, Arc::clone(&old.cluster.view), Arc::clone(&cluster.view)));
            }
        }
        self.publish(version, Changes::Told(events));
    }

    /// What there is of a Secret's cluster.
    fn known(&self, secret: &Secret) -> Option<&Compiled> {
        self.index.get(secret.metadata.name.as_deref()?)
    }

    /// Compiles Secrets, each with what is known of it, in order, on as many threads as pay.
    fn compile(&self, secrets: &[(&Secret, Option<&Compiled>)]) -> Vec<Option<Compiled>> {
        let now = SystemTime::now();
        let part = |secrets: &[(&Secret, Option<&Compiled>)]| -> Vec<Option<Compiled>> {
            secrets.iter().map(|(secret, known)| self.compile_one(secret, *known, now)).collect()
        };
        let threads = match secrets.len() / PARALLEL_FROM + 1 {
            1 => 1,
            // Asked for only then: a dozen files of the process's cgroup are read for the answer.
            paying => paying.min(thread::available_parallelism().map_or(1, NonZeroUsize::get)),
        };
        if threads == 1 {
            return part(secrets);
        }
        thread::scope(|scope| {
            let parts = secrets.chunks(secrets.len().div_ceil(threads));
            let running: Vec<_> = parts.map(|secrets| scope.spawn(move || part(secrets))).collect();
            running
                .into_iter()
                .flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    fn compile_one(&self, secret: &Secret, known: Option<&Compiled>, now: SystemTime) -> Option<Compiled> {
        if let Some(known) = known.filter(|known| is_of(known, secret)) {
            return Some(known.clone());
        }
        let made = compile(secret, &self.options, known, now)?;
        if made.failed {
            self.metrics.failed();
        }
        Some(made)
    }

    fn publish(&mut self, version: u64, changes: Changes) {
        self.version = version;
        let clusters =
            self.index.iter().map(|(name, made)| (name.clone(), Arc::clone(&made.cluster))).collect();
        self.tables.publish(Table::new(clusters, version), changes);
    }

    /// What follows from changes that are in force.
    fn settle(&self, steps: &[Step]) {
        for Step { before, after } in steps {
            if let Some(before) = before {
                end_streams(before, after.as_deref());
                retire(before, after.as_deref());
            }
            self.metrics.moved(before.as_deref(), after.as_deref());
        }
    }
}

impl Change {
    fn secret(&self) -> &Secret {
        match self {
            Self::Apply(secret) | Self::Remove(secret) => secret,
        }
    }
}

/// Ends the streams into a cluster that is no more: its Secret is gone, or another object of the same name.
fn end_streams(old: &Cluster, new: Option<&Cluster>) {
    if !new.is_some_and(|new| Arc::ptr_eq(&old.streams, &new.streams)) {
        old.streams.end();
    }
}

/// Ends what keeps the credential of an access that no request is sent by any more.
fn retire(old: &Cluster, new: Option<&Cluster>) {
    let Ok(access) = &old.access else { return };
    let kept = new.and_then(|new| new.access.as_ref().ok());
    if !kept.is_some_and(|kept| Arc::ptr_eq(kept, access)) {
        access.retire();
    }
}

/// Whether a cluster was made of this very version of the Secret: a list that comes again costs nothing.
fn is_of(known: &Compiled, secret: &Secret) -> bool {
    let metadata = &known.cluster.metadata;
    let same = |ours: &str, theirs: &Option<String>| !ours.is_empty() && theirs.as_deref() == Some(ours);
    same(&metadata.uid, &secret.metadata.uid)
        && same(&metadata.resource_version, &secret.metadata.resource_version)
}

/// Changes by number, so that each round has at most one of each Secret: the first of each, then the second, and so
/// on. Those of one round can be compiled at the same time; what was gone in between is not inherited.
fn rounds(changes: &[Change]) -> Vec<Vec<usize>> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        let Some(name) = change.secret().metadata.name.as_deref() else { continue };
        let round = seen.entry(name).and_modify(|round| *round += 1).or_insert(0);
        if rounds.len() == *round {
            rounds.push(Vec::new());
        }
        rounds[*round].push(at);
    }
    rounds
}

/// A resourceVersion as a number, by which Kubernetes promises that they can be compared (KEP-5504); 0 for none.
fn number(resource_version: &str) -> u64 {
    resource_version.parse().unwrap_or_default()
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
