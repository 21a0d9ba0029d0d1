//! The table of the reference's README: three kinds of requests, one after the other, by each way.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::lab::konnectivity::{Frontend, Mode};
use e2e::lab::{Gateway, GatewayOptions, Konnectivity, Kubeconfig, Login, Registration, rule, user};
use hdrhistogram::Histogram;
use http::{HeaderName, HeaderValue};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig as UserKubeconfig};
use kube::{Client, Config};

use crate::load::Tally;
use crate::measure::Spread;
use crate::options::Options;
use crate::report::{Better, Cell, Findings, Table, Unit};
use crate::stage::{CLUSTER_GROUP_PATH, GROUPS, Stage, USER};

/// Nanoseconds.
type Latencies = Histogram<u64>;

/// A way to a cluster.
struct Way {
    name: &'static str,
    client: Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// Create, update and delete a ConfigMap: one sample of the three.
    Write,
    Get,
    List,
}

const OPERATIONS: [(Operation, &str, usize); 3] = [
    (Operation::Write, "create+update+delete ConfigMap", 100),
    (Operation::Get, "get namespace", 1000),
    (Operation::List, "list namespaces", 1000),
];

/// Requests that a way makes before it is another's turn.
const BLOCK: usize = 10;

const DIRECT: &str = "direct";
const DIRECT_TO_HUB: &str = "direct to the hub";
const THROUGH: &str = "hub and gateway";

pub(super) async fn run(stage: &Stage) -> Result<Findings> {
    let (hub, member) = (stage.lab.hub(), stage.lab.member(0));
    // Nobody looks an admin up: this is somebody whom RBAC lets, on the hub and by the gateway.
    let rules = ["namespaces", "configmaps"].map(|resource| rule("", resource, &["*"]));
    hub.grant("bench-table", user(USER), rules.into()).await?;
    let login = Login::Certificate(hub.issue(USER, &[])?);
    let (konnectivity, behind) = behind_konnectivity(stage).await?;
    let ways = [
        Way { name: DIRECT, client: member.admin_client().await? },
        Way { name: DIRECT_TO_HUB, client: hub.client(&login).await? },
        Way { name: THROUGH, client: hub.client_through(member.name(), &login).await? },
        Way { name: "gateway alone", client: to_gateway(&stage.gateway, hub, member.name()).await? },
        Way { name: "gateway and Konnectivity", client: to_gateway(&behind, hub, member.name()).await? },
    ];
    let findings = measure(&ways, stage.rounds(5, 10), !stage.options.full).await?;
    drop((konnectivity, behind));
    Ok(findings)
}

/// The same against a user's own hub and a cluster behind it.
pub(crate) async fn run_on_own_hub(options: &Options) -> Result<Findings> {
    let path = options.kubeconfig.as_deref().context("--kubeconfig")?;
    let cluster = options.cluster.as_deref().context("--cluster")?;
    let kubeconfig =
        UserKubeconfig::read_from(path).with_context(|| format!("reading {}", path.display()))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let mut through = config.clone();
    let hub = config.cluster_url.to_string();
    through.cluster_url =
        format!("{}{CLUSTER_GROUP_PATH}/{cluster}/proxy", hub.trim_end_matches('/')).parse()?;
    let ways = [
        Way { name: DIRECT_TO_HUB, client: Client::try_from(config)? },
        Way { name: THROUGH, client: Client::try_from(through)? },
    ];
    for way in &ways {
        let version = way.client.apiserver_version().await;
        version.with_context(|| format!("asking for the version: {}", way.name))?;
    }
    measure(&ways, options.rounds.unwrap_or(5), !options.full).await
}

/// A client of the gateway itself, as the hub is.
async fn to_gateway(gateway: &Gateway, hub: &e2e::lab::ControlPlane, cluster: &str) -> Result<Client> {
    let url = format!("{}{CLUSTER_GROUP_PATH}/{cluster}/proxy", gateway.url());
    let login = Login::Certificate(hub.front_proxy()?.client.clone());
    let mut config = Kubeconfig::new().context("gateway", &url, gateway.ca_pem(), &login).config().await?;
    let mut header = |name, value: &str| -> Result<()> {
        config.headers.push((HeaderName::from_static(name), HeaderValue::from_str(value)?));
        Ok(())
    };
    header("x-remote-user", USER)?;
    for group in GROUPS {
        header("x-remote-group", group)?;
    }
    Ok(Client::try_from(config)?)
}

