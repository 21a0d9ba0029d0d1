//! An open loop: requests come when they are due, answered or not, and latency counts from when they were due. So a
//! server that stalls for a second shows a second to all that came meanwhile (no coordinated omission).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;

use super::pacer::arrivals;
use super::{Connection, Tally, Target, Work};
use crate::measure::Meter;

/// Requests under way beyond which new ones fail: what is further behind than this is not coming back.
const UNDER_WAY: usize = 20_000;

/// Its shape, rate and length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// HTTP/2 connections, taken in turn.
    pub(crate) connections: usize,
    /// Requests a second.
    pub(crate) rate: f64,
    /// Before anything counts.
    pub(crate) warm: Duration,
    /// What counts.
    pub(crate) span: Duration,
}

/// Loads a target; processor time is that of the meter's processes while it counts.
pub(crate) async fn open(target: Target, work: Work, shape: Open, meter: Meter) -> Result<Tally> {
    super::apart(move || async move {
        let connections = (0..shape.connections).map(|_| Connection::open(&target));
        let connections: Vec<Rc<Connection>> =
            try_join_all(connections).await?.into_iter().map(Rc::new).collect();
        let tally = Rc::new(RefCell::new(Tally::new()));
        let work = Rc::new(work);
        let counts = Instant::now() + shape.warm;
        let mut due = arrivals(shape.rate, shape.warm + shape.span)?;
        let mut requests = tokio::task::JoinSet::new();
        let mut start = None;
        let mut turn = connections.iter().cycle();
        while let Some(at) = due.recv().await {
            if start.is_none() && at >= counts {
                start = Some((Instant::now(), meter.cpu()?));
            }
            while requests.try_join_next().is_some() {}
            if requests.len() >= UNDER_WAY {
                tally.borrow_mut().failed(&anyhow::anyhow!("{UNDER_WAY} requests were under way already"));
                continue;
            }
            let Some(connection) = turn.next().map(Rc::clone) else { break };
            let (work, tally) = (Rc::clone(&work), Rc::clone(&tally));
            requests.spawn_local(async move {
                let fetched = connection.fetch(&work).await;
                if at >= counts {
                    match fetched {
                        Ok((bytes, _)) => tally.borrow_mut().succeeded(bytes, at.elapsed()),
                        Err(error) => tally.borrow_mut().failed(&error),
                    }
                }
            });
        }
        let (began, before) = start.unwrap_or((Instant::now(), Duration::ZERO));
        let (elapsed, cpu) = (began.elapsed(), meter.cpu()?.saturating_sub(before));
        // Those under way belong to it: the slow ones above all.
        while requests.join_next().await.is_some() {}
        let mut tally = tally.borrow().clone();
        tally.elapsed = elapsed;
        tally.cpu = cpu;
        Ok(tally)
    })
    .await
}
