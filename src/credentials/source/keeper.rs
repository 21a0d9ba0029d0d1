use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use k8s_openapi::jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::credentials::{Failure, Supplied, Unavailable};
use crate::model::Backoff;

use super::schedule::{PAUSE, Refusals, backoff, refresh_after};
use super::{Ask, Current, Failing, Parts, Shared, State, WAITING};

/// The task behind a source: it alone runs anything, one thing at a time, and says what came of it.
pub(super) struct Keeper<T> {
    parts: Parts<T>,
    shared: Arc<Shared<T>>,
    waiting: Vec<Waiter<T>>,
    running: Option<Running>,
    /// When to see whether the credential is in use, so that it is worth renewing.
    due: Option<Instant>,
    failures: Backoff,
    refusals: Refusals,
    /// Cancelled when no request comes here any more but those that are on their way.
    retired: CancellationToken,
}

/// For requests that had found the way here already, before a retired source ends.
const ON_THEIR_WAY: Duration = Duration::from_secs(30);

type Running = JoinHandle<Run>;

enum Run {
    Inspected(Result<(), Failure>),
    Supplied(Result<Supplied, Failure>),
}

enum Waiter<T> {
    Get(oneshot::Sender<Result<Arc<T>, Unavailable>>),
    Renew { refused: Arc<T>, reply: oneshot::Sender<Option<Arc<T>>> },
}

