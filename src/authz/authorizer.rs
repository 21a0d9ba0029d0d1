use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ahash::RandomState;
use tokio::runtime::Handle;

use crate::model::{Recent, RequestInfo, SYSTEM_MASTERS, User};
use crate::reviews::{Answer, Flights, Limits, with_retries};

use super::always::AlwaysAllowed;
use super::forbidden::forbidden;
use super::question::hash;
use super::{AccessReviewer, Decision, Denied, InvalidPath, Metrics, Question};

/// All attempts of a review together, as k8s.io/apiserver's `ClientTimeout` of delegated authorization.
const REVIEW_LIMIT: Duration = Duration::from_secs(10);
/// Answers a worker remembers.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

/// Says what is allowed. Shared by all workers; each takes a [`WorkerAuthorizer`] of its own.
#[derive(Clone)]
pub struct Authorizer(Arc<Shared>);

/// What an operator may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizerOptions {
    /// `--authorization-always-allow-paths`: open to all; a `*` at the end stands for anything.
    pub always_allow_paths: Vec<String>,
    /// How long the hub's yes and no are good.
    pub ttl: Duration,
}

/// One worker's: its cache is its own, nothing in it waits for another worker's thread.
pub struct WorkerAuthorizer {
    shared: Arc<Shared>,
    hasher: RandomState,
    known: Mutex<Recent<Known>>,
}

struct Shared {
    always: AlwaysAllowed,
    flights: Flights<Arc<Question>, Arc<Question>, Decision>,
    metrics: Metrics,
}

struct Known {
    question: Arc<Question>,
    answer: Answer<Decision>,
}

impl Default for AuthorizerOptions {
    fn default() -> Self {
        Self {
            always_allow_paths: ["/healthz", "/readyz", "/livez"].map(str::to_owned).into(),
            ttl: Duration::from_secs(10),
        }
    }
}

impl Authorizer {
    /// `control` is the runtime that asks the reviewer.
    pub fn new(
        reviewer: Arc<dyn AccessReviewer>,
        options: &AuthorizerOptions,
        control: &Handle,
        metrics: Metrics,
    ) -> Result<Self, InvalidPath> {
        let always = AlwaysAllowed::new(&options.always_allow_paths)?;
        let counted = metrics.clone();
        let flights = Flights::new(control, Limits::reviews(options.ttl), move |question: Arc<Question>| {
            let (reviewer, metrics) = (Arc::clone(&reviewer), counted.clone());
            Box::pin(async move {
                let start = Instant::now();
                let result = with_retries(REVIEW_LIMIT, || reviewer.review(&question)).await;
                let outcome = match &result {
                    Ok(Decision::Allowed) => &metrics.allowed,
                    Ok(Decision::Denied(_)) => &metrics.denied,
                    Err(_) => &metrics.unanswered,
                };
                outcome.observe(start.elapsed().as_secs_f64());
                if let Err(error) = &result {
                    tracing::warn!(%error, detail = error.detail(), "SubjectAccessReview failed");
                }
                result
            })
        });
        Ok(Self(Arc::new(Shared { always, flights, metrics })))
    }

    /// For one worker.
    pub fn for_worker(&self) -> WorkerAuthorizer {
        WorkerAuthorizer {
            shared: Arc::clone(&self.0),
            hasher: RandomState::new(),
            known: Mutex::new(Recent::new(REMEMBERED)),
        }
    }
}

