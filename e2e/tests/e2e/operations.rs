//! What an operator looks at: health, version, metrics, discovery, logs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::client::{Answer, HttpsClient};
use e2e::lab::ports::free_port;
use e2e::lab::{
    Gateway, GatewayOptions, Kubeconfig, Kubectl, Login, Registration, shared, shared_gateway, until, user,
};
use k8s_openapi::api::rbac::v1::PolicyRule;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::identity::{GATEWAYS, proxy, who};

const SOON: Duration = Duration::from_secs(30);

pub(crate) async fn get(client: &HttpsClient, path: &str) -> Answer {
    client.h1().await.unwrap().get(path).await.unwrap()
}

/// The right to get these paths.
fn paths(paths: &[&str]) -> Vec<PolicyRule> {
    vec![PolicyRule {
        non_resource_urls: Some(paths.iter().map(|&path| path.to_owned()).collect()),
        verbs: vec!["get".to_owned()],
        ..PolicyRule::default()
    }]
}

/// A request in the clear: status code and body.
pub(crate) async fn plain(port: u16, path: &str) -> Result<(u16, String)> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    tokio::time::timeout(SOON, stream.read_to_string(&mut answer)).await??;
    let (head, body) = answer.split_once("\r\n\r\n").context("no end of the head")?;
    Ok((head.get(9..12).context("no status")?.parse()?, body.to_owned()))
}

#[tokio::test]
async fn anybody_may_ask_for_health_and_only_who_may_for_single_checks() {
    let gateway = shared_gateway().await;
    shared()
        .await
        .hub()
        .grant("t3-health", user("t3-health"), paths(&["/readyz/*", "/livez/*"]))
        .await
        .unwrap();
    let anybody = gateway.anonymous().unwrap();
    for root in ["healthz", "livez", "readyz"] {
        let answer = get(&anybody, &format!("/{root}")).await;
        assert_eq!((answer.status, answer.text()), (200, "ok".to_owned()));
        let verbose = get(&anybody, &format!("/{root}?verbose")).await;
        let text = verbose.text();
        assert_eq!(verbose.status, 200, "{text}");
        assert!(
            text.starts_with("[+]ping ok\n") && text.ends_with(&format!("\n{root} check passed\n")),
            "{text}"
        );
        assert!(
            text.lines().rev().skip(1).all(|line| line.starts_with("[+]") && line.ends_with(" ok")),
            "{text}"
        );
        let excluded = get(&anybody, &format!("/{root}?verbose=true&exclude=ping")).await.text();
        assert!(excluded.starts_with("[+]ping excluded: ok\n"), "{excluded}");
    }
    let verbose = get(&anybody, "/readyz?verbose").await.text();
    let checks: Vec<&str> =
        verbose.lines().filter_map(|line| line.strip_prefix("[+]")?.strip_suffix(" ok")).collect();
    assert!(checks.len() > 2, "readiness is more than being there: {verbose}");
    let operator = gateway.front_proxy("t3-health", &[]).unwrap();
    for check in checks {
        let path = format!("/readyz/{check}");
        let refused = get(&anybody, &path).await;
        assert_eq!(refused.status, 403);
        let says = format!("User \\\"system:anonymous\\\" cannot get path \\\"{path}\\\"");
        assert!(refused.text().contains(&says), "{}", refused.text());
        let answer = get(&operator, &path).await;
        assert_eq!((answer.status, answer.text()), (200, "ok".to_owned()), "{path}");
    }
    assert_eq!(get(&operator, "/readyz/no-such-check").await.status, 404);
    assert_eq!(get(&operator, "/livez/ping").await.text(), "ok");
}

