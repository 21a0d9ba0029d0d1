//! What our own code takes for a proxied request: step by step, and all of it as the difference between a gateway and
//! a bare hop between the same caller and the same cluster. `make bench-instructions` counts instead of measuring.
//!
//! The budget is 2 µs for the difference. Nothing fails when it is passed: machines differ. What is allocated does not
//! differ, and is tested (`tests/allocations.rs`).

use criterion::{Criterion, criterion_group, criterion_main};
use hot_path::{Hop, Line, Stages};

/// Requests at a time, so that entering the event loop does not count.
const BATCH: usize = 100;

fn stages(criterion: &mut Criterion) {
    let mut stages = Stages::new();
    let mut group = criterion.benchmark_group("stage");
    for (name, step) in Stages::ALL {
        group.bench_function(name, |bencher| bencher.iter(|| step(&mut stages)));
    }
}

fn hops(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("{BATCH} requests"));
    for hop in [Hop::Bare, Hop::Gateway] {
        let mut line = Line::through(hop);
        group.bench_function(format!("{hop:?}"), |bencher| bencher.iter(|| line.ask(BATCH)));
    }
}

criterion_group!(benches, stages, hops);
criterion_main!(benches);
