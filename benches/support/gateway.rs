use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cluster_gateway::admin::{Operations, Readiness};
use cluster_gateway::api::{self, Api};
use cluster_gateway::authn::{
    self, Authenticator, AuthenticatorOptions, ClientChain, HubConfig, HubConfigs, WorkerAuthenticator,
};
use cluster_gateway::authz::{
    self, AccessReviewer, Authorizer, AuthorizerOptions, Decision, Question, WorkerAuthorizer,
};
use cluster_gateway::clusters::{self, Access, Change, Grant, HealthWriter, Table, Tables, Writer};
use cluster_gateway::credentials::{self, Sources};
use cluster_gateway::exchange::{Exchanger, GlobalRules, WorkerExchanger};
use cluster_gateway::gateway::{Caller, Gateway, Options, Parts, StreamOptions};
use cluster_gateway::model::{ClusterName, GroupName};
use cluster_gateway::reviews::Failed;
use cluster_gateway::telemetry::{self, Connections, Tunnels};
use cluster_gateway::upstream::{
    Endpoint, Network, Resolver, Route, Speaks, SystemRoots, Trust, Upstream, UpstreamSpec, Worker,
};
use http::{HeaderName, HeaderValue, Method, Request};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use prometheus::Registry;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// The cluster that everybody asks for.
pub(crate) const NAME: &str = "member-1";
/// What they ask it.
pub(crate) const REST: &str = "/api/v1/namespaces/default/configmaps/one";

/// One worker's data path, and somebody who calls it as a hub does.
pub(crate) struct Stand {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) authenticator: WorkerAuthenticator,
    pub(crate) authorizer: WorkerAuthorizer,
    pub(crate) exchanger: WorkerExchanger,
    pub(crate) tables: Tables,
    pub(crate) metrics: telemetry::Metrics,
}

/// A hub that allows everything.
struct Yes;

#[async_trait]
impl AccessReviewer for Yes {
    async fn review(&self, _: &Question) -> Result<Decision, Failed> {
        Ok(Decision::Allowed)
    }
}

impl Stand {
    /// In front of the cluster that listens there, and of so many others. To be called in a runtime.
    pub(crate) fn new(socket: &Path, others: usize) -> Self {
        let registry = Registry::new();
        let control = Handle::current();
        let metrics = telemetry::Metrics::new(&registry).expect("metrics");
        let (config, chain) = front_proxy();
        let authenticator = Authenticator::new(
            HubConfigs::fixed(config),
            None,
            AuthenticatorOptions::default(),
            &control,
            authn::Metrics::register(&registry).expect("metrics"),
        );
        let options = AuthorizerOptions { ttl: Duration::from_secs(3600), ..AuthorizerOptions::default() };
        let counted = authz::Metrics::register(&registry).expect("metrics");
        let authorizer = Authorizer::new(Arc::new(Yes), &options, &control, counted).expect("paths");
        let reading = reading(&registry, &metrics);
        let config = kube::Config::new("https://127.0.0.1:1".parse().expect("a URI"));
        let client = kube::Client::try_from(config).expect("a client");
        let health =
            HealthWriter::new(client, "default", &reading, control.clone(), &registry).expect("metrics");
        let tables = tables(socket, others, reading, &registry);
        let counted = api::Metrics::register(&registry).expect("metrics");
        let exchanger = Exchanger::new(true, GlobalRules::default());
        let peer = ([10, 0, 0, 1], 40_000).into();
        let caller = Caller::new(peer, Some(chain), CancellationToken::new(), CancellationToken::new());
        let parts = Parts {
            worker: Worker(0),
            authenticator: authenticator.for_worker(),
            authorizer: authorizer.for_worker(),
            exchanger: exchanger.for_worker(),
            tables: tables.clone(),
            api: Arc::new(Api::new(GroupName::default(), false, counted)),
            health,
            control,
            operations: Operations::new(Readiness::default(), metrics.clone(), Handle::current()),
            metrics: metrics.clone(),
            options: Options {
                group: GroupName::DEFAULT.into(),
                request_timeout: Duration::from_secs(60),
                authorize_proxy_subpath: false,
                streams: StreamOptions {
                    write_timeout: Duration::from_secs(60),
                    idle_timeout: None,
                    per_cluster: 0,
                },
            },
        };
        Self {
            gateway: Arc::new(Gateway::new(parts)),
            caller: Arc::new(caller),
            authenticator: authenticator.for_worker(),
            authorizer: authorizer.for_worker(),
            exchanger: exchanger.for_worker(),
            tables,
            metrics,
        }
    }
}

