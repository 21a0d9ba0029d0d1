use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Whether requests may be sent here: every condition was met once, and shutting down has not begun.
///
/// A condition stays met: a gateway that loses the hub afterwards still serves from what it knows. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    conditions: Mutex<Vec<Named>>,
    shutting_down: AtomicBool,
    /// A condition was met.
    progress: Arc<Notify>,
}

#[derive(Debug, Clone)]
struct Named {
    name: &'static str,
    waiting_for: &'static str,
    met: Arc<AtomicBool>,
}

/// Held by the part that has to meet it. Dropped without that, it is never met.
#[derive(Debug, Clone)]
pub struct Condition {
    met: Arc<AtomicBool>,
    progress: Arc<Notify>,
}

/// How one condition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) name: &'static str,
    /// What is missing; none when all is well.
    pub(super) missing: Option<&'static str>,
}

impl Readiness {
    /// Adds a condition. `name` is the check's in `/readyz/NAME`, `waiting_for` is what somebody reads there until
    /// it is met.
    #[must_use = "a condition that nobody holds is never met"]
    pub fn condition(&self, name: &'static str, waiting_for: &'static str) -> Condition {
        let met = Arc::new(AtomicBool::new(false));
        let named = Named { name, waiting_for, met: Arc::clone(&met) };
        self.0.conditions.lock().unwrap_or_else(PoisonError::into_inner).push(named);
        Condition { met, progress: Arc::clone(&self.0.progress) }
    }

    /// From now on not ready any more.
    pub fn shut_down(&self) {
        self.0.shutting_down.store(true, Ordering::Release);
    }

    /// Whether everything is.
    pub fn is_ready(&self) -> bool {
        self.checks().iter().all(|check| check.missing.is_none())
    }

    /// Waits until everything is.
    pub async fn ready(&self) {
        loop {
            let mut progress = pin!(self.0.progress.notified());
            // Before looking: what is met in between is not missed.
            progress.as_mut().enable();
            if self.is_ready() {
                return;
            }
            progress.await;
        }
    }

    pub(super) fn checks(&self) -> Vec<Check> {
        let conditions = self.0.conditions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut checks: Vec<Check> = conditions
            .iter()
            .map(|named| Check {
                name: named.name,
                missing: (!named.met.load(Ordering::Acquire)).then_some(named.waiting_for),
            })
            .collect();
        let shutting_down = self.0.shutting_down.load(Ordering::Acquire);
        checks.push(Check {
            name: "shutdown",
            missing: shutting_down.then_some("the process is shutting down"),
        });
        checks
    }
}

impl Condition {
    /// It is met, for good.
    pub fn met(&self) {
        self.met.store(true, Ordering::Release);
        self.progress.notify_waiters();
    }
}
