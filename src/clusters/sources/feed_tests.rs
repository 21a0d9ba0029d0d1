use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::client::Body;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tower::service_fn;

use super::*;
use crate::clusters::Metrics;

/// What the hub answers to one request.
enum Answer {
    Json(StatusCode, Value),
    Refused(StatusCode, &'static str),
    Unreachable,
    /// Never.
    Nothing,
    /// These lines, at once; then the end, or silence.
    Watch(Vec<Value>, Then),
}

#[derive(PartialEq)]
enum Then {
    End,
    Silence,
}

/// A hub that answers what it is told, in order, then nothing.
#[derive(Clone)]
struct Hub(Arc<Mutex<Script>>);

struct Script {
    answers: VecDeque<Answer>,
    asked: Vec<(Instant, String)>,
}

#[derive(Debug, PartialEq)]
enum Seen {
    Begin,
    Stage(Vec<String>),
    Finish(String),
    Apply(Vec<String>, String),
    Progress(String),
}

struct Recorder(mpsc::UnboundedSender<Seen>);

impl Sink<Secret> for Recorder {
    fn begin(&mut self) {
        self.0.send(Seen::Begin).unwrap();
    }

    fn stage(&mut self, page: Vec<Secret>) {
        self.0.send(Seen::Stage(page.iter().map(|secret| secret.name_any()).collect())).unwrap();
    }

    fn finish(&mut self, resource_version: String) {
        self.0.send(Seen::Finish(resource_version)).unwrap();
    }

    fn progress(&mut self, resource_version: String) {
        self.0.send(Seen::Progress(resource_version)).unwrap();
    }

    fn apply(&mut self, changes: Vec<Change<Secret>>, resource_version: String) {
        let changes = changes.into_iter().map(|change| match change {
            Change::Applied(secret) => format!("+{}", secret.name_any()),
            Change::Removed(secret) => format!("-{}", secret.name_any()),
        });
        self.0.send(Seen::Apply(changes.collect(), resource_version)).unwrap();
    }
}

impl Hub {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = answers.into_iter().collect();
        Self(Arc::new(Mutex::new(Script { answers, asked: Vec::new() })))
    }

    fn client(&self) -> Client {
        let hub = self.clone();
        let service = service_fn(move |request: Request<Body>| hub.clone().answer(request));
        Client::new(service, "clusters")
    }

    async fn answer(
        self,
        request: Request<Body>,
    ) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, std::io::Error> {
        let answer = {
            let mut script = self.0.lock().unwrap();
            let query = request.uri().query().unwrap_or_default().to_owned();
            script.asked.push((Instant::now(), query));
            script.answers.pop_front()
        };
        let json = |code: StatusCode, value: Value| {
            let body = Full::new(Bytes::from(value.to_string())).boxed_unsync();
            Ok(Response::builder().status(code).body(body).unwrap())
        };
        match answer {
            Some(Answer::Json(code, value)) => json(code, value),
            Some(Answer::Refused(code, reason)) => json(code, status(code.as_u16(), reason)),
            Some(Answer::Unreachable) => Err(std::io::ErrorKind::ConnectionRefused.into()),
            Some(Answer::Watch(events, then)) => {
                let lines: Vec<_> = events
                    .into_iter()
                    .map(|event| Ok(Frame::data(Bytes::from(format!("{event}\n")))))
                    .collect();
                let rest = stream::pending().take(if then == Then::Silence { 1 } else { 0 });
                Ok(Response::new(StreamBody::new(stream::iter(lines).chain(rest)).boxed_unsync()))
            }
            Some(Answer::Nothing) | None => std::future::pending().await,
        }
    }

    /// The queries so far.
    fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.iter().map(|(_, query)| query.clone()).collect()
    }

    fn times(&self) -> Vec<Instant> {
        self.0.lock().unwrap().asked.iter().map(|(at, _)| *at).collect()
    }
}

fn status(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "no",
        "reason": reason, "code": code})
}

fn secret(name: &str, version: u32) -> Value {
    json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name, "resourceVersion": version.to_string()}})
}

fn page(names: &[&str], version: u32, more: Option<&str>) -> Answer {
    let items: Vec<_> = names.iter().map(|name| secret(name, version)).collect();
    let metadata = json!({"resourceVersion": version.to_string(), "continue": more.unwrap_or_default()});
    let list = json!({"kind": "SecretList", "apiVersion": "v1", "metadata": metadata, "items": items});
    Answer::Json(StatusCode::OK, list)
}

fn event(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object})
}

fn bookmark(version: u32) -> Value {
    event("BOOKMARK", secret("", version))
}

