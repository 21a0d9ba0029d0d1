use std::time::{Duration, Instant};

use rand::Rng as _;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Arrivals of a Poisson process (as of many clients that know nothing of each other), so many a second, from one
/// moment to another. Each is the moment at which its request is due, whether or not anybody was there to send it.
/// The rate rises over `rise`, as load does: a proxy that was cold would first make hundreds of connections.
///
/// On a thread that sleeps, since the timer of the event loop knows milliseconds only: arrivals are told some 60 µs
/// late, which is in the latency of everybody. It does not wait busily: on two cores that would be half of the machine.
pub(super) fn arrivals(
    rate: f64,
    rise: Duration,
    (began, end): (Instant, Instant),
) -> std::io::Result<UnboundedReceiver<Instant>> {
    let (due, queue) = unbounded_channel();
    std::thread::Builder::new().name("pacer".to_owned()).spawn(move || {
        let mut random = rand::rng();
        let mut at = began;
        while at < end {
            let left = at.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                std::thread::sleep(left);
            }
            if due.send(at).is_err() {
                return;
            }
            let risen = (at - began).as_secs_f64() / rise.as_secs_f64().max(1e-9);
            // Exponential gaps; 1 - x is never zero.
            let gap = -(1.0 - random.random::<f64>()).ln() / (rate * risen.clamp(0.1, 1.0));
            at += Duration::from_secs_f64(gap);
        }
    })?;
    Ok(queue)
}
