use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The upgraded connections (exec, attach, port-forward) into one cluster: over all generations of its Secret, and
/// over all workers.
#[derive(Debug, Default)]
pub struct Streams {
    open: AtomicUsize,
    ended: AtomicBool,
    /// Whoever waits for `ended`.
    waiting: Notify,
}

/// One upgraded connection, until it is dropped.
#[derive(Debug)]
pub struct Stream(Arc<Streams>);

impl Streams {
    /// Room for one more, if there are fewer than `limit` (0: no limit).
    pub fn open(self: &Arc<Self>, limit: usize) -> Option<Stream> {
        let room = |open: usize| (limit == 0 || open < limit).then_some(open + 1);
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some(Stream(Arc::clone(self)))
    }

    /// Resolves when the cluster is none any more, or another one of the same name.
    pub async fn removed(&self) {
        let mut told = pin!(self.waiting.notified());
        // Before looking: who is enabled is told.
        told.as_mut().enable();
        if !self.ended.load(Ordering::Acquire) {
            told.await;
        }
    }

    /// The cluster is none any more: its streams are to end.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.waiting.notify_waiters();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_than_may_be_and_an_end_makes_room() {
        let streams = Arc::new(Streams::default());
        let first = streams.open(2).unwrap();
        let _second = streams.open(2).unwrap();
        assert!(streams.open(2).is_none());
        drop(first);
        assert!(streams.open(2).is_some());
    }

    #[tokio::test]
    async fn whoever_waits_and_whoever_comes_later_learns_of_the_end() {
        let streams = Arc::new(Streams::default());
        let mut early = pin!(streams.removed());
        assert!(futures::poll!(early.as_mut()).is_pending());
        streams.end();
        early.await;
        streams.removed().await;
    }

    #[test]
    fn zero_is_no_limit() {
        let streams = Arc::new(Streams::default());
        let _open: Vec<Stream> = (0..100).map(|_| streams.open(0).unwrap()).collect();
        assert!(streams.open(100).is_none());
    }
}
