//! Many exec sessions of client-go: short ones while the processor is busy, of which none may be torn, and idle ones,
//! which have to be alive after ten minutes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::lab::binaries::{STREAMS, program_async};
use e2e::lab::{Burners, Login, Process, Program, SHARED_NAMESPACE, leash::leash, shared, until};
use serde::Deserialize;

use super::place::{NAMESPACE, STAND_IN, USER, aimed, place, register, straight_to};
use crate::through::own_gateway;

/// What the Go program reports; see its `report`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    ok: usize,
    torn: usize,
    wrong_code: usize,
    errors: BTreeMap<String, usize>,
}

#[tokio::test]
async fn short_execs_under_load_are_whole_and_end_with_their_own_exit_codes() {
    under_load("execs-short", 300).await.unwrap();
}

#[tokio::test]
#[ignore = "long: 5,000 short execs over each protocol while the processor is busy"]
async fn none_of_five_thousand_short_execs_under_load_is_torn() {
    under_load("execs-long", 5000).await.unwrap();
}

#[tokio::test]
async fn idle_sessions_answer_when_they_are_used_again() {
    idle("streams-idle-short", 60, Duration::from_secs(3)).await.unwrap();
}

#[tokio::test]
#[ignore = "long: 500 exec sessions idle for ten minutes"]
async fn five_hundred_sessions_are_alive_after_ten_idle_minutes() {
    idle("streams-idle-long", 500, Duration::from_secs(600)).await.unwrap();
}

/// So many execs over each protocol through the hub, beside one busy process for each core.
async fn under_load(name: &str, count: usize) -> Result<()> {
    let place = place().await;
    register(&place.registered(SHARED_NAMESPACE, "streams")?).await?;
    aimed("streams").await?;
    let hub = shared().await.hub();
    let kubeconfig = hub.write_kubeconfig(USER, &Login::Certificate(hub.issue(USER, &[])?))?;
    let folder = tempfile::Builder::new().prefix("burners-").tempdir_in(leash()?.folder())?;
    let burners = Burners::start(folder.path())?;
    for protocol in ["websocket", "spdy"] {
        let began = Instant::now();
        let server = format!("--server={}", hub.proxy_url("streams"));
        let (spoken, number) = (format!("--protocol={protocol}"), format!("--count={count}"));
        let flags = ["execs", &server, &spoken, &number, "--parallel=16", "--limit=2m"];
        let process = start(name, &kubeconfig, &flags).await?;
        let limit = Duration::from_secs(120) + Duration::from_millis(500) * count as u32;
        let report = finish(&process, limit).await?;
        eprintln!(
            "{name}, {protocol}: {report:?} in {:?} beside {} burners",
            began.elapsed(),
            burners.count()
        );
        ensure!(report.ok == count, "{report:?}\n{}", process.log_tail(20));
        ensure!(report.torn == 0 && report.wrong_code == 0 && report.errors.is_empty(), "{report:?}");
    }
    Ok(())
}

/// So many sessions at once at a gateway of their own, idle for so long, then used; half of them over each protocol.
async fn idle(name: &str, count: usize, idle: Duration) -> Result<()> {
    let place = place().await;
    let gateway = own_gateway(name, &[]).await;
    let hub = shared().await.hub();
    place.registered(name, "streams")?.apply(&hub.admin_client().await?).await?;
    let kubeconfig = straight_to(&gateway, hub, "streams")?;
    // What the first sessions need once is not theirs alone.
    let warm = start(name, &kubeconfig, &["execs", "--count=20", "--parallel=10"]).await?;
    let report = finish(&warm, Duration::from_secs(60)).await?;
    ensure!(report.ok == 20, "{report:?}\n{}", warm.log_tail(20));
    let before = gateway.process().usage()?;
    let (half, pause) = (format!("--count={}", count / 2), format!("--for={}s", idle.as_secs()));
    let mut running = Vec::new();
    for protocol in ["websocket", "spdy"] {
        let process = format!("{name}-{protocol}");
        let protocol = format!("--protocol={protocol}");
        running
            .push(start(&process, &kubeconfig, &["idle", &half, &pause, &protocol, "--parallel=10"]).await?);
    }
    for process in &running {
        says(process, "streams: open", Duration::from_secs(180)).await?;
    }
    let open = gateway.process().usage()?;
    says(&running[0], "streams: using", idle + Duration::from_secs(180)).await?;
    let after = gateway.process().usage()?;
    let per_session =
        |usage: e2e::lab::usage::Usage| usage.rss_kb.saturating_sub(before.rss_kb) / count as u64;
    eprintln!(
        "{name}: {count} sessions idle for {idle:?}: {} kB each when open, {} kB at the end, {} descriptors",
        per_session(open),
        per_session(after),
        open.open_files - before.open_files,
    );
    for process in &running {
        let report = finish(process, Duration::from_secs(180)).await?;
        ensure!(report.ok == count / 2 && report.errors.is_empty(), "{report:?}\n{}", process.log_tail(20));
    }
    until("their descriptors closed", Duration::from_secs(60), || async {
        let now = gateway.process().usage()?.open_files;
        ensure!(now <= before.open_files + 4, "{now} are open, {} were", before.open_files);
        Ok(())
    })
    .await
}

async fn start(name: &str, kubeconfig: &Path, flags: &[&str]) -> Result<Process> {
    let folder = tempfile::Builder::new().prefix("streams-").tempdir_in(leash()?.folder())?.keep();
    let mut args: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
    args.extend([
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--namespace={NAMESPACE}"),
        format!("--pod={STAND_IN}"),
    ]);
    let path = program_async(&STREAMS, "streams").await?;
    Process::start(Program { name: name.to_owned(), path, args, env: Vec::new(), folder })
}

async fn says(process: &Process, line: &str, limit: Duration) -> Result<()> {
    until(line, limit, || async {
        let logs = process.logs();
        ensure!(logs.contains(line), "{}", process.log_tail(10));
        Ok(())
    })
    .await
}

async fn finish(process: &Process, limit: Duration) -> Result<Report> {
    let status = process.wait_exit(limit).await?;
    ensure!(status.success(), "{status}:\n{}", process.log_tail(20));
    let report = process.logs().lines().rev().find_map(|line| serde_json::from_str(line).ok());
    report.with_context(|| format!("no report:\n{}", process.log_tail(20)))
}