impl WorkerAuthorizer {
    /// Whether the user may do what the request asks for. Does not wait unless the hub has to be asked.
    pub async fn authorize(&self, user: &Arc<User>, attributes: &RequestInfo<'_>) -> Result<(), Denied> {
        if user.is_in(SYSTEM_MASTERS) || self.shared.always.allows(attributes) {
            return Ok(());
        }
        let hash = hash(&self.hasher, user, attributes);
        let decision = match self.remembered(hash, user, attributes) {
            Some(decision) => {
                self.shared.metrics.hits.inc();
                decision
            }
            None => {
                self.shared.metrics.misses.inc();
                self.ask(hash, Question::new(user, attributes)).await?
            }
        };
        match decision {
            Decision::Allowed => Ok(()),
            Decision::Denied(reason) => Err(forbidden(&user.name, attributes, &reason).into()),
        }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    fn remembered(&self, hash: u64, user: &Arc<User>, attributes: &RequestInfo<'_>) -> Option<Decision> {
        // Only this worker's thread takes the lock: it never waits.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            known.get(hash, |known| known.answer.is_fresh() && known.question.is(user, attributes))?;
        Some(known.answer.value.clone())
    }

    async fn ask(&self, hash: u64, question: Question) -> Result<Decision, Denied> {
        let question = Arc::new(question);
        let answer = self.shared.flights.get(Arc::clone(&question), Arc::clone(&question)).await?;
        let decision = answer.value.clone();
        if question.is_small() {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.put(hash, Known { question, answer });
        }
        Ok(decision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use http::Method;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::authz::testing::{Script, worker};
    use crate::reviews::{Again, Failed, Unanswered};

    fn pods() -> RequestInfo<'static> {
        RequestInfo::parse(&Method::GET, "/api/v1/namespaces/n/pods", None)
    }

    #[tokio::test(start_paused = true)]
    async fn the_hub_decides_and_its_word_is_good_for_ten_seconds_both_ways() {
        let script = Script::new(|question| question.user().name == "bob");
        let worker = worker(&script);
        let (bob, eve) = (Arc::new(User::new("bob", ["dev"])), Arc::new(User::new("eve", ["dev"])));
        for _ in 0..3 {
            assert_eq!(worker.authorize(&bob, &pods()).await, Ok(()));
            // Another allocation of the same user is the same user.
            assert_eq!(worker.authorize(&Arc::new(User::clone(&bob)), &pods()).await, Ok(()));
            let denied = worker.authorize(&eve, &pods()).await.unwrap_err().status();
            assert_eq!(denied.code(), 403);
            assert!(denied.message().ends_with("in the namespace \"n\": because"), "{}", denied.message());
        }
        assert_eq!(script.asked(), 2);
        tokio::time::advance(Duration::from_secs(10)).await;
        worker.authorize(&bob, &pods()).await.unwrap();
        assert_eq!(script.asked(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn masters_and_open_paths_need_no_review() {
        let script = Script::new(|_| false);
        let worker = worker(&script);
        let admin = Arc::new(User::new("admin", [SYSTEM_MASTERS]));
        assert!(worker.authorize(&admin, &pods()).await.is_ok());
        let nobody = Arc::new(User::new("system:anonymous", ["system:unauthenticated"]));
        for path in ["/healthz", "/readyz", "/livez"] {
            assert!(worker.authorize(&nobody, &RequestInfo::parse(&Method::GET, path, None)).await.is_ok());
        }
        assert_eq!(script.asked(), 0);
        let metrics = RequestInfo::parse(&Method::GET, "/metrics", None);
        assert_eq!(worker.authorize(&nobody, &metrics).await.unwrap_err().status().code(), 403);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hub_that_cannot_be_asked_never_means_yes_and_is_asked_again() {
        struct Down(AtomicUsize);
        #[async_trait]
        impl AccessReviewer for Down {
            async fn review(&self, _: &Question) -> Result<Decision, Failed> {
                match self.0.fetch_add(1, Ordering::SeqCst) {
                    0 => Err(Failed { reason: Unanswered::Unreachable("x".into()), again: Again::No }),
                    _ => std::future::pending().await,
                }
            }
        }
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let down = Arc::new(Down(AtomicUsize::new(0)));
        let reviewer: Arc<dyn AccessReviewer> = down.clone();
        let worker = Authorizer::new(reviewer, &AuthorizerOptions::default(), &Handle::current(), metrics)
            .unwrap()
            .for_worker();
        let bob = Arc::new(User::new("bob", ["dev"]));
        for expected in ["cannot be reached", "did not answer within 10s"] {
            let status = worker.authorize(&bob, &pods()).await.unwrap_err().status();
            assert_eq!(status.code(), 500);
            assert!(status.message().contains(expected), "{}", status.message());
        }
        assert_eq!(down.0.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn workers_ask_once_between_them() {
        let script = Script::new(|_| true);
        let one = worker(&script);
        let two = Authorizer(Arc::clone(&one.shared)).for_worker();
        let bob = Arc::new(User::new("bob", ["dev"]));
        let (attributes, info) = (pods(), pods());
        let (a, b) = tokio::join!(one.authorize(&bob, &attributes), two.authorize(&bob, &info));
        assert_eq!((a, b, script.asked()), (Ok(()), Ok(()), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_large_to_be_kept_is_still_decided() {
        let script = Script::new(|_| true);
        let worker = worker(&script);
        let path = format!("/{}", "x".repeat(20_000));
        let info = RequestInfo::parse(&Method::GET, &path, None);
        let bob = Arc::new(User::new("bob", ["dev"]));
        assert!(worker.authorize(&bob, &info).await.is_ok());
        assert!(worker.known.lock().unwrap().is_empty());
    }
}
