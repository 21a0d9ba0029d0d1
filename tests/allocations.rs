//! What a proxied request allocates of ours.

use allocation_counter::measure;
use hot_path::{Hop, Line};

const REQUESTS: usize = 1000;
/// Of our own code, per proxied request.
const BUDGET: f64 = 10.0;

/// Everything that one thread allocates for the caller, the hop and the cluster, per request: how often, and bytes.
fn allocations(hop: Hop) -> (f64, f64) {
    let mut line = Line::through(hop);
    let seen = measure(|| line.ask(REQUESTS));
    (seen.count_total as f64 / REQUESTS as f64, seen.bytes_total as f64 / REQUESTS as f64)
}

#[test]
fn a_proxied_request_stays_within_the_budget_of_allocations() {
    let ((bare, bare_bytes), (gateway, bytes)) = (allocations(Hop::Bare), allocations(Hop::Gateway));
    let ours = gateway - bare;
    println!(
        "{gateway:.2} allocations, {bare:.2} of them not ours: {ours:.2}, {:.0} bytes",
        bytes - bare_bytes
    );
    // One that does nothing would stay within it as well.
    assert!(bare > 1.0 && ours > 1.0, "{gateway:.2}, {bare:.2} of them not ours");
    assert!(ours <= BUDGET, "{ours:.2} of {gateway:.2} allocations are ours; {BUDGET} may be");
}
