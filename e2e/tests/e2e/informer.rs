//! client-go's watches by way of the hub and the gateway, while the connections of both hops are cut at random.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::lab::binaries::{INFORMER, program_async};
use e2e::lab::{
    ControlPlane, Exposure, Gateway, GatewayOptions, Login, Process, Program, Registration, rule, shared,
    until, user,
};
use e2e::relay::Relay;
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde::Deserialize;

/// How a run goes.
struct Run {
    name: &'static str,
    events: u32,
    duration: Duration,
    /// Between two cuts: at least this long, and at most ten times as long.
    pause: Duration,
    /// Connections of each hop that have to be cut, or the run says nothing.
    cuts: usize,
}

/// What the Go program reports; see its `report`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    written: u32,
    streamed: u32,
    observed: u32,
    objects: u32,
    watches: u32,
    problems: Vec<String>,
}

#[tokio::test]
async fn an_informer_misses_nothing_while_connections_are_cut() {
    let run = Run {
        name: "informer-short",
        events: 600,
        duration: Duration::from_secs(9),
        pause: Duration::from_millis(200),
        cuts: 3,
    };
    follow(run).await.unwrap();
}

#[tokio::test]
#[ignore = "long: ten minutes of changes, watched while connections are cut"]
async fn an_informer_misses_nothing_in_ten_minutes_of_cut_connections() {
    let run = Run {
        name: "informer-long",
        events: 12_000,
        duration: Duration::from_secs(610),
        pause: Duration::from_secs(2),
        cuts: 20,
    };
    follow(run).await.unwrap();
}

/// Changes objects of a member, watches them through hub and gateway, cuts, and looks at what arrived.
async fn follow(run: Run) -> Result<()> {
    let member = shared().await.member(1);
    let hub = shared().await.start_hub(run.name).await?;
    let gateway = Gateway::start(&hub, GatewayOptions::new(&hub, "clusters")).await?;
    let to_gateway = Relay::start(gateway.address())?;
    let to_member = Relay::start(([127, 0, 0, 1], member.port()).into())?;
    Registration::member("clusters", member)?
        .data("endpoint", format!("https://{}", to_member.address()))
        .apply(&hub.admin_client().await?)
        .await?;
    gateway.expose_at(&hub, Exposure::ExternalName, to_gateway.address().port()).await?;
    let process = start(&run, &hub, member).await?;
    until("the informer synced", Duration::from_secs(90), || async {
        ensure!(process.logs().contains("informer: synced"), "{}", process.log_tail(20));
        Ok(())
    })
    .await?;

    let mut dice = Dice::new();
    eprintln!("{}: seed {}", run.name, dice.0);
    let (mut at_gateway, mut at_member, mut turn) = (0, 0, 0_u32);
    let limit = Instant::now() + run.duration * 2 + Duration::from_secs(90);
    while process.exit().is_none() {
        ensure!(Instant::now() < limit, "it does not end:\n{}", process.log_tail(20));
        tokio::time::sleep(run.pause.mul_f64(1.0 + 9.0 * dice.roll())).await;
        // When is chance; one hop, the other, both, so that each has its share.
        turn += 1;
        if turn % 3 != 1 {
            at_gateway += to_gateway.cut();
        }
        if turn % 3 != 2 {
            at_member += to_member.cut();
        }
    }
    let status = process.exit();
    ensure!(status.is_some_and(|status| status.success()), "{status:?}:\n{}", process.log_tail(20));
    let report = process.logs().lines().rev().find_map(|line| serde_json::from_str::<Report>(line).ok());
    let report = report.with_context(|| format!("no report:\n{}", process.log_tail(20)))?;
    eprintln!(
        "{}: cut {at_gateway} connections before the gateway, {at_member} behind it; {} kB; {}",
        run.name,
        gateway.rss_kb()?,
        process.log_tail(1)
    );
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!((report.written, report.streamed), (run.events, run.events));
    assert!(report.objects > 0 && report.observed > report.objects && report.watches > 2, "{report:?}");
    assert!(at_gateway >= run.cuts && at_member >= run.cuts, "{at_gateway} and {at_member} cuts");
    Ok(())
}

/// Starts the Go program as a user of the hub who may only get.
async fn start(run: &Run, hub: &ControlPlane, member: &ControlPlane) -> Result<Process> {
    let proxy = rule("cluster.core.oam.dev", "clustergateways/proxy", &["get"]);
    let named = PolicyRule { resource_names: Some(vec![member.name().to_owned()]), ..proxy };
    hub.grant(run.name, user(run.name), vec![named]).await?;
    let kubeconfig = hub.write_kubeconfig(run.name, &Login::Certificate(hub.issue(run.name, &[])?))?;
    member.ensure_namespace(run.name).await?;
    let args = vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--server={}", hub.proxy_url(member.name())),
        format!("--direct={}", member.admin_kubeconfig().display()),
        format!("--namespace={}", run.name),
        format!("--events={}", run.events),
        format!("--duration={}s", run.duration.as_secs()),
    ];
    Process::start(Program {
        name: run.name.to_owned(),
        path: program_async(&INFORMER, "informer").await?,
        args,
        env: Vec::new(),
        folder: hub.folder().to_owned(),
    })
}

/// Chance that can be repeated: xorshift64.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        Self(RandomState::new().hash_one("informer") | 1)
    }

    /// From 0 to 1, less than 1.
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
