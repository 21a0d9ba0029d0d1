use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

/// The upgraded connections (exec, attach, port-forward) into one cluster: over all generations of its Secret, and
/// over all workers.
#[derive(Debug, Default)]
pub struct Streams {
    open: AtomicUsize,
    removed: CancellationToken,
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
        self.removed.cancelled().await;
    }

    /// The cluster is none any more: its streams are to end.
    pub(super) fn end(&self) {
        self.removed.cancel();
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

    #[test]
    fn zero_is_no_limit() {
        let streams = Arc::new(Streams::default());
        let _open: Vec<Stream> = (0..100).map(|_| streams.open(0).unwrap()).collect();
        assert!(streams.open(100).is_none());
    }
}
