//! Clusters that are reached through something: HTTP CONNECT, SOCKS5, Konnectivity. Streams and plain requests alike,
//! and connections are kept as direct ones are.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::lab::konnectivity::{Frontend, Mode};
use e2e::lab::{
    ControlPlane, Exposure, ForwardProxy, Gateway, GatewayOptions, Konnectivity, Kubectl, Protocol,
    ProxyKind, Registration, SHARED_NAMESPACE, shared, shared_gateway, until,
};

use super::kinds::Way;
use super::place::{Place, aimed, grant, place, register, straight_to};

const SOON: Duration = Duration::from_secs(30);
/// Workers have pools of their own, one for each core.
const POOLS: usize = 2;

#[tokio::test]
async fn forward_proxies_carry_streams_and_requests() {
    let place = place().await;
    for (kind, protocol) in [(ProxyKind::Connect, Protocol::WebSocket), (ProxyKind::Socks5, Protocol::Spdy)] {
        let (proxy, kubectl) = by_proxy(place, kind, "streams").await.unwrap();
        let way = Way::new(place, &format!("{kind:?}").to_lowercase(), kubectl.clone().protocol(protocol));
        covering(&way).await.unwrap();
        reused(&kubectl, || proxy.dialed(&place.hidden())).await.unwrap();
        // What streams needed is closed with them.
        until("no more connections than pools have", SOON, || async {
            let live = proxy.live(&place.hidden());
            ensure!(live <= POOLS, "{live} are open");
            Ok(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_forward_proxy_that_fails_is_named_without_its_password_and_needed_again_when_it_is_back() {
    let place = place().await;
    for kind in [ProxyKind::Connect, ProxyKind::Socks5] {
        let (proxy, kubectl) = by_proxy(place, kind, "streams-failing").await.unwrap();
        let cluster = cluster_of(kind, "streams-failing");
        let known_by = format!("localhost:{}", proxy.port());
        let fails = async |word: &str| {
            until(word, SOON, || async {
                let output = kubectl.run(&["get", "--raw", "/readyz"]).await?;
                ensure!(!output.success() && output.stderr.contains(word), "{output:?}");
                ensure!(output.stderr.contains("ServiceUnavailable"), "{output:?}");
                Ok(output.stderr)
            })
            .await
            .unwrap()
        };
        proxy.process().kill().unwrap();
        let message = fails(&known_by).await;
        assert!(message.contains(&cluster) && !message.contains("p@ss"), "{message}");
        assert!(!message.contains("p%40ss") && !message.contains("lab user"), "{message}");
        let exec = kubectl.run(&["exec", "-n", "streams", "stand-in", "--", "true"]).await.unwrap();
        // kubectl has words of its own for what its discovery meets.
        assert!(!exec.success() && exec.stderr.contains("(ServiceUnavailable)"), "{exec:?}");
        proxy.start_again().await.unwrap();
        until("the proxy", SOON, || kubectl.ok(&["get", "--raw", "/readyz"])).await.unwrap();

        let refused = registration(place, kind, "streams-failing").unwrap();
        let refused = refused.data("proxy-url", proxy.wrong_url());
        refused.apply(&shared().await.hub().admin_client().await.unwrap()).await.unwrap();
        fails(&known_by).await;
        assert!(proxy.refused() > 0);
        // Whoever may look at the cluster does not learn how the proxy is used.
        let shown = shared().await.hub().admin_kubectl();
        let shown = shown.ok(&["get", "clustergateway", &cluster, "-o", "yaml"]).await.unwrap();
        assert!(shown.contains(&known_by), "{shown}");
        let logs = shared_gateway().await.logs();
        for password in ["p@ss", "p%40ss", "user:wrong"] {
            assert!(!shown.contains(password) && !logs.contains(password), "{password} is shown");
        }
    }
}

#[tokio::test]
async fn konnectivity_carries_streams_and_requests_in_both_modes() {
    let place = place().await;
    let hub = shared().await.start_hub("streams-konnectivity").await.unwrap();
    let kubeconfig = grant(&hub).await.unwrap();
    for (mode, protocol) in [(Mode::Grpc, Protocol::WebSocket), (Mode::HttpConnect, Protocol::Spdy)] {
        let behind = Behind::start(&hub, place, mode, Frontend::MutualTls).await.unwrap();
        behind.gateway.expose(&hub, Exposure::ExternalName).await.unwrap();
        let kubectl = Kubectl::new(kubeconfig.clone()).server(&hub.proxy_url(&behind.cluster));
        until("the cluster", SOON, || kubectl.ok(&["get", "--raw", "/readyz"])).await.unwrap();
        let way = Way::new(place, &behind.cluster, kubectl.clone().protocol(protocol));
        covering(&way).await.unwrap();
        let relay = behind.konnectivity.to_cluster(&behind.cluster).unwrap();
        reused(&kubectl, || relay.accepted() as usize).await.unwrap();
        until("no more connections than pools have", SOON, || async {
            ensure!(relay.live() <= POOLS, "{} are open", relay.live());
            Ok(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn konnectivity_is_reached_by_a_unix_socket_as_well() {
    let place = place().await;
    let hub = shared().await.hub();
    for (mode, protocol) in [(Mode::Grpc, Protocol::Spdy), (Mode::HttpConnect, Protocol::WebSocket)] {
        let behind = Behind::start(hub, place, mode, Frontend::UnixSocket).await.unwrap();
        let kubeconfig = straight_to(&behind.gateway, hub, &behind.cluster).unwrap();
        let kubectl = Kubectl::new(kubeconfig);
        until("the cluster", SOON, || kubectl.ok(&["get", "--raw", "/readyz"])).await.unwrap();
        let way = Way::new(place, &behind.cluster, kubectl.protocol(protocol));
        way.exec().await.unwrap();
        way.port_forward().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "long: every stream over every transport, both protocols and both kubectls, with 200 MB each way"]
async fn every_stream_works_over_every_transport() {
    let place = place().await;
    register(&place.registered(SHARED_NAMESPACE, "streams").unwrap()).await.unwrap();
    let mut ways = vec![("direct", aimed("streams").await.unwrap())];
    let (_connect, kubectl) = by_proxy(place, ProxyKind::Connect, "streams-all").await.unwrap();
    ways.push(("connect", kubectl));
    let (_socks5, kubectl) = by_proxy(place, ProxyKind::Socks5, "streams-all").await.unwrap();
    ways.push(("socks5", kubectl));
    let mut running = Vec::new();
    for (name, mode) in [("grpc", Mode::Grpc), ("http-connect", Mode::HttpConnect)] {
        let hub = shared().await.start_hub(&format!("streams-all-{name}")).await.unwrap();
        let kubeconfig = grant(&hub).await.unwrap();
        let behind = Behind::start(&hub, place, mode, Frontend::MutualTls).await.unwrap();
        behind.gateway.expose(&hub, Exposure::ExternalName).await.unwrap();
        let kubectl = Kubectl::new(kubeconfig).server(&hub.proxy_url(&behind.cluster));
        until("the cluster", SOON, || kubectl.ok(&["get", "--raw", "/readyz"])).await.unwrap();
        ways.push((name, kubectl));
        running.push((hub, behind));
    }
    for (name, kubectl) in ways {
        for protocol in [Protocol::Spdy, Protocol::WebSocket] {
            for old in [false, true] {
                let began = std::time::Instant::now();
                let kubectl = if old { kubectl.clone().old() } else { kubectl.clone() };
                let called = format!("all-{name}-{protocol:?}-{old}").to_lowercase();
                let way = Way::new(place, &called, kubectl.protocol(protocol));
                let (all, log) = futures::join!(way.everything(200 << 20), way.logs(Duration::from_secs(70)));
                all.and(log).unwrap_or_else(|error| panic!("{called}: {error:#}"));
                eprintln!("{called}: everything, and 200 MB each way, in {:?}", began.elapsed());
            }
        }
    }
}

/// What is tried on every transport in short.
async fn covering(way: &Way<'_>) -> Result<()> {
    way.exec().await?;
    way.port_forward().await?;
    way.copy(2 << 20).await?;
    way.logs(Duration::ZERO).await?;
    way.watch_and_list().await
}

/// Requests one after the other need no connections of their own.
async fn reused(kubectl: &Kubectl, dialed: impl Fn() -> usize) -> Result<()> {
    let before = dialed();
    for _ in 0..12 {
        kubectl.ok(&["get", "--raw", "/version"]).await?;
    }
    let more = dialed() - before;
    ensure!(more <= POOLS, "12 requests needed {more} new connections");
    Ok(())
}

fn cluster_of(kind: ProxyKind, prefix: &str) -> String {
    format!("{prefix}-{kind:?}").to_lowercase()
}

fn registration(place: &Place, kind: ProxyKind, prefix: &str) -> Result<Registration> {
    let registration = place.registered(SHARED_NAMESPACE, &cluster_of(kind, prefix))?;
    Ok(registration.data("endpoint", format!("https://{}", place.hidden())))
}

/// A forward proxy, and a cluster of the shared gateway that only it can find.
async fn by_proxy(place: &Place, kind: ProxyKind, prefix: &str) -> Result<(ForwardProxy, Kubectl)> {
    let (target, address) = place.known();
    let proxy = ForwardProxy::start(kind, &[(&target, address)]).await?;
    let mut cluster = registration(place, kind, prefix)?.data("proxy-url", proxy.url());
    if kind == ProxyKind::ConnectTls {
        cluster = cluster.data("proxy-ca.crt", proxy.ca_pem());
    }
    register(&cluster).await?;
    Ok((proxy, aimed(&cluster.name).await?))
}

/// A gateway that dials through Konnectivity, and the member as a cluster of it.
pub(super) struct Behind {
    pub(super) konnectivity: Konnectivity,
    pub(super) gateway: Gateway,
    pub(super) cluster: String,
}

impl Behind {
    async fn start(hub: &ControlPlane, place: &Place, mode: Mode, frontend: Frontend) -> Result<Self> {
        let name = format!("streams-{mode:?}-{frontend:?}").to_lowercase();
        Self::named(&name, hub, place, (mode, frontend), &[]).await
    }

    /// `name` is that of the cluster and of the gateway's namespace.
    pub(super) async fn named(
        name: &str,
        hub: &ControlPlane,
        place: &Place,
        (mode, frontend): (Mode, Frontend),
        flags: &[&str],
    ) -> Result<Self> {
        let clusters = [(name, place.member.port())];
        let konnectivity = Konnectivity::start(mode, frontend, &clusters).await?;
        let options = GatewayOptions { name: name.to_owned(), ..GatewayOptions::new(hub, name) };
        let flags = konnectivity.flags().into_iter().chain(flags.iter().map(|&flag| flag.to_owned()));
        let options = flags.fold(options, |options, flag| options.flag(&flag));
        let gateway = Gateway::start(hub, options).await?;
        existing(place, name)?.apply(&hub.admin_client().await?).await?;
        Ok(Self { konnectivity, gateway, cluster: name.to_owned() })
    }
}

/// A Secret of endpoint type ClusterProxy as it is for the reference: no endpoint, nothing to verify.
pub(super) fn existing(place: &Place, name: &str) -> Result<Registration> {
    let mut registration = place
        .registered(name, name)?
        .without_ca()
        .label("cluster.core.oam.dev/cluster-endpoint-type", "ClusterProxy");
    registration.data.remove("endpoint");
    Ok(registration)
}