impl<T: Send + Sync + 'static> Keeper<T> {
    pub(super) fn new(parts: Parts<T>, shared: Arc<Shared<T>>, retired: CancellationToken) -> Self {
        Self {
            parts,
            shared,
            waiting: Vec::new(),
            running: None,
            due: None,
            failures: backoff(),
            refusals: Refusals::default(),
            retired,
        }
    }

    /// Until the source is dropped or everything ends.
    pub(super) async fn run(mut self, mut asks: mpsc::Receiver<Ask<T>>) {
        match self.parts.start {
            true => self.start(),
            false => self.inspect(),
        }
        let (stop, retired) = (self.parts.stop.clone(), self.retired.clone());
        let mut end = None;
        let (supplier, shared) = (Arc::clone(&self.parts.supplier), Arc::clone(&self.shared));
        // One for many turns: who asks often must not keep it from getting anywhere.
        let mut changed = supplier.changed(&shared.used);
        loop {
            let idle = self.running.is_none();
            tokio::select! {
                () = stop.cancelled() => return,
                () = retired.cancelled(), if end.is_none() => {
                    self.parts.series.release();
                    end = Some(Instant::now() + ON_THEIR_WAY);
                }
                () = at(end), if idle && self.waiting.is_empty() => return,
                run = finished(&mut self.running) => {
                    self.running = None;
                    self.finish(run);
                    changed = supplier.changed(&shared.used);
                }
                ask = asks.recv() => match ask {
                    Some(ask) => self.take(ask),
                    None => return,
                },
                () = at(self.due), if idle => {
                    self.due = None;
                    if self.shared.used.load(Ordering::Relaxed) {
                        self.start();
                    }
                }
                () = &mut changed, if idle => self.start(),
            }
        }
    }

    fn take(&mut self, ask: Ask<T>) {
        let now = Instant::now();
        let state = self.shared.state.load_full();
        match ask {
            Ask::Refresh => {
                let is_due =
                    state.current.as_ref().is_some_and(|current| current.refresh.is_some_and(|at| at <= now));
                if is_due && state.unavailable(now).is_none() {
                    self.start();
                }
            }
            Ask::Get(reply) if self.waiting.len() >= WAITING => answer(reply, Err(Unavailable::Busy)),
            Ask::Renew { reply, .. } if self.waiting.len() >= WAITING => answer(reply, None),
            Ask::Get(reply) => match (state.usable(now), state.unavailable(now)) {
                (Some(current), _) => answer(reply, Ok(Arc::clone(&current.made))),
                // What runs may end the trouble.
                (None, Some(unavailable)) if self.running.is_none() => answer(reply, Err(unavailable)),
                (None, _) => {
                    self.waiting.push(Waiter::Get(reply));
                    self.start();
                }
            },
            Ask::Renew { refused, reply } => {
                if let Some(other) = state.other_than(&refused) {
                    answer(reply, Some(other));
                } else if self.running.is_some()
                    || (state.unavailable(now).is_none() && self.refusals.may_run(now))
                {
                    self.waiting.push(Waiter::Renew { refused, reply });
                    self.start();
                } else {
                    answer(reply, None);
                }
            }
        }
    }

    /// Runs the supplier, unless it is running.
    fn start(&mut self) {
        if self.running.is_none() {
            let (supplier, stop) = (Arc::clone(&self.parts.supplier), self.parts.stop.clone());
            let run = async move { Run::Supplied(supplier.supply(stop).await) };
            self.running = Some(self.parts.tasks.spawn(run));
        }
    }

    fn inspect(&mut self) {
        let supplier = Arc::clone(&self.parts.supplier);
        let run = async move { Run::Inspected(supplier.inspect().await) };
        self.running = Some(self.parts.tasks.spawn(run));
    }

    fn finish(&mut self, run: Result<Run, JoinError>) {
        match run {
            Ok(Run::Inspected(result)) => {
                if let Err(failure) = result {
                    self.failed(&failure, Duration::ZERO);
                }
                // Those who came while it was only looked whether it would work.
                if !self.waiting.is_empty() {
                    self.start();
                }
                return;
            }
            Ok(Run::Supplied(result)) => self.ran(result),
            // The panic hook has logged it.
            Err(_) => self.ran(Err(Failure::Bug)),
        }
        let (now, state) = (Instant::now(), self.shared.state.load_full());
        // What has just come is given on, however short its life is.
        let current =
            state.current.as_ref().filter(|_| state.failing.is_none() || state.usable(now).is_some());
        let current = current.map(|current| &current.made);
        for waiter in std::mem::take(&mut self.waiting) {
            match waiter {
                Waiter::Get(reply) => {
                    let unavailable = || state.unavailable(now).unwrap_or(Unavailable::Stopped);
                    answer(reply, current.cloned().ok_or_else(unavailable));
                }
                Waiter::Renew { refused, reply } => {
                    answer(reply, current.filter(|made| !Arc::ptr_eq(made, &refused)).cloned());
                }
            }
        }
    }

    fn ran(&mut self, result: Result<Supplied, Failure>) {
        // Whoever asks from now on uses what came of this run.
        self.shared.used.store(false, Ordering::Relaxed);
        let current = result.and_then(|supplied| self.accept(supplied));
        let outcome = current.as_ref().map_or_else(Failure::outcome, |_| "success");
        self.parts.metrics.ran(self.parts.supplier.kind(), outcome);
        match current {
            Ok(current) => self.publish(current),
            Err(failure) => {
                let wait = self.failures.after_failure();
                self.failed(&failure, wait);
            }
        }
    }

    /// What requests will use. A credential that is the same as before leaves everything that was made of it in use,
    /// connections too.
    fn accept(&self, supplied: Supplied) -> Result<Current<T>, Failure> {
        let now = Instant::now();
        let life = match supplied.expires {
            None => None,
            Some(expires) => Some(expires.duration_since(SystemTime::now()).map_err(|_| {
                Failure::Expired {
                    from: self.parts.supplier.named(),
                    at: Timestamp::try_from(expires)
                        .map_or_else(|_| "an unknown time".to_owned(), |at| at.to_string()),
                }
            })?),
        };
        let state = self.shared.state.load_full();
        let same = state.current.as_ref().filter(|current| current.credential.is_same(&supplied.credential));
        let made = match same {
            Some(current) => Arc::clone(&current.made),
            None => Arc::new((self.parts.make)(&supplied.credential).map_err(Failure::Unusable)?),
        };
        Ok(Current {
            made,
            credential: supplied.credential,
            // An end beyond what clocks count is none. One that is reached at once would have us run all the time.
            until: life.and_then(|life| now.checked_add(life.max(PAUSE))),
            expires: supplied.expires,
            is_others_to_renew: !self.parts.supplier.makes_new_ones(),
            refresh: life.and_then(|life| now.checked_add(refresh_after(life))),
        })
    }

    fn publish(&mut self, current: Current<T>) {
        let before = self.shared.state.load_full();
        if before.failing.is_some() {
            tracing::info!(cluster = %self.parts.name, "the cluster's credential can be had again");
        }
        self.failures.reset();
        self.due = current.refresh;
        self.parts.series.failing(false);
        self.parts.series.expires(current.expires);
        self.shared.state.store(Arc::new(State { current: Some(current), failing: None }));
        self.parts.changes.notify_one();
    }

    fn failed(&mut self, failure: &Failure, wait: Duration) {
        let before = self.shared.state.load_full();
        let problem: Arc<str> = failure.to_string().into();
        let now = Instant::now();
        let in_use = before.usable(now);
        if before.failing.as_ref().is_none_or(|failing| failing.problem != problem) {
            let cluster = &self.parts.name;
            match in_use {
                Some(_) => {
                    tracing::warn!(%cluster, %problem, "the cluster's credential cannot be renewed, the last one stays in use");
                }
                None => tracing::warn!(%cluster, %problem, "the cluster has no credential"),
            }
        }
        let again = now + wait;
        // With nothing to lose the next one who asks is soon enough.
        self.due = in_use.map(|_| again);
        self.parts.series.failing(true);
        let current = before.current.as_ref().map(|current| Current {
            made: Arc::clone(&current.made),
            credential: current.credential.clone(),
            ..*current
        });
        self.shared.state.store(Arc::new(State { current, failing: Some(Failing { problem, again }) }));
        self.parts.changes.notify_one();
    }
}

fn answer<A>(reply: oneshot::Sender<A>, answer: A) {
    // Whoever has stopped waiting does not mind.
    let _ = reply.send(answer);
}

async fn finished(running: &mut Option<Running>) -> Result<Run, JoinError> {
    match running {
        Some(running) => running.await,
        None => std::future::pending().await,
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
