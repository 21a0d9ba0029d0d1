use std::sync::Arc;

use prometheus::Registry;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{Operations, Readiness};
use crate::api::{self, Api};
use crate::authn::{
    self, Authenticator, AuthenticatorOptions, HubConfigError, HubConfigFlags, HubConfigSource,
    HubTokenReviewer,
};
use crate::authz::{self, Authorizer, AuthorizerOptions, HubAccessReviewer};
use crate::clusters::{self, HealthWriter, Tables, Writer, sources};
use crate::config::{Authentication, Config};
use crate::credentials::{self, Sources};
use crate::exchange::{self, Exchanger, GlobalRules, GlobalRulesSource};
use crate::gateway::{Gateway, Options, Parts, StreamOptions};
use crate::listener;
use crate::telemetry;
use crate::tls::ServingCertificate;
use crate::upstream::{Network, Resolver, SystemRoots, Worker};

use super::hub::Clients;
use super::{Error, konnectivity, reload};

/// Everything that requests need, and the tasks that keep it true.
pub(super) struct Built {
    /// One for each worker.
    pub(super) gateways: Vec<Arc<Gateway>>,
    pub(super) operations: Operations,
    pub(super) readiness: Readiness,
    pub(super) connections: listener::Metrics,
    /// Own processes: to be ended before we end.
    pub(super) credentials: Sources,
    /// End when dropped; one that returns says why we cannot go on.
    pub(super) tasks: JoinSet<Result<(), HubConfigError>>,
}

/// Puts the parts together, and starts what keeps them true.
pub(super) async fn build(
    config: &Config,
    clients: &Clients,
    certificate: &ServingCertificate,
) -> Result<Built, Error> {
    let control = Handle::current();
    let registry = Registry::new();
    let metrics = telemetry::Metrics::with_options(&registry, config.metrics.options())?;
    let readiness = Readiness::default();
    let mut tasks = JoinSet::new();

    let has_certificate = readiness.condition("serving-certificate", "a serving certificate");
    metrics.serving_certificate(certificate.not_after());
    has_certificate.met();
    tasks.spawn(reload::serving_certificate(certificate.clone(), metrics.clone()));

    let authenticator = authenticator(config, clients, &registry, &readiness, &mut tasks).await?;
    let authorizer = authorizer(config, clients, &registry, &control)?;
    let exchanger = exchanger(config, &registry, &mut tasks).await?;
    let workers = config.runtime.workers().get();
    let network = Network {
        workers,
        connect_timeout: config.runtime.connect_timeout,
        resolver: Resolver::new(control.clone()),
        system: SystemRoots::default(),
        tunnels: telemetry::Tunnels::new(&registry)?,
        connections: telemetry::Connections::new(&registry)?,
    };
    let credentials =
        Sources::new(control, config.credentials.options(), credentials::Metrics::new(&registry)?);
    let reading = clusters::Options {
        group: config.clusters.group_name.as_str().to_owned(),
        expose_credentials: config.clusters.expose_credentials,
        healthiness_check: config.gates.healthiness_check,
        require_ca: config.clusters.require_cluster_ca,
        konnectivity: konnectivity::build(config, &network, &metrics, &mut tasks).await?,
        network,
        credentials: credentials.clone(),
        telemetry: metrics.clone(),
    };
    let health = HealthWriter::new(
        clients.clusters.clone(),
        &config.clusters.secret_namespace,
        &reading,
        Handle::current(),
        &registry,
    )?;
    let tables = tables(config, clients, &registry, reading, &readiness, &mut tasks)?;

    let shows_local = config.clusters.virtual_cluster_with_control_plane;
    let api = Api::new(config.clusters.group_name.clone(), shows_local, api::Metrics::register(&registry)?);
    let api = Arc::new(api);
    let operations = Operations::new(readiness.clone(), metrics.clone(), Handle::current());
    let connections = listener::Metrics::register(&registry)?;
    let options = Options {
        group: config.clusters.group_name.as_str().into(),
        request_timeout: config.runtime.request_timeout,
        authorize_proxy_subpath: config.authorization.authorize_proxy_subpath,
        streams: StreamOptions {
            write_timeout: config.streams.upgraded_stream_write_timeout,
            idle_timeout: config.streams.idle_timeout(),
            per_cluster: config.streams.max_upgraded_streams_per_cluster,
        },
    };
    let gateways = (0..workers)
        .map(|index| {
            Arc::new(Gateway::new(Parts {
                worker: Worker(index),
                authenticator: authenticator.for_worker(),
                authorizer: authorizer.for_worker(),
                exchanger: exchanger.for_worker(),
                tables: tables.clone(),
                api: Arc::clone(&api),
                health: health.clone(),
                control: Handle::current(),
                operations: operations.clone(),
                metrics: metrics.clone(),
                options: options.clone(),
            }))
        })
        .collect();
    Ok(Built { gateways, operations, readiness, connections, credentials, tasks })
}

