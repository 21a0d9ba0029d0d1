use std::collections::BTreeSet;

use futures::FutureExt;
use proptest::prelude::*;

use super::*;
use crate::clusters::fixtures::*;
use crate::credentials;

struct Bench {
    writer: Writer,
    tables: Tables,
    registry: prometheus::Registry,
}

fn bench() -> Bench {
    let (tables, registry) = (Tables::default(), prometheus::Registry::new());
    let writer = Writer::new(tables.clone(), options(), Metrics::new(&registry).unwrap());
    Bench { writer, tables, registry }
}

impl Bench {
    fn list(&mut self, secrets: &[Secret]) {
        self.writer.begin();
        self.writer.stage(secrets);
        self.writer.finish("1");
    }

    fn apply(&mut self, changes: &[Change]) {
        self.writer.apply(changes, "2");
    }

    fn names(&self) -> BTreeSet<String> {
        self.tables.load().iter().map(|cluster| cluster.name.to_string()).collect()
    }

    fn sample(&self, metric: &str, label: &str) -> Option<f64> {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == metric)?;
        let sample = family.get_metric().iter().find(|sample| {
            sample.get_label().first().map_or(label.is_empty(), |pair| pair.value() == label)
        })?;
        Some(sample.get_gauge().get_value() + sample.get_counter().get_value())
    }

    fn states(&self) -> [f64; 3] {
        ["usable", "unverified", "unusable"]
            .map(|state| self.sample("cluster_gateway_clusters", state).unwrap())
    }
}

fn apply(secret: Secret) -> Change {
    Change::Apply(Box::new(secret))
}

fn remove(secret: Secret) -> Change {
    Change::Remove(Box::new(secret))
}

fn broken(name: &str) -> Secret {
    without(token_secret(name), "token")
}

#[test]
fn the_old_table_is_in_force_until_the_list_is_complete() {
    let mut bench = bench();
    bench.list(&[token_secret("a")]);
    let changes = bench.tables.subscribe();
    bench.writer.begin();
    bench.writer.stage(&[token_secret("b")]);
    assert_eq!(bench.names(), BTreeSet::from(["a".to_owned()]));
    bench.writer.begin();
    bench.writer.stage(&[token_secret("c")]);
    assert!(!changes.has_changed().unwrap());
    bench.writer.finish("9");
    assert_eq!(bench.names(), BTreeSet::from(["c".to_owned()]), "a list that was given up left something");
    assert!(changes.has_changed().unwrap());
    assert_eq!(bench.tables.load().version(), 9);
}

#[test]
fn a_broken_secret_harms_only_its_own_cluster() {
    let mut bench = bench();
    let odd = Secret::default();
    bench.list(&[token_secret("a"), broken("b"), odd.clone(), certificate_secret("c")]);
    bench.apply(&[apply(broken("d")), apply(odd.clone()), remove(odd), apply(token_secret("e"))]);
    for name in ["a", "c", "e"] {
        assert!(bench.tables.get(name).unwrap().access.is_ok(), "{name}");
    }
    for name in ["b", "d"] {
        let reason = bench.tables.get(name).unwrap().access.as_ref().unwrap_err().clone();
        assert!(reason.contains("data key token"), "{reason}");
    }
}

#[test]
fn a_removed_secret_takes_its_cluster_along_at_once() {
    let mut bench = bench();
    bench.list(&[token_secret("a"), token_secret("b")]);
    bench.apply(&[remove(token_secret("a"))]);
    assert_eq!(bench.names(), BTreeSet::from(["b".to_owned()]));
    let mut unlabelled = token_secret("b");
    unlabelled.metadata.labels = None;
    bench.apply(&[apply(unlabelled)]);
    assert!(bench.tables.load().is_empty());
}

#[test]
fn a_secret_that_was_gone_in_between_inherits_nothing() {
    let mut bench = bench();
    bench.list(&[token_secret("a")]);
    bench.apply(&[apply(broken("a"))]);
    assert!(bench.tables.get("a").unwrap().access.is_ok());
    bench.apply(&[remove(broken("a")), apply(broken("a"))]);
    assert!(bench.tables.get("a").unwrap().access.is_err());
}

