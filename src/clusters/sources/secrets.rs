//! Clusters from the labelled Secrets of one namespace of the hub. Needs `list` and `watch` on Secrets there.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::super::{Change, Writer};
use super::connection::Connection;
use super::feed::{self, Sink};

/// How often certificates and credentials are looked at for having expired: what is said about them
/// may be late by this much.
const LOOK: Duration = Duration::from_secs(10);
/// How long after somebody's credential has changed all are looked at: a hub that was away changes many at once.
const TOGETHER: Duration = Duration::from_millis(100);
/// From how many changes on other tasks of this thread are moved to another one: tens of milliseconds of work.
const MANY: usize = 32;

/// Keeps the writer's table true until dropped, which is how it is ended: it holds nothing that would be lost.
///
/// `synced` becomes true with the first complete list and stays so, whatever happens to the hub.
pub async fn run(client: Client, namespace: &str, writer: Writer, synced: watch::Sender<bool>) -> Infallible {
    let api = Api::<Secret>::namespaced(client, namespace);
    let selector = writer.options().credential_type_label();
    let mut connection = Connection::new("secrets", writer.metrics().source("secrets"));
    let writer = Mutex::new(writer);
    let mut sink = ToWriter { writer: &writer, synced };
    tokio::select! {
        never = feed::run(&api, &selector, &mut connection, &mut sink) => never,
        never = look(&writer) => never,
    }
}

async fn look(writer: &Mutex<Writer>) -> Infallible {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let credentials = lock(writer).options().credentials.clone();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // Those that change together are looked at together.
            () = credentials.changed() => sleep(TOGETHER).await,
        }
        lock(writer).as_of(SystemTime::now());
    }
}

struct ToWriter<'a> {
    writer: &'a Mutex<Writer>,
    synced: watch::Sender<bool>,
}

impl Sink<Secret> for ToWriter<'_> {
    fn begin(&mut self) {
        lock(self.writer).begin();
    }

    fn stage(&mut self, page: Vec<Secret>) {
        aside(page.len(), || lock(self.writer).stage(&page));
    }

    fn finish(&mut self, resource_version: String) {
        aside(MANY, || lock(self.writer).finish(&resource_version));
        self.synced.send_replace(true);
    }

    fn apply(&mut self, changes: Vec<feed::Change<Secret>>, resource_version: String) {
        let changes: Vec<_> = changes
            .into_iter()
            .map(|change| match change {
                feed::Change::Applied(secret) => Change::Apply(Box::new(secret)),
                feed::Change::Removed(secret) => Change::Remove(Box::new(secret)),
            })
            .collect();
        aside(changes.len(), || lock(self.writer).apply(&changes, &resource_version));
    }

    fn progress(&mut self, resource_version: String) {
        lock(self.writer).progress(&resource_version);
    }
}

/// Never waits: both users run in one task, and neither awaits while it holds it.
fn lock(writer: &Mutex<Writer>) -> MutexGuard<'_, Writer> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does work that may take long without holding up this thread's other tasks, where the runtime can do that.
fn aside(amount: usize, work: impl FnOnce()) {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread if amount >= MANY => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use k8s_openapi::List;
    use kube::client::Body;
    use tower::service_fn;

    use super::*;
    use crate::clusters::fixtures::{options, token_secret, version};
    use crate::clusters::{Metrics, Tables};

    /// A hub with these Secrets and no news, and only where it is asked as RBAC would allow.
    fn hub(count: usize) -> Client {
        let items = (0..count).map(|number| version(token_secret(&format!("c{number}")), 1)).collect();
        let mut list = List::<Secret> { items, ..List::default() };
        list.metadata.resource_version = Some("5".to_owned());
        let list = serde_json::to_vec(&list).unwrap();
        let service = service_fn(move |request: Request<Body>| {
            let list = list.clone();
            async move {
                assert_eq!(request.uri().path(), "/api/v1/namespaces/vela-system/secrets");
                let query = request.uri().query().unwrap().to_owned();
                assert!(
                    query.contains("labelSelector=cluster.core.oam.dev%2Fcluster-credential-type"),
                    "{query}"
                );
                if query.contains("watch=true") {
                    std::future::pending::<()>().await;
                }
                Ok::<_, std::io::Error>(Response::new(Body::from(list)))
            }
        });
        Client::new(service, "default")
    }

    async fn synced_with(count: usize) -> Tables {
        let tables = Tables::default();
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let writer = Writer::new(tables.clone(), options(), metrics);
        let (synced, mut is_synced) = watch::channel(false);
        let client = hub(count);
        tokio::select! {
            never = run(client, "vela-system", writer, synced) => match never {},
            result = is_synced.wait_for(|synced| *synced) => { result.unwrap(); }
        }
        tables
    }

    #[tokio::test]
    async fn synced_is_said_when_the_first_list_is_in_force() {
        let tables = synced_with(2).await;
        assert!(tables.get("c0").unwrap().access.is_ok() && tables.get("c1").unwrap().access.is_ok());
        assert_eq!(tables.load().version(), 5);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn long_lists_are_compiled_aside_of_other_tasks() {
        assert_eq!(synced_with(200).await.load().len(), 200);
    }

    #[tokio::test]
    async fn a_hub_without_clusters_is_synced_too() {
        assert!(synced_with(0).await.load().is_empty());
    }
}
