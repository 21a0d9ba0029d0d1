use std::ops::Range;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME, Oid, asn1_rs::oid};
use x509_parser::prelude::FromDer;

use crate::model::User;

use super::trust::{ChainError, Validity, steady};
use super::{HubConfig, in_authenticated};

/// `1.3.6.1.4.1.57683.2`: a user's UID in a subject (KEP-4975, on by default from Kubernetes 1.33).
const OID_KUBERNETES_UID: Oid<'static> = oid!(1.3.6.1.4.1.57683.2);
/// Extra key that names the certificate, as kube-apiserver sets it.
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// The certificates that a client showed, kept with its connection, and what they proved.
///
/// The handshake has only shown that the client holds the leaf's key. What the chain is worth depends on the hub's
/// configuration and on the time, so that is decided here: once, and again when the configuration or any
/// certificate's validity changes. A removed authority therefore ends what live connections may do.
#[derive(Debug)]
pub struct ClientChain {
    certificates: Vec<CertificateDer<'static>>,
    leaf: Result<Leaf, ChainError>,
    validities: Vec<Validity>,
    verdict: ArcSwapOption<Verdict>,
}

#[derive(Debug)]
struct Leaf {
    common_name: String,
    /// None when there is no common name.
    user: Option<Arc<User>>,
}

/// What a chain proves under one configuration.
#[derive(Debug)]
pub(super) struct Verdict {
    generation: u64,
    steady: Range<u64>,
    /// Whether it may say who others are; `Ok(false)` when there is no front proxy.
    pub(super) front_proxy: Result<bool, ChainError>,
    /// Who it says that its holder is; `Ok(None)` when there is no client CA or no common name.
    pub(super) client: Result<Option<Arc<User>>, ChainError>,
}

impl ClientChain {
    /// Takes a chain, leaf first, as the TLS handshake kept it. None for an empty one.
    pub fn new(certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        let leaf = Leaf::parse(certificates.first()?);
        let validities = certificates
            .iter()
            .filter_map(|certificate| X509Certificate::from_der(certificate).ok())
            .map(|(_, certificate)| Validity::of(&certificate))
            .collect();
        Some(Self { certificates, leaf, validities, verdict: ArcSwapOption::empty() })
    }

    /// What the chain proves at a time in seconds since 1970.
    pub(super) fn verdict(&self, config: &HubConfig, now: u64) -> Arc<Verdict> {
        if let Some(verdict) = &*self.verdict.load()
            && verdict.generation == config.generation()
            && verdict.steady.contains(&now)
        {
            return Arc::clone(verdict);
        }
        let verdict = Arc::new(self.verify(config, now));
        self.verdict.store(Some(Arc::clone(&verdict)));
        verdict
    }

    fn verify(&self, config: &HubConfig, now: u64) -> Verdict {
        let proxy = config.front_proxy();
        let trusts = config.client_ca().into_iter().chain(proxy.map(|proxy| &proxy.ca));
        let validities = self.validities.iter().copied().chain(trusts.flat_map(|trust| trust.validities()));
        Verdict {
            generation: config.generation(),
            steady: steady(now, validities),
            front_proxy: match (proxy, &self.leaf) {
                (None, _) => Ok(false),
                (Some(_), Err(error)) => Err(error.clone()),
                (Some(proxy), Ok(leaf)) => {
                    proxy.ca.verify(&self.certificates, now).and_then(|()| {
                        match proxy.allowed_names.is_empty()
                            || proxy.allowed_names.contains(&leaf.common_name)
                        {
                            true => Ok(true),
                            false => Err(ChainError::NotAllowed(leaf.common_name.clone())),
                        }
                    })
                }
            },
            client: match (config.client_ca(), &self.leaf) {
                (None, _) => Ok(None),
                (Some(_), Err(error)) => Err(error.clone()),
                (Some(ca), Ok(leaf)) => ca.verify(&self.certificates, now).map(|()| leaf.user.clone()),
            },
        }
    }
}

impl Leaf {
    /// As kube-apiserver's `CommonNameUserConversion`: the last common name, every organization as a group.
    fn parse(der: &CertificateDer<'_>) -> Result<Self, ChainError> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| ChainError::Unreadable(error.to_string()))?;
        let mut common_name = String::new();
        let mut user = User::default();
        for attribute in certificate.subject().iter_attributes() {
            let kind = attribute.attr_type();
            let text = || attribute.as_str().map(str::to_owned);
            if *kind == OID_X509_COMMON_NAME {
                common_name = text().map_err(|_| ChainError::Subject("its common name is no text"))?;
            } else if *kind == OID_X509_ORGANIZATION_NAME {
                user.groups
                    .push(text().map_err(|_| ChainError::Subject("one of its organizations is no text"))?);
            } else if *kind == OID_KUBERNETES_UID {
                let uid = text().map_err(|_| ChainError::Subject("its UID is no text"))?;
                if uid.is_empty() || !user.uid.is_empty() {
                    return Err(ChainError::Subject("its UID is empty, or there are several"));
                }
                user.uid = uid;
            }
        }
        if common_name.is_empty() {
            return Ok(Self { common_name, user: None });
        }
        user.name = common_name.clone();
        user.extra.insert(CREDENTIAL_ID.to_owned(), vec![format!("X509SHA256={}", sha256_hex(der))]);
        Ok(Self { common_name, user: Some(Arc::new(in_authenticated(user))) })
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
