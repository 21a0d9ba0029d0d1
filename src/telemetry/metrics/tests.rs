use std::time::Duration;

use crate::telemetry::{ErrorKind, Resource, Verb};
use http::Method;

use super::*;

struct Fixture {
    metrics: Metrics,
}

impl Fixture {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        Self { metrics: Metrics::with_options(&Registry::new(), options).unwrap() }
    }

    fn cluster(&self, name: &str) -> Arc<ClusterSeries> {
        self.metrics.cluster(&ClusterName::parse(name).unwrap())
    }

    fn record(&self, cluster: Option<&Arc<ClusterSeries>>, resource: &str, verb: &str, code: u16) {
        self.metrics.record(&Record {
            target: Target::Proxy,
            cluster,
            resource: Resource::of(resource),
            verb: Verb::of(verb),
            code,
            method: &Method::GET,
            path: "/",
            user: "somebody",
            remote: None,
            audit_id: "",
            received: 3,
            sent: 5,
            streamed: false,
            duration: Duration::from_millis(30),
            upstream: Some(Duration::from_millis(20)),
            error: (code == 502).then_some(ErrorKind::Unreachable),
        });
    }

    fn text(&self) -> String {
        self.metrics.text().unwrap()
    }

    #[track_caller]
    fn has(&self, line: &str) {
        let text = self.text();
        assert!(text.lines().any(|own| own == line), "{line} is not in:\n{text}");
    }
}

#[test]
fn requests_are_counted_under_the_names_of_the_go_gateway() {
    let fixture = Fixture::new();
    let cluster = fixture.cluster("one");
    fixture.record(Some(&cluster), "pods", "list", 200);
    fixture.record(Some(&cluster), "pods", "watch", 200);
    fixture.record(Some(&cluster), "widgets", "create", 502);
    for line in [
        r#"ocm_proxy_proxied_resource_requests_by_resource_total{code="200",resource="pods",verb="get"} 2"#,
        r#"ocm_proxy_proxied_resource_requests_by_resource_total{code="502",resource="other",verb="create"} 1"#,
        r#"ocm_proxy_proxied_requests_by_cluster_total{cluster="one",code="200"} 2"#,
        r#"ocm_proxy_proxied_request_duration_seconds_bucket{cluster="one",code="200",resource="pods",verb="get",le="0.02"} 0"#,
        r#"ocm_proxy_proxied_request_duration_seconds_bucket{cluster="one",code="200",resource="pods",verb="get",le="0.05"} 2"#,
        r#"cluster_gateway_upstream_errors_total{cluster="one",kind="unreachable"} 1"#,
        r#"cluster_gateway_request_bytes_total{cluster="one"} 9"#,
        r#"cluster_gateway_response_bytes_total{cluster="one"} 15"#,
        r#"cluster_gateway_upstream_header_duration_seconds_count{cluster="one"} 3"#,
    ] {
        fixture.has(line);
    }
}

