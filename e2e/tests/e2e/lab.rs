//! The lab keeps its own promises.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::lab::{ControlPlaneOptions, Login, Signal, rule, shared, until, user, whoami};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{ListParams, PostParams};

const LAB: &str = env!("CARGO_BIN_EXE_lab");

#[tokio::test]
async fn each_member_answers_with_its_own_name() {
    let lab = shared().await;
    for member in lab.members() {
        assert_eq!(whoami(&member.admin_client().await.unwrap()).await.unwrap(), member.name());
    }
}

#[tokio::test]
async fn a_certificate_of_one_member_is_refused_by_another() {
    let lab = shared().await;
    let login = Login::Certificate(lab.member(0).issue("stranger", &["system:masters"]).unwrap());
    let error = whoami(&lab.member(1).client(&login).await.unwrap()).await.unwrap_err();
    let error = error.downcast_ref::<kube::Error>().unwrap();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 401), "{error:?}");
}

#[tokio::test]
async fn a_user_may_do_what_was_granted_and_no_more() {
    let lab = shared().await;
    let member = lab.member(0);
    member.grant("lab-reader", user("lab-reader"), vec![rule("", "configmaps", &["get"])]).await.unwrap();
    let login = Login::Certificate(member.issue("lab-reader", &[]).unwrap());
    let client = member.client(&login).await.unwrap();
    assert_eq!(whoami(&client).await.unwrap(), "member-0");
    let namespaces: kube::Api<Namespace> = kube::Api::all(client);
    let error = namespaces.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(&error, kube::Error::Api(status) if status.code == 403), "{error:?}");
}

#[tokio::test]
async fn a_service_account_s_token_is_a_login() {
    let lab = shared().await;
    let member = lab.member(1);
    let token = member.service_account_token("lab-token", "visitor", None).await.unwrap();
    let client = member.client(&Login::Token(token)).await.unwrap();
    let error = whoami(&client).await.unwrap_err();
    assert!(error.to_string().contains("system:serviceaccount:lab-token:visitor"), "{error}");
}

#[tokio::test]
async fn a_control_plane_that_is_killed_keeps_its_data() {
    let lab = shared().await;
    let plane = lab.start_member("lab-restarted").await.unwrap();
    let client = plane.admin_client().await.unwrap();
    let maps: kube::Api<ConfigMap> = kube::Api::namespaced(client, "default");
    let mut map = ConfigMap::default();
    map.metadata.name = Some("kept".to_owned());
    maps.create(&PostParams::default(), &map).await.unwrap();
    plane.restart().await.unwrap();
    let client = plane.admin_client().await.unwrap();
    kube::Api::<ConfigMap>::namespaced(client, "default").get("kept").await.unwrap();
}

#[tokio::test]
async fn a_replaced_authority_is_in_force_after_a_restart_and_the_old_one_is_not() {
    let lab = shared().await;
    let plane = lab.start_member("lab-rotated").await.unwrap();
    let (old_ca, old_admin) = (plane.ca_pem(), plane.admin());
    plane.replace_authority().unwrap();
    plane.restart().await.unwrap();
    assert_eq!(whoami(&plane.admin_client().await.unwrap()).await.unwrap(), "lab-rotated");
    let login = Login::Certificate(old_admin);
    let error = whoami(&plane.client(&login).await.unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("Unauthorized"), "{error}");
    let distrusting = e2e::lab::Kubeconfig::new().context("x", &plane.url(), &old_ca, &Login::Anonymous);
    assert!(whoami(&distrusting.client().await.unwrap()).await.is_err());
}

#[tokio::test]
async fn a_member_with_an_etcd_of_its_own_outlives_its_stop() {
    let lab = shared().await;
    let plane =
        lab.start_control_plane(ControlPlaneOptions::member("lab-own-etcd").with_own_etcd()).await.unwrap();
    plane.etcd().process().kill().unwrap();
    plane.etcd().start_again().await.unwrap();
    let client = plane.admin_client().await.unwrap();
    until("the name again", Duration::from_secs(30), || whoami(&client)).await.unwrap();
}

