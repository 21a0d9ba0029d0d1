//! Commands as they are, on real processes.

use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::credentials::source::Supplier;
use crate::credentials::{Credential, Failure, Metrics, Options, Source, Sources, Supplied};
use crate::model::ClusterName;

use super::testing::{Script, gives, runs, until};
use super::*;

const SECRET: &str = "hunter2-the-secret";

fn options(script: &Script, timeout: Duration) -> ExecOptions {
    let allowed = vec![AllowedCommand::Path(script.path().to_owned())];
    ExecOptions { allowed, timeout, ..ExecOptions::default() }
}

fn plugin(script: &Script, timeout: Duration, further: Value) -> Plugin {
    let metrics = Metrics::new(&Registry::new()).unwrap();
    let plugins = Arc::new(Plugins::new(options(script, timeout), metrics));
    let cluster = ClusterInfo { server: "https://10.0.0.1:6443".to_owned(), ..ClusterInfo::default() };
    Plugin::new(plugins, PluginSpec { config: script.config(further), cluster })
}

async fn supply(script: &Script, further: Value) -> Result<Supplied, Failure> {
    plugin(script, Duration::from_secs(20), further).supply(CancellationToken::new()).await
}

async fn problem(script: &Script, further: Value) -> String {
    supply(script, further).await.unwrap_err().to_string()
}