#[test]
fn clusters_that_did_not_change_are_the_same_in_every_table() {
    let mut bench = bench();
    let (a, b) = (version(token_secret("a"), 1), version(token_secret("b"), 1));
    bench.list(&[a.clone(), b.clone()]);
    let (a_before, b_before) = (bench.tables.get("a").unwrap(), bench.tables.get("b").unwrap());
    bench.apply(&[apply(version(token_secret("b"), 2))]);
    assert!(Arc::ptr_eq(&a_before, &bench.tables.get("a").unwrap()));
    let b_after = bench.tables.get("b").unwrap();
    assert!(!Arc::ptr_eq(&b_before, &b_after));
    assert!(Arc::ptr_eq(b_before.access.as_ref().unwrap(), b_after.access.as_ref().unwrap()));
    bench.list(&[a, version(token_secret("b"), 2)]);
    assert!(Arc::ptr_eq(&a_before, &bench.tables.get("a").unwrap()));
    assert!(Arc::ptr_eq(&b_after, &bench.tables.get("b").unwrap()));
}

#[test]
fn metrics_follow_the_clusters_and_forget_those_that_are_gone() {
    let mut bench = bench();
    let open = without(token_secret("open"), "ca.crt");
    bench.list(&[token_secret("a"), open.clone(), broken("b")]);
    assert_eq!(bench.states(), [1.0, 1.0, 1.0]);
    let verified = "cluster_gateway_cluster_verified";
    assert_eq!((bench.sample(verified, "a"), bench.sample(verified, "open")), (Some(1.0), Some(0.0)));
    assert_eq!(bench.sample(verified, "b"), None);
    bench.apply(&[apply(token_secret("b")), apply(token_secret("open")), apply(broken("a"))]);
    assert_eq!(bench.states(), [3.0, 0.0, 0.0]);
    assert_eq!(bench.sample("cluster_gateway_cluster_compile_failures_total", ""), Some(2.0));
    bench.apply(&[remove(open)]);
    bench.list(&[token_secret("b")]);
    assert_eq!(bench.states(), [1.0, 0.0, 0.0]);
    assert_eq!((bench.sample(verified, "a"), bench.sample(verified, "open")), (None, None));
    assert_eq!(bench.sample(verified, "b"), Some(1.0));
}

#[test]
fn what_requests_find_out_is_told_and_forgotten_with_the_access_by_which_they_went() {
    let mut bench = bench();
    bench.list(&[token_secret("a"), token_secret("b")]);
    let reachable = |bench: &Bench| {
        let cluster =
            bench.tables.load().iter().find(|cluster| cluster.name.as_str() == "a").cloned().unwrap();
        let found = cluster.conditions.iter().find(|condition| condition.kind == "Reachable");
        found.map(|condition| (condition.status, condition.message.to_string()))
    };
    let access = bench.writer.index["a"].cluster.access.clone().unwrap();
    let others = Arc::clone(&bench.writer.index["b"].cluster);
    access.failed(&crate::upstream::UpstreamError::NoAddress { host: "x".to_owned() });
    assert_eq!(reachable(&bench), None, "it is told when the writer looks next");
    bench.writer.as_of(SystemTime::now());
    let (status, message) = reachable(&bench).unwrap();
    assert!(status == "False" && message.ends_with(": x has no address"), "{message}");
    assert!(Arc::ptr_eq(&others, &bench.writer.index["b"].cluster), "it says nothing of others");
    // Nothing about how it is reached is other than before.
    bench.apply(&[apply(annotate(token_secret("a"), "x", "y"))]);
    assert_eq!(reachable(&bench), Some((status, message)));
    access.answered();
    bench.writer.as_of(SystemTime::now());
    assert_eq!(reachable(&bench), Some(("True", String::new())));
    bench.apply(&[apply(set(token_secret("a"), "token", "another"))]);
    assert_eq!(reachable(&bench), None);
}

