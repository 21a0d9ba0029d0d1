use std::time::Duration;

use crate::telemetry::logging::{Level, Options};
use crate::upstream::KonnectivityMode;

use super::*;

fn parse(arguments: &[&str]) -> Result<Config, Error> {
    let command = Config::augment(clap::Command::new("serve"));
    let matches = command
        .try_get_matches_from(std::iter::once(&"serve").chain(arguments))
        .map_err(|error| Error::from_clap(&error))?;
    Config::from_matches(&matches)
}

fn warned(config: &Config) -> Vec<&str> {
    config.warnings.iter().map(Warning::flag).collect()
}

#[test]
fn defaults_are_those_of_the_go_gateway() {
    let config = parse(&[]).unwrap();
    assert_eq!(config.serving.secure_port, 443);
    assert_eq!(config.clusters.secret_namespace, "vela-system");
    assert_eq!(config.clusters.group_name.as_str(), "cluster.core.oam.dev");
    assert_eq!(config.authentication.request_header.username_headers, ["x-remote-user"]);
    assert_eq!(config.authorization.authorization_always_allow_paths, ["/healthz", "/readyz", "/livez"]);
    assert_eq!(config.gates, Gates::default());
    assert_eq!(config.serving.max_streams(), 1000);
    assert_eq!(config.serving.max_connection_age(), Some(Duration::from_secs(600)));
    assert!(config.warnings.is_empty());
    let addresses = config.serving.listen_addresses();
    assert_eq!(addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), ["[::]:443", "0.0.0.0:443"]);
}

#[test]
fn metrics_tell_clusters_apart_as_far_as_the_operator_wants() {
    let options = |arguments: &[&str]| parse(arguments).unwrap().metrics.options();
    let usual = options(&[]);
    assert_eq!(usual, crate::telemetry::Options::default());
    let all_together = options(&["--metrics-per-cluster=false", "--metrics-cluster-histograms=0"]);
    assert!(usual.per_cluster && !all_together.per_cluster);
    assert_eq!((usual.cluster_histograms, all_together.cluster_histograms), (2_000, 0));
}

#[test]
fn delay_and_drain_together_end_before_a_kubelet_kills() {
    let runtime = parse(&[]).unwrap().runtime;
    assert!(runtime.shutdown_delay_duration + runtime.drain_timeout < Duration::from_secs(30));
}

#[test]
fn the_command_lines_of_existing_charts_are_taken() {
    // KubeVela's chart; the Go gateway's own chart with all it can turn on; its addon-manager; its local run.
    let kubevela = parse(&[
        "--secure-port=9443",
        "--secret-namespace=vela-system",
        "--feature-gates=APIPriorityAndFairness=false",
        "--cert-dir=/etc/k8s-cluster-gateway-certs",
    ])
    .unwrap();
    assert_eq!(kubevela.serving.secure_port, 9443);
    assert_eq!(warned(&kubevela), ["--feature-gates=APIPriorityAndFairness=false"]);

    let own = parse(&[
        "--secure-port=9443",
        "--secret-namespace=open-cluster-management-credentials",
        "--ocm-integration=true",
        "--proxy-host=proxy-entrypoint.open-cluster-management-addon",
        "--proxy-port=8090",
        "--proxy-ca-cert=/etc/ca/ca.crt",
        "--proxy-cert=/etc/tls/tls.crt",
        "--proxy-key=/etc/tls/tls.key",
        "--feature-gates=HealthinessCheck=true,SecretCache=true,",
    ])
    .unwrap();
    assert!(own.gates.healthiness_check && own.tunnel.address().unwrap().is_some());
    assert_eq!(warned(&own), ["--ocm-integration"]);

    let bare =
        parse(&["--secure-port=9443", "--feature-gates=", "--tls-cert-file=", "--kubeconfig="]).unwrap();
    assert!(bare.serving.tls_cert_file.is_none() && bare.hub.kubeconfig.is_none());

    let local = parse(&[
        "--standalone-debug-mode=true",
        "--bind-address=127.0.0.1",
        "--etcd-servers=http://localhost:2379",
        "--secure-port=9443",
    ])
    .unwrap();
    assert_eq!(warned(&local), ["--standalone-debug-mode", "--etcd-servers"]);
    assert_eq!(local.serving.listen_addresses().len(), 1);
}

