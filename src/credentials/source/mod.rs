//! One cluster's credential that is got, not given, and what is made of it.

mod keeper;
mod schedule;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::model::ClusterName;

use super::{Credential, ExpirySeries, Failure, Supplied, Unavailable, Validity};
use keeper::Keeper;

/// Requests that may wait for one cluster's credential.
const WAITING: usize = 4096;

/// Where credentials come from.
#[async_trait]
pub(super) trait Supplier: Send + Sync + 'static {
    /// As it stands in metrics.
    fn kind(&self) -> &'static str;

    /// For messages: what gave a credential.
    fn named(&self) -> String;

    /// Whether asking is what makes another one; otherwise somebody else has to, in time.
    fn makes_new_ones(&self) -> bool;

    /// Whether [`Supplier::supply`] could work, as far as that can be told for nothing.
    async fn inspect(&self) -> Result<(), Failure>;

    /// Gets one, within a time of its own; gives up soon when it is cancelled, and leaves nothing behind.
    async fn supply(&self, stop: CancellationToken) -> Result<Supplied, Failure>;

    /// Resolves when another one is to be had. `used` says whether anybody asked since it was last looked at. Cancel
    /// safe.
    async fn changed(&self, used: &AtomicBool);
}

/// Makes of a credential what requests need, once per credential. An error's text is for people.
pub type Make<T> = Box<dyn Fn(&Credential) -> Result<T, String> + Send + Sync>;

/// A credential that is kept fresh while somebody uses it, as the `T` that was made of it.
///
/// A task on the control runtime owns it; the task ends with this, and whatever it runs.
pub struct Source<T> {
    shared: Arc<Shared<T>>,
    asks: mpsc::Sender<Ask<T>>,
    patience: Duration,
    retired: CancellationToken,
    _stop: DropGuard,
}

/// What a source is made of.
pub(super) struct Parts<T> {
    pub(super) name: ClusterName,
    pub(super) supplier: Arc<dyn Supplier>,
    pub(super) make: Make<T>,
    pub(super) series: ExpirySeries,
    pub(super) metrics: super::Metrics,
    /// Runs and the task itself; whoever ends the process waits for it.
    pub(super) tasks: tokio_util::task::TaskTracker,
    /// Ends it.
    pub(super) stop: CancellationToken,
    /// Told of each new standing.
    pub(super) changes: Arc<Notify>,
    /// Get one now, without waiting for somebody to ask.
    pub(super) start: bool,
    /// For one who asks.
    pub(super) patience: Duration,
}

/// How a source stands, for people.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Whether there is a credential to show now.
    pub usable: bool,
    /// Why the last attempt at another one failed, if it did.
    pub problem: Option<Arc<str>>,
    /// When the one in use expires, if anybody knows.
    pub expires: Option<SystemTime>,
    /// Of a certificate in use that somebody else has to renew.
    pub validity: Option<Validity>,
}

/// What requests read without waiting. The task alone writes it.
struct Shared<T> {
    state: ArcSwap<State<T>>,
    /// Whether anybody asked since the last run.
    used: AtomicBool,
}

struct State<T> {
    /// The last one; may have expired.
    current: Option<Current<T>>,
    failing: Option<Failing>,
}

struct Current<T> {
    made: Arc<T>,
    credential: Credential,
    until: Option<Instant>,
    expires: Option<SystemTime>,
    is_others_to_renew: bool,
    /// When it is to be renewed, if it is in use.
    refresh: Option<Instant>,
}

#[derive(Clone)]
struct Failing {
    problem: Arc<str>,
    /// Nothing is run before then.
    again: Instant,
}

enum Ask<T> {
    Get(oneshot::Sender<Result<Arc<T>, Unavailable>>),
    Renew {
        refused: Arc<T>,
        reply: oneshot::Sender<Option<Arc<T>>>,
    },
    /// It is used again, after the time at which it would have been renewed had it been used.
    Refresh,
}

