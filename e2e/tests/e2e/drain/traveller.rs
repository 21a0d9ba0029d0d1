//! Clients of two replicas that go to the other one when the one that they are at tells them to.
//!
//! They do what a hub's transport and every careful client does: a request that a server surely did not take up
//! (RFC 9113 section 8.7: a stream above GOAWAY's last one, or a refused one; RFC 9112 section 9.3.1: a kept-alive
//! connection that is closed without a byte of an answer) is sent again, everything else is not. A request that
//! the cluster has seen is never forgiven.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Error, Result, ensure};
use e2e::client::{Answer, H1, H2, HttpsClient};
use e2e::echo::Echo;
use e2e::lab::until;
use tokio::task::JoinSet;

use super::CLUSTER;
use crate::through::path;

/// Clients with an HTTP/2 connection of their own, those that share one, and those with one of HTTP/1.1.
const OWN_H2: usize = 10;
const SHARED_H2: usize = 30;
const H1S: usize = 20;
/// A request takes so long at the cluster: there are always some under way.
const AT_THE_CLUSTER: Duration = Duration::from_millis(100);

/// The clients.
pub(super) struct Travellers {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

/// What came of their requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// Answered as they should be.
    pub(super) served: Vec<usize>,
    /// Changes of replica.
    pub(super) moved: usize,
    /// Sent again, since no server had taken them up.
    pub(super) again: usize,
    /// All others.
    pub(super) failed: Vec<String>,
}

struct Shared {
    replicas: Vec<HttpsClient>,
    echo: Arc<Echo>,
    stop: AtomicBool,
    ledger: Mutex<Ledger>,
}

impl Travellers {
    pub(super) fn start(replicas: &[HttpsClient], echo: Arc<Echo>) -> Self {
        let count = OWN_H2 + SHARED_H2 + H1S;
        let ledger = Ledger { served: vec![0; count], ..Ledger::default() };
        let shared = Arc::new(Shared {
            replicas: replicas.to_vec(),
            echo,
            stop: AtomicBool::new(false),
            ledger: Mutex::new(ledger),
        });
        let mut clients = JoinSet::new();
        let hub_like = Arc::new(Line::new(0));
        for number in 0..count {
            let shared = Arc::clone(&shared);
            match number {
                0..SHARED_H2 => clients.spawn(over_h2(number, Arc::clone(&hub_like), shared)),
                _ if number < SHARED_H2 + OWN_H2 => {
                    clients.spawn(over_h2(number, Arc::new(Line::new(number)), shared))
                }
                _ => clients.spawn(over_h1(number, shared)),
            };
        }
        Self { shared, clients }
    }

    /// Waits until each client has had `more` answers more than in `since`.
    pub(super) async fn served(&self, more: usize, since: Ledger) -> Ledger {
        until("answers for each client", Duration::from_secs(60), || async {
            let ledger = self.ledger();
            for (client, served) in ledger.served.iter().enumerate() {
                let before = since.served.get(client).copied().unwrap_or_default();
                ensure!(*served >= before + more, "client {client} has had {served}: {ledger:?}");
            }
            Ok(ledger)
        })
        .await
        .unwrap()
    }

    /// Lets what runs end.
    pub(super) async fn stop(mut self) -> Ledger {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        self.ledger()
    }

