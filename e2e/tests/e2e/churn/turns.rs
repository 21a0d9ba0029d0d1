//! Secrets are added, changed and removed under the eyes of a crowd.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::client::{H2, HttpsClient};
use e2e::echo::{Echo, EchoOptions};
use e2e::lab::{
    Authority, ControlPlane, Exposure, Gateway, GatewayOptions, Lab, Registration, shared, until,
};

use super::crowd::{Asked, Crowd, Kind, Promise};
use crate::through::{master, path, until_code};

/// Between two requests of one client: two hundred make some six hundred requests a second of it.
const PACE: Duration = Duration::from_millis(300);
/// How much memory may be more after all rounds than before them.
const GROWTH_KB: u64 = 5 * 1024;
/// Clusters of each sort.
const OF_A_SORT: usize = 4;

/// `changes` Secrets in each of `rounds`, and as many before the memory is looked at.
pub(super) async fn run(namespace: &str, changes: usize, rounds: usize) {
    let lab = shared().await;
    let hub = lab.start_hub(&format!("{namespace}-hub")).await.unwrap();
    let gateway = Gateway::start(&hub, GatewayOptions::new(&hub, namespace)).await.unwrap();
    gateway.expose(&hub, Exposure::ExternalName).await.unwrap();
    let mut turns = Turns::start(namespace, lab, &hub).await.unwrap();
    let probe = master(&gateway).h2().await.unwrap();
    for cluster in turns.asked().iter().filter(|cluster| cluster.promise == Promise::Steady) {
        until_code(&probe, &path(&cluster.name, "/version"), 200).await;
    }
    let through_hub = through_hub(&hub).unwrap();
    let servers = [(master(&gateway), 16, 10), (through_hub, 4, 10)];
    let crowd = Crowd::start(&servers, &turns.asked(), PACE).await.unwrap();
    assert_eq!(crowd.len(), 200);

    turns.make(changes, &crowd).await.unwrap();
    let before = turns.settled_memory(&gateway, None).await.unwrap();
    let began = Instant::now();
    for round in 1..=rounds {
        turns.make(changes, &crowd).await.unwrap();
        let now = gateway.rss_kb().unwrap();
        eprintln!(
            "{namespace}: after round {round} of {changes} changes {now} kB, {before} kB before the first"
        );
    }
    let after = turns.settled_memory(&gateway, Some(before)).await.unwrap();
    let took = began.elapsed();
    // The last generation of each is the one in force, and its connections are all that is left.
    turns.check_last_generations(&probe).await.unwrap();
    let tally = crowd.stop().await.unwrap();
    turns.check_connections().await.unwrap();
    eprintln!(
        "{namespace}: {} changes in {took:?} under {tally:?}; memory {before} kB before, {after} kB after",
        changes * rounds
    );
    assert!(tally.refused > 0, "no request met a cluster that was away");
}

/// A client of the hub, as an admin.
fn through_hub(hub: &ControlPlane) -> Result<HttpsClient> {
    let address = ([127, 0, 0, 1], hub.port()).into();
    HttpsClient::new(address, "127.0.0.1", &hub.ca_pem(), Some(&hub.admin()))
}

struct Turns<'a> {
    namespace: String,
    lab: &'a Lab,
    hub: kube::Client,
    people: Authority,
    echoes: [Echo; 2],
    /// Which turn it is.
    turn: usize,
}

impl<'a> Turns<'a> {
    async fn start(namespace: &str, lab: &'a Lab, hub: &ControlPlane) -> Result<Self> {
        let people = Authority::new("people")?;
        let echo = |name: &str| {
            let options = EchoOptions::default().named(name).client_ca(people.pem()).client_optional();
            Echo::start(options.streams(100))
        };
        let echoes = [echo("left")?, echo("right")?];
        let turns = Self {
            namespace: namespace.to_owned(),
            lab,
            hub: hub.admin_client().await?,
            people,
            echoes,
            turn: 0,
        };
        for number in 0..OF_A_SORT {
            turns.by_certificate(&format!("still-{number}"), 0)?.apply(&turns.hub).await?;
            turns.by_certificate(&format!("turning-{number}"), 0)?.apply(&turns.hub).await?;
        }
        for member in lab.members() {
            Registration::member(namespace, member)?.apply(&turns.hub).await?;
        }
        Ok(turns)
    }

    /// All clusters that are ever there.
    fn asked(&self) -> Vec<Asked> {
        let echo = |name: String, promise| Asked { name, promise, kind: Kind::Echo };
        let mut asked = Vec::new();
        for number in 0..OF_A_SORT {
            asked.push(echo(format!("still-{number}"), Promise::Steady));
            asked.push(echo(format!("turning-{number}"), Promise::Steady));
            asked.push(echo(format!("passing-{number}"), Promise::Passing));
        }
        let member = |member: &ControlPlane| Asked {
            name: member.name().to_owned(),
            promise: Promise::Steady,
            kind: Kind::Member,
        };
        asked.extend(self.lab.members().iter().map(member));
        asked
    }