#[test]
fn many_secrets_are_compiled_in_parallel_and_none_is_lost_or_mixed_up() {
    let mut bench = bench();
    let secrets: Vec<_> = (0..301)
        .map(|number| set(token_secret(&format!("c{number}")), "token", &format!("t{number}")))
        .collect();
    bench.list(&secrets[..200]);
    bench.apply(&secrets.iter().cloned().map(apply).collect::<Vec<_>>());
    assert_eq!(bench.tables.load().len(), 301);
    for number in 0..301 {
        let cluster = bench.tables.get(&format!("c{number}")).unwrap();
        let token = token(cluster.access.as_ref().unwrap()).unwrap();
        assert_eq!(token, format!("Bearer t{number}"));
    }
}

fn token(access: &crate::clusters::Access) -> Option<http::HeaderValue> {
    access.grant().now_or_never().unwrap().unwrap().authorization.clone()
}

/// What a hub does.
#[derive(Debug, Clone)]
enum Step {
    Apply(usize, usize),
    Remove(usize),
    /// The watch is lost, and everything is listed again.
    List,
    /// What came so far is handed over; otherwise it is still being gathered.
    Publish,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4usize, 0..VARIANTS).prop_map(|(name, variant)| Step::Apply(name, variant)),
        2 => (0..4usize).prop_map(Step::Remove),
        1 => Just(Step::List),
        3 => Just(Step::Publish),
    ];
    proptest::collection::vec(step, 0..40)
}

const VARIANTS: usize = 6;

fn variant(name: &str, variant: usize) -> Secret {
    match variant {
        0 => token_secret(name),
        1 => certificate_secret(name),
        2 => without(token_secret(name), "ca.crt"),
        3 => broken(name),
        4 => set(token_secret(name), "proxy-url", "http://proxy:3128"),
        _ => set(token_secret(name), "endpoint", "https://10.0.0.2:6443"),
    }
}

/// All that a reader could tell clusters apart by; the access only where it cannot be an earlier one.
fn shown(tables: &Tables) -> Vec<String> {
    let table = tables.load();
    let mut lines: Vec<_> = table
        .iter()
        .map(|cluster| {
            let access = match &cluster.access {
                Ok(access) if cluster.problem.is_none() => {
                    format!("{access:?} {:?}", token(access).is_some())
                }
                _ => String::new(),
            };
            let (name, metadata, spec) = (&cluster.name, &cluster.metadata, &cluster.spec);
            format!("{name} {metadata:?} {spec:?} {:?} {access}", cluster.problem)
        })
        .collect();
    lines.sort();
    lines
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_ends_in_the_table_of_a_fresh_start(steps in steps()) {
        let mut bench = bench();
        let mut hub: [Option<Secret>; 4] = Default::default();
        let mut pending = Vec::new();
        let mut generation = 0;
        bench.list(&[]);
        for step in steps.into_iter().chain([Step::Publish]) {
            generation += 1;
            match step {
                Step::Apply(name, kind) => {
                    let mut secret = version(variant(["a", "b", "c", "d"][name], kind), generation);
                    // A new object gets a new uid, a changed one keeps its own.
                    secret.metadata.uid = match &hub[name] {
                        Some(old) => old.metadata.uid.clone(),
                        None => Some(format!("uid-{generation}")),
                    };
                    hub[name] = Some(secret.clone());
                    pending.push(apply(secret));
                }
                Step::Remove(name) => {
                    if let Some(old) = hub[name].take() {
                        pending.push(remove(old));
                    }
                }
                Step::List => {
                    pending.clear();
                    let secrets: Vec<_> = hub.iter().flatten().cloned().collect();
                    bench.list(&secrets);
                }
                Step::Publish => bench.apply(&std::mem::take(&mut pending)),
            }
        }
        let mut fresh = self::bench();
        let secrets: Vec<_> = hub.iter().flatten().cloned().collect();
        fresh.list(&secrets);
        prop_assert_eq!(shown(&bench.tables), shown(&fresh.tables));
        for cluster in fresh.tables.load().iter().filter(|cluster| cluster.access.is_ok()) {
            prop_assert!(bench.tables.get(cluster.name.as_str()).unwrap().access.is_ok());
        }
        let total: f64 = bench.states().iter().sum();
        prop_assert_eq!(total as usize, fresh.tables.load().len());
    }
}

