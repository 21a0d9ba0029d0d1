use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use futures::future::join_all;
use prometheus::Registry;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{advance, sleep};

use crate::credentials::exec::ExecError;
use crate::credentials::{Metrics, Options, Sources, bearer};

use super::*;

/// Gives what it was told to, and counts.
#[derive(Default)]
struct Script {
    runs: AtomicUsize,
    answers: Mutex<VecDeque<Answer>>,
    /// How long a run takes.
    takes: Duration,
    changed: Notify,
    /// How often another one is to be had without being told.
    changes: Option<Duration>,
}

#[derive(Clone, Copy)]
enum Answer {
    /// This token, for so long.
    Token(&'static str, Option<u64>),
    Failure,
}
use Answer::{Failure as Fails, Token};

#[async_trait]
impl Supplier for Arc<Script> {
    fn kind(&self) -> &'static str {
        "exec"
    }

    fn named(&self) -> String {
        "command x".to_owned()
    }

    fn makes_new_ones(&self) -> bool {
        true
    }

    async fn inspect(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn supply(&self, _: CancellationToken) -> Result<Supplied, Failure> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        sleep(self.takes).await;
        let mut answers = self.answers.lock().unwrap();
        // The last one is for ever.
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().copied() };
        match answer.unwrap() {
            Token(token, life) => {
                let authorization = Some(bearer(token.as_bytes()).unwrap());
                let expires = life.map(|life| SystemTime::now() + Duration::from_secs(life));
                Ok(Supplied::new(Credential { authorization, certificate: None }, expires))
            }
            Fails => {
                let exited = ExecError::Exited { command: "x".to_owned(), code: 1, stderr: "no".to_owned() };
                Err(exited.into())
            }
        }
    }

    async fn changed(&self, _: &AtomicBool) {
        match self.changes {
            Some(changes) => sleep(changes).await,
            None => self.changed.notified().await,
        }
    }
}

struct Bench {
    script: Arc<Script>,
    source: Source<String>,
    registry: Registry,
    made: Arc<AtomicUsize>,
}

fn bench(takes: Duration, answers: &[Answer]) -> Bench {
    bench_of(Script { takes, ..Script::default() }, answers)
}

fn bench_of(script: Script, answers: &[Answer]) -> Bench {
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    let sources = Sources::new(Handle::current(), Options::default(), metrics);
    let script = Script { answers: Mutex::new(answers.iter().copied().collect()), ..script };
    let (script, made) = (Arc::new(script), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&made);
    let make = move |credential: &Credential| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(credential.authorization.as_ref().unwrap().to_str().unwrap().replace("Bearer ", ""))
    };
    let name = ClusterName::parse("a").unwrap();
    let patience = Duration::from_secs(35);
    let source = sources.source(&name, Arc::new(Arc::clone(&script)), patience, false, Box::new(make));
    Bench { script, source, registry, made }
}

impl Bench {
    fn runs(&self) -> usize {
        self.script.runs.load(Ordering::SeqCst)
    }

    async fn get(&self) -> String {
        self.source.get().await.unwrap().to_string()
    }

    fn metrics(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }
}

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_hundred_who_wait_wait_for_one_run() {
    let bench = bench(100 * MS, &[Token("a", Some(3600))]);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(bench.runs(), 0, "nobody has asked");
    assert!(matches!(bench.source.standing(), Standing { usable: false, problem: None, .. }));
    let all = join_all((0..100).map(|_| bench.source.get())).await;
    assert!(all.iter().all(|one| **one.as_ref().unwrap() == "a"));
    assert_eq!((bench.runs(), bench.made.load(Ordering::SeqCst)), (1, 1));
    assert!(bench.metrics().contains("cluster_gateway_credential_expiry_timestamp_seconds{cluster=\"a\"}"));
}

