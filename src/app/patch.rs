//! The subcommand `patch`: lets an APIService trust the CA in a Secret.

use std::fmt;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{Patch as Change, PatchParams};
use kube::{Api, Client};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use thiserror::Error as ThisError;
use tokio::runtime::Builder;
use tokio::time::timeout;
use x509_parser::parse_x509_certificate;

use crate::config::{self, Patch};

use super::hub;

/// For all that is asked of the hub.
const DEADLINE: Duration = Duration::from_secs(30);
const USER_AGENT: &str = concat!("cluster-gateway/", env!("CARGO_PKG_VERSION"));

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patched {
    what: String,
    changed: bool,
}

/// Why the APIService does not trust the CA now.
#[derive(Debug, ThisError)]
pub enum PatchError {
    /// The command line names something that cannot be had.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// What was named is not there.
    #[error("{what} is not there; name another one with {flag}, or make it first")]
    Missing {
        /// What.
        what: String,
        /// What it was named by.
        flag: &'static str,
    },
    /// The Secret has no such data key.
    #[error("{secret} has no data key {key:?}, only {keys}; name the CA's with --secret-ca-bundle-key")]
    NoKey {
        /// The Secret.
        secret: String,
        /// The key.
        key: String,
        /// Those that it has.
        keys: String,
    },
    /// The data key holds something else.
    #[error("data key {key:?} of {secret} {problem}")]
    NoCa {
        /// The Secret.
        secret: String,
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nothing to trust anybody for.
    #[error("APIService {0} names no service: the hub serves it itself and needs no CA for it")]
    Local(String),
    /// The hub says no, or nothing.
    #[error("the hub cannot be asked to {action}: {error}")]
    Hub {
        /// What it was asked to do.
        action: String,
        /// What it said.
        error: Box<kube::Error>,
    },
    /// No answer.
    #[error("the hub did not answer within {} s", DEADLINE.as_secs())]
    TimedOut,
    /// The system gives no threads.
    #[error("the runtime cannot be started: {0}")]
    Runtime(std::io::Error),
}

impl fmt::Display for Patched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.changed { "now trusts" } else { "already trusts" };
        write!(formatter, "APIService {}", self.what.replacen("{}", word, 1))
    }
}

/// Copies the CA, and makes the hub verify. Changes nothing where that is so already.
pub fn patch(options: &Patch) -> Result<Patched, PatchError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(PatchError::Runtime)?;
    runtime.block_on(async {
        let client = hub::client(USER_AGENT, "--kubeconfig", options.kubeconfig.as_deref()).await?;
        timeout(DEADLINE, run(client, options)).await.unwrap_or(Err(PatchError::TimedOut))
    })
}

async fn run(client: Client, options: &Patch) -> Result<Patched, PatchError> {
    let bundle = bundle(client.clone(), options).await?;
    let name = &options.target_api_service;
    let services: Api<APIService> = Api::all(client);
    let what = format!("APIService {name}");
    let service = services.get_opt(name).await.map_err(|error| hub_error(format!("get {what}"), error))?;
    let service = service.ok_or(PatchError::Missing { what: what.clone(), flag: "--target-APIService" })?;
    let spec = service.spec.unwrap_or_default();
    if spec.service.is_none() {
        return Err(PatchError::Local(name.clone()));
    }
    let bundle = ByteString(bundle);
    let is_so = spec.ca_bundle.as_ref() == Some(&bundle) && spec.insecure_skip_tls_verify != Some(true);
    if !is_so {
        // Both at once: the hub refuses a CA beside a verification that is skipped.
        let change = json!({"spec": {"caBundle": bundle, "insecureSkipTLSVerify": false}});
        let changed = services.patch(name, &PatchParams::default(), &Change::Merge(&change)).await;
        changed.map_err(|error| hub_error(format!("patch {what}"), error))?;
    }
    let what = format!(
        "{name} {{}} the CA in {:?} of Secret {}/{}",
        options.secret_ca_bundle_key, options.secret_namespace, options.secret_name
    );
    Ok(Patched { what, changed: !is_so })
}

/// The CA. It becomes public: a private key that stands there by mistake must not.
async fn bundle(client: Client, options: &Patch) -> Result<Vec<u8>, PatchError> {
    let (namespace, name) = (&options.secret_namespace, &options.secret_name);
    let secret = format!("Secret {namespace}/{name}");
    let secrets: Api<Secret> = Api::namespaced(client, namespace);
    let found = secrets.get_opt(name).await.map_err(|error| hub_error(format!("get {secret}"), error))?;
    let found = found.ok_or(PatchError::Missing { what: secret.clone(), flag: "--secret-name" })?;
    let mut data = found.data.unwrap_or_default();
    let key = options.secret_ca_bundle_key.clone();
    let Some(ByteString(bundle)) = data.remove(&key) else {
        let keys: Vec<String> = data.into_keys().collect();
        let keys = if keys.is_empty() { "none at all".to_owned() } else { keys.join(", ") };
        return Err(PatchError::NoKey { secret, key, keys });
    };
    match problem(&bundle) {
        Some(problem) => Err(PatchError::NoCa { secret, key, problem }),
        None => Ok(bundle),
    }
}

/// Why a text is no CA bundle.
fn problem(bundle: &[u8]) -> Option<&'static str> {
    if String::from_utf8_lossy(bundle).contains("PRIVATE KEY") {
        return Some("holds a private key, which must not stand in an APIService for all to read");
    }
    let mut certificates = CertificateDer::pem_slice_iter(bundle).peekable();
    if certificates.peek().is_none() {
        return Some("holds no certificate in PEM");
    }
    let all_fine =
        certificates.all(|certificate| certificate.is_ok_and(|der| parse_x509_certificate(&der).is_ok()));
    (!all_fine).then_some("holds something that is no certificate")
}

fn hub_error(action: String, error: kube::Error) -> PatchError {
    PatchError::Hub { action, error: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_become_public() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["ca".to_owned()]).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        assert_eq!(problem(pem.as_bytes()), None);
        assert_eq!(problem(format!("{pem}{pem}").as_bytes()), None);
        let with_key = format!("{pem}{}", key.serialize_pem());
        assert!(problem(with_key.as_bytes()).unwrap().contains("private key"));
        assert_eq!(problem(b"nonsense"), Some("holds no certificate in PEM"));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(problem(broken.as_bytes()), Some("holds something that is no certificate"));
    }
}