/// Prints what a large hub costs. Run with `cargo test --release --lib -- --ignored --nocapture ten_thousand`.
#[test]
#[ignore = "a measurement, not a promise"]
fn ten_thousand_certificates_are_compiled_in() {
    let mut bench = bench();
    let pairs: Vec<_> = (0..64).map(|_| new_pair()).collect();
    let secrets: Vec<_> = (0..10_000)
        .map(|number| {
            let (certificate, key) = &pairs[number % pairs.len()];
            let secret = set(certificate_secret(&format!("c{number}")), "tls.crt", certificate);
            version(set(secret, "tls.key", key), number as u64 + 1)
        })
        .collect();
    bench.writer.begin();
    let began = Instant::now();
    for page in secrets.chunks(500) {
        bench.writer.stage(page);
    }
    println!("10,000 compiled in {:?}", began.elapsed());
    let began = Instant::now();
    bench.writer.finish("1");
    println!("put in force in {:?}", began.elapsed());
    let changes: Vec<_> = (0..1_000).map(|number| apply(version(secrets[number].clone(), 20_000))).collect();
    let began = Instant::now();
    for change in &changes {
        bench.apply(std::slice::from_ref(change));
    }
    println!("one irrelevant change put in force in {:?}", began.elapsed() / 1_000);
    assert_eq!(bench.tables.load().len(), 10_000);
}

#[tokio::test]
async fn streams_end_with_their_cluster_and_not_with_a_change_of_its_secret() {
    let uid = |uid: &str, token: &str| {
        let mut secret = set(token_secret("a"), "token", token);
        secret.metadata.uid = Some(uid.to_owned());
        secret
    };
    let ended = |streams: &Arc<crate::clusters::Streams>| {
        let streams = Arc::clone(streams);
        async move { futures::poll!(std::pin::pin!(streams.removed())).is_ready() }
    };
    let mut bench = bench();
    bench.list(&[uid("1", "x")]);
    let first = Arc::clone(&bench.tables.get("a").unwrap().streams);
    bench.apply(&[apply(uid("1", "y"))]);
    assert!(!ended(&first).await, "a change of the credential ends no stream");
    bench.apply(&[apply(uid("2", "y"))]);
    assert!(ended(&first).await, "the name belongs to another object");
    let second = Arc::clone(&bench.tables.get("a").unwrap().streams);
    assert!(!ended(&second).await);
    bench.apply(&[remove(uid("2", "y")), apply(uid("3", "y"))]);
    assert!(ended(&second).await, "it was gone in between");
    let third = Arc::clone(&bench.tables.get("a").unwrap().streams);
    bench.list(&[]);
    assert!(ended(&third).await, "a list says that it is gone");
}

#[test]
fn what_was_said_of_a_credential_goes_with_its_place_in_the_table_whoever_still_holds_it() {
    let registry = prometheus::Registry::new();
    let options = options_with(credentials::Metrics::new(&registry).unwrap());
    let tables = Tables::default();
    let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
    let mut bench = Bench { writer: Writer::new(tables.clone(), options, metrics), tables, registry };
    let expiry = "cluster_gateway_credential_expiry_timestamp_seconds";
    bench.list(&[certificate_secret("a"), certificate_secret("b")]);
    // As a watch does.
    let held: Vec<_> = bench.tables.load().iter().cloned().collect();
    assert!(["a", "b"].iter().all(|name| bench.sample(expiry, name).is_some()));
    bench.apply(&[apply(annotate(certificate_secret("a"), "other", "annotation"))]);
    assert!(bench.sample(expiry, "a").is_some(), "its access is the same");
    bench.apply(&[apply(version(token_secret("a"), 2)), remove(certificate_secret("b"))]);
    assert_eq!((bench.sample(expiry, "a"), bench.sample(expiry, "b")), (None, None));
    assert!(held.iter().all(|cluster| cluster.access.is_ok()));
}