#[tokio::test]
async fn a_gateway_that_never_saw_its_hub_lives_and_is_not_ready_and_says_so_once() {
    let lab = shared().await;
    let hub = lab.start_hub("t3-absent").await.unwrap();
    hub.kill().unwrap();
    let port = free_port().unwrap();
    let options =
        GatewayOptions::new(&hub, "t3-absent").flag(&format!("--operations-address=127.0.0.1:{port}"));
    let gateway = Gateway::start_unready(&hub, options).await.unwrap();
    let alive = || async {
        let answer = plain(port, "/livez").await?;
        ensure!(answer == (200, "ok".to_owned()), "{answer:?}");
        Ok(())
    };
    gateway.process().wait_ready(SOON, alive).await.unwrap();
    for path in ["/readyz", "/readyz?verbose"] {
        let (code, text) = plain(port, path).await.unwrap();
        assert_eq!(code, 500, "{text}");
        assert!(
            text.contains("] failed: reason withheld\n") || text.contains(" failed: reason withheld\n"),
            "{text}"
        );
        assert!(text.starts_with("[+]ping ok\n") && text.ends_with("\nreadyz check failed\n"), "{text}");
    }
    // The secure port is there and says the same, so that the hub's own probe finds it not available.
    let answer = get(&gateway.anonymous().unwrap(), "/readyz").await;
    assert_eq!(answer.status, 500, "{}", answer.text());
    hub.start_again().await.unwrap();
    gateway.ready().await.unwrap();
    // Each watch of the hub says it once, however often it was tried.
    let logs = gateway.logs();
    let problems: Vec<&str> =
        logs.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).collect();
    assert!((1..=4).contains(&problems.len()), "{logs}");
    let mut once: Vec<&str> =
        problems.iter().map(|line| line.split_once(' ').unwrap_or_default().1).collect();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), problems.len(), "said twice:\n{logs}");
}

#[tokio::test]
async fn kubectl_version_reads_ours_and_a_member_s_through_us() {
    let lab = shared().await;
    let gateway = shared_gateway().await;
    let hub = lab.hub();
    hub.grant("t3-version", user("t3-version"), proxy(&["get"])).await.unwrap();
    let login = Login::Certificate(hub.issue("t3-version", &[]).unwrap());
    let path = gateway.folder().join("t3-version.kubeconfig");
    Kubeconfig::new().context("gateway", &gateway.url(), gateway.ca_pem(), &login).write(&path).unwrap();
    let version = |text: String| {
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        json["serverVersion"].clone()
    };
    let ours = version(Kubectl::new(path).ok(&["version", "-o", "json"]).await.unwrap());
    for field in ["major", "minor", "gitVersion", "gitCommit", "platform"] {
        assert!(ours[field].is_string(), "{field}: {ours}");
    }
    let git = ours["gitVersion"].as_str().unwrap();
    assert!(git.starts_with('v') && git.contains('.'), "{git}");
    let kubectl = hub.kubectl("t3-version", &[]).unwrap().server(&hub.proxy_url("member-1"));
    let members = version(kubectl.ok(&["version", "-o", "json"]).await.unwrap());
    let direct = version(lab.member(1).admin_kubectl().ok(&["version", "-o", "json"]).await.unwrap());
    assert_eq!(members, direct);
    assert_ne!(members, ours);
}