fn token(credential: &Credential) -> String {
    credential.authorization.as_ref().unwrap().to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_command_is_given_its_arguments_its_environment_the_cluster_and_nothing_to_read() {
    let script = Script::new(&format!(
        "printf '%s|' \"$@\" > args; echo \"$GREETING\" > env; echo \"$KUBERNETES_EXEC_INFO\" > info\n\
         [ -n \"$PATH\" ] && cat > stdin\n{}",
        gives(json!({"token": "abc", "expirationTimestamp": "2999-01-02T03:04:05Z"}))
    ));
    let further = json!({
        "args": ["get token", "$(touch shell)"],
        "env": [{"name": "GREETING", "value": "hello; `x`"}],
        "provideClusterInfo": true,
    });
    let supplied = supply(&script, further).await.unwrap();
    assert_eq!(token(&supplied.credential), "Bearer abc");
    assert_eq!(Timestamp::try_from(supplied.expires.unwrap()).unwrap().to_string(), "2999-01-02T03:04:05Z");
    assert_eq!(script.lines("args"), ["get token|$(touch shell)|"]);
    assert_eq!(script.lines("env"), ["hello; `x`"]);
    let info: Value = serde_json::from_str(&script.lines("info").concat()).unwrap();
    assert_eq!(info["spec"]["cluster"]["server"], "https://10.0.0.1:6443");
    assert_eq!((script.lines("stdin").len(), script.folder().join("shell").exists()), (0, false));
    assert!(!format!("{supplied:?}").contains("abc"), "{supplied:?}");
}

#[tokio::test]
async fn a_certificate_comes_with_its_own_end_and_its_key_has_to_fit() {
    let pair = || rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
    let (one, other) = (pair(), pair());
    let given = |key: &rcgen::KeyPair| {
        Script::new(&gives(json!({
            "clientCertificateData": one.cert.pem(), "clientKeyData": key.serialize_pem(),
            "expirationTimestamp": "9999-01-01T00:00:00Z",
        })))
    };
    let supplied = supply(&given(&one.signing_key), json!({})).await.unwrap();
    let end = supplied.credential.certificate.as_ref().unwrap().validity.not_after();
    assert_eq!(supplied.expires, Some(end));
    assert!(supplied.credential.authorization.is_none());
    let mismatch = problem(&given(&other.signing_key), json!({})).await;
    assert!(mismatch.ends_with("the private key does not match the certificate"), "{mismatch}");
}

#[tokio::test]
async fn what_is_no_credential_is_named_and_not_shown() {
    let credential = |version: &str, kind: &str, status: Value| {
        format!("echo '{}'", json!({"apiVersion": version, "kind": kind, "status": status}))
    };
    let v1 = "client.authentication.k8s.io/v1";
    let given = |status: Value| credential(v1, "ExecCredential", status);
    for (body, expected) in [
        (format!("echo {SECRET}"), "wrote no ExecCredential in JSON to stdout (line 1, column 1)"),
        ("true".to_owned(), "wrote no ExecCredential in JSON to stdout (line 1, column 0)"),
        (given(json!({"token": [SECRET]})), "wrote no ExecCredential in JSON to stdout (line 1"),
        (given(json!(null)), "didn't return a status field"),
        (given(json!({"expirationTimestamp": null, "token": ""})), "didn't return a token or cert/key pair"),
        (given(json!({"clientKeyData": SECRET})), "returned only certificate or key, not both"),
        (given(json!({"token": format!("{SECRET} x")})), "returned a token that holds something other"),
        (
            given(json!({"clientCertificateData": SECRET, "clientKeyData": SECRET})),
            "returned a client certificate that cannot be used: there is no CERTIFICATE block",
        ),
        (given(json!({"token": SECRET, "expirationTimestamp": "soon"})), "an expirationTimestamp that is no"),
        (credential(v1, "Secret", json!({"token": SECRET})), "something of another kind"),
        (
            credential("client.authentication.k8s.io/v1beta1", "ExecCredential", json!({"token": SECRET})),
            "is configured to use API version client.authentication.k8s.io/v1, but returned version \
             \"client.authentication.k8s.io/v1beta1\"",
        ),
    ] {
        let problem = problem(&Script::new(&body), json!({})).await;
        assert!(problem.contains(expected), "{problem:?} does not say {expected:?}");
        assert!(!problem.contains(SECRET), "{problem}");
    }
}

#[tokio::test]
async fn a_command_that_fails_says_so_with_its_last_words_and_no_secret() {
    let words = "echo \"no access with $KEY for $1\" >&2";
    let further = || json!({"args": ["my-argument"], "env": [{"name": "KEY", "value": SECRET}]});
    let exits = Script::new(&format!("{words}; echo {SECRET}; exit 3"));
    let failed = problem(&exits, further()).await;
    assert!(
        failed.ends_with(
            "failed with exit code 3; its last words on stderr: no access with [$KEY] for [argument 1]"
        ),
        "{failed}"
    );
    let crashes = problem(&Script::new(&format!("{words}; kill -SEGV $$")), further()).await;
    assert!(crashes.contains("was killed by signal 11; its last words"), "{crashes}");
    let traced = Script::new(&format!("set -x\necho {SECRET}\nexit 1"));
    let traced = problem(&traced, json!({})).await;
    assert!(traced.contains("echo [stdout]") && !traced.contains(SECRET), "{traced}");
}

#[tokio::test]
async fn a_command_that_writes_too_much_is_killed_and_what_it_writes_to_stderr_is_bounded() {
    let script = Script::new("echo $$ > pid; exec yes");
    let endless = problem(&script, json!({})).await;
    assert!(endless.contains("wrote more than 1048576 bytes to stdout and was killed"), "{endless}");
    assert!(!runs(&script.lines("pid")[0]));
    let talkative = Script::new("head -c 3000000 /dev/zero | tr '\\0' 'x' >&2; echo the end >&2; exit 1");
    let talkative = problem(&talkative, json!({})).await;
    assert!(talkative.ends_with("the end") && talkative.len() < 1500, "{} bytes", talkative.len());
}

/// Starts a child that ignores being told to end, and hangs.
const HANGS: &str = "trap '' TERM; sh -c 'trap \"\" TERM HUP INT; echo $$ >> pids; while :; do sleep 1000; done' &\n\
     echo $$ >> pids; while :; do sleep 1000; done";

#[tokio::test]
async fn a_command_that_hangs_is_killed_in_time_with_all_that_it_started() {
    let script = Script::new(&format!("echo waiting >&2\n{HANGS}"));
    let plugin = plugin(&script, Duration::from_secs(2), json!({}));
    let began = Instant::now();
    let late = plugin.supply(CancellationToken::new()).await.unwrap_err().to_string();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(
        late.ends_with(
            "did not end within --exec-timeout (2s) and was killed; its last words on stderr: waiting"
        ),
        "{late}"
    );
    let pids = script.lines("pids");
    assert_eq!(pids.len(), 2);
    until("the grandchild is gone", || !pids.iter().any(|pid| runs(pid))).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_command_that_is_not_waited_for_any_longer() {
    let script = Script::new(HANGS);
    let plugin = Arc::new(plugin(&script, Duration::from_secs(600), json!({})));
    let stop = CancellationToken::new();
    let (running, token) = (Arc::clone(&plugin), stop.clone());
    let run = tokio::spawn(async move { running.supply(token).await });
    until("both run", || script.lines("pids").len() == 2).await;
    stop.cancel();
    assert!(matches!(run.await.unwrap(), Err(Failure::Stopped)));
    until("both are gone", || !script.lines("pids").iter().any(|pid| runs(pid))).await;

    fs::remove_file(script.folder().join("pids")).unwrap();
    let run = tokio::spawn(async move { plugin.supply(CancellationToken::new()).await });
    until("both run again", || script.lines("pids").len() == 2).await;
    run.abort();
    until("both are gone again", || !script.lines("pids").iter().any(|pid| runs(pid))).await;
}

#[tokio::test]
async fn a_child_that_is_left_behind_with_the_pipes_in_its_hands_delays_nothing_and_ends() {
    let credential = gives(json!({"token": "abc"}));
    let script = Script::new(&format!("sleep 1000 &\necho $! > pids\n{credential}"));
    let began = Instant::now();
    assert_eq!(token(&supply(&script, json!({})).await.unwrap().credential), "Bearer abc");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    until("it is gone", || !runs(&script.lines("pids")[0])).await;
}

struct Bench {
    sources: Sources,
    script: Script,
}

impl Bench {
    fn new(body: &str, at_once: usize) -> Self {
        let script = Script::new(body);
        let exec = ExecOptions {
            at_once: NonZeroUsize::new(at_once).unwrap(),
            ..options(&script, Duration::from_secs(30))
        };
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let sources = Sources::new(Handle::current(), Options { exec, directory: None }, metrics);
        Self { sources, script }
    }

    fn source(&self, name: &str, start: bool) -> Source<String> {
        let spec = PluginSpec { config: self.script.config(json!({})), cluster: ClusterInfo::default() };
        let make = |credential: &Credential| Ok(token(credential));
        self.sources.exec(&ClusterName::parse(name).unwrap(), spec, start, Box::new(make))
    }

    fn runs(&self) -> usize {
        self.script.lines("runs").len()
    }
}

/// A plugin that gives what stands in a file, and counts its runs.
const FROM_FILE: &str = "echo run >> runs; cat answer";

fn answer(script: &Script, status: Value) {
    let credential = json!({"apiVersion": testing::V1, "kind": "ExecCredential", "status": status});
    let new = script.folder().join("answer.new");
    fs::write(&new, credential.to_string()).unwrap();
    fs::rename(new, script.folder().join("answer")).unwrap();
}

#[tokio::test]
async fn a_slow_command_is_run_once_for_all_who_wait() {
    let bench = Bench::new("echo run >> runs; while [ ! -e answer ]; do sleep 0.01; done; cat answer", 8);
    let source = bench.source("a", false);
    let waiting = join_all((0..100).map(|_| source.get()));
    let give = async {
        until("it runs", || bench.runs() == 1).await;
        answer(&bench.script, json!({"token": "a"}));
    };
    let (all, ()) = tokio::join!(waiting, give);
    assert!(all.iter().all(|one| **one.as_ref().unwrap() == "Bearer a"));
    assert_eq!(bench.runs(), 1);
}

#[tokio::test]
async fn rotated_while_a_hundred_wait_it_is_run_once_for_each_rotation() {
    let bench = Bench::new(FROM_FILE, 8);
    answer(&bench.script, json!({"token": "t0"}));
    let source = bench.source("a", false);
    let mut current = source.get().await.unwrap();
    for rotation in 1..=2 {
        answer(&bench.script, json!({"token": format!("t{rotation}")}));
        // The cluster refuses all who show the old one. The second time, less than a second after the first, the
        // command is not run again before that second is over.
        let began = Instant::now();
        let renewed = loop {
            let all = join_all((0..100).map(|_| source.renewed(&current))).await;
            match all.into_iter().collect::<Option<Vec<_>>>() {
                Some(all) => break all,
                None => assert!(rotation > 1 && began.elapsed() < Duration::from_secs(5)),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert!(renewed.iter().all(|one| **one == format!("Bearer t{rotation}")));
        current = Arc::clone(&renewed[0]);
        assert_eq!(bench.runs(), rotation + 1);
    }
}

#[tokio::test]
async fn what_expires_in_two_seconds_is_renewed_again_and_again_for_those_who_use_it() {
    let bench = Bench::new(
        "echo run >> runs; n=$(wc -l < runs)\n\
         echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"t'$n'\",\
         \"expirationTimestamp\":\"'$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%S.%NZ)'\"}}'",
        8,
    );
    let source = bench.source("a", false);
    let began = Instant::now();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 4 {
        assert!(began.elapsed() < Duration::from_secs(20), "renewed too seldom: {seen:?}");
        seen.insert(source.get().await.unwrap().to_string());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(bench.runs() <= 5, "{} runs", bench.runs());
}

#[tokio::test]
async fn no_more_run_at_once_than_the_operator_lets() {
    let body =
        format!("echo run >> runs; while [ ! -e go ]; do sleep 0.01; done; {}", gives(json!({"token": "a"})));
    let bench = Bench::new(&body, 2);
    let sources: Vec<_> = (0..6).map(|number| bench.source(&format!("c{number}"), true)).collect();
    until("two run", || bench.runs() == 2).await;
    let all = join_all(sources.iter().map(Source::get));
    let go = async {
        assert_eq!(bench.runs(), 2);
        fs::write(bench.script.folder().join("go"), "").unwrap();
    };
    let (all, ()) = tokio::join!(all, go);
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(bench.runs(), 6);
}

#[tokio::test]
async fn commands_that_hung_the_last_time_leave_half_of_the_places_to_the_others() {
    let hangs = Script::new("echo run >> runs; sleep 1000");
    let healthy = Script::new(&gives(json!({"token": "a"})));
    let allowed = [&hangs, &healthy].map(|script| AllowedCommand::Path(script.path().to_owned())).to_vec();
    let options =
        ExecOptions { allowed, timeout: Duration::from_secs(2), at_once: NonZeroUsize::new(2).unwrap() };
    let plugins = Arc::new(Plugins::new(options, Metrics::new(&Registry::new()).unwrap()));
    let plugin = |script: &Script| {
        let spec = PluginSpec { config: script.config(json!({})), cluster: ClusterInfo::default() };
        Arc::new(Plugin::new(Arc::clone(&plugins), spec))
    };
    let (hanging, healthy) = ([(); 2].map(|()| plugin(&hangs)), plugin(&healthy));
    let all_hang = || {
        let supply = |plugin: &Arc<Plugin>| {
            let plugin = Arc::clone(plugin);
            tokio::spawn(async move { plugin.supply(CancellationToken::new()).await })
        };
        hanging.iter().map(supply).collect::<Vec<_>>()
    };
    for hung in join_all(all_hang()).await {
        assert!(hung.unwrap().unwrap_err().to_string().contains("2s"));
    }
    let hung = all_hang();
    until("one of them runs", || hangs.lines("runs").len() == 3).await;
    let supplied = healthy.supply(CancellationToken::new()).await.unwrap();
    assert_eq!(token(&supplied.credential), "Bearer a");
    assert!(!hung.iter().any(|hung| hung.is_finished()), "it had to wait for one that hangs");
    assert_eq!(hangs.lines("runs").len(), 3, "the other one has to wait");
    hung.iter().for_each(|hung| hung.abort());
}

#[tokio::test]
async fn a_new_cluster_says_what_to_allow_before_anybody_asks() {
    let bench = Bench::new("true", 8);
    let other = Script::new("echo run >> runs");
    let spec = PluginSpec { config: other.config(json!({})), cluster: ClusterInfo::default() };
    let make = |credential: &Credential| Ok(token(credential));
    let source = bench.sources.exec(&ClusterName::parse("a").unwrap(), spec, false, Box::new(make));
    until("its standing says so", || source.standing().problem.is_some()).await;
    let problem = source.standing().problem.unwrap();
    assert!(problem.contains(&format!("--exec-allowed={}", other.path().display())), "{problem}");
    let error = source.get().await.unwrap_err().to_string();
    assert_eq!(error, *problem);
    assert_eq!(other.lines("runs").len(), 0);
}

#[tokio::test]
async fn when_all_ends_every_command_ends() {
    let bench = Bench::new(HANGS, 8);
    let _source = bench.source("a", true);
    until("both run", || bench.script.lines("pids").len() == 2).await;
    bench.sources.stop(Duration::from_secs(10)).await;
    until("both are gone", || !bench.script.lines("pids").iter().any(|pid| runs(pid))).await;
}
