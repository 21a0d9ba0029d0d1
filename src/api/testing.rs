//! A hub and replicas that follow it, for tests of lists and watches.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use crate::clusters::fixtures::{bare, label, options, set, version as versioned};
use crate::clusters::{self, Change, Tables, Writer};
use crate::model::GroupName;

use super::{Api, Metrics, Outcome, Request, Watch};

const BASE: &str = "/apis/cluster.core.oam.dev/v1alpha1";

/// One replica: a writer, its tables, and how far it has followed the hub.
pub(super) struct Replica {
    pub(super) writer: Writer,
    pub(super) tables: Tables,
    pub(super) api: Arc<Api>,
    pub(super) followed: usize,
}

impl Replica {
    /// One that has just listed the hub.
    pub(super) fn start(hub: &Hub) -> Self {
        let tables = Tables::default();
        let metrics = clusters::Metrics::new(&prometheus::Registry::new()).unwrap();
        let writer = Writer::new(tables.clone(), options(), metrics);
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let api = Arc::new(Api::new(GroupName::default(), true, metrics));
        let mut replica = Self { writer, tables, api, followed: 0 };
        replica.list(hub);
        replica
    }

    pub(super) fn list(&mut self, hub: &Hub) {
        self.writer.begin();
        self.writer.stage(&hub.now().into_values().collect::<Vec<_>>());
        self.writer.finish(&hub.version().to_string());
        self.followed = hub.log.len();
    }

    /// Hears of so many more changes, at once.
    pub(super) fn follow(&mut self, hub: &Hub, count: usize) {
        let end = hub.log.len().min(self.followed + count);
        let changes: Vec<Change> = hub.log[self.followed..end].iter().map(Logged::change).collect();
        let Some(last) = hub.log[..end].last() else { return };
        if !changes.is_empty() {
            self.writer.apply(&changes, &last.version.to_string());
        }
        self.followed = end;
        if end == hub.log.len() {
            self.writer.progress(&hub.version().to_string());
        }
    }

    pub(super) async fn ask(&self, target: &str, headers: &[(&str, &str)]) -> Outcome {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        let path = format!("{BASE}{path}");
        self.api
            .answer(&Request { method: &Method::GET, path: &path, query, headers: &headers }, &self.tables)
            .await
    }

    pub(super) async fn watch(&self, target: &str) -> Box<Watch> {
        match self.ask(target, &[]).await {
            Outcome::Watch(watch) => watch,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn get(&self, target: &str) -> (u16, Value) {
        match self.ask(target, &[]).await {
            Outcome::Answer(answer) => {
                (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What the hub has and had.
#[derive(Default)]
pub(super) struct Hub {
    pub(super) log: Vec<Logged>,
    /// Others write, too.
    pub(super) others: u64,
}

pub(super) struct Logged {
    pub(super) version: u64,
    pub(super) name: &'static str,
    /// None: it was deleted.
    pub(super) secret: Option<Secret>,
}

impl Logged {
    pub(super) fn change(&self) -> Change {
        match &self.secret {
            Some(secret) => Change::Apply(Box::new(secret.clone())),
            None => Change::Remove(Box::new(versioned(bare(self.name, "Dynamic"), self.version))),
        }
    }
}

impl Hub {
    pub(super) fn version(&self) -> u64 {
        self.log.len() as u64 * 10 + 5 + self.others
    }

    pub(super) fn now(&self) -> BTreeMap<&'static str, Secret> {
        let mut secrets = BTreeMap::new();
        for logged in &self.log {
            match &logged.secret {
                Some(secret) => secrets.insert(logged.name, secret.clone()),
                None => secrets.remove(logged.name),
            };
        }
        secrets
    }

    pub(super) fn write(&mut self, name: &'static str, variant: Option<u8>) {
        let before = self.now().remove(name);
        if variant.is_none() && before.is_none() {
            return;
        }
        self.others = 0;
        let version = self.log.len() as u64 * 10 + 14;
        let secret = variant.map(|variant| {
            let mut secret = versioned(bare(name, "X509Certificate"), version);
            if variant & 1 == 1 {
                secret = label(secret, "env", "prod");
            }
            if variant & 2 == 2 {
                secret = set(secret, "endpoint", "https://10.0.0.1:6443");
            }
            secret.metadata.uid =
                Some(before.and_then(|before| before.metadata.uid).unwrap_or(format!("uid-{version}")));
            secret
        });
        self.log.push(Logged { version, name, secret });
    }
}

pub(super) fn items(list: &Value) -> BTreeMap<String, Value> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| (item["metadata"]["name"].as_str().unwrap().to_owned(), item.clone())).collect()
}

pub(super) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(work)
}

/// A replica of a hub with these clusters.
pub(super) fn replica(names: &[&'static str]) -> (Hub, Replica) {
    let mut hub = Hub::default();
    for name in names {
        hub.write(name, Some(3));
    }
    let replica = Replica::start(&hub);
    (hub, replica)
}
