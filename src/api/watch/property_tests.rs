use std::collections::BTreeMap;

use futures::FutureExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::testing::{Hub, Replica, items, run};
use super::*;

/// Somebody who lists and watches, as an informer does, and believes nothing.
struct Client {
    target: &'static str,
    replica: usize,
    version: String,
    store: BTreeMap<String, Value>,
    watch: Option<Box<Watch>>,
}

impl Client {
    fn new(target: &'static str) -> Self {
        Self { target, replica: 0, version: String::new(), store: BTreeMap::new(), watch: None }
    }

    async fn connect(&mut self, replicas: &[Replica]) {
        let replica = &replicas[self.replica];
        if self.version.is_empty() {
            let (code, list) = replica.get(self.target).await;
            assert_eq!(code, 200, "{list}");
            self.version = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
            self.store = items(&list);
        }
        let query = format!("watch=1&allowWatchBookmarks=1&resourceVersion={}", self.version);
        let separator = if self.target.contains('?') { '&' } else { '?' };
        self.watch = Some(replica.watch(&format!("{}{separator}{query}", self.target)).await);
    }

    /// Takes what there is, at most so many events.
    async fn read(&mut self, replicas: &[Replica], most: usize) {
        if self.watch.is_none() {
            self.connect(replicas).await;
        }
        for _ in 0..most {
            let Some(watch) = &mut self.watch else { return };
            match watch.next().now_or_never() {
                None => return,
                Some(None) => self.watch = None,
                Some(Some(line)) => self.take(&line),
            }
        }
    }

    fn take(&mut self, line: &[u8]) {
        let event: Value = serde_json::from_slice(line).unwrap();
        assert!(line.ends_with(b"}\n"));
        let object = &event["object"];
        let kind = event["type"].as_str().unwrap();
        if kind == "ERROR" {
            assert_eq!((&object["code"], &object["reason"]), (&json!(410), &json!("Expired")), "{event}");
            self.version = String::new();
            self.watch = None;
            return;
        }
        let version = object["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        let number = |version: &str| version.parse::<u64>().unwrap();
        assert!(number(&version) >= number(&self.version), "{event} after {}", self.version);
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let known = self.store.get(&name);
        match kind {
            "ADDED" => assert!(known.is_none(), "added twice: {event}"),
            "MODIFIED" => {
                let known = known.unwrap_or_else(|| panic!("modified before it was added: {event}"));
                assert_eq!(known["metadata"]["uid"], object["metadata"]["uid"]);
                let before = known["metadata"]["resourceVersion"].as_str().unwrap();
                assert!(number(&version) > number(before), "told twice: {event}");
            }
            "DELETED" => assert!(known.is_some(), "deleted before it was added: {event}"),
            "BOOKMARK" => {}
            other => panic!("{other}"),
        }
        match kind {
            "ADDED" | "MODIFIED" => drop(self.store.insert(name, object.clone())),
            "DELETED" => drop(self.store.remove(&name)),
            _ => {}
        }
        self.version = version;
    }
}

/// What happens.
#[derive(Debug, Clone)]
enum Step {
    Write(usize, Option<u8>),
    /// Somebody else writes something else.
    Elsewhere,
    /// A replica hears of so many changes.
    Follow(usize, usize),
    /// The hub has lost what a replica would need to go on: it lists.
    List(usize),
    /// A replica is started anew.
    Restart(usize),
    Read(usize, usize),
    /// A client's connection breaks, and it goes to another replica.
    Break(usize, usize),
}

const NAMES: [&str; 4] = ["a", "b", "c", "local"];
const TARGETS: [&str; 4] = [
    "/clustergateways",
    "/clustergateways?labelSelector=env=prod",
    "/virtualclusters",
    "/virtualclusters?labelSelector=env%21=prod&fieldSelector=metadata.name%21=b",
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..NAMES.len(), proptest::option::weighted(0.7, 0..4_u8))
            .prop_map(|(name, variant)| Step::Write(name, variant)),
        1 => Just(Step::Elsewhere),
        6 => (0..2_usize, 1..5_usize).prop_map(|(replica, count)| Step::Follow(replica, count)),
        1 => (0..2_usize).prop_map(Step::List),
        1 => (0..2_usize).prop_map(Step::Restart),
        6 => (0..TARGETS.len(), 1..6_usize).prop_map(|(client, most)| Step::Read(client, most)),
        3 => (0..TARGETS.len(), 0..2_usize).prop_map(|(client, replica)| Step::Break(client, replica)),
    ];
    proptest::collection::vec(step, 0..80)
}

