use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::model::jittered;

/// As most cluster DNS records live: an endpoint that moves is found within about this time.
const REFRESH: Duration = Duration::from_secs(30);
/// After a failure: what could not be resolved may just have been created.
const RETRY: Duration = Duration::from_secs(5);
/// Two servers asked once by the system's resolver.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The system's resolver blocks a thread per lookup: a broken DNS must not take all of the runtime's 512.
const AT_ONCE: usize = 64;

/// Resolves host names in the background and keeps them resolved while somebody holds a handle. Cheap to clone.
///
/// One task per host and port in use, on the runtime that it is given; those tasks end with their last handle.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    runtime: Handle,
    lookup: Lookup,
    permits: Semaphore,
    names: Mutex<Names>,
}

type Lookup = Box<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;
type Names = HashMap<(String, u16), Weak<Name>>;

/// A host name that is kept resolved as long as this, or a clone of it, is there.
#[derive(Clone)]
pub struct Resolved(Arc<Name>);

struct Name {
    key: (String, u16),
    state: Arc<State>,
    task: AbortHandle,
    resolver: Arc<Inner>,
}

struct State {
    answer: ArcSwap<Answer>,
    /// Whether there has been an answer, a bad one included.
    answered: watch::Sender<bool>,
}

#[derive(Default, Clone)]
struct Answer {
    /// The last good ones; none before the first.
    addresses: Arc<[SocketAddr]>,
    /// Why the last lookup failed, if it did.
    failure: Option<Arc<str>>,
}

/// Why there is no address for a host name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("host name {host} cannot be resolved: {reason}")]
pub struct Unresolved {
    host: String,
    reason: String,
}

impl Resolver {
    /// Asks the system's resolver, on this runtime.
    pub fn new(runtime: Handle) -> Self {
        Self::with_lookup(runtime, |host, port| {
            Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), port)).await?.collect()) })
        })
    }

    fn with_lookup(
        runtime: Handle,
        lookup: impl Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync + 'static,
    ) -> Self {
        let permits = Semaphore::new(AT_ONCE);
        Self(Arc::new(Inner { runtime, lookup: Box::new(lookup), permits, names: Mutex::default() }))
    }

    /// The addresses of a host, each with this port. Does not wait; the first lookup has begun when this returns, or
    /// somebody else's is shared.
    pub fn addresses(&self, host: &str, port: u16) -> Resolved {
        let key = (host.to_owned(), port);
        let mut names = self.0.names();
        if let Some(name) = names.get(&key).and_then(Weak::upgrade) {
            return Resolved(name);
        }
        let state = Arc::new(State { answer: ArcSwap::default(), answered: watch::Sender::new(false) });
        let task = keep_resolved(Arc::clone(&self.0), Arc::clone(&state), key.clone());
        let task = self.0.runtime.spawn(task).abort_handle();
        let name = Arc::new(Name { key: key.clone(), state, task, resolver: Arc::clone(&self.0) });
        names.insert(key, Arc::downgrade(&name));
        Resolved(name)
    }
}

impl Resolved {
    /// The last good answer, in the resolver's order; empty before the first. Never waits. The same `Arc` as before
    /// while nothing changes.
    pub fn current(&self) -> Arc<[SocketAddr]> {
        Arc::clone(&self.0.state.answer.load().addresses)
    }

    /// Why the last lookup failed, if it did; [`Resolved::current`] may still hold an earlier answer.
    pub fn failure(&self) -> Option<Unresolved> {
        let answer = self.0.state.answer.load();
        answer.failure.as_ref().map(|reason| self.unresolved(reason))
    }

    /// The addresses. Waits for the first answer only, and no longer than this; fails at once when that answer was a
    /// bad one and none has been good since.
    pub async fn ready(&self, within: Duration) -> Result<Arc<[SocketAddr]>, Unresolved> {
        let mut answered = self.0.state.answered.subscribe();
        // The sender lives in the state that we hold, so waiting ends by an answer or by time.
        let _ = timeout(within, answered.wait_for(|answered| *answered)).await;
        let current = self.current();
        if !current.is_empty() {
            return Ok(current);
        }
        Err(self.failure().unwrap_or_else(|| self.unresolved("there is no answer yet")))
    }

    fn unresolved(&self, reason: &str) -> Unresolved {
        Unresolved { host: self.0.key.0.clone(), reason: reason.to_owned() }
    }
}

impl Inner {
    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.task.abort();
        let mut names = self.resolver.names();
        // Somebody may have asked for the same name anew in the meantime.
        if names.get(&self.key).is_some_and(|name| name.strong_count() == 0) {
            names.remove(&self.key);
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Resolver").field("names", &self.0.names().len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = &self.0.key;
        formatter
            .debug_struct("Resolved")
            .field("host", host)
            .field("port", port)
            .field("current", &self.current())
            .finish_non_exhaustive()
    }
}

async fn keep_resolved(resolver: Arc<Inner>, state: Arc<State>, (host, port): (String, u16)) {
    loop {
        let good = {
            let mut lookup = std::pin::pin!(resolver.look_up(&host, port));
            match timeout(TIMEOUT, &mut lookup).await {
                Ok(result) => state.take(result),
                Err(_) => {
                    state.fail(&format!("no answer within {} s", TIMEOUT.as_secs()));
                    // A lookup cannot be called back from its thread: waiting for it, instead of asking once more,
                    // keeps the number of blocked threads bounded.
                    state.take(lookup.await)
                }
            }
        };
        sleep(jittered(if good { REFRESH } else { RETRY })).await;
    }
}

impl Inner {
    async fn look_up(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let _permit = self.permits.acquire().await.map_err(io::Error::other)?;
        (self.lookup)(host.to_owned(), port).await
    }
}

impl State {
    /// Whether the answer is a good one.
    fn take(&self, result: io::Result<Vec<SocketAddr>>) -> bool {
        match result {
            Ok(addresses) if addresses.is_empty() => self.fail("it has no addresses"),
            Err(error) => self.fail(&error.to_string()),
            Ok(addresses) => {
                let old = self.answer.load_full();
                let addresses =
                    if *old.addresses == *addresses { Arc::clone(&old.addresses) } else { addresses.into() };
                self.set(Answer { addresses, failure: None });
                return true;
            }
        }
        false
    }

    fn fail(&self, reason: &str) {
        let addresses = Arc::clone(&self.answer.load().addresses);
        self.set(Answer { addresses, failure: Some(reason.into()) });
    }

    fn set(&self, answer: Answer) {
        self.answer.store(Arc::new(answer));
        self.answered.send_if_modified(|answered| !std::mem::replace(answered, true));
    }
}

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