/// A second gateway, whose clusters are dialled through a Konnectivity server and agent.
async fn behind_konnectivity(stage: &Stage) -> Result<(Konnectivity, Gateway)> {
    const NAMESPACE: &str = "bench-konnectivity";
    let (hub, member) = (stage.lab.hub(), stage.lab.member(0));
    let konnectivity =
        Konnectivity::start(Mode::Grpc, Frontend::MutualTls, &[(member.name(), member.port())]).await?;
    hub.ensure_namespace(NAMESPACE).await?;
    let mut registration = Registration::member(NAMESPACE, member)?
        .label("cluster.core.oam.dev/cluster-endpoint-type", "ClusterProxy")
        .without_ca();
    registration.data.remove("endpoint");
    registration.apply(&hub.admin_client().await?).await?;
    let mut options = GatewayOptions::new(hub, NAMESPACE);
    options.flags = konnectivity.flags();
    let gateway = Gateway::start(hub, options).await?;
    let client = to_gateway(&gateway, hub, member.name()).await?;
    e2e::lab::until("a cluster behind Konnectivity", Duration::from_secs(30), || async {
        Ok(client.apiserver_version().await?)
    })
    .await?;
    Ok((konnectivity, gateway))
}

async fn measure(ways: &[Way], count: u32, quick: bool) -> Result<Findings> {
    let mut findings = Findings::default();
    findings.notes.push(format!(
        "One request after the other, kube's client; ways take turns every {BLOCK} requests (every one when they write), \
         in {count} rounds; deviation is the standard one."
    ));
    if ways.iter().any(|way| way.name == DIRECT) {
        findings.notes.push(
            "Direct and direct to the hub are equal servers on one machine: what they differ by is its noise.".to_owned(),
        );
    }
    if quick {
        findings.notes.push("A quick run makes a third of the reference's numbers of requests.".to_owned());
    }
    // A name of its own: what an earlier run left when it was broken off is in nobody's way.
    let map = format!("cluster-gateway-bench-{:08x}", rand::random::<u32>());
    for (operation, title, requests) in OPERATIONS {
        // A quick run has a third of the reference's numbers.
        let each = requests.div_ceil(count as usize * if quick { 3 } else { 1 }).max(5);
        let samples = measure_one(ways, operation, count as usize, each, &map).await;
        if samples.is_err() {
            clean_up(ways, &map).await;
        }
        let samples = samples?;
        show(&mut findings, title, ways, &samples);
        promise(&mut findings, operation, ways, &samples);
    }
    Ok(findings)
}

/// For each way its latencies, round by round. Within a round ways take turns after few requests: what is slow for a
/// moment is so for all.
async fn measure_one(
    ways: &[Way],
    operation: Operation,
    count: usize,
    each: usize,
    map: &str,
) -> Result<Vec<Vec<Latencies>>> {
    let block = if operation == Operation::Write { 1 } else { BLOCK };
    let mut samples: Vec<Vec<Latencies>> = ways.iter().map(|_| Vec::new()).collect();
    for way in ways {
        // A connection that was idle meanwhile may be gone.
        once(way, operation, map).await.with_context(|| way.name.to_owned())?;
    }
    for _ in 0..count {
        for latencies in &mut samples {
            latencies.push(Tally::new().latencies);
        }
        for (turn, start) in (0..each).step_by(block).enumerate() {
            for place in 0..ways.len() {
                let index = (turn + place) % ways.len();
                let (way, latencies) = (&ways[index], samples[index].last_mut().context("no round")?);
                for _ in start..(start + block).min(each) {
                    let began = Instant::now();
                    once(way, operation, map).await.with_context(|| way.name.to_owned())?;
                    latencies.saturating_record(u64::try_from(began.elapsed().as_nanos())?);
                }
            }
        }
    }
    Ok(samples)
}

