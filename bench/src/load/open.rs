//! An open loop: requests come when they are due, answered or not, and latency counts from when they were due. So a
//! server that stalls for a second shows a second to all that came meanwhile (no coordinated omission).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use futures::future::try_join_all;

use super::pacer::arrivals;
use super::{Connection, Tally, Target, Work};
use crate::measure::Meter;

/// Requests under way beyond which new ones fail: what is further behind than this is not coming back.
const UNDER_WAY: usize = 20_000;
/// How long those under way at the end are waited for. Whatever is further behind is hopelessly so, and a slow
/// contender must not take the time of the others.
const GRACE: Duration = Duration::from_millis(500);

/// Its shape, rate and length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// HTTP/2 connections, taken in turn.
    pub(crate) connections: usize,
    /// Requests a second.
    pub(crate) rate: f64,
    /// Before anything counts; the rate rises meanwhile.
    pub(crate) warm: Duration,
    /// What counts.
    pub(crate) span: Duration,
}

/// Loads a target; processor time is that of the meter's processes while it counts. The rate is that of the answers
/// that came before the end; the latencies are those of all that were due, also of those that came late or were given
/// up.
pub(crate) async fn open(target: Target, work: Work, shape: Open, meter: Meter) -> Result<Tally> {
    super::apart(move || async move {
        let connections = (0..shape.connections).map(|_| Connection::open(&target));
        let connections: Vec<Rc<Connection>> =
            try_join_all(connections).await?.into_iter().map(Rc::new).collect();
        let tally = Rc::new(RefCell::new(Tally::new()));
        let work = Rc::new(work);
        let began = Instant::now();
        let (counts, end) = (began + shape.warm, began + shape.warm + shape.span);
        let mut due = arrivals(shape.rate, shape.warm, (began, end))?;
        let mut requests = tokio::task::JoinSet::new();
        let mut start = None;
        let mut turn = connections.iter().cycle();
        while let Some(at) = due.recv().await {
            let counted = at >= counts;
            if counted {
                if start.is_none() {
                    start = Some((Instant::now(), meter.cpu()?));
                }
                tally.borrow_mut().offered += 1;
            }
            while requests.try_join_next().is_some() {}
            if requests.len() >= UNDER_WAY {
                if counted {
                    tally.borrow_mut().failed(&anyhow!("{UNDER_WAY} requests were under way already"));
                }
                continue;
            }
            let Some(connection) = turn.next().map(Rc::clone) else { break };
            let (work, tally) = (Rc::clone(&work), Rc::clone(&tally));
            requests.spawn_local(async move {
                let patience = (end + GRACE).into();
                let fetched = tokio::time::timeout_at(patience, connection.fetch(&work)).await;
                if counted {
                    record(&mut tally.borrow_mut(), fetched.ok(), at, end);
                }
            });
        }
        let (began, before) = start.unwrap_or((Instant::now(), Duration::ZERO));
        let (elapsed, cpu) = (began.elapsed(), meter.cpu()?.saturating_sub(before));
        // The slow ones above all belong to it.
        while requests.join_next().await.is_some() {}
        let mut tally = tally.borrow().clone();
        tally.elapsed = elapsed;
        tally.cpu = cpu;
        Ok(tally)
    })
    .await
}

/// What became of a request that was due at a moment of a load that ended at another; `None` when it was given up.
fn record(tally: &mut Tally, fetched: Option<Result<(u64, Duration)>>, at: Instant, end: Instant) {
    let now = Instant::now();
    match fetched {
        Some(Ok((bytes, _))) if now <= end => tally.succeeded(bytes, now - at),
        Some(Ok(_)) => tally.took(now - at),
        Some(Err(error)) => tally.failed(&error),
        None => {
            tally.took(now - at);
            tally.failed(&anyhow!("no answer {GRACE:?} after the end"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_before_the_end_are_in_the_rate_and_all_in_the_latencies() {
        let now = Instant::now();
        let (past, future) = (now - Duration::from_millis(5), now + Duration::from_secs(60));
        let mut tally = Tally::new();
        record(&mut tally, Some(Ok((7, Duration::ZERO))), past, future);
        record(&mut tally, Some(Ok((7, Duration::ZERO))), past, past);
        record(&mut tally, None, past, past);
        record(&mut tally, Some(Err(anyhow!("broken"))), past, future);
        assert_eq!((tally.requests, tally.bytes, tally.failed_requests()), (1, 7, 2));
        assert_eq!(tally.latencies.len(), 3);
        // From when it was due, whatever the fetch itself says.
        assert!(tally.percentile(0.0) >= 4.9, "{}", tally.percentile(0.0));
    }
}
