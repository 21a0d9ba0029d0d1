use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroUsize;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{self, JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

use crate::model::Recent;

use super::Unanswered;

/// Asks questions on the control runtime, each only once at a time, and remembers the answers.
///
/// One task owns everything; workers send it a message and wait for a reply. Nothing is locked.
pub struct Flights<K, Q, A> {
    asks: mpsc::Sender<Ask<K, Q, A>>,
    task: JoinHandle<()>,
    patience: Duration,
}

/// What holds for all questions of a kind.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long an answer is good for.
    pub ttl: Duration,
    /// How many answers are remembered.
    pub remembered: NonZeroUsize,
    /// How many questions the hub is asked at once: each takes a connection of its own.
    pub at_once: NonZeroUsize,
    /// How many may wait for their turn.
    pub waiting: NonZeroUsize,
    /// After which a worker gives up. More than asking takes at worst, as waiting for a turn counts.
    pub patience: Duration,
}

impl Limits {
    /// Those of reviews, with answers that are good for so long.
    pub const fn reviews(ttl: Duration) -> Self {
        const REMEMBERED: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");
        const AT_ONCE: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");
        const WAITING: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
        Self {
            ttl,
            remembered: REMEMBERED,
            at_once: AT_ONCE,
            waiting: WAITING,
            patience: Duration::from_secs(12),
        }
    }
}

/// An answer and how long it is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<A> {
    /// What the hub said.
    pub value: A,
    /// When it has to be asked again.
    pub until: Instant,
}

struct Ask<K, Q, A> {
    key: K,
    question: Q,
    reply: Reply<A>,
}

type Reply<A> = oneshot::Sender<Result<Answer<A>, Unanswered>>;

impl<A> Answer<A> {
    /// Whether it may still be used.
    pub fn is_fresh(&self) -> bool {
        Instant::now() < self.until
    }
}

impl<K, Q, A> Flights<K, Q, A>
where
    K: Clone + Eq + Hash + Send + 'static,
    Q: Send + 'static,
    A: Clone + Send + 'static,
{
    /// Starts the task on `control`; it ends with this value. `ask` asks one question with a deadline of its own.
    pub fn new(
        control: &Handle,
        limits: Limits,
        ask: impl Fn(Q) -> BoxFuture<'static, Result<A, Unanswered>> + Send + 'static,
    ) -> Self {
        let (asks, received) = mpsc::channel(limits.waiting.get());
        let desk = Desk {
            limits,
            ask,
            known: Recent::new(limits.remembered),
            hasher: RandomState::new(),
            waiting: HashMap::new(),
            keys: HashMap::new(),
            tasks: JoinSet::new(),
        };
        Self { asks, task: control.spawn(desk.run(received)), patience: limits.patience }
    }

    /// The answer, remembered or asked for.
    pub async fn get(&self, key: K, question: Q) -> Result<Answer<A>, Unanswered> {
        let (reply, answer) = oneshot::channel();
        self.asks.try_send(Ask { key, question, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unanswered::Busy,
            mpsc::error::TrySendError::Closed(_) => Unanswered::Stopped,
        })?;
        match timeout(self.patience, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Unanswered::Stopped),
            Err(_) => Err(Unanswered::TimedOut(self.patience)),
        }
    }
}

impl<K, Q, A> Drop for Flights<K, Q, A> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<K, Q, A> std::fmt::Debug for Flights<K, Q, A> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Flights").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// The task's own state.
struct Desk<K, A, F> {
    limits: Limits,
    ask: F,
    known: Recent<(K, Answer<A>)>,
    hasher: RandomState,
    waiting: HashMap<K, Vec<Reply<A>>>,
    keys: HashMap<task::Id, K>,
    tasks: JoinSet<Result<A, Unanswered>>,
}

