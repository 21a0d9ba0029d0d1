use super::*;

/// How many of a thousand streams each of the workers serves.
fn served(spill: &mut Spill, workers: usize) -> Vec<usize> {
    let mut served = vec![0; workers];
    for _ in 0..1000 {
        served[spill.next().unwrap_or(spill.own)] += 1;
    }
    served
}

fn look(spill: &mut Spill, used: f32, others: &[f32]) {
    spill.adapt(used, EVERY, |index| others[index]);
}

/// Workers of callers who each wait for their answer: what there would be to do, in cores, for the first one's
/// connections and for their requests, and what the others have to do of their own.
struct Load {
    connections: f32,
    requests: f32,
    others: Vec<f32>,
}

impl Load {
    /// How much of the load is carried, and what each worker uses, while the first one passes on these parts: whoever
    /// cannot do more holds up everything.
    fn carried(&self, parts: &[f32]) -> (f32, Vec<f32>) {
        let passed: f32 = parts.iter().sum();
        let first = self.connections + self.requests * (1.0 - passed);
        let room = |own: &f32, part: &f32| (1.0 - own) / (self.requests * part).max(f32::EPSILON);
        let others = || self.others.iter().zip(&parts[1..]);
        let carried = others().map(|(own, part)| room(own, part)).fold(1.0_f32.min(1.0 / first), f32::min);
        let used = others().map(|(own, part)| own + carried * self.requests * part);
        (carried, std::iter::once(carried * first).chain(used).collect())
    }

    /// The parts that were passed on after each of so many looks.
    fn run(&self, spill: &mut Spill, looks: usize) -> Vec<f32> {
        let mut totals = Vec::new();
        for _ in 0..looks {
            let (_, used) = self.carried(&spill.parts);
            look(spill, used[0], &used);
            totals.push(spill.total);
        }
        totals
    }
}

#[test]
fn a_worker_that_does_not_use_its_whole_core_keeps_every_stream() {
    let mut spill = Spill::new(0, 2);
    for used in [0.0, 0.3, 0.6, 0.89] {
        look(&mut spill, used, &[used, 0.0]);
        assert_eq!(served(&mut spill, 2), [1000, 0], "{used}");
    }
}

#[test]
fn a_saturated_worker_keeps_every_stream_when_no_other_has_less_to_do() {
    let mut spill = Spill::new(1, 3);
    for _ in 0..100 {
        look(&mut spill, 1.0, &[1.0, 1.0, 0.95]);
    }
    assert_eq!(served(&mut spill, 3), [0, 1000, 0]);
}

#[test]
fn what_a_saturated_worker_passes_on_is_in_proportion_to_the_difference() {
    let mut spill = Spill::new(1, 4);
    look(&mut spill, 1.0, &[0.2, 1.0, 0.6, 1.0]);
    let served = served(&mut spill, 4);
    assert_eq!(served[3], 0);
    assert!(served[0].abs_diff(2 * served[2]) <= 2, "{served:?}");
    assert!((100..=200).contains(&(served[0] + served[2])), "a part at first: {served:?}");
}

#[test]
fn parts_are_spread_evenly_over_time() {
    let mut spill = Spill::new(0, 2);
    look(&mut spill, 1.0, &[1.0, 0.0]);
    let passed: Vec<bool> = (0..40).map(|_| spill.next().is_some()).collect();
    let mut quarters = passed.chunks(4).map(|four| four.iter().filter(|passed| **passed).count());
    assert!(quarters.all(|passed| passed == 1), "{passed:?}");
}

#[test]
fn one_connection_that_needs_more_than_a_core_gets_it_and_then_nothing_swings() {
    // Needs a core and a half; needs more than there is; most of it for the connection itself; eight workers.
    for (connections, requests, others, at_least) in [
        (0.4, 1.1, vec![0.0], 1.0),
        (0.8, 2.0, vec![0.0], 0.65),
        (0.85, 0.5, vec![0.3], 1.0),
        (0.5, 4.0, vec![0.0; 7], 1.0),
        (1.5, 4.0, vec![0.0; 7], 0.6),
    ] {
        let load = Load { connections, requests, others };
        let mut spill = Spill::new(0, load.others.len() + 1);
        let totals = load.run(&mut spill, 60);
        let (carried, used) = load.carried(&spill.parts);
        assert!(carried >= at_least, "{carried} of the load is carried by {used:?}, {totals:?}");
        let late = &totals[40..];
        let (least, most) = late.iter().fold((f32::MAX, 0.0_f32), |(a, b), x| (a.min(*x), b.max(*x)));
        assert!(most - least < 0.1, "it swings: {totals:?}");
    }
}

#[test]
fn a_worker_gets_fewer_when_it_has_more_to_do_itself() {
    let mut load = Load { connections: 0.3, requests: 1.0, others: vec![0.0, 0.0] };
    let mut spill = Spill::new(0, 3);
    load.run(&mut spill, 40);
    let before = spill.parts.clone();
    load.others[0] = 0.95;
    load.run(&mut spill, 40);
    let (carried, used) = load.carried(&spill.parts);
    assert!(spill.parts[1] < before[1] / 2.0, "{before:?} became {:?}", spill.parts);
    assert!(carried > 0.95, "{carried} of the load is carried by {used:?}");
}

#[test]
fn everything_is_local_again_when_it_is_calm_and_at_once_after_a_pause() {
    let load = Load { connections: 0.4, requests: 1.0, others: vec![0.0] };
    let mut spill = Spill::new(0, 2);
    load.run(&mut spill, 40);
    assert!(spill.total > 0.2);
    let calm = Load { connections: 0.1, requests: 0.2, others: vec![0.0] };
    calm.run(&mut spill, 20);
    assert_eq!(served(&mut spill, 2), [1000, 0]);

    load.run(&mut spill, 40);
    assert!(spill.total > 0.2);
    spill.adapt(0.01, Duration::from_secs(5), |_| 0.0);
    assert_eq!(served(&mut spill, 2), [1000, 0]);
}

#[test]
fn cores_that_others_use_are_no_reason_to_pass_streams_on() {
    // Two thirds of a core is all that the system gives: as much as there is to do, and no worker is saturated.
    let mut spill = Spill::new(0, 2);
    for _ in 0..100 {
        look(&mut spill, 0.66, &[0.66, 0.0]);
        assert_eq!(spill.next(), None);
    }
}