async fn authenticator(
    config: &Config,
    clients: &Clients,
    registry: &Registry,
    readiness: &Readiness,
    tasks: &mut JoinSet<Result<(), HubConfigError>>,
) -> Result<Authenticator, Error> {
    let metrics = authn::Metrics::register(registry)?;
    let source = HubConfigSource::new(
        flags(&config.authentication),
        Some(clients.authentication.clone()),
        metrics.clone(),
    )
    .await?;
    let configs = source.configs();
    tasks.spawn(source.run());
    let loaded = readiness.condition("authentication", "the hub's authentication configuration");
    let waiting = configs.clone();
    tasks.spawn(async move {
        if waiting.ready().await {
            loaded.met();
        }
        std::future::pending().await
    });
    let options = AuthenticatorOptions {
        token_ttl: config.authentication.authentication_token_webhook_cache_ttl,
        ..AuthenticatorOptions::default()
    };
    let reviewer = Arc::new(HubTokenReviewer::new(clients.authentication.clone()));
    Ok(Authenticator::new(configs, Some(reviewer), options, &Handle::current(), metrics))
}

fn flags(authentication: &Authentication) -> HubConfigFlags {
    let request_header = authentication.request_header.clone();
    HubConfigFlags {
        client_ca_file: authentication.client_ca_file.clone(),
        requestheader_client_ca_file: request_header.client_ca_file,
        requestheader_username_headers: request_header.username_headers,
        requestheader_uid_headers: request_header.uid_headers,
        requestheader_group_headers: request_header.group_headers,
        requestheader_extra_headers_prefix: request_header.extra_headers_prefix,
        requestheader_allowed_names: request_header.allowed_names,
        skip_lookup: authentication.authentication_skip_lookup,
        tolerate_lookup_failure: authentication.authentication_tolerate_lookup_failure,
    }
}

fn authorizer(
    config: &Config,
    clients: &Clients,
    registry: &Registry,
    control: &Handle,
) -> Result<Authorizer, Error> {
    let authorization = &config.authorization;
    let options = AuthorizerOptions {
        always_allow_paths: authorization.authorization_always_allow_paths.clone(),
        // One memory for both answers: the shorter time is what the operator can rely on.
        ttl: authorization
            .authorization_webhook_cache_authorized_ttl
            .min(authorization.authorization_webhook_cache_unauthorized_ttl),
    };
    let reviewer = Arc::new(HubAccessReviewer::new(clients.authorization.clone()));
    let metrics = authz::Metrics::register(registry)?;
    Authorizer::new(reviewer, &options, control, metrics).map_err(|error| {
        let value = options.always_allow_paths.join(",");
        Error::Config(crate::config::Error::Value {
            flag: "--authorization-always-allow-paths".to_owned(),
            value,
            problem: error.to_string(),
            cure: "name paths like /healthz or /metrics/*".to_owned(),
        })
    })
}

async fn exchanger(
    config: &Config,
    registry: &Registry,
    tasks: &mut JoinSet<Result<(), HubConfigError>>,
) -> Result<Exchanger, Error> {
    let gate = config.gates.client_identity_penetration;
    let Some(path) = &config.clusters.cluster_gateway_proxy_config else {
        return Ok(Exchanger::new(gate, GlobalRules::default()));
    };
    let metrics = exchange::Metrics::register(registry)?;
    let source = GlobalRulesSource::new(path.clone(), metrics).await.map_err(|error| {
        crate::config::Error::file(
            "--cluster-gateway-proxy-config",
            path,
            error,
            "correct the rules: a rule that cannot be read would exchange nobody",
        )
    })?;
    let rules = source.rules();
    tasks.spawn(async move {
        source.run().await;
        Ok(())
    });
    Ok(Exchanger::new(gate, rules))
}

fn tables(
    config: &Config,
    clients: &Clients,
    registry: &Registry,
    options: clusters::Options,
    readiness: &Readiness,
    tasks: &mut JoinSet<Result<(), HubConfigError>>,
) -> Result<Tables, Error> {
    let tables = Tables::default();
    let writer = Writer::new(tables.clone(), options, clusters::Metrics::new(registry)?);
    let (synced, mut is_synced) = watch::channel(false);
    let (client, namespace) = (clients.clusters.clone(), config.clusters.secret_namespace.clone());
    tasks.spawn(async move { match sources::secrets::run(client, &namespace, writer, synced).await {} });
    let filled = readiness.condition("clusters", "the first list of the clusters' Secrets");
    tasks.spawn(async move {
        if is_synced.wait_for(|synced| *synced).await.is_ok() {
            filled.met();
        }
        std::future::pending().await
    });
    Ok(tables)
}
