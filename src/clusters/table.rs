use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use crate::model::ClusterName;

use super::Cluster;

/// All clusters as of one moment. Immutable: a change makes another table.
#[derive(Debug, Default)]
pub struct Table {
    clusters: HashMap<ClusterName, Arc<Cluster>>,
    resource_version: String,
}

impl Table {
    /// A table of these clusters as of a resourceVersion of the hub's Secrets.
    pub fn new(clusters: HashMap<ClusterName, Arc<Cluster>>, resource_version: String) -> Self {
        Self { clusters, resource_version }
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

    /// Of the Secrets that the table was made from; empty before the first list.
    pub fn resource_version(&self) -> &str {
        &self.resource_version
    }
}

/// The table in force, for its readers. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tables(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    table: ArcSwap<Table>,
    published: watch::Sender<u64>,
}

impl Tables {
    /// The table in force now. Do not hold the guard across an await.
    pub fn load(&self) -> Guard<Arc<Table>> {
        self.0.table.load()
    }

    /// The cluster of a name as of now, to be kept for the whole request.
    pub fn get(&self, name: &str) -> Option<Arc<Cluster>> {
        self.load().get(name).cloned()
    }

    /// Tells of every table after this call, by number; those who are slow see only the last.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.published.subscribe()
    }

    /// Puts another table in force. For the single writer only.
    pub fn publish(&self, table: Table) {
        self.0.table.store(Arc::new(table));
        self.0.published.send_modify(|number| *number += 1);
    }
}
