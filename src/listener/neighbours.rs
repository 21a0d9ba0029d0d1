use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use parking_lot::Mutex;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::gateway::{Caller, Gateway};

use super::Metrics;
use super::spill::Spill;
use super::usage::Usage;

/// Streams on their way to another worker. When there is no place for more it is no better off, whatever it uses.
const QUEUE: usize = 256;

/// One stream of an HTTP/2 connection: a request, and where its answer goes.
pub(super) struct Stream {
    pub(super) request: Request<RecvStream>,
    pub(super) respond: SendResponse<Bytes>,
    pub(super) caller: Arc<Caller>,
}

/// A stream of another worker's connection.
pub(super) struct Guest {
    stream: Stream,
    /// The connection waits for it, as for those that are served at home.
    home: TaskTrackerToken,
}

/// What a worker knows of the others, and what it may ask of them.
///
/// A stream that is passed on is served by the other worker's gateway, with its caches and its connections to
/// clusters; the connection that it came over stays, and its frames are read and written at home.
pub(super) struct Neighbours {
    own: usize,
    /// Of all workers, this one too.
    doors: Arc<[Door]>,
    spill: Mutex<Spill>,
    metrics: Metrics,
}

/// What others see of a worker.
struct Door {
    usage: Usage,
    guests: mpsc::Sender<Guest>,
}

impl Stream {
    pub(super) fn serve(self, gateway: Arc<Gateway>) -> impl Future<Output = ()> {
        gateway.serve_h2(self.request, self.respond, self.caller)
    }
}

impl Guest {
    pub(super) async fn serve(self, gateway: Arc<Gateway>) {
        self.stream.serve(gateway).await;
        drop(self.home);
    }
}

impl Neighbours {
    /// For each of so many workers what it knows of the others, and where their guests arrive.
    pub(super) fn new(workers: usize, metrics: &Metrics) -> Vec<(Arc<Self>, mpsc::Receiver<Guest>)> {
        let epoch = Instant::now();
        let (doors, queues): (Vec<_>, Vec<_>) = (0..workers)
            .map(|_| {
                let (guests, queue) = mpsc::channel(QUEUE);
                (Door { usage: Usage::new(epoch), guests }, queue)
            })
            .unzip();
        let doors: Arc<[Door]> = doors.into();
        let of = |(own, queue)| {
            let spill = Mutex::new(Spill::new(own, workers));
            (Arc::new(Self { own, doors: Arc::clone(&doors), spill, metrics: metrics.clone() }), queue)
        };
        queues.into_iter().enumerate().map(of).collect()
    }

    /// Whether there are any.
    pub(super) fn are_some(&self) -> bool {
        self.doors.len() > 1
    }

    /// Passes a stream of this worker's on if it is saturated and another one is not; gives it back if it is to be
    /// served here. `home` is who waits for it.
    pub(super) fn pass_on(&self, stream: Stream, home: &TaskTracker) -> Option<Stream> {
        let Some(index) = self.spill.lock().next() else {
            return Some(stream);
        };
        match self.doors[index].guests.try_send(Guest { stream, home: home.token() }) {
            Ok(()) => {
                self.metrics.spilled();
                None
            }
            // It is behind, or ends: nothing is lost by that.
            Err(TrySendError::Full(guest) | TrySendError::Closed(guest)) => Some(guest.stream),
        }
    }

    /// Looks at what this worker uses, if it is time to. To be called by its own thread.
    pub(super) fn look(&self) {
        if self.are_some()
            && let Some(look) = self.usage().look()
        {
            self.spill.lock().adapt(look.used, look.over, |index| self.doors[index].usage.used());
        }
    }

    /// This worker has nothing to do. To be called by its own thread.
    pub(super) fn parks(&self) {
        self.look();
        self.usage().parks();
    }

    /// This worker has something to do. To be called by its own thread.
    pub(super) fn wakes(&self) {
        self.usage().wakes();
    }

    fn usage(&self) -> &Usage {
        &self.doors[self.own].usage
    }
}

#[cfg(test)]
#[path = "neighbours_tests.rs"]
mod tests;
