//! What kubectl makes of a stream that ends before its time: with its cluster, with its gateway, or at the limit.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::lab::{Gateway, Kubectl, Process, Protocol, Registration, Terminal, shared, until};

use super::place::{NAMESPACE, STAND_IN, place, straight_to};
use crate::through::{master, own_gateway};

const SOON: Duration = Duration::from_secs(30);
const PROTOCOLS: [(&str, Protocol); 2] = [("spdy", Protocol::Spdy), ("websocket", Protocol::WebSocket)];
const SHELL: [&str; 6] = ["exec", STAND_IN, "--", "sh", "-c", "echo it runs; sleep 3600"];

#[tokio::test]
async fn shells_end_with_their_cluster_and_kubectl_says_that_they_were_cut_short() {
    let (gateway, cluster, kubectl) = own("streams-removed", &[]).await;
    let shells = shells(&kubectl, "removed").await.unwrap();
    assert_eq!(streams(&gateway).await, Some(2.0));
    cluster.delete(&shared().await.hub().admin_client().await.unwrap()).await.unwrap();
    all_end(shells, "the cluster was removed").await;
}

#[tokio::test]
async fn a_shell_is_served_while_the_gateway_drains_and_told_when_time_is_up() {
    let flags = ["--shutdown-delay-duration=0s", "--drain-timeout=6s"];
    let (gateway, _cluster, kubectl) = own("streams-drained", &flags).await;
    let shells = shells(&kubectl, "drained").await.unwrap();
    let program = kubectl.program("drained", &["exec", "-it", STAND_IN, "--", "sh"]).await.unwrap();
    let mut terminal = Terminal::start(&program, 80, 24).unwrap();
    terminal.input("echo $((6 * 7)) before\n").unwrap();
    terminal.shows("42 before", SOON).await.unwrap();
    gateway.sigterm().unwrap();
    until("the drain", SOON, || async {
        ensure!(gateway.logs().contains("drain"), "{}", gateway.process().log_tail(5));
        Ok(())
    })
    .await
    .unwrap();
    terminal.input("echo $((6 * 7)) meanwhile; exit 3\n").unwrap();
    terminal.shows("42 meanwhile", SOON).await.unwrap();
    assert_eq!(terminal.wait_exit(SOON).await.unwrap().code(), Some(3), "{}", terminal.screen());
    all_end(shells, "the gateway is shutting down").await;
    assert_eq!(gateway.wait_exit(SOON).await.unwrap(), 0, "{}", gateway.process().log_tail(9));
}

#[tokio::test]
async fn kubectl_is_told_that_there_are_too_many_streams() {
    let (gateway, _cluster, kubectl) =
        own("streams-limited-to-two", &["--max-upgraded-streams-per-cluster=2"]).await;
    let shells = shells(&kubectl, "limited").await.unwrap();
    for (name, protocol) in PROTOCOLS {
        let output = kubectl.clone().protocol(protocol).run(&["exec", STAND_IN, "--", "true"]).await.unwrap();
        let messages = output.messages();
        assert!(!output.success() && messages.contains("max-upgraded-streams"), "{name}: {output:?}");
    }
    drop(shells);
    until("room", SOON, || kubectl.ok(&["exec", STAND_IN, "--", "true"])).await.unwrap();
    until("no stream", SOON, || async {
        let open = streams(&gateway).await;
        ensure!(open == Some(0.0), "{open:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// A gateway of its own with the member as cluster `streams`, and kubectl straight to it.
async fn own(name: &str, flags: &[&str]) -> (Gateway, Registration, Kubectl) {
    let hub = shared().await.hub();
    let gateway = own_gateway(name, flags).await;
    let cluster = place().await.registered(name, "streams").unwrap();
    cluster.apply(&hub.admin_client().await.unwrap()).await.unwrap();
    let kubectl = Kubectl::new(straight_to(&gateway, hub, "streams").unwrap());
    let kubectl = kubectl.flag(&format!("--namespace={NAMESPACE}"));
    until("the cluster", SOON, || kubectl.ok(&["get", "--raw", "/readyz"])).await.unwrap();
    (gateway, cluster, kubectl)
}

/// A shell over each protocol that runs.
async fn shells(kubectl: &Kubectl, prefix: &str) -> Result<Vec<(&'static str, Process)>> {
    let mut shells = Vec::new();
    for (name, protocol) in PROTOCOLS {
        let shell = kubectl.clone().protocol(protocol).start(&format!("{prefix}-{name}"), &SHELL).await?;
        until("the shell", SOON, || async {
            ensure!(shell.logs().contains("it runs"), "{}", shell.logs());
            Ok(())
        })
        .await?;
        shells.push((name, shell));
    }
    Ok(shells)
}

/// Shells end, and over WebSocket kubectl says why. Over SPDY its exit code is 0 whenever a connection ends before the
/// command, GOAWAY or not: client-go takes an error channel without an error for success.
async fn all_end(shells: Vec<(&str, Process)>, why: &str) {
    for (name, shell) in shells {
        let status = shell.wait_exit(SOON).await.unwrap();
        eprintln!("{name}: {status}, {}", shell.log_tail(1));
        if name == "websocket" {
            assert!(!status.success() && shell.logs().contains(why), "{status}: {}", shell.log_tail(3));
        }
    }
}

async fn streams(gateway: &Gateway) -> Option<f64> {
    let metrics = master(gateway).h1().await.unwrap().get("/metrics").await.unwrap().text();
    let name = "cluster_gateway_upgraded_streams{cluster=\"streams\"} ";
    metrics.lines().find_map(|line| line.strip_prefix(name)?.parse().ok())
}
