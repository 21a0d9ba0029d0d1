//! Only what the operator lists is run, and whoever is missing an entry is told which one.

use anyhow::{Context as _, ensure};
use e2e::lab::{shared, until};
use serde_json::json;

use super::{Bench, FROM_FILE, Plugin, SOON};

#[tokio::test]
async fn a_command_that_is_not_listed_is_not_run_and_each_entry_that_the_refusal_names_allows_it() {
    let member = shared().await.member(1);
    let plugin = Plugin::new(FROM_FILE);
    let admin = member.issue("t5-allowed", &["system:masters"]).unwrap();
    plugin.answer(super::certificate(&admin));
    let strict = Bench::start("t5-allowed", &[]).await;
    strict.register(&plugin.cluster("t5-allowed", member)).await;
    // It is said before anybody asks, in the status and in the log.
    let message = until("its status says so", SOON, || async {
        let (status, message) = strict.credential_ready(member.name()).await?;
        ensure!(status == "False", "{status} {message}");
        Ok(message)
    })
    .await
    .unwrap();
    assert!(strict.gateway.logs().contains("--exec-allowed="), "{}", strict.gateway.logs());
    let refused = strict.ask(member.name()).await;
    assert_eq!(refused.status, 503);
    let said = refused.json().unwrap()["message"].as_str().unwrap().to_owned();
    assert_eq!(said, format!("cluster {:?} has no credential: {message}", member.name()));
    assert_eq!(plugin.runs(), 0);
    assert!(strict.metrics().await.contains("cluster_gateway_credential_failing{cluster=\"member-1\"} 1"));

    let flags: Vec<String> = message
        .split_whitespace()
        .filter(|word| word.starts_with("--exec-allowed="))
        .map(str::to_owned)
        .collect();
    assert_eq!(flags.len(), 2, "{message}");
    for flag in flags {
        let lenient = Bench::start("t5-allowed", &[flag]).await;
        until("it is allowed", SOON, || async {
            let answer = lenient.ask(member.name()).await;
            ensure!(answer.status == 200, "{}", answer.text());
            Ok(())
        })
        .await
        .unwrap();
        lenient.until_credential_ready(member.name(), "True", "").await;
    }
    assert_eq!(plugin.runs(), 2);
}

#[tokio::test]
async fn what_goes_wrong_with_a_command_is_told_with_cluster_command_and_cause_and_harms_nobody_else() {
    let member = shared().await.member(1);
    let good = Plugin::new(FROM_FILE);
    good.answer(super::certificate(&member.issue("t5-good", &["system:masters"]).unwrap()));
    let hangs = Plugin::new("echo run >> runs; echo contacting the cloud >&2; sleep 1000");
    let crashes = Plugin::new("echo run >> runs; echo no such profile >&2; exit 7");
    let garbage = Plugin::new("echo run >> runs; echo nonsense");
    let mut flags: Vec<String> =
        [&good, &hangs, &crashes, &garbage].map(|plugin| format!("--exec-allowed={}", plugin.path())).into();
    flags.push("--exec-timeout=3s".to_owned());
    let bench = Bench::start("t5-wrong", &flags).await;
    for (plugin, name) in [(&good, "t5-good"), (&hangs, "t5-hangs"), (&crashes, "t5-crashes")] {
        bench.register(&plugin.cluster("t5-wrong", member).named(name)).await;
    }
    bench.register(&garbage.cluster("t5-wrong", member).named("t5-garbage")).await;
    bench.register(&good.cluster("t5-wrong", member).named("t5-none").data("exec", "{}")).await;
    let config =
        json!({"apiVersion": super::V1, "command": "t5-missing", "installHint": "get it from a shop"});
    let missing = good.cluster("t5-wrong", member).named("t5-missing").data("exec", config.to_string());
    bench.register(&missing).await;
    for (name, expected) in [
        (
            "t5-hangs",
            "did not end within --exec-timeout (3s) and was killed; its last words on stderr: contacting the cloud",
        ),
        ("t5-crashes", "failed with exit code 7; its last words on stderr: no such profile"),
        ("t5-garbage", "wrote no ExecCredential in JSON to stdout (line 1, column 2)"),
        ("t5-missing", "exec: executable t5-missing not found: get it from a shop"),
        ("t5-none", "data key exec: invalid apiVersion"),
    ] {
        let answer = bench.ask(name).await;
        let message = answer.json().unwrap()["message"].as_str().context("no message").unwrap().to_owned();
        assert_eq!(answer.status, 503, "{message}");
        assert!(message.contains(expected) && message.contains(name), "{message}");
        assert_eq!(bench.ask("t5-good").await.status, 200);
    }
    // Who asks again and again does not make it run again and again, and it is logged once.
    for _ in 0..50 {
        assert_eq!(bench.ask("t5-crashes").await.status, 503);
    }
    assert!(crashes.runs() <= 8, "{} runs", crashes.runs());
    let logs = bench.gateway.logs();
    let lines = logs.lines().filter(|line| line.contains("WARN") && line.contains("no such profile")).count();
    assert_eq!(lines, 1, "{logs}");
    let metrics = bench.metrics().await;
    for outcome in ["success", "timeout", "exit_code", "invalid_answer", "not_found"] {
        let series = format!("credential_runs_total{{outcome=\"{outcome}\",source=\"exec\"}}");
        assert!(metrics.contains(&series), "{series} is not among\n{metrics}");
    }
}
