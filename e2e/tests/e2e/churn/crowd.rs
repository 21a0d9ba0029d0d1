//! Two hundred clients that never stop asking, and remember what should not have been answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::client::{Answer, H2, HttpsClient, bytes, empty};
use e2e::echo::Received;
use http::Request;
use tokio::task::JoinSet;

use crate::through::path;

/// How a cluster may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// It is always there: each request succeeds.
    Steady,
    /// It comes and goes, and is broken at times: 404 and 503 are right answers, another cluster's never.
    Passing,
}

/// Who answers for a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An echo, shown credentials that hold the cluster's name.
    Echo,
    /// A member, which has a name of its own.
    Member,
}

/// A cluster that is asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) promise: Promise,
    pub(super) kind: Kind,
}

/// The clients. They end when this is dropped.
pub(super) struct Crowd {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    succeeded: AtomicU64,
    refused: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Answers of the right cluster.
    pub(super) succeeded: u64,
    /// 404 and 503 of clusters that come and go.
    pub(super) refused: u64,
}

impl Crowd {
    /// `streams` clients on each of `connections` connections, each with a request every `pace`, of each of
    /// `servers`.
    pub(super) async fn start(
        servers: &[(HttpsClient, usize, usize)],
        clusters: &[Asked],
        pace: Duration,
    ) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut clients = JoinSet::new();
        for (server, connections, streams) in servers {
            for _ in 0..*connections {
                let connection = server.h2().await?;
                for _ in 0..*streams {
                    let client = Client {
                        number: clients.len(),
                        connection: connection.clone(),
                        clusters: clusters.to_vec(),
                        shared: Arc::clone(&shared),
                    };
                    clients.spawn(client.run(pace));
                }
            }
        }
        Ok(Self { shared, clients })
    }

    /// How many clients there are.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// So far.
    pub(super) fn tally(&self) -> Tally {
        Tally {
            succeeded: self.shared.succeeded.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
        }
    }

    /// Fails when an answer was wrong.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(
            wrong.is_empty(),
            "{} wrong answers, the first: {:#?}",
            wrong.len(),
            &wrong[..wrong.len().min(5)]
        );
        Ok(())
    }

    /// Lets the requests that run end, and judges.
    pub(super) async fn stop(mut self) -> Result<Tally> {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended?;
        }
        self.check()?;
        Ok(self.tally())
    }
}

struct Client {
    number: usize,
    connection: H2,
    clusters: Vec<Asked>,
    shared: Arc<Shared>,
}

impl Client {
    async fn run(self, pace: Duration) {
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for round in self.number.. {
            ticks.tick().await;
            if self.shared.stop.load(Ordering::Relaxed) {
                return;
            }
            let cluster = &self.clusters[round % self.clusters.len()];
            match self.ask(cluster, round).await {
                Ok(true) => self.shared.succeeded.fetch_add(1, Ordering::Relaxed),
                Ok(false) => self.shared.refused.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    let error = format!("client {} at {}: {error:#}", self.number, cluster.name);
                    self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(error);
                    continue;
                }
            };
        }
    }

    /// Whether the cluster answered; an error when the answer is not one that is promised.
    async fn ask(&self, cluster: &Asked, round: usize) -> Result<bool> {
        let target = match cluster.kind {
            Kind::Echo => format!("/of/{}/{}/{round}", cluster.name, self.number),
            Kind::Member => "/api/v1/namespaces/default/configmaps/whoami".to_owned(),
        };
        let path = path(&cluster.name, &target);
        // Every eighth one has a body.
        let body = vec![b'x'; 20_000];
        let request = match cluster.kind {
            Kind::Echo if round.is_multiple_of(8) => Request::post(path).body(bytes(body))?,
            _ => Request::get(path).body(empty())?,
        };
        let length = if request.method() == "POST" { 20_000 } else { 0 };
        let answer = self.connection.fetch(request).await?;
        match (answer.status, cluster.promise) {
            (200, _) => {}
            (404 | 503, Promise::Passing) => {
                let message = answer.json()?["message"].as_str().unwrap_or_default().to_owned();
                ensure!(message.contains(&format!("\"{}\"", cluster.name)), "whose {}?", answer.text());
                return Ok(false);
            }
            (status, _) => bail!("{status} {}", answer.text()),
        }
        match cluster.kind {
            Kind::Member => {
                let name = answer.json()?["data"]["name"].clone();
                ensure!(name == cluster.name.as_str(), "{name} answered");
            }
            Kind::Echo => {
                let owner = owner(&answer).with_context(|| answer.text())?;
                ensure!(owner == cluster.name, "the credential of {owner} was shown");
                let request = Received::parse(&answer.body)?;
                ensure!(request.target == target, "the answer to {}", request.target);
                ensure!(request.body_length == length, "{} bytes arrived", request.body_length);
            }
        }
        Ok(true)
    }
}

/// Whose credential the echo was shown: `NAME.GENERATION` is the certificate's user, or the token.
fn owner(answer: &Answer) -> Result<String> {
    let request = Received::parse(&answer.body)?;
    let tokens = request.header("authorization");
    let credential = match (&request.client, tokens.as_slice()) {
        (Some(client), []) => client.clone(),
        (None, [token]) => token.strip_prefix("Bearer ").context("another scheme")?.to_owned(),
        (client, tokens) => bail!("shown both {client:?} and {tokens:?}"),
    };
    let (name, _generation) = credential.rsplit_once('.').context("whose credential?")?;
    Ok(name.to_owned())
}