#[tokio::test]
async fn metrics_need_permission_on_the_secure_port_and_have_the_reference_s_names() {
    let lab = shared().await;
    let (hub, namespace) = (lab.hub(), "t3-metrics");
    let port = free_port().unwrap();
    let options = GatewayOptions::new(hub, namespace).flag(&format!("--operations-address=127.0.0.1:{port}"));
    let gateway = Gateway::start(hub, options).await.unwrap();
    let secrets = hub.admin_client().await.unwrap();
    Registration::member(namespace, lab.member(0)).unwrap().apply(&secrets).await.unwrap();
    hub.grant("t3-scraper", user("t3-scraper"), paths(&["/metrics"])).await.unwrap();
    hub.grant("t3-traffic", user("t3-traffic"), proxy(&["get", "create"])).await.unwrap();
    let traffic = gateway.front_proxy("t3-traffic", &[]).unwrap();
    until("the cluster", SOON, || who(&traffic, "member-0", "")).await.unwrap();
    let base = format!("{GATEWAYS}/member-0/proxy");
    for (path, code) in [
        ("/api/v1/namespaces/default/configmaps/whoami", 200),
        ("/api/v1/namespaces/default/configmaps/t3-none", 404),
        ("/api/v1/namespaces", 200),
    ] {
        assert_eq!(get(&traffic, &format!("{base}{path}")).await.status, code);
    }
    let refused = get(&gateway.anonymous().unwrap(), "/metrics").await;
    let hubs = HttpsClient::new(([127, 0, 0, 1], hub.port()).into(), "localhost", &hub.ca_pem(), None);
    let hubs = get(&hubs.unwrap(), "/metrics").await;
    assert_eq!((refused.status, refused.text()), (403, hubs.text()));
    let answer = get(&gateway.front_proxy("t3-scraper", &[]).unwrap(), "/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"), "{:?}", answer.headers);
    let (code, text) = plain(port, "/metrics").await.unwrap();
    assert_eq!(code, 200);
    for text in [answer.text(), text] {
        let families = exposition(&text).unwrap();
        let has = |name: &str, labels: &[&str]| {
            let samples = families.iter().filter(|(family, ..)| family == name);
            let fits = |(_, found, value): &&(String, String, f64)| {
                *value > 0.0 && labels.iter().all(|label| found.contains(label))
            };
            assert!(samples.clone().any(|sample| fits(&sample)), "{name} {labels:?} is not among\n{text}");
        };
        let get = ["resource=\"configmaps\"", "verb=\"get\"", "code=\"404\""];
        has("ocm_proxy_proxied_resource_requests_by_resource_total", &get);
        has(
            "ocm_proxy_proxied_resource_requests_by_resource_total",
            &["resource=\"namespaces\"", "code=\"200\""],
        );
        has("ocm_proxy_proxied_requests_by_cluster_total", &["cluster=\"member-0\"", "code=\"200\""]);
        let duration = "ocm_proxy_proxied_request_duration_seconds";
        for bound in ["0", "0.005", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10", "30", "+Inf"] {
            let bucket = format!("{duration}_bucket{{");
            let bound = format!("le=\"{bound}\"");
            assert!(
                text.lines().any(|line| line.starts_with(&bucket) && line.contains(&bound)),
                "{bound}\n{text}"
            );
        }
        has(
            &format!("{duration}_count"),
            &["cluster=\"member-0\"", "resource=\"configmaps\"", "verb=\"get\""],
        );
        has("cluster_gateway_clusters", &["state=\"usable\""]);
        has("process_resident_memory_bytes", &[]);
    }
    let (code, text) = plain(port, "/readyz?verbose").await.unwrap();
    assert!(code == 200 && text.ends_with("readyz check passed\n"), "{code} {text}");
    // What is in the clear is operations and nothing else.
    for path in ["/apis", GATEWAYS, &format!("{base}/api"), "/"] {
        assert_eq!(plain(port, path).await.unwrap().0, 404, "{path}");
    }
}

/// Reads the text exposition format 0.0.4: name, labels and value of each sample. Each family is introduced once,
/// its samples stand together and none comes twice.
fn exposition(text: &str) -> Result<Vec<(String, String, f64)>> {
    let mut samples: Vec<(String, String, f64)> = Vec::new();
    let mut families: Vec<(String, String)> = Vec::new();
    ensure!(text.ends_with('\n'), "the last line does not end");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').with_context(|| line.to_owned())?;
            ensure!(["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind), "{line}");
            ensure!(!families.iter().any(|(family, _)| family == name), "twice: {line}");
            families.push((name.to_owned(), kind.to_owned()));
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            ensure!(rest.split_once(' ').is_some_and(|(_, help)| !help.is_empty()), "no help: {line}");
        } else {
            let (series, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').with_context(|| line.to_owned())?;
            let (family, kind) = families.last().with_context(|| format!("before its family: {line}"))?;
            let suffix =
                name.strip_prefix(family.as_str()).with_context(|| format!("in {family}: {line}"))?;
            let suffixes: &[&str] = match kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                "summary" => &["", "_sum", "_count"],
                _ => &[""],
            };
            ensure!(suffixes.contains(&suffix), "{kind}: {line}");
            ensure!(kind != "counter" || name.ends_with("_total"), "a counter's name ends in _total: {line}");
            let value = value.parse().with_context(|| line.to_owned())?;
            let twice = samples.iter().any(|(other, found, _)| other == name && found == labels);
            ensure!(!twice, "twice: {line}");
            samples.push((name.to_owned(), labels.to_owned(), value));
        }
    }
    Ok(samples)
}

