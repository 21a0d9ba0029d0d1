//! One request after the other, so many of them: for answers so large that a clock would cut one in two.

use std::time::Instant;

use anyhow::Result;

use super::{Connection, Tally, Target, Work};
use crate::measure::Meter;

/// Makes the request once before anything counts, and then `count` times. Bytes are those of the answers, or of the
/// requests where those are larger.
pub(crate) async fn serial(target: Target, work: Work, count: usize, meter: Meter) -> Result<Tally> {
    super::apart(move || async move {
        let connection = Connection::open(&target).await?;
        connection.fetch(&work).await?;
        let mut tally = Tally::new();
        let (began, before) = (Instant::now(), meter.cpu()?);
        for _ in 0..count {
            match connection.fetch(&work).await {
                Ok((bytes, latency)) => tally.succeeded(bytes.max(work.body.len() as u64), latency),
                Err(error) => tally.failed(&error),
            }
        }
        tally.elapsed = began.elapsed();
        tally.cpu = meter.cpu()?.saturating_sub(before);
        Ok(tally)
    })
    .await
}