#[test]
fn every_flag_that_deployments_use_is_taken() {
    let config = parse(&[
        "--secure-port=0",
        "--bind-address=::1",
        "--cert-dir=/c",
        "--tls-cert-file=/c/a",
        "--tls-private-key-file=/c/b",
        "--secret-namespace=ns",
        "--feature-gates=ClientIdentityPenetration=true,OCMClusterCache=false",
        "--feature-gates=SecretCache=0",
        "--ocm-integration",
        "--proxy-host=h",
        "--proxy-port=1",
        "--proxy-ca-cert=/a",
        "--proxy-cert=/b",
        "--proxy-key=/c",
        "--cluster-gateway-proxy-config=/d",
        "--authorize-proxy-subpath=t",
        "--user-agent=x",
        "--virtual-clutser-with-control-plane=false",
        "--kubeconfig=/k",
        "--authentication-kubeconfig=/l",
        "--authorization-kubeconfig=/m",
        "--client-ca-file=/n",
        "--requestheader-client-ca-file=/o",
        "--requestheader-username-headers=X-A,X-B",
        "--requestheader-group-headers=X-C",
        "--requestheader-extra-headers-prefix=X-D-",
        "--requestheader-uid-headers=X-E",
        "--requestheader-allowed-names=a,b",
        "--requestheader-allowed-names=c",
        "--authentication-skip-lookup",
        "--authentication-tolerate-lookup-failure=1",
        "--http2-max-streams-per-connection=250",
        "--max-connection-age=0",
        "--tls-min-version=VersionTLS13",
        "--shutdown-delay-duration=1m30s",
        "--authorization-webhook-cache-authorized-ttl=1s",
        "-v=4",
    ])
    .unwrap();
    assert_eq!(config.authentication.request_header.allowed_names, ["a", "b", "c"]);
    assert_eq!(config.authentication.request_header.username_headers, ["X-A", "X-B"]);
    assert!(config.gates.client_identity_penetration && !config.gates.secret_cache);
    assert!(config.authorization.authorize_proxy_subpath && config.authentication.authentication_skip_lookup);
    assert_eq!(config.runtime.shutdown_delay_duration, Duration::from_secs(90));
    assert_eq!(config.serving.tls_min_version, TlsVersion::Tls13);
    assert_eq!((config.serving.max_streams(), config.serving.max_connection_age()), (250, None));
    assert!(config.logging.options().access_log);
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
}

#[test]
fn flags_of_the_generic_apiserver_are_taken_with_a_word_about_them() {
    let config = parse(&[
        "--audit-log-path=-",
        "--audit-policy-file",
        "/p",
        "--profiling",
        "--contention-profiling=false",
        "--goaway-chance=0.001",
        "--egress-selector-config-file=/e",
        "--permit-port-sharing",
        "--logtostderr",
        "--max-requests-inflight=400",
        "--tls-sni-cert-key=a,b",
        "--vmodule=x=4",
    ])
    .unwrap();
    assert_eq!(config.warnings.len(), 11);
    assert!(config.warnings.iter().all(|warning| !warning.meaning().is_empty()));
    assert!(matches!(parse(&["--profiling=maybe"]), Err(Error::Value { .. })));
}

#[test]
fn the_last_of_two_values_wins() {
    let config =
        parse(&["--secure-port=1", "--secure-port=2", "--access-log", "--access-log=false"]).unwrap();
    assert_eq!((config.serving.secure_port, config.logging.options().access_log), (2, false));
}

#[test]
fn verbosity_is_kubernetes_and_can_be_overruled() {
    let options = |arguments: &[&str]| parse(arguments).unwrap().logging.options();
    for (arguments, level, access_log) in [
        (&[][..], Level::Info, false),
        (&["-v", "2"], Level::Info, false),
        (&["--v=3"], Level::Info, true),
        (&["-v=5"], Level::Debug, true),
        (&["-v8", "--access-log=false"], Level::Trace, false),
        (&["-v=9", "--log-level=warn"], Level::Warn, true),
        (&["--access-log"], Level::Info, true),
    ] {
        let Options { level: actual, access_log: access, .. } = options(arguments);
        assert_eq!((actual, access), (level, access_log), "{arguments:?}");
    }
}

#[test]
fn unknown_gates_are_warnings_and_bad_values_errors() {
    let config = parse(&["--feature-gates=Nonsense=true"]).unwrap();
    assert_eq!(warned(&config), ["--feature-gates=Nonsense=true"]);
    for bad in ["--feature-gates=SecretCache", "--feature-gates=SecretCache=yes"] {
        let message = parse(&[bad]).unwrap_err().to_string();
        assert!(message.starts_with("--feature-gates=SecretCache"), "{message}");
    }
}

