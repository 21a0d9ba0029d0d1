use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[derive(Clone)]
enum Says {
    Addresses(Vec<u8>),
    Error(&'static str),
    After(Duration, Vec<u8>),
}

/// A DNS that says this in order, and its last word for ever, and counts how often it was asked.
fn dns(script: impl IntoIterator<Item = Says>) -> (Resolver, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let script = Mutex::new(script.into_iter().collect::<VecDeque<_>>());
    let resolver = Resolver::with_lookup(Handle::current(), move |_, port| {
        count.fetch_add(1, Ordering::Relaxed);
        let mut script = script.lock().unwrap();
        let says = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
        Box::pin(async move {
            match says.unwrap() {
                Says::Addresses(last) => Ok(addresses(&last, port)),
                Says::Error(text) => Err(io::Error::other(text)),
                Says::After(wait, last) => {
                    sleep(wait).await;
                    Ok(addresses(&last, port))
                }
            }
        })
    });
    (resolver, asked)
}

fn addresses(last: &[u8], port: u16) -> Vec<SocketAddr> {
    last.iter().map(|last| SocketAddr::from(([10, 0, 0, *last], port))).collect()
}

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn the_first_user_waits_for_the_first_answer_and_later_ones_do_not() {
    let (resolver, _) = dns([Says::After(Duration::from_secs(2), vec![1, 2])]);
    let host = resolver.addresses("a", 6443);
    assert!(host.current().is_empty() && host.failure().is_none());
    assert_eq!(*host.ready(SOON).await.unwrap(), *addresses(&[1, 2], 6443));
    assert_eq!(*resolver.addresses("a", 6443).current(), *addresses(&[1, 2], 6443));
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_at_its_deadline() {
    let (resolver, _) = dns([Says::After(Duration::from_secs(4), vec![1])]);
    let host = resolver.addresses("a", 1);
    let error = host.ready(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "host name a cannot be resolved: there is no answer yet");
    assert_eq!(host.ready(SOON).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn answers_are_refreshed_and_equal_ones_are_the_same() {
    let (resolver, asked) =
        dns([Says::Addresses(vec![1]), Says::Addresses(vec![1]), Says::Addresses(vec![2])]);
    let host = resolver.addresses("a", 1);
    let first = host.ready(SOON).await.unwrap();
    sleep(REFRESH.mul_f64(1.2)).await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert!(Arc::ptr_eq(&first, &host.current()));
    sleep(REFRESH.mul_f64(1.2)).await;
    assert_eq!(*host.current(), *addresses(&[2], 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_last_good_answer_and_can_be_read() {
    let (resolver, _) = dns([
        Says::Addresses(vec![1]),
        Says::Error("no such host"),
        Says::Addresses(vec![]),
        Says::Addresses(vec![2]),
    ]);
    let host = resolver.addresses("a", 1);
    host.ready(SOON).await.unwrap();
    for reason in ["no such host", "it has no addresses"] {
        while host.failure().is_none_or(|failure| failure.reason != reason) {
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(*host.ready(SOON).await.unwrap(), *addresses(&[1], 1));
    }
    while host.failure().is_some() {
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(*host.current(), *addresses(&[2], 1));
}

#[tokio::test(start_paused = true)]
async fn what_never_resolved_fails_at_once_and_is_tried_again() {
    let (resolver, _) = dns([Says::Error("no such host"), Says::Addresses(vec![1])]);
    let host = resolver.addresses("a", 1);
    let error = host.ready(SOON).await.unwrap_err();
    assert_eq!(error.to_string(), "host name a cannot be resolved: no such host");
    let began = tokio::time::Instant::now();
    assert!(host.ready(SOON).await.is_err());
    assert_eq!(began.elapsed(), Duration::ZERO);
    sleep(RETRY * 2).await;
    assert!(host.ready(SOON).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_hangs_is_said_in_time_and_not_asked_twice() {
    let (resolver, asked) = dns([Says::After(Duration::from_secs(60), vec![1])]);
    let host = resolver.addresses("a", 1);
    let began = tokio::time::Instant::now();
    let error = host.ready(SOON).await.unwrap_err();
    assert_eq!((error.reason.as_str(), began.elapsed()), ("no answer within 5 s", TIMEOUT));
    sleep(Duration::from_secs(50)).await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(host.current().len(), 1, "a late answer is an answer");
}

#[tokio::test(start_paused = true)]
async fn handles_of_one_name_share_one_task_which_ends_with_the_last_of_them() {
    let (resolver, asked) = dns([Says::Addresses(vec![1])]);
    let (one, other) = (resolver.addresses("a", 1), resolver.addresses("a", 1));
    one.ready(SOON).await.unwrap();
    drop(one);
    sleep(REFRESH.mul_f64(1.2)).await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(format!("{resolver:?}"), "Resolver { names: 1, .. }");
    drop(other);
    sleep(REFRESH * 10).await;
    assert_eq!(asked.load(Ordering::Relaxed), 2, "nobody wants to know any more");
    assert_eq!(format!("{resolver:?}"), "Resolver { names: 0, .. }");
    assert_eq!(resolver.addresses("a", 1).ready(SOON).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn lookups_that_hang_leave_the_number_of_threads_bounded() {
    let (resolver, asked) = dns([Says::After(Duration::from_secs(3_600), vec![1])]);
    let hosts: Vec<_> =
        (0..AT_ONCE + 10).map(|number| resolver.addresses(&format!("h{number}"), 1)).collect();
    for host in &hosts {
        assert!(host.ready(SOON).await.is_err());
    }
    assert_eq!(asked.load(Ordering::Relaxed), AT_ONCE);
}

#[tokio::test]
async fn the_systems_resolver_is_asked() {
    let host = Resolver::new(Handle::current()).addresses("localhost", 80);
    let current = host.ready(SOON).await.unwrap();
    assert!(current.iter().all(|address| address.ip().is_loopback() && address.port() == 80), "{current:?}");
}
