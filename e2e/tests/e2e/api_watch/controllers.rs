//! What Go controllers are made of, while Secrets change and the gateway goes and comes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::lab::binaries::{API, program_async};
use e2e::lab::{ControlPlane, Gateway, Login, Process, Program, rule, until, user};
use serde::Deserialize;

use super::{NAMESPACE, behind_a_hub};

/// How a run goes.
struct Run {
    name: &'static str,
    events: u32,
    objects: u32,
    duration: Duration,
    /// How often the gateway is started anew, each time in another way.
    restarts: u32,
}

/// What the Go program reports; see its `report`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    written: u32,
    objects: u32,
    streamed: u32,
    relisted: u32,
    observed: u32,
    problems: Vec<String>,
}

#[tokio::test]
async fn controllers_miss_nothing_while_the_gateway_is_restarted() {
    let run = Run {
        name: "api-watch-short",
        events: 300,
        objects: 12,
        duration: Duration::from_secs(15),
        restarts: 2,
    };
    follow(run).await.unwrap();
}

#[tokio::test]
#[ignore = "long: five minutes of changes, watched while the gateway is restarted"]
async fn controllers_miss_nothing_in_five_minutes_of_restarts() {
    let run = Run {
        name: "api-watch-long",
        events: 6_000,
        objects: 60,
        duration: Duration::from_secs(300),
        restarts: 20,
    };
    follow(run).await.unwrap();
}

async fn follow(run: Run) -> Result<()> {
    let (hub, gateway) = behind_a_hub(run.name).await?;
    hub.ensure_namespace(NAMESPACE).await?;
    let process = start(&run, &hub).await?;
    until("the readers synced", Duration::from_secs(60), || async {
        ensure!(process.logs().contains("api: synced"), "{}", process.log_tail(20));
        Ok(())
    })
    .await?;
    let pause = run.duration / (run.restarts + 1);
    for number in 0..run.restarts {
        tokio::time::sleep(pause).await;
        restart(&gateway, number % 2 == 0).await?;
    }
    let limit = Instant::now() + run.duration * 2 + Duration::from_secs(120);
    while process.exit().is_none() {
        ensure!(Instant::now() < limit, "it does not end:\n{}", process.log_tail(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let status = process.exit();
    ensure!(status.is_some_and(|status| status.success()), "{status:?}:\n{}", process.log_tail(20));
    let report = process.logs().lines().rev().find_map(|line| serde_json::from_str::<Report>(line).ok());
    let report = report.with_context(|| format!("no report:\n{}", process.log_tail(20)))?;
    eprintln!("{}: {} kB; {}", run.name, gateway.rss_kb()?, process.log_tail(1));
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.written, run.events);
    assert!(report.objects > 0 && report.observed > 0 && report.streamed > 0, "{report:?}");
    assert!(
        report.relisted <= 2 * run.restarts,
        "listed more often than the gateway was restarted: {report:?}"
    );
    Ok(())
}

/// In order, or as a node's end would.
async fn restart(gateway: &Gateway, orderly: bool) -> Result<()> {
    match orderly {
        true => ensure!(gateway.stop(Duration::from_secs(30)).await?.success(), "{}", gateway.logs()),
        false => {
            gateway.kill()?;
            gateway.process().wait_exit(Duration::from_secs(10)).await?;
        }
    }
    gateway.start_again().await
}

/// Starts the Go program as a user of the hub who may only read the two resources.
async fn start(run: &Run, hub: &ControlPlane) -> Result<Process> {
    let verbs = &["get", "list", "watch"];
    let rules = ["clustergateways", "virtualclusters"].map(|name| rule("cluster.core.oam.dev", name, verbs));
    hub.grant(run.name, user(run.name), rules.into()).await?;
    let kubeconfig = hub.write_kubeconfig(run.name, &Login::Certificate(hub.issue(run.name, &[])?))?;
    let args = vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--direct={}", hub.admin_kubeconfig().display()),
        format!("--namespace={NAMESPACE}"),
        format!("--events={}", run.events),
        format!("--objects={}", run.objects),
        format!("--duration={}s", run.duration.as_secs()),
    ];
    Process::start(Program {
        name: run.name.to_owned(),
        path: program_async(&API, "api").await?,
        args,
        env: Vec::new(),
        folder: hub.folder().to_owned(),
    })
}