#[tokio::test]
async fn discovery_is_the_same_with_and_without_a_slash_at_the_end() {
    let gateway = shared_gateway().await;
    // As the hub's availability controller asks.
    let hub = gateway.front_proxy("system:kube-aggregator", &["system:masters"]).unwrap();
    let group = "/apis/cluster.core.oam.dev";
    for (path, kind) in
        [("/apis", "APIGroupList"), (group, "APIGroup"), (&format!("{group}/v1alpha1"), "APIResourceList")]
    {
        let [bare, slashed] = [get(&hub, path).await, get(&hub, &format!("{path}/")).await];
        assert_eq!(bare.status, 200, "{path}: {}", bare.text());
        assert_eq!(bare.json().unwrap()["kind"], kind);
        assert_eq!((bare.body, bare.status), (slashed.body, slashed.status), "{path}/");
    }
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let hub = hub.header("accept", aggregated).unwrap();
    let [bare, slashed] = [get(&hub, "/apis").await, get(&hub, "/apis/").await];
    assert_eq!(bare.json().unwrap()["kind"], "APIGroupDiscoveryList");
    assert_eq!(bare.body, slashed.body);
    let resources = get(&hub, &format!("{group}/v1alpha1")).await.json().unwrap();
    let names: Vec<&str> = resources["resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|resource| resource["name"].as_str())
        .collect();
    for name in ["clustergateways", "clustergateways/proxy"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
}

#[tokio::test]
async fn logs_are_lines_of_json_or_of_text_and_requests_are_among_them_when_asked_for() {
    let hub = shared().await.hub();
    let run = |flags: &'static [&'static str]| async move {
        let options =
            flags.iter().fold(GatewayOptions::new(hub, "t3-logs"), |options, flag| options.flag(flag));
        let gateway = Gateway::start(hub, options).await.unwrap();
        let client = gateway.front_proxy("t3-logged", &[]).unwrap().header("Audit-ID", "t3-audit-1").unwrap();
        assert_eq!(get(&client, "/t3-nowhere").await.status, 403);
        until("the request in the log", SOON, || async {
            let wanted = flags.contains(&"-v=3");
            let logs = gateway.logs();
            ensure!(logs.contains("t3-audit-1") || !wanted, "{logs}");
            Ok(logs)
        })
        .await
        .unwrap()
    };
    let (json, text, quiet) =
        tokio::join!(run(&["--log-format=json", "-v=3"]), run(&["--log-format=text", "-v=3"]), run(&[]));
    let lines: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()), "{json}");
    let request = lines.iter().find(|line| line["audit_id"] == "t3-audit-1").unwrap();
    assert_eq!((&request["code"], &request["user"]), (&403.into(), &"t3-logged".into()), "{request}");
    assert_eq!(request["path"], "/t3-nowhere");
    // RFC 3339, then the level.
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let time = words.next().unwrap_or_default();
        assert!(time.starts_with("20") && time.contains('T') && time.ends_with('Z'), "{line}");
        assert!(
            ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&words.next().unwrap_or_default()),
            "{line}"
        );
    }
    assert!(!quiet.contains("t3-audit-1"), "{quiet}");
}

#[tokio::test]
async fn a_gateway_that_was_started_with_few_descriptors_takes_what_it_may_have() {
    let hub = shared().await.hub();
    let mut options = GatewayOptions::new(hub, "operations-descriptors");
    let limit = r#"ulimit -Sn 256 && ulimit -Hn 8192 && exec "$0" "$@""#;
    options.wrapper = ["/bin/sh", "-c", limit].map(str::to_owned).into();
    let gateway = Gateway::start(hub, options).await.unwrap();
    let pid = gateway.process().pid().unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers, ["8192", "8192"], "{line}");
}