#[test]
fn requests_for_no_cluster_of_the_table_make_no_cluster_label() {
    let fixture = Fixture::new();
    fixture.record(None, "pods", "get", 404);
    fixture.has(r#"cluster_gateway_local_requests_total{code="404",target="proxy"} 1"#);
    assert!(!fixture.text().contains("cluster=\""));
}

#[test]
fn series_of_a_removed_cluster_are_removed_once_its_last_request_has_ended() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.cluster("one"), fixture.cluster("two"));
    let running = Arc::clone(&one);
    let in_flight = running.begin();
    fixture.has(r#"cluster_gateway_requests_in_flight{cluster="one"} 1"#);
    fixture.record(Some(&two), "pods", "get", 200);
    drop(one);
    drop(in_flight);
    fixture.record(Some(&running), "pods", "get", 502);
    fixture.has(r#"cluster_gateway_requests_in_flight{cluster="one"} 0"#);
    drop(running);
    let text = fixture.text();
    assert!(!text.contains(r#"cluster="one""#) && text.contains(r#"cluster="two""#), "{text}");
}

#[test]
fn generations_of_a_cluster_share_their_series() {
    let fixture = Fixture::new();
    let old = fixture.cluster("one");
    fixture.record(Some(&old), "pods", "get", 200);
    let new = fixture.cluster("one");
    assert!(Arc::ptr_eq(&old, &new));
    drop(old);
    fixture.record(Some(&new), "pods", "get", 200);
    fixture.has(r#"ocm_proxy_proxied_requests_by_cluster_total{cluster="one",code="200"} 2"#);
}

#[test]
fn a_successor_that_comes_while_the_last_one_goes_takes_everything_over() {
    let fixture = Fixture::new();
    let old = fixture.cluster("one");
    fixture.record(Some(&old), "pods", "get", 200);
    // As if somebody asked between the end of the last reference and the drop: the entry is there, nobody is alive.
    let name = old.name().clone();
    let counts = Arc::clone(old.counts());
    let new = Arc::new(ClusterSeries::new(name.clone(), Arc::clone(&counts), fixture.metrics.clone()));
    let entry = Entry { series: Arc::downgrade(&new), counts };
    fixture.metrics.0.clusters.lock().unwrap().insert(name, entry);
    drop(old);
    fixture.has(r#"ocm_proxy_proxied_requests_by_cluster_total{cluster="one",code="200"} 1"#);
    drop(new);
    assert!(!fixture.text().contains(r#"cluster="one""#));
}

#[test]
fn reloads_and_expiry_are_shown() {
    let fixture = Fixture::new();
    fixture.metrics.reloaded(Reloaded::ServingCertificate, false);
    fixture.metrics.serving_certificate(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    fixture.has(r#"cluster_gateway_reloads_total{outcome="failure",what="serving_certificate"} 1"#);
    fixture.has("cluster_gateway_serving_certificate_expiry_timestamp_seconds 1800000000");
    let text = fixture.text();
    assert!(
        text.contains("cluster_gateway_build_info{") && text.contains("\nprocess_resident_memory_bytes ")
    );
}

#[test]
fn ten_thousand_clusters_keep_to_the_histograms_that_there_may_be_and_nothing_is_lost() {
    let fixture = Fixture::with(Options { per_cluster: true, cluster_histograms: 30 });
    let clusters: Vec<_> = (0..10_000).map(|number| fixture.cluster(&format!("c{number}"))).collect();
    for cluster in &clusters {
        fixture.record(Some(cluster), "pods", "get", 200);
    }
    let text = fixture.text();
    let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(count("ocm_proxy_proxied_requests_by_cluster_total{"), 10_000);
    // Fifteen clusters with both, and what all others share.
    assert_eq!(count("ocm_proxy_proxied_request_duration_seconds_count{"), 16);
    assert_eq!(count("cluster_gateway_upstream_header_duration_seconds_count{"), 16);
    fixture.has("cluster_gateway_cluster_histograms 30");
    fixture.has(
        r#"ocm_proxy_proxied_request_duration_seconds_count{cluster="",code="200",resource="pods",verb="get"} 9985"#,
    );
    drop(clusters);
    fixture.has("cluster_gateway_cluster_histograms 0");
    assert!(!fixture.text().contains(r#"cluster="c"#));
}

#[test]
fn aggregated_metrics_name_no_cluster() {
    let registry = Registry::new();
    let options = Options { per_cluster: false, cluster_histograms: 100 };
    let fixture = Fixture { metrics: Metrics::with_options(&registry, options).unwrap() };
    let gauge = |name: &str, values: [i64; 2]| {
        let gauge =
            register(&registry, IntGaugeVec::new(Opts::new(name, "Of clusters"), &["cluster"]).unwrap());
        let gauge = gauge.unwrap();
        gauge.with_label_values(&["one"]).set(values[0]);
        gauge.with_label_values(&["two"]).set(values[1]);
    };
    gauge("cluster_expiry", [4_000_000_030, 4_000_000_020]);
    gauge("cluster_failing", [1, 1]);
    let (one, two) = (fixture.cluster("one"), fixture.cluster("two"));
    fixture.record(Some(&one), "pods", "get", 200);
    fixture.record(Some(&two), "pods", "get", 502);
    let _stream = two.stream();
    let _running = one.begin();
    drop(one);
    for line in [
        r#"ocm_proxy_proxied_requests_by_cluster_total{cluster="",code="200"} 1"#,
        r#"ocm_proxy_proxied_request_duration_seconds_count{cluster="",code="502",resource="pods",verb="get"} 1"#,
        r#"cluster_gateway_upstream_header_duration_seconds_count{cluster=""} 2"#,
        r#"cluster_gateway_requests_in_flight{cluster=""} 1"#,
        r#"cluster_gateway_upgraded_streams{cluster=""} 1"#,
        r#"cluster_expiry{cluster=""} 4000000020"#,
        r#"cluster_failing{cluster=""} 2"#,
        "cluster_gateway_cluster_histograms 0",
    ] {
        fixture.has(line);
    }
    assert!(!fixture.text().contains(r#"cluster="one""#) && !fixture.text().contains(r#"cluster="two""#));
}

#[test]
fn whatever_callers_ask_for_there_are_no_more_series_than_labels() {
    let fixture = Fixture::new();
    let cluster = fixture.cluster("one");
    for number in 0..20_000_u16 {
        let resource = RESOURCES[usize::from(number) % RESOURCES.len()];
        fixture.record(Some(&cluster), resource, VERBS[usize::from(number) % VERBS.len()], number % 1_000);
        fixture.record(Some(&cluster), &format!("r{number}"), &format!("V{number}"), number);
        fixture.record(None, &format!("r{number}"), "get", number);
    }
    // Two resources and `other`, three verbs and `other`, 37 codes; a hundred histograms of the cluster's, of 15 lines.
    let (lines, text) = (fixture.text().lines().count(), fixture.text().len());
    for number in 0..20_000_u16 {
        fixture.record(Some(&cluster), &format!("s{number}"), &format!("W{number}"), number);
    }
    assert_eq!(fixture.text().lines().count(), lines);
    assert!(fixture.text().len() < text + text / 10);
    assert!(lines < 3 * 4 * Code::COUNT * 17, "{lines}");
    fixture.has("cluster_gateway_cluster_histograms 100");
}

const RESOURCES: [&str; 2] = ["pods", "nodes"];
const VERBS: [&str; 3] = ["get", "create", "delete"];