async fn play(steps: Vec<Step>) {
    let mut hub = Hub::default();
    let mut replicas = [Replica::start(&hub), Replica::start(&hub)];
    let mut clients = TARGETS.map(Client::new);
    for step in steps {
        match step {
            Step::Write(name, variant) => hub.write(NAMES[name], variant),
            Step::Elsewhere => hub.others = (hub.others + 1).min(8),
            Step::Follow(replica, count) => replicas[replica].follow(&hub, count),
            Step::List(replica) => replicas[replica].list(&hub),
            Step::Restart(replica) => {
                for client in clients.iter_mut().filter(|client| client.replica == replica) {
                    client.watch = None;
                }
                replicas[replica] = Replica::start(&hub);
            }
            Step::Read(client, most) => clients[client].read(&replicas, most).await,
            Step::Break(client, replica) => {
                clients[client].watch = None;
                clients[client].replica = replica;
            }
        }
    }
    for replica in &mut replicas {
        replica.follow(&hub, usize::MAX - 1_000_000);
    }
    let fresh = Replica::start(&hub);
    for client in &mut clients {
        // Once for what there is, and once more for a watch that ended or had to begin anew.
        for _ in 0..4 {
            client.read(&replicas, 1_000).await;
        }
        for replica in replicas.iter().chain([&fresh]) {
            let (_, list) = replica.get(client.target).await;
            let unstamped = |store: &BTreeMap<String, Value>| -> BTreeMap<String, Value> {
                let mut store = store.clone();
                for object in store.values_mut() {
                    for condition in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
                        // Of each process's own.
                        condition["lastTransitionTime"].take();
                    }
                }
                store
            };
            assert_eq!(unstamped(&client.store), unstamped(&items(&list)), "{}", client.target);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_watch_replays_to_what_is_listed(steps in steps()) {
        run(play(steps));
    }

    #[test]
    fn a_list_of_the_past_is_what_there_was(
        writes in proptest::collection::vec((0..NAMES.len(), proptest::option::weighted(0.7, 0..4_u8)), 1..30),
        batch in 1..7_usize,
        listed in 0..30_usize,
    ) {
        run(async {
            let mut hub = Hub::default();
            let mut replica = Replica::start(&hub);
            let mut floor = 0;
            let mut past = vec![(hub.version(), replica.get("/clustergateways").await.1)];
            for (number, (name, variant)) in writes.into_iter().enumerate() {
                hub.write(NAMES[name], variant);
                if number == listed {
                    replica.list(&hub);
                    floor = hub.version();
                } else if number % batch == 0 {
                    replica.follow(&hub, 1_000);
                }
                if replica.followed == hub.log.len() {
                    past.push((hub.version(), replica.get("/clustergateways").await.1));
                }
            }
            for (version, before) in past {
                let target = format!("/clustergateways?resourceVersionMatch=Exact&resourceVersion={version}");
                let (code, list) = replica.get(&target).await;
                match code {
                    200 => prop_assert_eq!(items(&list), items(&before), "{}", version),
                    410 => prop_assert!(version < floor, "{}: {}", version, list),
                    // It has not heard of it yet.
                    code => prop_assert_eq!(code, 504, "{}", list),
                }
            }
            Ok(())
        })?;
    }
}
