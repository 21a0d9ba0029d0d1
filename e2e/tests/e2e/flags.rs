//! Command lines: those that deployments pass start the real binary and it becomes ready; wrong ones end it with
//! exit code 2 and one line that names flag, value and cure, before anything listens.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::lab::{Gateway, GatewayOptions, Registration, shared, until};
use futures::future::try_join_all;

use crate::bare::{Bare, Ended, Files, kubeconfigs, run_to_end};

const SOON: Duration = Duration::from_secs(30);

const RULES: &str = "apiVersion: cluster.core.oam.dev/v1alpha1\n\
    kind: ClusterGatewayProxyConfiguration\n\
    spec:\n  clientIdentityExchanger:\n    rules:\n    - name: super-user\n      \
    type: PrivilegedIdentityExchanger\n      source: {user: kubernetes-admin}\n";

/// Starts the binary with each command line, waits until it is ready and looks for texts in its log.
async fn become_ready(files: &Files, rows: &[(&str, Vec<String>, &[&str])]) {
    let hub = shared().await.hub();
    let started = rows.iter().map(|(name, arguments, said)| async move {
        let gateway = Bare::start(hub, name, arguments).await?;
        gateway.ready(|| Ok(files.authority.pem().to_owned())).await?;
        let logs = gateway.process.logs();
        for text in *said {
            ensure!(logs.contains(text), "{name}: the log does not say {text:?}:\n{logs}");
        }
        anyhow::Ok(())
    });
    try_join_all(started).await.unwrap();
}

fn line(arguments: &str, files: &Files) -> Vec<String> {
    let folder = files.path().display().to_string();
    arguments.split_whitespace().map(|word| word.replace("FOLDER", &folder)).collect()
}

#[tokio::test]
async fn the_command_lines_of_existing_charts_become_ready() {
    let files = Files::new().unwrap();
    files.write("config.yaml", RULES).unwrap();
    let gates = "APIPriorityAndFairness=false";
    let rows: &[(&str, String, &[&str])] = &[
        // KubeVela's chart, with and without its authentication; in a cluster it passes no kubeconfig.
        (
            "kubevela",
            format!("apiserver --secret-namespace=vela-system --feature-gates={gates},ClientIdentityPenetration=false --cert-dir=FOLDER"),
            &["APIPriorityAndFairness"],
        ),
        (
            "kubevela-authentication",
            format!("apiserver --secret-namespace=vela-system --feature-gates={gates},ClientIdentityPenetration=true --cluster-gateway-proxy-config=FOLDER/config.yaml --cert-dir=FOLDER"),
            &["APIPriorityAndFairness"],
        ),
        // The reference's own chart and its local run.
        ("own-chart", "--secret-namespace=t3-flags --ocm-integration=false --tls-cert-file=FOLDER/apiserver.crt --tls-private-key-file=FOLDER/apiserver.key --feature-gates=HealthinessCheck=true,SecretCache=true,".to_owned(), &[]),
        ("local-run", "--standalone-debug-mode=true --etcd-servers=http://localhost:2379 --cert-dir=FOLDER".to_owned(), &["--standalone-debug-mode", "--etcd-servers"]),
        ("serve", "serve --cert-dir=FOLDER --feature-gates=".to_owned(), &[]),
        ("unknown-gate", "--cert-dir=FOLDER --feature-gates=NoSuchGate=true".to_owned(), &["NoSuchGate"]),
    ];
    let rows: Vec<_> =
        rows.iter().map(|(name, arguments, said)| (*name, line(arguments, &files), *said)).collect();
    become_ready(&files, &rows).await;
}

#[tokio::test]
async fn every_flag_that_deployments_use_is_taken_in_one_command_line() {
    let files = Files::new().unwrap();
    files.write("config.yaml", RULES).unwrap();
    files.authority.client("tunnel", &[]).unwrap().write(files.path(), "tunnel").unwrap();
    let all = "--cert-dir=FOLDER/not-used --tls-cert-file=FOLDER/apiserver.crt --tls-private-key-file=FOLDER/apiserver.key \
        --secret-namespace=t3-flags --ocm-integration=true \
        --feature-gates=HealthinessCheck=true,SecretCache=true,ClientIdentityPenetration=true,OCMClusterCache=true,APIPriorityAndFairness=false \
        --proxy-host=localhost --proxy-port=8090 --proxy-ca-cert=FOLDER/ca.crt --proxy-cert=FOLDER/tunnel.crt --proxy-key=FOLDER/tunnel.key \
        --cluster-gateway-proxy-config=FOLDER/config.yaml --authorize-proxy-subpath=true --user-agent=t3 \
        --virtual-clutser-with-control-plane=true --client-ca-file=FOLDER/ca.crt --requestheader-client-ca-file=FOLDER/ca.crt \
        --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
        --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-allowed-names=front-proxy-client \
        --authentication-skip-lookup=false --authentication-tolerate-lookup-failure=true -v=4";
    become_ready(&files, &[("all-flags", line(all, &files), &[])]).await;
}