    fn ledger(&self) -> Ledger {
        self.shared.ledger.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An HTTP/2 connection to one of the replicas, for one client or many.
struct Line {
    at: AtomicUsize,
    connection: tokio::sync::Mutex<Option<H2>>,
}

impl Line {
    fn new(at: usize) -> Self {
        Self { at: AtomicUsize::new(at), connection: tokio::sync::Mutex::new(None) }
    }

    /// The connection; a new one when that was told to go away, to the next replica that takes it.
    async fn connection(&self, shared: &Shared) -> H2 {
        let mut connection = self.connection.lock().await;
        if let Some(open) = connection.as_ref().filter(|open| !open.is_closed()) {
            return open.clone();
        }
        let moves = connection.is_some();
        loop {
            let at = self.at.fetch_add(usize::from(moves), Ordering::Relaxed) + usize::from(moves);
            match shared.replicas[at % shared.replicas.len()].h2().await {
                Ok(open) => {
                    shared.note(|ledger| ledger.moved += usize::from(moves));
                    *connection = Some(open.clone());
                    return open;
                }
                // It does not listen any more: the other one does.
                Err(_) => _ = self.at.fetch_add(1, Ordering::Relaxed),
            }
        }
    }
}

async fn over_h2(number: usize, line: Arc<Line>, shared: Arc<Shared>) {
    for round in 0.. {
        let target = target(number, round);
        loop {
            if shared.stop.load(Ordering::Relaxed) {
                return;
            }
            let connection = line.connection(&shared).await;
            match connection.get(&path(CLUSTER, &target)).await {
                Err(error) if was_not_taken_up(&error) && !shared.was_seen(&target) => {
                    shared.note(|ledger| ledger.again += 1);
                }
                result => {
                    shared.judge(number, &target, result);
                    break;
                }
            }
        }
    }
}

async fn over_h1(number: usize, shared: Arc<Shared>) {
    let mut at = number;
    let mut kept: Option<H1> = None;
    for round in 0.. {
        let target = target(number, round);
        loop {
            if shared.stop.load(Ordering::Relaxed) {
                return;
            }
            let reused = kept.take().filter(|connection| !connection.is_closed());
            let is_reused = reused.is_some();
            let mut connection = match reused {
                Some(connection) => connection,
                None => match shared.replicas[at % shared.replicas.len()].h1().await {
                    Ok(connection) => connection,
                    Err(_) => {
                        at += 1;
                        continue;
                    }
                },
            };
            match connection.get(&path(CLUSTER, &target)).await {
                Err(error) if is_reused && closed_without_an_answer(&error) && !shared.was_seen(&target) => {
                    shared.note(|ledger| ledger.again += 1);
                    at += 1;
                }
                result => {
                    let close =
                        result.as_ref().is_ok_and(|answer| answer.header("connection") == Some("close"));
                    shared.judge(number, &target, result);
                    if close || connection.is_closed() {
                        shared.note(|ledger| ledger.moved += 1);
                        at += 1;
                    } else {
                        kept = Some(connection);
                    }
                    break;
                }
            }
        }
    }
}

/// One that no other request has.
fn target(client: usize, round: usize) -> String {
    format!("/of/{client}/{round}?delay={}", AT_THE_CLUSTER.as_millis())
}

fn was_not_taken_up(error: &Error) -> bool {
    let by_hyper = error.chain().filter_map(|cause| cause.downcast_ref::<hyper::Error>());
    let by_h2 = error.chain().filter_map(|cause| cause.downcast_ref::<h2::Error>());
    by_hyper.into_iter().any(hyper::Error::is_canceled)
        || by_h2.into_iter().any(|error| {
            let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
            error.is_remote() && (refused || error.is_go_away())
        })
}

fn closed_without_an_answer(error: &Error) -> bool {
    let hyper = error.chain().find_map(|cause| cause.downcast_ref::<hyper::Error>());
    hyper.is_some_and(|error| error.is_canceled() || error.is_incomplete_message() || error.is_closed())
}

impl Shared {
    fn was_seen(&self, target: &str) -> bool {
        self.echo.last(target).is_some()
    }

    fn judge(&self, number: usize, target: &str, result: Result<Answer>) {
        self.note(|ledger| match result {
            Ok(answer) if answer.status == 200 && answer.text().contains(target) => {
                ledger.served[number] += 1
            }
            Ok(answer) => ledger.failed.push(format!("{target}: {} {}", answer.status, answer.text())),
            Err(error) => ledger.failed.push(format!("{target}: {error:?}")),
        });
    }

    fn note(&self, note: impl FnOnce(&mut Ledger)) {
        note(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
