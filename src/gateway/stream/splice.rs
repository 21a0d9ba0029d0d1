use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};

use super::flow::{Broken, Flow};
use super::framing::Framing;

/// Once one way has ended, for the other one to be silent. What is to be said is said by then; a side that forgets
/// to close would hold the connection for ever.
const HALF_CLOSED: Duration = Duration::from_secs(300);

/// How long a stream may do nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For either side to take what is there for it.
    pub(super) write: Duration,
    /// Without a byte either way.
    pub(super) idle: Option<Duration>,
}

/// Where bytes are counted as they go by.
pub(super) trait Count {
    fn to_cluster(&self, bytes: u64);
    fn to_caller(&self, bytes: u64);
}

/// Why a stream ended.
#[derive(Debug, Error)]
pub(super) enum End {
    #[error("both sides have said all they had to say")]
    Closed,
    #[error("the caller's connection broke: {0}")]
    Caller(io::Error),
    #[error("the cluster's connection broke: {0}")]
    Cluster(io::Error),
    #[error("one side took nothing for too long")]
    Stalled,
    #[error("nobody said anything for too long")]
    Idle,
}

/// Passes bytes both ways, each way to its own end (RFC 9110 section 7.8).
///
/// A side that takes nothing more may still have something to say: its own way goes on to its end.
pub(super) struct Splice<A, B, C> {
    caller: A,
    cluster: B,
    count: C,
    to_cluster: Flow,
    to_caller: Flow,
    framing: Framing,
    limits: Limits,
    /// The first side that took nothing more.
    failed: Option<End>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<A, B, C> Splice<A, B, C>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
    C: Count,
{
    pub(super) fn new(caller: A, cluster: B, count: C, framing: Framing, limits: Limits) -> Self {
        let (to_cluster, to_caller) = (Flow::new(), Flow::new());
        Self { caller, cluster, count, to_cluster, to_caller, framing, limits, failed: None, alarm: None }
    }

    /// What is to go by before anything that is read: of the caller what it has sent already, and for the caller the
    /// header that says that the protocol is another one now.
    pub(super) fn early(&mut self, of_caller: &[u8], for_caller: &[u8]) {
        self.count.to_cluster(of_caller.len() as u64);
        self.to_cluster.begin(of_caller);
        self.to_caller.begin(for_caller);
    }

    /// Passes bytes on until there is an end to it. Cancel safe: what was read is kept.
    pub(super) async fn run(&mut self) -> End {
        poll_fn(|context| self.poll(context)).await
    }

    /// Tells the caller that this is the end, where the protocol has words for it, after the frame that is under
    /// way; then ends both ways. To be bounded by who calls it.
    pub(super) async fn tell(&mut self, why: &str) {
        let Self { caller, cluster, count, to_cluster, to_caller, framing, .. } = self;
        while to_caller.is_open() && !framing.is_between_frames() {
            let rest = poll_fn(|context| {
                to_caller.poll_rest_of_frame(cluster, caller, context, |data| {
                    let rest = framing.see_one(data);
                    count.to_caller(rest as u64);
                    rest
                })
            });
            if rest.await.is_err() {
                return;
            }
        }
        let goodbye = framing.goodbye(why).filter(|_| to_caller.is_open()).unwrap_or_default();
        count.to_caller(goodbye.len() as u64);
        to_caller.close(&goodbye);
        to_cluster.close(&[]);
        // One of them may be gone already; there is nobody to be told about that.
        poll_fn(|context| {
            let there = to_cluster.poll_end(cluster, context).is_ready();
            let back = to_caller.poll_end(caller, context).is_ready();
            if there && back { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let Self { caller, cluster, count, to_cluster, to_caller, framing, failed, .. } = self;
        let there = to_cluster.poll(caller, cluster, context, |data| count.to_cluster(data.len() as u64));
        let back = to_caller.poll(cluster, caller, context, |data| {
            count.to_caller(data.len() as u64);
            framing.see(data);
        });
        let both = there.is_ready() && back.is_ready();
        match there {
            Poll::Ready(Err(Broken::Read(error))) => return Poll::Ready(End::Caller(error)),
            Poll::Ready(Err(Broken::Write(error))) => {
                to_cluster.give_up();
                failed.get_or_insert(End::Cluster(error));
            }
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        match back {
            Poll::Ready(Err(Broken::Read(error))) => return Poll::Ready(End::Cluster(error)),
            Poll::Ready(Err(Broken::Write(error))) => {
                to_caller.give_up();
                failed.get_or_insert(End::Caller(error));
            }
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        if both {
            return Poll::Ready(failed.take().unwrap_or(End::Closed));
        }
        self.poll_alarm(context)
    }

    /// Whether somebody has done nothing for too long.
    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let flows = [&self.to_cluster, &self.to_caller];
        let stuck = flows.iter().filter(|flow| flow.is_stuck()).map(|flow| flow.moved()).min();
        let moved = flows.iter().map(|flow| flow.moved()).max().unwrap_or_else(Instant::now);
        let half_closed = !flows.iter().all(|flow| flow.is_open());
        let idle = match half_closed {
            true => Some(self.limits.idle.map_or(HALF_CLOSED, |idle| idle.min(HALF_CLOSED))),
            false => self.limits.idle,
        };
        let stuck = stuck.map(|since| since + self.limits.write);
        let idle = idle.map(|idle| moved + idle).filter(|_| stuck.is_none());
        let Some(deadline) = stuck.or(idle) else {
            self.alarm = None;
            return Poll::Pending;
        };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(if stuck.is_some() { End::Stalled } else { End::Idle })
    }
}

#[cfg(test)]
#[path = "splice_tests.rs"]
mod tests;