struct Running {
    seen: mpsc::UnboundedReceiver<Seen>,
    hub: Hub,
    registry: Registry,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn start(answers: impl IntoIterator<Item = Answer>) -> Running {
    let hub = Hub::new(answers);
    let (sender, seen) = mpsc::unbounded_channel();
    let api = Api::namespaced(hub.client(), "clusters");
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap().source("secrets");
    let task = tokio::spawn(async move {
        let mut connection = Connection::new("secrets", metrics);
        match run(&api, "x/label", &mut connection, &mut Recorder(sender)).await {}
    });
    Running { seen, hub, registry, task }
}

impl Running {
    async fn next(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }

    /// Past a list of one page.
    async fn listed(&mut self) {
        assert_eq!(self.next().await, Seen::Begin);
        assert!(matches!(self.next().await, Seen::Stage(_)));
        assert!(matches!(self.next().await, Seen::Finish(_)));
    }

    async fn asked(&self, count: usize) -> Vec<String> {
        while self.hub.asked().len() < count {
            sleep(Duration::from_millis(10)).await;
        }
        self.hub.asked()
    }

    /// Between one question and the next.
    async fn waits(&self, count: usize) -> Vec<Duration> {
        assert_eq!(self.asked(count).await.len(), count);
        self.hub.times().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let sample = families.iter().find(|family| family.name() == name).unwrap().get_metric()[0].clone();
        sample.get_gauge().get_value() + sample.get_counter().get_value()
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_list_comes_in_pages_and_the_watch_goes_on_where_it_ended() {
    let events = vec![event("ADDED", secret("d", 8)), event("DELETED", secret("a", 9)), bookmark(12)];
    let mut running = start([
        page(&["a", "b"], 7, Some("token")),
        page(&["c"], 7, None),
        Answer::Watch(events, Then::End),
        Answer::Watch(vec![], Then::Silence),
    ]);
    assert_eq!(running.next().await, Seen::Begin);
    assert_eq!(running.next().await, Seen::Stage(names(&["a", "b"])));
    assert_eq!(running.next().await, Seen::Stage(names(&["c"])));
    assert_eq!(running.next().await, Seen::Finish("7".to_owned()));
    assert_eq!(running.next().await, Seen::Apply(names(&["+d", "-a"]), "12".to_owned()));
    let asked = running.asked(4).await;
    assert!(asked[0].contains("limit=500") && asked[0].contains("labelSelector=x%2Flabel"), "{}", asked[0]);
    assert!(asked[1].contains("continue=token"));
    assert!(asked[2].contains("watch=true") && asked[2].contains("resourceVersion=7"), "{}", asked[2]);
    assert!(asked[2].contains("allowWatchBookmarks=true") && !asked[2].contains("sendInitialEvents"));
    assert!(asked[3].contains("resourceVersion=12"), "{}", asked[3]);
    assert_eq!(running.metric("cluster_gateway_source_watch_restarts_total"), 0.0, "an end is no failure");
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_handed_over_at_once_but_not_without_bound() {
    let events = (0..BATCH + 3).map(|number| event("MODIFIED", secret("a", 10 + number as u32))).collect();
    let mut running = start([page(&["a"], 7, None), Answer::Watch(events, Then::Silence)]);
    running.listed().await;
    let Seen::Apply(first, _) = running.next().await else { panic!("no changes") };
    let Seen::Apply(rest, version) = running.next().await else { panic!("no more changes") };
    assert_eq!((first.len(), rest.len()), (BATCH, 3));
    assert_eq!(version, (10 + BATCH + 2).to_string());
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_cannot_be_reached_is_asked_again_less_and_less_often() {
    let mut answers: Vec<_> = (0..12).map(|_| Answer::Unreachable).collect();
    answers.extend([page(&["a"], 7, None), Answer::Watch(vec![], Then::Silence)]);
    let mut running = start(answers);
    let waits = running.waits(14).await;
    assert!(waits[0] <= Duration::from_millis(250), "{waits:?}");
    assert!(waits[11] >= Duration::from_millis(2_500) && waits[11] <= Duration::from_secs(6), "{waits:?}");
    assert_eq!(running.metric("cluster_gateway_source_connected"), 0.0);
    assert_eq!(running.metric("cluster_gateway_source_watch_restarts_total"), 12.0);
    while running.next().await == Seen::Begin {}
    sleep(BEGUN * 2).await;
    assert_eq!(running.metric("cluster_gateway_source_connected"), 1.0, "nobody noticed that it is back");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_refuses_is_asked_less_often_than_one_that_is_away() {
    let running = start((0..12).map(|_| Answer::Refused(StatusCode::INTERNAL_SERVER_ERROR, "Broken")));
    let waits = running.waits(13).await;
    assert!(waits[0] <= Duration::from_millis(250), "{waits:?}");
    assert!(waits[11] >= Duration::from_secs(15) && waits[11] <= Duration::from_secs(31), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_was_started_anew_is_listed_as_soon_as_it_says_so() {
    let lost = (0..10).map(|_| Answer::Unreachable);
    let gone = || Answer::Refused(StatusCode::GONE, "Expired");
    let before = [page(&["a"], 7, None), Answer::Watch(vec![bookmark(8)], Then::End)];
    let after = [gone(), page(&["b"], 9, None), gone(), page(&["b"], 9, None), gone()];
    let running = start(before.into_iter().chain(lost).chain(after));
    let waits = running.waits(17).await;
    let (listed, again) = (waits[12], &waits[14..]);
    assert!(listed <= Duration::from_millis(20), "{waits:?}");
    assert!(again[0] >= Duration::from_millis(100) && again[0] <= Duration::from_millis(250), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_watch_resumes_without_a_list_and_loses_no_change() {
    let mut running = start([
        page(&["a"], 7, None),
        Answer::Watch(
            vec![event("MODIFIED", secret("a", 8)), event("ERROR", status(500, "Broken"))],
            Then::End,
        ),
        Answer::Unreachable,
        Answer::Watch(vec![event("ADDED", secret("b", 9))], Then::Silence),
    ]);
    running.listed().await;
    assert_eq!(running.next().await, Seen::Apply(names(&["+a"]), "8".to_owned()));
    assert_eq!(running.next().await, Seen::Apply(names(&["+b"]), "9".to_owned()));
    let asked = running.hub.asked();
    assert!(asked[2].contains("resourceVersion=8") && asked[3].contains("resourceVersion=8"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn history_that_the_hub_has_lost_is_listed_again() {
    for gone in [
        Answer::Refused(StatusCode::GONE, "Expired"),
        Answer::Watch(vec![event("ERROR", status(410, "Expired"))], Then::End),
        Answer::Refused(StatusCode::GATEWAY_TIMEOUT, "Timeout"),
    ] {
        let mut running =
            start([page(&["a"], 7, None), gone, page(&["b"], 3, None), Answer::Watch(vec![], Then::Silence)]);
        running.listed().await;
        assert_eq!(running.next().await, Seen::Begin);
        assert_eq!(running.next().await, Seen::Stage(names(&["b"])));
        assert_eq!(running.next().await, Seen::Finish("3".to_owned()));
        assert!(running.asked(4).await[3].contains("resourceVersion=3"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_begins_anew() {
    let mut running = start([
        page(&["a"], 7, Some("token")),
        Answer::Refused(StatusCode::GONE, "Expired"),
        page(&["b"], 8, None),
    ]);
    assert_eq!(running.next().await, Seen::Begin);
    assert_eq!(running.next().await, Seen::Stage(names(&["a"])));
    assert_eq!(running.next().await, Seen::Begin);
    assert_eq!(running.next().await, Seen::Stage(names(&["b"])));
    assert_eq!(running.next().await, Seen::Finish("8".to_owned()));
    assert!(!running.hub.asked()[2].contains("continue"));
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_says_nothing_is_given_up_in_time() {
    let mut running = start([
        Answer::Nothing,
        page(&["a"], 7, None),
        Answer::Nothing,
        Answer::Watch(vec![bookmark(8)], Then::Silence),
        Answer::Watch(vec![event("ADDED", secret("b", 9))], Then::Silence),
    ]);
    assert_eq!(running.next().await, Seen::Begin);
    running.listed().await;
    assert_eq!(running.next().await, Seen::Progress("8".to_owned()));
    assert_eq!(running.next().await, Seen::Apply(names(&["+b"]), "9".to_owned()));
    let times = running.hub.times();
    let silence = times[4] - times[3];
    assert!(silence >= SILENCE && silence < SILENCE * 2, "{silence:?}");
    assert!(running.hub.asked()[4].contains("resourceVersion=8"));
}

#[tokio::test(start_paused = true)]
async fn watches_that_end_at_once_do_not_make_us_spin() {
    let ends = (0..8).map(|_| Answer::Watch(vec![], Then::End));
    let running = start([page(&["a"], 7, None)].into_iter().chain(ends));
    running.asked(9).await;
    let times = running.hub.times();
    assert!(times[8] - times[1] >= Duration::from_secs(6), "{:?}", times[8] - times[1]);
}