#[tokio::test]
async fn without_a_certificate_a_self_signed_one_is_made_and_kept() {
    let files = Files::new().unwrap();
    let folder = files.path().join("made");
    let arguments = [format!("--cert-dir={}", folder.display())];
    let gateway = Bare::start(shared().await.hub(), "self-signed", &arguments).await.unwrap();
    // The certificate that it wrote is the one that it shows.
    gateway.ready(|| Ok(std::fs::read_to_string(folder.join("apiserver.crt"))?)).await.unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(folder.join("apiserver.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "others may read the key: {mode:o}");
}

#[tokio::test]
async fn unknown_flags_and_commands_end_with_2_and_are_named() {
    for (arguments, named) in [
        (&["--secure-prot=9443"][..], "--secure-port"),
        (&["serve", "--no-such-flag"], "--no-such-flag"),
        (&["apiserver", "--no-such-flag=1"], "--no-such-flag"),
        (&["no-such-command"], "no-such-command"),
    ] {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let ended = run_to_end(&arguments).await.unwrap();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.one_line().contains(named), "{ended:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_one_line_with_flag_value_and_cure_before_anything_listens() {
    let files = Files::new().unwrap();
    let other = files.authority.server(&["localhost"]).unwrap();
    other.write(files.path(), "other").unwrap();
    files.write("garbage", "this is no PEM and no kubeconfig\n").unwrap();
    files.write("empty", "").unwrap();
    files
        .write("rules.yaml", "spec: {clientIdentityExchanger: {rules: [{name: r, type: Nonsense}]}}")
        .unwrap();
    files.write("no-context.yaml", "{apiVersion: v1, kind: Config, current-context: nowhere}").unwrap();
    let hub = kubeconfigs(&shared().await.hub().admin_kubeconfig());
    // Both addresses are taken: who had tried to listen first would say that.
    let taken = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [secure, operations] = [0, 1].map(|index| taken[index].local_addr().unwrap());
    let pair = |certificate: &str, key: &str| {
        format!("--tls-cert-file=FOLDER/{certificate} --tls-private-key-file=FOLDER/{key}")
    };
    let rows = [
        (pair("none.crt", "apiserver.key"), "--tls-cert-file=FOLDER/none.crt"),
        (pair("apiserver.crt", "none.key"), "--tls-private-key-file=FOLDER/none.key"),
        // A folder is unreadable even to root.
        (pair("apiserver.crt", ""), "--tls-private-key-file=FOLDER/"),
        (pair("apiserver.crt", "garbage"), "--tls-private-key-file=FOLDER/garbage"),
        (pair("garbage", "apiserver.key"), "--tls-cert-file=FOLDER/garbage"),
        (pair("apiserver.crt", "other.key"), "--tls-private-key-file=FOLDER/other.key"),
        ("--tls-cert-file=FOLDER/apiserver.crt".to_owned(), "--tls-cert-file"),
        ("--client-ca-file=FOLDER/none".to_owned(), "--client-ca-file=FOLDER/none"),
        ("--client-ca-file=FOLDER/garbage".to_owned(), "--client-ca-file=FOLDER/garbage"),
        (
            "--requestheader-client-ca-file=FOLDER/empty".to_owned(),
            "--requestheader-client-ca-file=FOLDER/empty",
        ),
        ("--kubeconfig=FOLDER/none".to_owned(), "--kubeconfig=FOLDER/none"),
        ("--kubeconfig=FOLDER/garbage".to_owned(), "--kubeconfig=FOLDER/garbage"),
        ("--kubeconfig=FOLDER/no-context.yaml".to_owned(), "--kubeconfig=FOLDER/no-context.yaml"),
        ("--authentication-kubeconfig=FOLDER/none".to_owned(), "--authentication-kubeconfig=FOLDER/none"),
        ("--authorization-kubeconfig=FOLDER/none".to_owned(), "--authorization-kubeconfig=FOLDER/none"),
        (
            "--cluster-gateway-proxy-config=FOLDER/none".to_owned(),
            "--cluster-gateway-proxy-config=FOLDER/none",
        ),
        (
            "--cluster-gateway-proxy-config=FOLDER/rules.yaml".to_owned(),
            "--cluster-gateway-proxy-config=FOLDER/rules.yaml",
        ),
        ("--feature-gates=SecretCache=maybe".to_owned(), "--feature-gates=SecretCache=maybe"),
        ("--secret-namespace=Not/One".to_owned(), "--secret-namespace=Not/One"),
        ("--shutdown-delay-duration=soon".to_owned(), "--shutdown-delay-duration=soon"),
    ];
    let all = rows.iter().map(|(arguments, named)| {
        let mut command = vec!["serve".to_owned(), format!("--cert-dir={}", files.path().display())];
        command.extend(hub.iter().cloned());
        command.push(format!("--secure-port={}", secure.port()));
        command.push("--bind-address=127.0.0.1".to_owned());
        command.push(format!("--operations-address={operations}"));
        command.extend(line(arguments, &files));
        let named = named.replace("FOLDER", &files.path().display().to_string());
        async move { anyhow::Ok((run_to_end(&command).await?, named)) }
    });
    let mut wrong = Vec::new();
    for (ended, named) in try_join_all(all).await.unwrap() {
        // What is found before the log begins is the only line.
        let line =
            ended.stderr.lines().filter(|line| !line.contains(" INFO ")).collect::<Vec<_>>().join("\n");
        let cure = line.rsplit_once("; ").map_or("", |(_, cure)| cure);
        let says_it = line.lines().count() == 1 && line.contains(&named) && cure.len() > 10;
        if ended.code != Some(2) || !says_it || !ended.stdout.is_empty() {
            wrong.push(format!("{named} => {:?} {}{}", ended.code, ended.stdout, ended.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_address_in_use_or_of_another_machine_ends_it_with_2() {
    let files = Files::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let free = e2e::lab::ports::free_port().unwrap();
    for (arguments, named) in [
        (format!("--bind-address=127.0.0.1 --secure-port={port}"), format!("--secure-port={port}")),
        // TEST-NET-2 of RFC 5737.
        (format!("--bind-address=198.51.100.1 --secure-port={free}"), format!("198.51.100.1:{free}")),
        (
            format!("--bind-address=127.0.0.1 --secure-port={free} --operations-address=127.0.0.1:{port}"),
            format!("--operations-address=127.0.0.1:{port}"),
        ),
    ] {
        let mut command = line(&format!("--cert-dir=FOLDER {arguments}"), &files);
        command.extend(kubeconfigs(&shared().await.hub().admin_kubeconfig()));
        let ended = run_to_end(&command).await.unwrap();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let last = ended.stderr.lines().last().unwrap_or_default();
        assert!(last.contains(&named) && last.contains("; choose a"), "{ended:?}");
    }
}

#[tokio::test]
async fn clusters_without_a_ca_are_used_with_a_warning_or_refused_when_the_operator_says_so() {
    let lab = shared().await;
    let (hub, namespace) = (lab.hub(), "t3-flags-ca");
    let client = hub.admin_client().await.unwrap();
    hub.ensure_namespace(namespace).await.unwrap();
    let verified = Registration::member(namespace, lab.member(0)).unwrap().named("t3-verified");
    let unverified =
        Registration::member(namespace, lab.member(1)).unwrap().named("t3-unverified").without_ca();
    verified.apply(&client).await.unwrap();
    unverified.apply(&client).await.unwrap();
    let lenient = Gateway::start(hub, GatewayOptions::new(hub, namespace)).await.unwrap();
    let strict = GatewayOptions::new(hub, namespace).flag("--require-cluster-ca");
    let strict = Gateway::start(hub, strict).await.unwrap();

    let through = "/proxy/api/v1/namespaces/default/configmaps/whoami";
    for (gateway, cluster, code) in [
        (&lenient, "t3-verified", 200),
        (&lenient, "t3-unverified", 200),
        (&strict, "t3-verified", 200),
        (&strict, "t3-unverified", 503),
    ] {
        let answer = get(gateway, &format!("{GATEWAYS}/{cluster}{through}")).await.unwrap();
        assert_eq!(answer.status, code, "{cluster}: {}", answer.text());
        if code == 503 {
            let message = answer.json().unwrap()["message"].as_str().unwrap().to_owned();
            assert!(message.contains(cluster) && message.contains("--require-cluster-ca"), "{message}");
        }
    }
    // The default says it in the log, in a metric and in the status.
    until("a warning in the log", SOON, || async {
        let logs = lenient.logs();
        let warned = logs.lines().any(|line| line.contains("WARN") && line.contains("t3-unverified"));
        ensure!(warned, "{logs}");
        Ok(())
    })
    .await
    .unwrap();
    assert!(!lenient.logs().lines().any(|line| line.contains("WARN") && line.contains("t3-verified")));
    let metrics = get(&lenient, "/metrics").await.unwrap().text();
    for sample in [
        "cluster_gateway_cluster_verified{cluster=\"t3-verified\"} 1",
        "cluster_gateway_cluster_verified{cluster=\"t3-unverified\"} 0",
    ] {
        assert!(metrics.lines().any(|line| line == sample), "{sample} is not among\n{metrics}");
    }
    let status = |gateway, cluster: &'static str| async move {
        let object = get(gateway, &format!("{GATEWAYS}/{cluster}")).await?.json()?;
        anyhow::Ok(object["status"]["conditions"].to_string())
    };
    let (good, bad) =
        (status(&lenient, "t3-verified").await.unwrap(), status(&lenient, "t3-unverified").await.unwrap());
    assert!(bad.contains("ca.crt") && !good.contains("ca.crt"), "{good} {bad}");
    let refused = status(&strict, "t3-unverified").await.unwrap();
    assert!(refused.contains("--require-cluster-ca"), "{refused}");
}

const GATEWAYS: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";

/// GET as somebody who may do everything.
async fn get(gateway: &Gateway, path: &str) -> Result<e2e::client::Answer> {
    gateway.front_proxy("t3-admin", &["system:masters"])?.h1().await?.get(path).await
}

impl Ended {
    /// The one line that it said.
    #[track_caller]
    fn one_line(&self) -> &str {
        assert_eq!(self.stdout, "");
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        self.stderr.trim_end()
    }
}