#[tokio::test]
async fn a_pod_has_logs_that_follow_and_commands_that_run() {
    let lab = shared().await;
    let (member, node) = (lab.member(0), lab.node(0));
    node.start_pod(member, "lab-pods", "one").await.unwrap();
    let kubectl = member.admin_kubectl();
    let follow = kubectl.start("follow", &["logs", "-f", "-n", "lab-pods", "one"]).await.unwrap();
    until("the first line", Duration::from_secs(20), || async {
        ensure!(follow.logs().contains("the container has started"), "{}", follow.logs());
        Ok(())
    })
    .await
    .unwrap();
    node.log("written while somebody follows").unwrap();
    until("the second line", Duration::from_secs(20), || async {
        ensure!(follow.logs().contains("written while somebody follows"), "{}", follow.logs());
        Ok(())
    })
    .await
    .unwrap();
    let said = kubectl.ok(&["exec", "-n", "lab-pods", "one", "--", "echo", "from inside"]).await.unwrap();
    assert_eq!(said, "from inside\n");
}

#[tokio::test]
async fn a_paused_server_answers_when_it_is_resumed() {
    let lab = shared().await;
    let plane = lab.start_member("lab-paused").await.unwrap();
    let client = plane.admin_client().await.unwrap();
    plane.process().pause().unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(300), whoami(&client)).await.is_err());
    plane.process().resume().unwrap();
    assert_eq!(whoami(&client).await.unwrap(), "lab-paused");
    assert!(plane.process().usage().unwrap().rss_kb > 10_000);
}

#[tokio::test]
async fn what_does_not_start_shows_the_end_of_its_log() {
    let lab = shared().await;
    let options = ControlPlaneOptions::member("lab-broken").flag("--no-such-flag");
    let error = format!("{:#}", lab.start_control_plane(options).await.err().unwrap());
    assert!(error.contains("unknown flag: --no-such-flag"), "{error}");
}

#[test]
fn servers_end_with_an_owner_that_is_killed_and_nothing_is_left() {
    // With a node: its process has children of its own.
    let mut owner = Command::new(LAB)
        .args(["up", "--members", "1", "--nodes", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let (folder, numbers) = read_announcement(&mut owner).unwrap();
    assert!(numbers.len() == 4 && numbers.iter().all(|number| is_alive(*number)), "{numbers:?}");
    // A server that does nothing cannot end itself: it must be killed.
    let paused = rustix_pid(numbers[0]);
    rustix::process::kill_process(paused, Signal::STOP).unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while numbers.iter().any(|number| is_alive(*number)) || Path::new(&folder).exists() {
        assert!(Instant::now() < deadline, "left behind: {numbers:?} {folder}");
        std::thread::yield_now();
    }
}

#[test]
fn what_is_built_is_found_again_without_go() {
    let built = |path: &str| {
        let output = Command::new(LAB).arg("binaries").env("PATH", path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = built(&std::env::var("PATH").unwrap());
    assert_eq!(built("/nonexistent"), first);
}

#[test]
fn without_go_the_message_says_what_to_type() {
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(LAB)
        .arg("binaries")
        .env("PATH", "/nonexistent")
        .env("XDG_CACHE_HOME", empty.path())
        .env_remove("KUBEBUILDER_ASSETS")
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(message.contains("Go is not installed") && message.contains("https://go.dev/dl/"), "{message}");
}

/// The folder and the processes that `lab up` announces.
fn read_announcement(owner: &mut std::process::Child) -> Result<(String, Vec<i32>)> {
    let mut folder = String::new();
    for line in BufReader::new(owner.stdout.take().context("no stdout")?).lines() {
        let line = line?;
        if let Some(path) = line.strip_prefix("folder ") {
            path.clone_into(&mut folder);
        }
        if let Some(numbers) = line.strip_prefix("processes ") {
            return Ok((folder, numbers.split(' ').map(str::parse).collect::<Result<_, _>>()?));
        }
    }
    anyhow::bail!("`lab up` ended without an announcement")
}

/// Whether there is such a process and it is no zombie.
fn is_alive(number: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{number}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn rustix_pid(number: i32) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(number).unwrap()
}
