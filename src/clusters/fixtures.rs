//! Secrets for tests.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::SystemTime;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use rcgen::{CertificateParams, KeyPair};

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::Registry;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::credentials::{self, Sources};
use crate::telemetry;
use crate::upstream::{Network, Resolver, SystemRoots};

use super::Options;

/// What no output may contain.
pub(super) const TOKEN: &str = "hunter2-the-token";

pub(crate) fn options() -> Options {
    options_with(credentials::Metrics::new(&Registry::new()).unwrap())
}

/// What credentials say of themselves goes there.
pub(crate) fn options_with(metrics: credentials::Metrics) -> Options {
    Options {
        group: "cluster.core.oam.dev".to_owned(),
        require_ca: false,
        expose_credentials: false,
        healthiness_check: true,
        network: Network {
            workers: 1,
            connect_timeout: Duration::from_secs(1),
            resolver: Resolver::new(runtime()),
            system: SystemRoots::default(),
            tunnels: telemetry::Tunnels::new(&Registry::new()).unwrap(),
            connections: telemetry::Connections::new(&Registry::new()).unwrap(),
        },
        konnectivity: None,
        credentials: Sources::new(runtime(), credentials::Options::default(), metrics),
        telemetry: telemetry::Metrics::new(&Registry::new()).unwrap(),
    }
}

/// Where names would be resolved, if a test ever dialled.
fn runtime() -> Handle {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());
    RUNTIME.handle().clone()
}

/// A CA or self-signed client certificate and its key, in PEM.
pub(super) fn pair() -> &'static (String, String) {
    static PAIR: OnceLock<(String, String)> = OnceLock::new();
    PAIR.get_or_init(new_pair)
}

pub(super) fn new_pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["test".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

pub(crate) fn expired_pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["test".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

/// A usable and verified cluster with a token.
pub(crate) fn token_secret(name: &str) -> Secret {
    let secret = bare(name, "ServiceAccountToken");
    let secret = set(secret, "endpoint", "https://10.0.0.1:6443\n");
    let secret = set(secret, "ca.crt", &pair().0);
    set(secret, "token", &format!("{TOKEN}\n"))
}

/// A usable and verified cluster with a client certificate.
pub(crate) fn certificate_secret(name: &str) -> Secret {
    let secret = bare(name, "X509Certificate");
    let secret = set(secret, "endpoint", "https://10.0.0.1:6443");
    let secret = set(secret, "ca", &pair().0);
    let secret = set(secret, "tls.crt", &pair().0);
    set(secret, "tls.key", &pair().1)
}

pub(crate) fn bare(name: &str, credential_type: &str) -> Secret {
    let mut secret = Secret::default();
    secret.metadata.name = Some(name.to_owned());
    secret.metadata.uid = Some(format!("uid-{name}"));
    label(secret, "cluster.core.oam.dev/cluster-credential-type", credential_type)
}

pub(crate) fn label(mut secret: Secret, key: &str, value: &str) -> Secret {
    secret.metadata.labels.get_or_insert_with(BTreeMap::new).insert(key.to_owned(), value.to_owned());
    secret
}

pub(crate) fn annotate(mut secret: Secret, key: &str, value: &str) -> Secret {
    secret.metadata.annotations.get_or_insert_with(BTreeMap::new).insert(key.to_owned(), value.to_owned());
    secret
}

pub(crate) fn set(secret: Secret, key: &str, value: &str) -> Secret {
    set_bytes(secret, key, value.as_bytes())
}

pub(super) fn set_bytes(mut secret: Secret, key: &str, value: &[u8]) -> Secret {
    secret.data.get_or_insert_with(BTreeMap::new).insert(key.to_owned(), ByteString(value.to_owned()));
    secret
}

pub(crate) fn without(mut secret: Secret, key: &str) -> Secret {
    if let Some(data) = &mut secret.data {
        data.remove(key);
    }
    secret
}

pub(crate) fn version(mut secret: Secret, version: u64) -> Secret {
    secret.metadata.resource_version = Some(version.to_string());
    secret
}