    /// So many changes, one after the other; none is left of the clusters that come and go.
    async fn make(&mut self, changes: usize, crowd: &Crowd) -> Result<()> {
        let before = crowd.tally();
        for _ in 0..changes {
            self.turn += 1;
            self.change().await.with_context(|| format!("change {}", self.turn))?;
            crowd.check()?;
        }
        for number in 0..OF_A_SORT {
            self.remove(&format!("passing-{number}")).await?;
        }
        // Writing may be quicker than asking: each client is to have seen some of it.
        until("requests of each client", Duration::from_secs(60), || async {
            let done = crowd.tally().succeeded - before.succeeded;
            ensure!(done >= crowd.len() as u64, "{done} requests");
            Ok(())
        })
        .await?;
        crowd.check()
    }

    /// Six kinds of changes, in turn.
    async fn change(&self) -> Result<()> {
        let (turn, number) = (self.turn, self.turn / 6 % OF_A_SORT);
        let (turning, passing) = (format!("turning-{number}"), format!("passing-{number}"));
        match turn % 6 {
            0 => self.by_certificate(&turning, turn)?.apply(&self.hub).await,
            1 => self.by_certificate(&passing, turn)?.apply(&self.hub).await,
            2 => self.by_token(&turning, turn).apply(&self.hub).await,
            // The same access in other words: it need not even be a new generation.
            3 => {
                let member = self.lab.member(number % self.lab.members().len());
                Registration::member(&self.namespace, member)?
                    .annotation("turn", &turn.to_string())
                    .apply(&self.hub)
                    .await
            }
            4 => {
                let broken = self.by_certificate(&format!("passing-{}", (number + 1) % OF_A_SORT), turn)?;
                broken.data("tls.key", "no key").apply(&self.hub).await
            }
            _ => self.remove(&passing).await,
        }
    }

    /// One that is not there is fine: a round may have ended in between.
    async fn remove(&self, name: &str) -> Result<()> {
        match self.by_certificate(name, self.turn)?.delete(&self.hub).await {
            Err(error) if !format!("{error:#}").contains("not found") => Err(error),
            _ => Ok(()),
        }
    }

    fn by_certificate(&self, name: &str, generation: usize) -> Result<Registration> {
        let identity = self.people.client(&format!("{name}.{generation}"), &[])?;
        let echo = &self.echoes[generation / 2 % 2];
        Ok(Registration::x509(&self.namespace, name, &echo.url(), echo.ca_pem(), &identity))
    }

    fn by_token(&self, name: &str, generation: usize) -> Registration {
        let echo = &self.echoes[(generation / 2 + 1) % 2];
        let token = format!("{name}.{generation}");
        Registration::token(&self.namespace, name, &echo.url(), echo.ca_pem(), &token)
    }

    /// The memory once what belonged to old generations has gone; with `limit`, waits for it to be no more than
    /// that and [`GROWTH_KB`].
    async fn settled_memory(&self, gateway: &Gateway, limit: Option<u64>) -> Result<u64> {
        self.check_connections().await?;
        let Some(before) = limit else { return gateway.rss_kb() };
        until("no more memory than before", Duration::from_secs(20), || async {
            let now = gateway.rss_kb()?;
            ensure!(now <= before + GROWTH_KB, "{now} kB, {before} kB before");
            Ok(now)
        })
        .await
    }

    /// No more connections than the clusters that are there need: the old generations' are closed.
    async fn check_connections(&self) -> Result<()> {
        let workers = std::thread::available_parallelism()?.get();
        let most = (2 * OF_A_SORT * workers) as u64;
        until("old connections to end", Duration::from_secs(30), || async {
            let live: u64 = self.echoes.iter().map(Echo::live).sum();
            ensure!(live <= most, "{live} connections of {} clusters", 2 * OF_A_SORT);
            Ok(())
        })
        .await
    }

    /// Each turning cluster is shown its last credential.
    async fn check_last_generations(&self, probe: &H2) -> Result<()> {
        for number in 0..OF_A_SORT {
            let name = format!("turning-{number}");
            let turned = |turn: &usize| turn / 6 % OF_A_SORT == number && matches!(turn % 6, 0 | 2);
            let last = (1..=self.turn).rev().find(turned).context("it was never turned")?;
            let expected = format!("{name}.{last}");
            until(&format!("{expected} in force"), Duration::from_secs(30), || async {
                let answer = probe.get(&path(&name, "/last")).await?;
                ensure!(answer.text().contains(&expected), "{}", answer.text());
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}
