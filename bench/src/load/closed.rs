//! A closed loop: so many requests are always under way. It tells capacity; its latencies say little, since a server
//! that stalls is asked less.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;
use tokio::sync::oneshot;

use super::{Connection, Tally, Target, Work};
use crate::measure::Meter;

/// Its shape and length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    /// HTTP/2 connections.
    pub(crate) connections: usize,
    /// Requests under way on each.
    pub(crate) streams: usize,
    /// Before anything counts.
    pub(crate) warm: Duration,
    /// What counts.
    pub(crate) span: Duration,
}

/// Loads a target; processor time is that of the meter's processes while it counts.
pub(crate) async fn closed(target: Target, work: Work, shape: Closed, meter: Meter) -> Result<Tally> {
    // Nobody ends it before its time.
    let (_stop, stopped) = oneshot::channel();
    until_stopped(target, work, shape, meter, stopped).await
}

/// The same until somebody sends (or drops) the other end, or the span is over.
pub(crate) async fn until_stopped(
    target: Target,
    work: Work,
    shape: Closed,
    meter: Meter,
    stopped: oneshot::Receiver<()>,
) -> Result<Tally> {
    super::apart(move || async move {
        let open = (0..shape.connections).map(|_| Connection::open(&target));
        let connections: Vec<Rc<Connection>> = try_join_all(open).await?.into_iter().map(Rc::new).collect();
        let tally = Rc::new(RefCell::new(Tally::new()));
        let work = Rc::new(work);
        let counts = Instant::now() + shape.warm;
        let mut slots = tokio::task::JoinSet::new();
        for connection in &connections {
            for _ in 0..shape.streams {
                let (connection, work, tally) = (Rc::clone(connection), Rc::clone(&work), Rc::clone(&tally));
                slots.spawn_local(again_and_again(connection, work, tally, counts));
            }
        }
        tokio::time::sleep_until(counts.into()).await;
        let (began, before) = (Instant::now(), meter.cpu()?);
        // Either is the end.
        let _ = tokio::time::timeout(shape.span, stopped).await;
        let (elapsed, cpu) = (began.elapsed(), meter.cpu()?.saturating_sub(before));
        let mut tally = tally.borrow().clone();
        slots.shutdown().await;
        tally.elapsed = elapsed;
        tally.cpu = cpu;
        Ok(tally)
    })
    .await
}

async fn again_and_again(
    connection: Rc<Connection>,
    work: Rc<Work>,
    tally: Rc<RefCell<Tally>>,
    counts: Instant,
) {
    loop {
        let fetched = connection.fetch(&work).await;
        let counted = Instant::now() >= counts;
        match fetched {
            Ok((bytes, latency)) if counted => tally.borrow_mut().succeeded(bytes, latency),
            Ok(_) => {}
            Err(error) => {
                if counted {
                    tally.borrow_mut().failed(&error);
                }
                // A broken connection must not fail a million times.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}
