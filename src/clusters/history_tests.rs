use super::*;

fn event(version: u64) -> Event {
    Event::new(version, None, None)
}

fn versions(history: &History, position: Position) -> Vec<u64> {
    history.next(position, usize::MAX).unwrap().iter().map(|event| event.version).collect()
}

fn listed(version: u64) -> (History, Instant) {
    let mut history = History::default();
    history.reset(version);
    (history, Instant::now())
}

#[test]
fn one_goes_on_from_any_version_since_the_list() {
    let (mut history, now) = listed(10);
    history.push(vec![event(12), event(15)], 20, now);
    assert_eq!(history.since(9), Err(Expired { asked: 9, oldest: 10 }));
    assert_eq!(history.since(9).unwrap_err().to_string(), "too old resource version: 9 (10)");
    for (since, after) in [(10, &[12, 15][..]), (12, &[15]), (13, &[15]), (15, &[]), (20, &[]), (99, &[])] {
        assert_eq!(versions(&history, history.since(since).unwrap()), after, "{since}");
    }
}

#[test]
fn what_time_has_made_is_told_to_all_who_may_not_know() {
    let (mut history, now) = listed(10);
    history.push(vec![event(12).without_own_version(), event(13)], 13, now);
    assert_eq!(versions(&history, history.since(12).unwrap()), [12, 13]);
    assert_eq!(versions(&history, history.since(13).unwrap()), Vec::<u64>::new());
}

#[test]
fn a_list_without_differences_stops_nobody_but_those_who_know_more() {
    let (mut history, now) = listed(10);
    history.push(vec![event(12)], 12, now);
    let position = history.end();
    history.skip(20);
    history.push(vec![event(22)], 22, now);
    assert_eq!(versions(&history, position), [22]);
    assert_eq!(versions(&history, history.since(12).unwrap()), [22]);
    assert_eq!(history.since(15), Err(Expired { asked: 15, oldest: 20 }));
    assert_eq!(versions(&history, history.since(20).unwrap()), [22]);
}

#[test]
fn a_new_list_ends_every_watch() {
    let (mut history, now) = listed(10);
    history.push(vec![event(12)], 12, now);
    let positions = [history.since(10).unwrap(), history.end()];
    history.reset(5);
    for position in positions {
        assert_eq!(history.next(position, 1).unwrap_err(), Lost);
    }
    assert_eq!(history.since(4), Err(Expired { asked: 4, oldest: 5 }));
    assert_eq!((history.version(), versions(&history, history.since(5).unwrap())), (5, vec![]));
}

#[test]
fn the_past_is_bounded_by_number_and_by_age() {
    let (mut history, now) = listed(1);
    let slow = history.end();
    history.push((2..2 + MOST as u64 + 100).map(event).collect(), 99_999, now);
    assert_eq!(history.events.len(), MOST);
    assert_eq!(history.next(slow, 1).unwrap_err(), Lost, "the slow reader is left behind");
    assert_eq!(history.since(100), Err(Expired { asked: 100, oldest: 101 }));
    assert_eq!(history.since(101).map(|position| versions(&history, position).len()), Ok(MOST));
    history.push(vec![event(100_000)], 100_000, now + FRESH + Duration::from_secs(1));
    assert_eq!(history.events.len(), LEAST, "what is old is forgotten, but not all of it");
}

#[test]
fn what_an_event_looks_like_is_written_once_and_not_kept_for_ever() {
    let (mut history, now) = listed(1);
    history.push(vec![event(2)], 2, now);
    let seen = history.next(history.since(1).unwrap(), 1).unwrap().remove(0);
    let mut made = 0;
    for _ in 0..3 {
        seen.rendered(7, || {
            made += 1;
            Bytes::from_static(b"x")
        });
    }
    assert_eq!(made, 1);
    assert_eq!(seen.rendered(8, || Bytes::from_static(b"y")), "y");
    history.push((3..3 + RENDERED as u64).map(event).collect(), 9_999, now);
    assert_eq!(seen.rendered(7, || Bytes::from_static(b"z")), "z", "it was kept");
    assert!(seen.rendered.lock().is_none());
}
