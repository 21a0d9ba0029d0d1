use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::{Instant, SystemTime};

use k8s_openapi::api::core::v1::Secret;

use crate::model::ClusterName;

use super::compile::{Compiled, Options, compile};
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
    resource_version: String,
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
        Self {
            tables,
            options,
            metrics,
            index: HashMap::new(),
            resource_version: String::new(),
            staged: HashMap::new(),
        }
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
    pub fn finish(&mut self, resource_version: String) {
        let began = Instant::now();
        let before = std::mem::replace(&mut self.index, std::mem::take(&mut self.staged));
        self.publish(resource_version);
        let mut removed = 0;
        for (name, old) in &before {
            let new = self.index.get(name).map(|new| new.cluster.as_ref());
            end_streams(&old.cluster, new);
            if new.is_none() {
                removed += 1;
                self.metrics.moved(Some(&old.cluster), None);
            }
        }
        let mut pairs = Vec::new();
        for (name, new) in &self.index {
            let old = before.get(name).map(|old| &old.cluster);
            if !old.is_some_and(|old| Arc::ptr_eq(old, &new.cluster)) {
                self.metrics.moved(old.map(Arc::as_ref), Some(&new.cluster));
                pairs.push((old.map(Arc::as_ref), new.cluster.as_ref()));
            }
        }
        journal::listed(self.index.len(), removed, pairs.into_iter());
        self.metrics.published(began.elapsed());
    }

    /// Puts changes in force, all at once, as of a resourceVersion. Of several of one Secret the last counts.
    pub fn apply(&mut self, changes: &[Change], resource_version: String) {
        let began = Instant::now();
        let (latest, gone) = latest(changes);
        let mut before: HashMap<ClusterName, Arc<Cluster>> = HashMap::new();
        for name in gone {
            if let Some(old) = self.index.remove(name) {
                before.insert(old.cluster.name.clone(), old.cluster);
            }
        }
        let known = latest.iter().map(|secret| (*secret, self.known(secret))).collect::<Vec<_>>();
        let compiled = self.compile(&known);
        let mut after = Vec::with_capacity(compiled.len());
        for (secret, made) in latest.iter().zip(compiled) {
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            let old = self.index.remove(name);
            if let Some(old) = old {
                before.insert(old.cluster.name.clone(), old.cluster);
            }
            if let Some(made) = made {
                after.push(Arc::clone(&made.cluster));
                self.index.insert(made.cluster.name.clone(), made);
            }
        }
        self.publish(resource_version);
        self.metrics.published(began.elapsed());
        for cluster in after {
            let old = before.remove(cluster.name.as_str());
            if let Some(old) = &old {
                end_streams(old, Some(&cluster));
            }
            self.metrics.moved(old.as_deref(), Some(&cluster));
            journal::changed(old.as_deref(), &cluster);
        }
        for old in before.values() {
            end_streams(old, None);
            self.metrics.moved(Some(old), None);
            journal::removed(old);
        }
    }

    /// Says of clusters what only time has made true, that a certificate has expired for one.
    pub fn as_of(&mut self, now: SystemTime) {
        let changed: Vec<Compiled> = self.index.values().filter_map(|compiled| compiled.as_of(now)).collect();
        if changed.is_empty() {
            return;
        }
        for new in changed {
            let cluster = Arc::clone(&new.cluster);
            let old = self.index.insert(cluster.name.clone(), new);
            journal::changed(old.as_ref().map(|old| old.cluster.as_ref()), &cluster);
        }
        self.publish(self.resource_version.clone());
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
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = threads.min(secrets.len() / PARALLEL_FROM + 1);
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

    fn publish(&mut self, resource_version: String) {
        self.resource_version = resource_version;
        let clusters =
            self.index.iter().map(|(name, made)| (name.clone(), Arc::clone(&made.cluster))).collect();
        self.tables.publish(Table::new(clusters, self.resource_version.clone()));
    }
}

/// Ends the streams into a cluster that is no more: its Secret is gone, or another object of the same name.
fn end_streams(old: &Cluster, new: Option<&Cluster>) {
    if !new.is_some_and(|new| Arc::ptr_eq(&old.streams, &new.streams)) {
        old.streams.end();
    }
}

/// Whether a cluster was made of this very version of the Secret: a list that comes again costs nothing.
fn is_of(known: &Compiled, secret: &Secret) -> bool {
    let metadata = &known.cluster.metadata;
    let same = |ours: &str, theirs: &Option<String>| !ours.is_empty() && theirs.as_deref() == Some(ours);
    same(&metadata.uid, &secret.metadata.uid)
        && same(&metadata.resource_version, &secret.metadata.resource_version)
}

/// The Secrets that are there in the end, and the names of those that were gone at some time: what was made of them
/// before must not be inherited.
fn latest(changes: &[Change]) -> (Vec<&Secret>, HashSet<&str>) {
    let (mut present, mut gone) = (HashMap::new(), HashSet::new());
    for change in changes {
        match change {
            Change::Apply(secret) => {
                if let Some(name) = secret.metadata.name.as_deref() {
                    present.insert(name, secret.as_ref());
                }
            }
            Change::Remove(secret) => {
                if let Some(name) = secret.metadata.name.as_deref() {
                    present.remove(name);
                    gone.insert(name);
                }
            }
        }
    }
    (present.into_values().collect(), gone)
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