impl<T: Send + Sync + 'static> Source<T> {
    /// Starts the task. To be called on the runtime that is to run it.
    pub(super) fn new(parts: Parts<T>) -> Self {
        let (asks, received) = mpsc::channel(WAITING);
        let shared = Arc::new(Shared {
            state: ArcSwap::from_pointee(State { current: None, failing: None }),
            used: AtomicBool::new(false),
        });
        let (patience, tasks) = (parts.patience, parts.tasks.clone());
        let (stop, retired) = (parts.stop.clone().drop_guard(), CancellationToken::new());
        tasks.spawn(Keeper::new(parts, Arc::clone(&shared), retired.clone()).run(received));
        Self { shared, asks, patience, retired, _stop: stop }
    }

    /// What was made of the credential in force. Waits only where there is none that has not expired.
    pub async fn get(&self) -> Result<Arc<T>, Unavailable> {
        let was_used = self.shared.used.load(Ordering::Relaxed);
        if !was_used {
            self.shared.used.store(true, Ordering::Relaxed);
        }
        {
            let state = self.shared.state.load();
            let now = Instant::now();
            if let Some(current) = state.usable(now) {
                if !was_used && current.refresh.is_some_and(|refresh| refresh <= now) {
                    // A queue that is full has others in it who ask for the same.
                    let _ = self.asks.try_send(Ask::Refresh);
                }
                return Ok(Arc::clone(&current.made));
            }
            if let Some(unavailable) = state.unavailable(now) {
                return Err(unavailable);
            }
        }
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Get(reply))?;
        match timeout(self.patience, answer).await {
            Ok(answer) => answer.unwrap_or(Err(Unavailable::Stopped)),
            Err(_) => Err(Unavailable::TimedOut(self.patience)),
        }
    }

    /// Another one than what the cluster `refused`, if there is one or one can be got now; nothing when the source
    /// gives the same again, gives none, or was asked too often already.
    pub async fn renewed(&self, refused: &Arc<T>) -> Option<Arc<T>> {
        if let Some(current) = self.shared.state.load().other_than(refused) {
            return Some(current);
        }
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Renew { refused: Arc::clone(refused), reply }).ok()?;
        timeout(self.patience, answer).await.ok()?.ok()?
    }

    /// The cluster's requests go elsewhere from now on: nothing more is said of it, and nothing is run any more once
    /// those requests are served that had come before. Whoever holds this, a watch for days, keeps what it has.
    pub fn retire(&self) {
        self.retired.cancel();
    }

    /// How it stands now.
    pub fn standing(&self) -> Standing {
        let state = self.shared.state.load();
        let usable = state.usable(Instant::now());
        Standing {
            usable: usable.is_some(),
            problem: state.failing.as_ref().map(|failing| Arc::clone(&failing.problem)),
            expires: usable.and_then(|current| current.expires),
            validity: usable
                .filter(|current| current.is_others_to_renew)
                .and_then(|current| current.credential.certificate.as_ref())
                .map(|certificate| certificate.validity),
        }
    }

    /// Whether a credential was got, or somebody wanted one.
    pub fn is_in_use(&self) -> bool {
        self.shared.used.load(Ordering::Relaxed) || self.shared.state.load().current.is_some()
    }

    fn ask(&self, ask: Ask<T>) -> Result<(), Unavailable> {
        self.asks.try_send(ask).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unavailable::Busy,
            mpsc::error::TrySendError::Closed(_) => Unavailable::Stopped,
        })
    }
}

impl<T> State<T> {
    fn usable(&self, now: Instant) -> Option<&Current<T>> {
        self.current.as_ref().filter(|current| current.until.is_none_or(|until| now < until))
    }

    fn unavailable(&self, now: Instant) -> Option<Unavailable> {
        let failing = self.failing.as_ref().filter(|failing| now < failing.again)?;
        let problem = Arc::clone(&failing.problem);
        Some(Unavailable::Failed { problem, retry_after: failing.again - now })
    }

    fn other_than(&self, refused: &Arc<T>) -> Option<Arc<T>> {
        let current = self.usable(Instant::now())?;
        (!Arc::ptr_eq(&current.made, refused)).then(|| Arc::clone(&current.made))
    }
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Source").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