/// What a hub sends on when a controller reads an object.
pub(crate) fn request() -> Request<()> {
    let path =
        format!("https://gateway/apis/{}/v1alpha1/clustergateways/{NAME}/proxy{REST}", GroupName::DEFAULT);
    let mut request = Request::new(());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = path.parse().expect("a URI");
    for (name, value) in [
        ("accept", "application/json"),
        ("accept-encoding", "gzip"),
        ("user-agent", "controller/v1.35.4 (linux/amd64) kubernetes/0000000"),
        ("x-forwarded-for", "10.1.2.3"),
        ("x-forwarded-host", "hub.example:6443"),
        ("x-forwarded-proto", "https"),
        (
            "x-forwarded-uri",
            "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/member-1/proxy/api/v1/namespaces/default/configmaps/one",
        ),
        ("audit-id", "5c0f7c1a-0a41-4f0a-8d53-7f1f7a3e9b11"),
        ("x-remote-user", "system:serviceaccount:default:controller"),
        ("x-remote-group", "system:serviceaccounts"),
        ("x-remote-group", "system:serviceaccounts:default"),
        ("x-remote-group", "system:authenticated"),
        (
            "x-remote-extra-authentication.kubernetes.io%2fcredential-id",
            "JTI=0b9a6c1e-2f0a-4b5e-8e55-2b9c0f3d1a77",
        ),
    ] {
        let name: HeaderName = name.parse().expect("a header");
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    request
}

fn front_proxy() -> (HubConfig, ClientChain) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("a certificate");
    let data = [
        ("requestheader-client-ca-file", authority.pem()),
        ("requestheader-allowed-names", "[\"front-proxy-client\"]".to_owned()),
        ("requestheader-username-headers", "[\"X-Remote-User\"]".to_owned()),
        ("requestheader-group-headers", "[\"X-Remote-Group\"]".to_owned()),
        ("requestheader-extra-headers-prefix", "[\"X-Remote-Extra-\"]".to_owned()),
    ];
    let data: BTreeMap<String, String> = data.map(|(key, value)| (key.to_owned(), value)).into();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "front-proxy-client");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().expect("a key");
    let leaf: CertificateDer<'static> = params.signed_by(&key, &issuer).expect("a certificate").der().clone();
    (HubConfig::from_data(1, &data).expect("a configuration"), ClientChain::new(vec![leaf]).expect("a chain"))
}

fn reading(registry: &Registry, metrics: &telemetry::Metrics) -> clusters::Options {
    let control = Handle::current();
    clusters::Options {
        group: GroupName::DEFAULT.to_owned(),
        require_ca: false,
        expose_credentials: false,
        healthiness_check: false,
        network: Network {
            workers: 1,
            connect_timeout: Duration::from_secs(10),
            resolver: Resolver::new(control.clone()),
            system: SystemRoots::default(),
            tunnels: Tunnels::new(registry).expect("metrics"),
            connections: Connections::new(registry).expect("metrics"),
        },
        konnectivity: None,
        credentials: Sources::new(
            control,
            credentials::Options::default(),
            credentials::Metrics::new(registry).expect("metrics"),
        ),
        telemetry: metrics.clone(),
    }
}

/// As a writer makes them, but that the one cluster is reached by its socket.
fn tables(socket: &Path, others: usize, reading: clusters::Options, registry: &Registry) -> Tables {
    let network = reading.network.clone();
    let made = Tables::default();
    let mut writer = Writer::new(made.clone(), reading, clusters::Metrics::new(registry).expect("metrics"));
    let names = std::iter::once(NAME.to_owned()).chain((0..others).map(|index| format!("other-{index}")));
    let changes: Vec<Change> = names.map(|name| Change::Apply(Box::new(secret(&name)))).collect();
    writer.apply(&changes, "1");
    let mut clusters: HashMap<_, _> =
        made.load().iter().map(|cluster| (cluster.name.clone(), Arc::clone(cluster))).collect();
    let spec = UpstreamSpec {
        endpoint: Endpoint::parse("http://member-1.example:6443").expect("an endpoint"),
        trust: Trust::Unverified,
        identity: None,
        server_name: None,
        route: Route::Unix(socket.to_owned()),
        speaks: Speaks::Grpc,
    };
    let grant = Grant {
        upstream: Arc::new(Upstream::new(spec, &network).expect("an upstream")),
        authorization: Some(HeaderValue::from_static("Bearer token")),
    };
    let name = ClusterName::parse(NAME).expect("a name");
    let mut cluster = clusters::Cluster::clone(&clusters[&name]);
    cluster.access = Ok(Arc::new(Access::fixed(grant, true, None, None)));
    clusters.insert(name, Arc::new(cluster));
    Tables::holding(Table::new(clusters, 1))
}

fn secret(name: &str) -> Secret {
    let mut secret = Secret::default();
    secret.metadata.name = Some(name.to_owned());
    secret.metadata.resource_version = Some("1".to_owned());
    let label = ("cluster.core.oam.dev/cluster-credential-type".to_owned(), "ServiceAccountToken".to_owned());
    secret.metadata.labels = Some(BTreeMap::from([label]));
    let data = [("endpoint", "https://10.0.0.1:6443"), ("token", "token")];
    secret.data =
        Some(data.map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec()))).into());
    secret
}
