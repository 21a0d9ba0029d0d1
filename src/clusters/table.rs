use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::model::ClusterName;

use super::changes::Changes;
use super::history::{Event, Expired, History, Lost, Position};
use super::{Cluster, View};

/// All clusters as of one moment. Immutable: a change makes another table.
#[derive(Debug, Clone, Default)]
pub struct Table {
    clusters: Arc<HashMap<ClusterName, Arc<Cluster>>>,
    version: u64,
}

impl Table {
    /// A table of these clusters as of a resourceVersion of the hub's Secrets.
    pub fn new(clusters: HashMap<ClusterName, Arc<Cluster>>, version: u64) -> Self {
        Self { clusters: Arc::new(clusters), version }
    }

    /// The cluster of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<Cluster>> {
        self.clusters.get(name)
    }

    /// All clusters in no order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Cluster>> {
        self.clusters.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.clusters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.clusters.is_empty()
    }

    /// The resourceVersion of the hub's Secrets as of which this is all there is; 0 before the first list.
    pub fn version(&self) -> u64 {
        self.version
    }
}

/// The table in force and what led to it, for their readers. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tables(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    table: ArcSwap<Table>,
    /// Held for moments, and never across an await. Requests for clusters do not touch it.
    history: RwLock<History>,
    published: watch::Sender<u64>,
}

impl Tables {
    /// The table in force now. Do not hold the guard across an await.
    pub fn load(&self) -> Guard<Arc<Table>> {
        self.0.table.load()
    }

    /// The same, to be kept.
    pub fn load_full(&self) -> Arc<Table> {
        self.0.table.load_full()
    }

    /// The cluster of a name as of now, to be kept for the whole request.
    pub fn get(&self, name: &str) -> Option<Arc<Cluster>> {
        self.load().get(name).cloned()
    }

    /// Tells of every table after this call, by number; those who are slow see only the last.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.published.subscribe()
    }

    /// The table in force now, and where the history goes on from it.
    pub fn now(&self) -> (Arc<Table>, Position) {
        let history = self.0.history.read();
        (self.0.table.load_full(), history.end())
    }

    /// Where the history goes on for somebody who knows everything as of a resourceVersion.
    pub fn since(&self, version: u64) -> Result<Position, Expired> {
        self.0.history.read().since(version)
    }

    /// What comes next at a position, at most so many events, and the resourceVersion as of which that is all when
    /// there are none.
    pub fn next(&self, position: &mut Position, most: usize) -> Result<(Vec<Arc<Event>>, u64), Lost> {
        let history = self.0.history.read();
        let events = history.next(*position, most)?;
        position.next += events.len() as u64;
        Ok((events, history.version()))
    }

    /// All clusters as they were as of a resourceVersion, in no order.
    pub fn at(&self, version: u64) -> Result<Vec<Arc<View>>, Expired> {
        let (table, events) = {
            let history = self.0.history.read();
            let events = history.next(history.since(version)?, usize::MAX);
            (self.0.table.load_full(), events.unwrap_or_default())
        };
        if events.is_empty() {
            return Ok(table.iter().map(|cluster| Arc::clone(&cluster.view)).collect());
        }
        let mut views: HashMap<&ClusterName, &Arc<View>> =
            table.iter().map(|cluster| (&cluster.name, &cluster.view)).collect();
        for event in events.iter().rev() {
            match (&event.before, &event.after) {
                (Some(before), _) => {
                    views.insert(&before.name, before);
                }
                (None, Some(after)) => {
                    views.remove(&after.name);
                }
                (None, None) => {}
            }
        }
        Ok(views.into_values().cloned().collect())
    }

    /// Waits until the table is as of a resourceVersion or a later one, at most so long. Fails with the version that
    /// there is.
    pub async fn wait_for(&self, version: u64, limit: Duration) -> Result<(), u64> {
        if self.load().version() >= version {
            return Ok(());
        }
        let mut published = self.subscribe();
        let there = timeout(limit, published.wait_for(|_| self.load().version() >= version)).await;
        match there {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(self.load().version()),
        }
    }

    /// Puts another table in force, and tells what is different in it. For the single writer only.
    pub(super) fn publish(&self, table: Table, changes: Changes) {
        {
            let mut history = self.0.history.write();
            match changes {
                Changes::Told(events) => history.push(events, table.version, Instant::now()),
                Changes::Same => history.skip(table.version),
                Changes::Unknown => history.reset(table.version),
            }
            self.0.table.store(Arc::new(table));
        }
        self.0.published.send_modify(|number| *number += 1);
    }

    /// The table is that of a later resourceVersion too. For the single writer only.
    pub(super) fn progress(&self, version: u64) {
        let table = Table { version, ..Table::clone(&self.load()) };
        self.publish(table, Changes::Told(Vec::new()));
    }
}

impl Tables {
    /// Tables that hold this one, as after a first list. For tests and benchmarks: only a writer can change them.
    #[doc(hidden)]
    pub fn holding(table: Table) -> Self {
        let tables = Self::default();
        tables.publish(table, Changes::Unknown);
        tables
    }
}