#[test]
fn errors_name_flag_value_and_cure() {
    for (arguments, expected) in [
        (&["--secure-port=70000"][..], "--secure-port=70000: "),
        (&["--bind-address=host"], "--bind-address=host: it is no IP address; "),
        (&["--max-connection-age=9000h"], "--max-connection-age=9000h: more than a year: 0 means never"),
        (
            &["--max-connection-age=10ms"],
            "--max-connection-age=10ms: less than 1s would be a connection for each request",
        ),
        (&["--connect-timeout=5"], "--connect-timeout=5: it is no duration like 30s, 1m30s or 250ms; "),
        (
            &["--group-name=x"],
            "--group-name=x: it is no DNS name with at least one dot, like cluster.core.oam.dev; ",
        ),
        (&["--log-format=xml"], "--log-format=xml: it is not known; write one of text, json"),
        (&["--metrics-per-cluster=some"], "--metrics-per-cluster=some: "),
        (&["--metrics-cluster-histograms=-1"], "--metrics-cluster-histograms=-1: "),
        (&["--tls-cert-file=/a"], "--tls-cert-file is given without --tls-private-key-file; name both files"),
        (&["--proxy-host=h"], "--proxy-host is given without --proxy-ca-cert; "),
        (&["--proxy-host=h:1"], "--proxy-host=h:1: it is neither a DNS name nor an IP address; "),
        (&["--proxy-host=h", "--proxy-port=0"], "--proxy-port=0: it is no port; "),
        (&["--proxy-host=h", "--proxy-uds=/s"], "--proxy-uds=/s: --proxy-host is given too; "),
        (&["--proxy-mode=udp"], "--proxy-mode=udp: it is not known; write one of grpc, http-connect"),
        (
            &["--tls-cipher-suites=TLS_RSA_WITH_RC4_128_SHA"],
            "--tls-cipher-suites=TLS_RSA_WITH_RC4_128_SHA: none of them",
        ),
    ] {
        let message = parse(arguments).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
        assert_eq!(message.lines().count(), 1);
    }
}

#[test]
fn konnectivity_is_reached_by_host_or_by_socket() {
    let files = ["--proxy-ca-cert=/a", "--proxy-cert=/b", "--proxy-key=/c"];
    for (host, expected) in
        [("Konnectivity.example", "konnectivity.example"), ("10.0.0.1", "10.0.0.1"), ("fd00::1", "[fd00::1]")]
    {
        let flag = format!("--proxy-host={host}");
        let tunnel = parse(&[&[flag.as_str()], &files[..]].concat()).unwrap().tunnel;
        let Ok(Some(TunnelAddress::Host(host, 8090))) = tunnel.address() else { panic!("{host}") };
        assert_eq!((host.to_string().as_str(), tunnel.mode()), (expected, KonnectivityMode::Grpc));
    }
    let socket = parse(&["--proxy-uds=/run/k.sock", "--proxy-mode=http-connect"]).unwrap();
    assert!(matches!(socket.tunnel.address(), Ok(Some(TunnelAddress::Socket(_)))));
    assert_eq!(socket.tunnel.mode(), KonnectivityMode::HttpConnect);
    assert_eq!(warned(&parse(&["--proxy-uds=/s", "--proxy-key=/c"]).unwrap()), ["--proxy-uds"]);
    let none = parse(&["--proxy-host=", "--proxy-uds="]).unwrap().tunnel;
    assert!(none.address().unwrap().is_none());
}

