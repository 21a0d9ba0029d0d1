//! What commands give is shown to real clusters, and renewed in time.

use std::time::Duration;

use anyhow::ensure;
use e2e::lab::{shared, until};
use futures::future::join_all;
use serde_json::json;

use super::{Bench, FROM_FILE, Plugin, SOON, account, certificate};
use crate::identity::{GATEWAYS, who};

#[tokio::test]
async fn a_token_is_got_once_for_all_who_wait_on_all_workers() {
    let member = shared().await.member(1);
    let plugin = Plugin::new(&format!("sleep 0.5; {FROM_FILE}"));
    plugin.answer(json!({"token": account(member, "t5-token").await}));
    let bench = Bench::with("t5-token", &plugin).await;
    bench.register(&plugin.cluster("t5-token", member)).await;
    assert_eq!(bench.credential_ready(member.name()).await.unwrap().0, "Unknown");
    assert_eq!(plugin.runs(), 0, "nobody has asked yet");
    let answers = join_all((0..100).map(|_| bench.ask(member.name()))).await;
    for answer in answers {
        assert_eq!((answer.status, answer.text().contains("member-1")), (200, true), "{}", answer.text());
    }
    assert_eq!(plugin.runs(), 1);
    let user = who(&bench.caller, member.name(), "").await.unwrap();
    assert_eq!(user["username"], "system:serviceaccount:kube-system:t5-token");
    bench.until_credential_ready(member.name(), "True", "").await;
}

#[tokio::test]
async fn a_certificate_is_shown_by_connections_of_its_own_and_a_new_one_by_new_ones() {
    let member = shared().await.member(1);
    let plugin = Plugin::new(FROM_FILE);
    let soon = |seconds: u64| {
        let at = time::OffsetDateTime::now_utc() + Duration::from_secs(seconds);
        at.format(&time::format_description::well_known::Rfc3339).unwrap()
    };
    let show = |user: &str, seconds: u64| {
        let mut status = certificate(&member.issue(user, &["system:masters"]).unwrap());
        status["expirationTimestamp"] = soon(seconds).into();
        plugin.answer(status);
    };
    show("t5-first", 3);
    let bench = Bench::with("t5-certificate", &plugin).await;
    bench.register(&plugin.cluster("t5-certificate", member)).await;
    assert_eq!(who(&bench.caller, member.name(), "").await.unwrap()["username"], "t5-first");
    show("t5-second", 3600);
    until("the second one is shown", SOON, || async {
        let user = who(&bench.caller, member.name(), "").await?;
        ensure!(user["username"] == "t5-second", "{user}");
        Ok(())
    })
    .await
    .unwrap();
    for _ in 0..20 {
        assert_eq!(who(&bench.caller, member.name(), "").await.unwrap()["username"], "t5-second");
    }
    let metrics = bench.metrics().await;
    assert!(metrics.contains("credential_expiry_timestamp_seconds{cluster=\"member-1\"}"), "{metrics}");
}

#[tokio::test]
async fn what_expires_in_two_seconds_fails_nobody_under_load() {
    let member = shared().await.member(1);
    let token = account(member, "t5-two-seconds").await;
    let plugin = Plugin::new(
        "echo run >> runs\n\
         printf '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"%s\",\
         \"expirationTimestamp\":\"%s\"}}' \"$(cat token)\" \"$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%S.%NZ)\"",
    );
    std::fs::write(plugin.folder.path().join("token"), token).unwrap();
    let bench = Bench::with("t5-two-seconds", &plugin).await;
    bench.register(&plugin.cluster("t5-two-seconds", member)).await;
    let connection = bench.caller.h2().await.unwrap();
    let path = format!("{GATEWAYS}/{}/proxy/api/v1/namespaces/default/configmaps/whoami", member.name());
    let load = (0..20).map(|_| async {
        let mut answered = 0;
        while plugin.runs() < 5 {
            let answer = connection.get(&path).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            answered += 1;
        }
        answered
    });
    let answered: usize = tokio::time::timeout(SOON, join_all(load)).await.unwrap().iter().sum();
    assert!(plugin.runs() <= 7, "{} runs", plugin.runs());
    eprintln!("{answered} requests over {} credentials of two seconds", plugin.runs());
}

#[tokio::test]
async fn a_changed_secret_runs_its_command_at_once_if_the_old_one_was_used() {
    let member = shared().await.member(1);
    let plugin = Plugin::new(&format!("echo \"$@\" >> args; {FROM_FILE}"));
    plugin.answer(certificate(&member.issue("t5-changed", &["system:masters"]).unwrap()));
    let bench = Bench::with("t5-changed", &plugin).await;
    let (used, unused) = (
        plugin.cluster("t5-changed", member).named("t5-used"),
        plugin.cluster("t5-changed", member).named("t5-unused"),
    );
    bench.register(&used).await;
    bench.register(&unused).await;
    assert_eq!(bench.ask("t5-used").await.status, 200);
    assert_eq!(plugin.runs(), 1);
    unused.data("exec", plugin.config(&["unused"])).apply(&bench.secrets).await.unwrap();
    let used = used.data("exec", plugin.config(&["used"]));
    used.apply(&bench.secrets).await.unwrap();
    until("it is run again, unasked", SOON, || async {
        ensure!(plugin.runs() == 2, "{} runs", plugin.runs());
        Ok(())
    })
    .await
    .unwrap();
    let args = std::fs::read_to_string(plugin.folder.path().join("args")).unwrap();
    assert_eq!(args, "\nused\n");
    // A change that says nothing about the credential leaves it alone.
    used.annotation("status.cluster.core.oam.dev/healthy", "true").apply(&bench.secrets).await.unwrap();
    until("the change is seen", SOON, || async {
        let path = format!("{GATEWAYS}/t5-used");
        let object = bench.caller.h1().await?.get(&path).await?.json()?;
        let healthy = &object["metadata"]["annotations"]["status.cluster.core.oam.dev/healthy"];
        ensure!(healthy == "true", "{object}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!((bench.ask("t5-used").await.status, plugin.runs()), (200, 2));
}

#[tokio::test]
async fn a_gateway_that_ends_leaves_no_command_behind() {
    let member = shared().await.member(1);
    let plugin = Plugin::new("trap '' TERM; echo $$ > pid; while :; do sleep 1000; done");
    let flags = [
        format!("--exec-allowed={}", plugin.path()),
        "--shutdown-delay-duration=0s".to_owned(),
        "--drain-timeout=0s".to_owned(),
    ];
    let bench = Bench::start("t5-ends", &flags).await;
    bench.register(&plugin.cluster("t5-ends", member)).await;
    let waiting = bench.caller.h1().await.unwrap();
    let path = format!("{GATEWAYS}/{}/proxy/x", member.name());
    let waiting = tokio::spawn(async move {
        let mut waiting = waiting;
        waiting.get(&path).await.map(|answer| answer.status)
    });
    let pid = until("it runs", SOON, || async {
        Ok(std::fs::read_to_string(plugin.folder.path().join("pid"))?.trim().to_owned())
    })
    .await
    .unwrap();
    bench.gateway.stop(SOON).await.unwrap();
    until("it is gone", SOON, || async {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        ensure!(stat.is_empty() || stat.contains(") Z "), "{stat}");
        Ok(())
    })
    .await
    .unwrap();
    // Cut, or told why: never kept.
    assert!(waiting.await.unwrap().map_or(true, |status| status == 503));
}