#[tokio::test(start_paused = true)]
async fn what_is_used_is_renewed_before_it_expires_and_nobody_waits() {
    let bench = bench(500 * MS, &[Token("a", Some(600)), Token("b", Some(600)), Token("c", Some(600))]);
    assert_eq!(bench.get().await, "a");
    for _ in 0..550 {
        sleep(Duration::from_secs(1)).await;
        let now = bench.source.get();
        assert!(futures::poll!(std::pin::pin!(now)).is_ready(), "somebody waited");
    }
    assert_eq!((bench.runs(), bench.get().await.as_str()), (2, "b"));
    assert!(bench.metrics().contains("runs_total{outcome=\"success\",source=\"exec\"} 2"));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_uses_is_not_renewed_until_somebody_does() {
    let bench = bench(MS, &[Token("a", Some(600)), Token("b", Some(600)), Token("c", Some(600))]);
    assert_eq!(bench.get().await, "a");
    sleep(Duration::from_secs(590)).await;
    assert_eq!(bench.runs(), 1, "it was not used since it was got");
    assert_eq!(bench.get().await, "a", "it still lives, and is renewed now");
    sleep(Duration::from_secs(1)).await;
    assert_eq!((bench.runs(), bench.get().await.as_str()), (2, "b"));
    sleep(Duration::from_secs(3600)).await;
    // It was used once after it was got, so that it was renewed once more.
    assert_eq!(bench.runs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_fails_leaves_the_last_credential_in_use_until_it_expires() {
    let bench = bench(MS, &[Token("a", Some(600)), Fails]);
    assert_eq!(bench.get().await, "a");
    for _ in 0..590 {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(bench.get().await, "a");
    }
    let standing = bench.source.standing();
    assert!(standing.usable && standing.expires.is_some());
    assert_eq!(
        standing.problem.unwrap().as_ref(),
        "exec: executable x failed with exit code 1; its last words on stderr: no"
    );
    assert!((3..20).contains(&bench.runs()), "{} runs", bench.runs());
    assert!(bench.metrics().contains("cluster_gateway_credential_failing{cluster=\"a\"} 1"));
    sleep(Duration::from_secs(11)).await;
    let error = bench.source.get().await.unwrap_err();
    assert!(error.to_string().contains("exit code 1"), "{error}");
    assert!(!bench.source.standing().usable);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_always_fails_is_asked_seldom_and_says_why_at_once() {
    let bench = bench(MS, &[Fails]);
    for _ in 0..6000 {
        let error = bench.source.get().await.unwrap_err();
        assert!(matches!(error, Unavailable::Failed { .. }), "{error}");
        sleep(100 * MS).await;
    }
    assert!(bench.runs() <= 50, "{} runs in ten minutes", bench.runs());
    bench.script.answers.lock().unwrap().push_back(Token("a", None));
    sleep(Duration::from_secs(31)).await;
    // This run still fails: it takes what was told before.
    bench.source.get().await.unwrap_err();
    sleep(Duration::from_secs(31)).await;
    assert_eq!(bench.get().await, "a");
    assert!(!bench.metrics().contains("failing{"));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_who_are_refused_get_another_by_one_run() {
    let bench = bench(100 * MS, &[Token("a", None), Token("b", None)]);
    let refused = bench.source.get().await.unwrap();
    let all = join_all((0..100).map(|_| bench.source.renewed(&refused))).await;
    assert!(all.iter().all(|one| one.as_ref().is_some_and(|one| **one == "b")));
    assert_eq!(bench.runs(), 2);
    // One who was slow to learn of it needs no run.
    assert_eq!(*bench.source.renewed(&refused).await.unwrap(), "b");
    assert_eq!(bench.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_again_is_no_renewal_and_leaves_what_was_made_of_it() {
    let bench = bench(MS, &[Token("a", Some(3600))]);
    let refused = bench.source.get().await.unwrap();
    assert!(bench.source.renewed(&refused).await.is_none());
    assert_eq!((bench.runs(), bench.made.load(Ordering::SeqCst)), (2, 1));
    assert!(Arc::ptr_eq(&refused, &bench.source.get().await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_always_refuses_does_not_cost_a_run_per_request() {
    let bench = bench(MS, &[Token("a", None), Token("b", None), Token("a", None), Token("b", None)]);
    for _ in 0..3000 {
        let refused = bench.source.get().await.unwrap();
        bench.source.renewed(&refused).await;
        sleep(100 * MS).await;
    }
    assert!(bench.runs() <= 13, "{} runs in five minutes", bench.runs());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_too_long_is_told_and_the_run_goes_on() {
    let bench = bench(Duration::from_secs(40), &[Token("a", None)]);
    let error = bench.source.get().await.unwrap_err();
    assert!(matches!(error, Unavailable::TimedOut(_)), "{error}");
    sleep(Duration::from_secs(6)).await;
    assert_eq!((bench.get().await.as_str(), bench.runs()), ("a", 1));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_taken_at_once() {
    let bench = bench(MS, &[Token("a", None), Token("b", None)]);
    assert_eq!(bench.get().await, "a");
    bench.script.changed.notify_one();
    sleep(10 * MS).await;
    assert_eq!((bench.get().await.as_str(), bench.runs()), ("b", 2));
}

#[tokio::test(start_paused = true)]
async fn refusals_that_come_all_the_time_do_not_keep_a_change_from_being_seen() {
    let script = Script { changes: Some(Duration::from_secs(1)), ..Script::default() };
    let bench = bench_of(script, &[Token("a", None)]);
    for _ in 0..600 {
        let refused = bench.source.get().await.unwrap();
        bench.source.renewed(&refused).await;
        sleep(100 * MS).await;
    }
    assert!(bench.runs() > 50, "{} runs in a minute", bench.runs());
}

#[tokio::test(start_paused = true)]
async fn lives_that_end_at_once_cost_a_run_a_second() {
    let bench = bench(MS, &[Token("a", Some(1))]);
    for _ in 0..600 {
        assert_eq!(bench.get().await, "a");
        sleep(100 * MS).await;
    }
    assert!((30..=61).contains(&bench.runs()), "{} runs in a minute", bench.runs());
}

#[tokio::test(start_paused = true)]
async fn what_expired_before_it_came_is_a_failure_that_says_so() {
    let bench = bench(MS, &[Token("a", Some(0))]);
    let error = bench.source.get().await.unwrap_err().to_string();
    assert!(error.starts_with("the credential that command x gave expired at "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_gone_runs_nothing_any_more_and_leaves_no_series() {
    let bench = bench(MS, &[Token("a", Some(60))]);
    bench.get().await;
    let Bench { script, source, registry, .. } = bench;
    drop(source);
    advance(Duration::from_secs(600)).await;
    sleep(MS).await;
    assert_eq!(script.runs.load(Ordering::SeqCst), 1);
    let metrics = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(!metrics.contains("cluster=\"a\""), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn a_retired_source_says_nothing_more_and_runs_nothing_more_whoever_still_holds_it() {
    let bench = bench(Duration::ZERO, &[Token("one", Some(600)), Fails]);
    assert_eq!(*bench.source.get().await.unwrap(), "one");
    let said = |bench: &Bench| {
        prometheus::TextEncoder::new()
            .encode_to_string(&bench.registry.gather())
            .unwrap()
            .contains("cluster=\"a\"")
    };
    assert!(said(&bench));
    bench.source.retire();
    // In use for as long as it lives, by a request from before.
    for _ in 0..20 {
        advance(Duration::from_secs(30)).await;
        sleep(Duration::from_millis(1)).await;
        if let Ok(made) = bench.source.get().await {
            assert_eq!(*made, "one");
        }
    }
    assert!(!said(&bench));
    assert_eq!(bench.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_asked_before_a_source_was_retired_is_given_what_comes() {
    let bench = bench(Duration::from_secs(20), &[Token("one", Some(600))]);
    let (got, ()) = tokio::join!(bench.source.get(), async {
        sleep(Duration::from_secs(1)).await;
        bench.source.retire();
    });
    assert_eq!(*got.unwrap(), "one");
}