#[test]
fn cipher_suites_are_chosen_by_their_names() {
    let config = parse(&[
        "--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    ])
    .unwrap();
    let chosen = config.serving.tls().unwrap().cipher_suites;
    assert_eq!(chosen.iter().filter(|suite| suite.tls13().is_none()).count(), 2);
    assert!(chosen.iter().any(|suite| suite.tls13().is_some()));
}

mod files {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_flag_path_and_cure() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let made = |name: &str| {
            let pair = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            std::fs::write(path(&format!("{name}.crt")), pair.cert.pem()).unwrap();
            std::fs::write(path(&format!("{name}.key")), pair.signing_key.serialize_pem()).unwrap();
        };
        made("a");
        made("b");
        std::fs::write(path("empty"), "").unwrap();
        let serving = |certificate: &str, key: &str| {
            vec![
                format!("--tls-cert-file={}", path(certificate)),
                format!("--tls-private-key-file={}", path(key)),
            ]
        };
        let one = |flag: &str, file: &str| {
            vec![format!("--cert-dir={}", path("")), format!("--{flag}={}", path(file))]
        };
        for (arguments, flag, file, problem) in [
            (serving("none", "a.key"), "--tls-cert-file", "none", "No such file"),
            (serving("a.crt", "none"), "--tls-private-key-file", "none", "No such file"),
            (serving("a.crt", "b.key"), "--tls-private-key-file", "b.key", "does not match the certificate"),
            (serving("a.crt", "empty"), "--tls-private-key-file", "empty", "no PKCS#8"),
            (serving("empty", "a.key"), "--tls-cert-file", "empty", "no CERTIFICATE block"),
            (one("client-ca-file", "none"), "--client-ca-file", "none", "No such file"),
            (one("client-ca-file", "a.key"), "--client-ca-file", "a.key", "no CERTIFICATE block"),
            (
                one("requestheader-client-ca-file", "empty"),
                "--requestheader-client-ca-file",
                "empty",
                "no CERT",
            ),
            (one("kubeconfig", "none"), "--kubeconfig", "none", "No such file"),
            (one("kubeconfig", "a.crt"), "--kubeconfig", "a.crt", "it is no kubeconfig"),
            (one("authorization-kubeconfig", "none"), "--authorization-kubeconfig", "none", "No such file"),
        ] {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let message = parse(&arguments).unwrap().check_files().unwrap_err().to_string();
            assert!(message.starts_with(&format!("{flag}={}: ", path(file))), "{message}");
            assert!(message.contains(problem), "{message}");
            assert!(message.contains("; name "), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
        let good: Vec<String> =
            [serving("a.crt", "a.key"), vec![format!("--client-ca-file={}", path("b.crt"))]].concat();
        let good: Vec<&str> = good.iter().map(String::as_str).collect();
        parse(&good).unwrap().check_files().unwrap();
    }

    #[test]
    fn an_address_in_use_is_told_with_its_flag() {
        let error = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        let message = Error::secure_port("[::]:9443".parse().unwrap(), error).to_string();
        assert!(message.starts_with("--secure-port=9443: cannot listen on [::]:9443: "), "{message}");
        assert!(message.ends_with("; choose another port, or end the process that holds it"), "{message}");
    }
}

#[test]
fn nothing_is_run_and_no_file_is_read_unless_the_operator_says_so() {
    let config = parse(&[]).unwrap();
    let options = config.credentials.options();
    assert!(options.exec.allowed.is_empty() && options.directory.is_none());
    assert_eq!((options.exec.timeout, options.exec.at_once.get()), (Duration::from_secs(30), 8));
    let hash = format!("sha256:{}", "0a".repeat(32));
    let all = format!("--exec-allowed=/bin/a,{hash}");
    let config = parse(&[&all, "--exec-allowed=/bin/b", "--exec-allowed=", "--credential-dir="]).unwrap();
    let allowed: Vec<_> = config.credentials.allowed().map(ToString::to_string).collect();
    assert_eq!(allowed, ["/bin/a", hash.as_str(), "/bin/b"]);
    assert!(config.credentials.credential_dir.is_none());
    for (argument, says) in [
        ("--exec-allowed=aws", "it is neither an absolute path nor sha256:"),
        ("--exec-allowed=sha256:x", "it is neither an absolute path nor sha256:"),
        ("--exec-timeout=0s", "a deadline of zero"),
        ("--exec-concurrency=0", "--exec-concurrency=0"),
    ] {
        let error = parse(&[argument]).unwrap_err().to_string();
        assert!(error.contains(says) && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn commands_and_folders_that_are_not_there_are_told_at_once() {
    for (argument, says) in [
        ("--exec-allowed=/no/such/command", "--exec-allowed=/no/such/command: there is no such file"),
        ("--exec-allowed=/etc/passwd", "it is no file that can be executed"),
        ("--credential-dir=/no/such/folder", "--credential-dir=/no/such/folder"),
        ("--credential-dir=/etc/passwd", "it is no absolute path of a folder"),
        ("--credential-dir=.", "it is no absolute path of a folder"),
    ] {
        let config = parse(&[argument, "--cert-dir=/no/such"]).unwrap();
        let error = config.check_files().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    parse(&["--exec-allowed=/bin/sh", "--credential-dir=/tmp", "--cert-dir=/no/such"])
        .unwrap()
        .check_files()
        .unwrap();
}