/// Leaves nothing behind where something broke off.
async fn clean_up(ways: &[Way], map: &str) {
    for way in ways {
        let maps: Api<ConfigMap> = Api::namespaced(way.client.clone(), "default");
        // Mostly it is not there.
        let _ = maps.delete(map, &DeleteParams::default()).await;
    }
}

async fn once(way: &Way, operation: Operation, map: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(way.client.clone());
    match operation {
        Operation::Get => {
            namespaces.get("default").await?;
        }
        Operation::List => {
            let list = namespaces.list(&ListParams::default()).await?;
            ensure!(!list.items.is_empty(), "no namespaces");
        }
        Operation::Write => {
            let maps: Api<ConfigMap> = Api::namespaced(way.client.clone(), "default");
            let content = |value: &str| ConfigMap {
                metadata: ObjectMeta { name: Some(map.to_owned()), ..ObjectMeta::default() },
                data: Some([("round".to_owned(), value.to_owned())].into()),
                ..ConfigMap::default()
            };
            maps.create(&PostParams::default(), &content("created")).await?;
            maps.replace(map, &PostParams::default(), &content("updated")).await?;
            maps.delete(map, &DeleteParams::default()).await?;
        }
    }
    Ok(())
}

fn show(findings: &mut Findings, title: &str, ways: &[Way], samples: &[Vec<Latencies>]) {
    let against = format!("against {}", ways[0].name);
    let columns = ["", "fastest", "slowest", "average", "± deviation", "p50", "p90", "p99", &against];
    let mut table = Table::new(title, &columns);
    let medians = |rounds: &[Latencies]| -> Vec<f64> {
        rounds.iter().map(|latencies| latencies.value_at_quantile(0.5) as f64 / 1e6).collect()
    };
    for (way, rounds) in ways.iter().zip(samples) {
        let mut all = Tally::new().latencies;
        for latencies in rounds {
            // All have the same bounds.
            let _ = all.add(latencies);
        }
        let cell = |nanoseconds: f64| Cell::of([nanoseconds / 1e6], Unit::Milliseconds);
        let ratio = Spread::ratio(&medians(rounds), &medians(&samples[0]));
        table.rows.push(vec![
            way.name.into(),
            cell(all.min() as f64),
            cell(all.max() as f64),
            cell(all.mean()),
            cell(all.stdev()),
            Cell::of(medians(rounds), Unit::Milliseconds),
            cell(all.value_at_quantile(0.9) as f64),
            cell(all.value_at_quantile(0.99) as f64),
            Cell::spread(ratio, Unit::Times),
        ]);
        let name = format!("table/{title}/{}/against/{}", way.name, ways[0].name);
        findings.cost(&name, ratio);
        findings.time(&format!("table/{title}/{}", way.name), Spread::of(medians(rounds)));
    }
    findings.tables.push(table);
}

fn promise(findings: &mut Findings, operation: Operation, ways: &[Way], samples: &[Vec<Latencies>]) {
    let median = |name: &str| -> Option<Vec<f64>> {
        let index = ways.iter().position(|way| way.name == name)?;
        Some(samples[index].iter().map(|latencies| latencies.value_at_quantile(0.5) as f64 / 1e6).collect())
    };
    let (Some(direct), Some(hub), Some(through)) = (median(DIRECT), median(DIRECT_TO_HUB), median(THROUGH))
    else {
        return;
    };
    match operation {
        Operation::Get => {
            let more = (0..direct.len()).map(|round| through[round] - direct[round] - hub[round]);
            let what = "get namespace through hub and gateway, beyond direct to hub + direct to member";
            findings.promise(what, Spread::of(more), Better::Lower, 0.2, Unit::Milliseconds);
        }
        Operation::Write => {
            let ratio = Spread::ratio(&through, &direct);
            let what = "create+update+delete ConfigMap through hub and gateway, against direct";
            findings.promise(what, ratio, Better::Lower, 1.6, Unit::Times);
        }
        Operation::List => {}
    }
}