impl<K, A, F> Desk<K, A, F>
where
    K: Clone + Eq + Hash + Send + 'static,
    A: Clone + Send + 'static,
{
    async fn run<Q>(mut self, mut asks: mpsc::Receiver<Ask<K, Q, A>>)
    where
        F: Fn(Q) -> BoxFuture<'static, Result<A, Unanswered>>,
    {
        loop {
            let may_ask = self.tasks.len() < self.limits.at_once.get();
            tokio::select! {
                ask = asks.recv(), if may_ask => match ask {
                    Some(ask) => self.take(ask),
                    None => return,
                },
                Some(done) = self.tasks.join_next_with_id() => match done {
                    Ok((id, result)) => self.answer(id, result),
                    // A panic while asking harms the one question only; the panic hook has logged it.
                    Err(error) => self.answer(error.id(), Err(Unanswered::Stopped)),
                },
            }
        }
    }

    fn take<Q>(&mut self, ask: Ask<K, Q, A>)
    where
        F: Fn(Q) -> BoxFuture<'static, Result<A, Unanswered>>,
    {
        let Ask { key, question, reply } = ask;
        if reply.is_closed() {
            return;
        }
        let hash = self.hasher.hash_one(&key);
        if let Some((_, answer)) = self.known.get(hash, |(known, answer)| *known == key && answer.is_fresh())
        {
            let _ = reply.send(Ok(answer.clone()));
            return;
        }
        if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.push(reply);
            return;
        }
        let id = self.tasks.spawn((self.ask)(question)).id();
        self.keys.insert(id, key.clone());
        self.waiting.insert(key, vec![reply]);
    }

    fn answer(&mut self, id: task::Id, result: Result<A, Unanswered>) {
        let Some(key) = self.keys.remove(&id) else { return };
        let waiting = self.waiting.remove(&key).unwrap_or_default();
        let answer = result.map(|value| Answer { value, until: Instant::now() + self.limits.ttl });
        if let Ok(answer) = &answer {
            self.known.put(self.hasher.hash_one(&key), (key, answer.clone()));
        }
        for reply in waiting {
            // Whoever has stopped waiting does not mind.
            let _ = reply.send(answer.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const TTL: Duration = Duration::from_secs(10);

    fn flights(
        at_once: usize,
        waiting: usize,
        asked: &Arc<AtomicUsize>,
        takes: Duration,
    ) -> Flights<u32, u32, u32> {
        let asked = Arc::clone(asked);
        let limits = Limits {
            ttl: TTL,
            remembered: NonZeroUsize::new(16).unwrap(),
            at_once: NonZeroUsize::new(at_once).unwrap(),
            waiting: NonZeroUsize::new(waiting).unwrap(),
            patience: Duration::from_secs(11),
        };
        Flights::new(&Handle::current(), limits, move |question| {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                tokio::time::sleep(takes).await;
                match question {
                    0 => Err(Unanswered::Unreachable("down".into())),
                    13 => panic!("asked for thirteen"),
                    _ => Ok(u32::try_from(number).unwrap()),
                }
            })
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_of_many_is_asked_once() {
        let asked = Arc::default();
        let flights = flights(4, 64, &asked, Duration::from_secs(1));
        let answers = futures::future::join_all((0..50).map(|_| flights.get(7, 7))).await;
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert!(answers.iter().all(|answer| answer == &answers[0] && answer.is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_good_for_its_time_and_no_longer() {
        let asked = Arc::default();
        let flights = flights(4, 64, &asked, Duration::ZERO);
        let first = flights.get(7, 7).await.unwrap();
        tokio::time::advance(TTL - Duration::from_millis(10)).await;
        assert_eq!(flights.get(7, 7).await.unwrap(), first);
        tokio::time::advance(Duration::from_millis(10)).await;
        assert!(!first.is_fresh());
        assert_ne!(flights.get(7, 7).await.unwrap(), first);
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_told_to_all_and_remembered_for_nobody() {
        let asked = Arc::default();
        let flights = flights(4, 64, &asked, Duration::from_secs(1));
        let (one, two) = tokio::join!(flights.get(0, 0), flights.get(0, 0));
        assert_eq!(one, Err(Unanswered::Unreachable("down".into())));
        assert_eq!(one, two);
        assert!(flights.get(0, 0).await.is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn questions_beyond_the_bound_fail_at_once_and_those_before_are_answered() {
        let asked = Arc::default();
        let flights = flights(1, 2, &asked, Duration::from_secs(1));
        let answers = futures::future::join_all((1..=4).map(|key| flights.get(key, key))).await;
        let busy = answers.iter().filter(|answer| **answer == Err(Unanswered::Busy)).count();
        assert_eq!(busy, 2);
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let asked = Arc::default();
        let flights = flights(1, 8, &asked, Duration::from_secs(3600));
        assert_eq!(flights.get(1, 1).await, Err(Unanswered::TimedOut(Duration::from_secs(11))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_while_asking_harms_its_own_question_only() {
        let asked = Arc::default();
        let flights = flights(4, 8, &asked, Duration::from_secs(1));
        let (bad, good) = tokio::join!(flights.get(13, 13), flights.get(1, 1));
        assert_eq!(bad, Err(Unanswered::Stopped));
        assert!(good.is_ok());
        assert!(flights.get(2, 2).await.is_ok());
    }
}
