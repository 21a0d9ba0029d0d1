use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;
use k8s_openapi::api::core::v1::Secret;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::credentials::{self, ClientCertificate, Source, Sources, Validity, bearer};
use crate::exchange::Rules;
use crate::model::ClusterName;
use crate::telemetry;
use crate::upstream::{Konnectivity, Network, Speaks, Trust, Upstream, UpstreamSpec};

use super::access::Grants;
use super::condition::{State, conditions};
use super::fingerprint::Fingerprint;
use super::secret::{Credential, Reading, Recipe};
use super::way::Unverified;
use super::{Access, Cluster, Grant, Metadata, Unusable, View};

/// How Secrets are read.
#[derive(Debug, Clone)]
pub struct Options {
    /// The API group, the prefix of labels and annotations: `cluster.core.oam.dev` unless the operator says otherwise.
    pub group: String,
    /// `--require-cluster-ca`: clusters that nobody verifies are refused.
    pub require_ca: bool,
    /// `--expose-credentials`: whoever may read clusters may read their credentials.
    pub expose_credentials: bool,
    /// `HealthinessCheck`: the status annotations are a cluster's health.
    pub healthiness_check: bool,
    /// How servers are reached.
    pub network: Network,
    /// For clusters of endpoint type ClusterProxy, if the operator has one.
    pub konnectivity: Option<Konnectivity>,
    /// Where credentials come from that do not stand in Secrets.
    pub credentials: Sources,
    /// Where clusters' metrics are made.
    pub telemetry: telemetry::Metrics,
}

/// A cluster made of a Secret, and what is needed to see what the next version of the Secret changes.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    pub(super) cluster: Arc<Cluster>,
    /// Of the access, when there is one.
    origin: Option<Origin>,
    /// Whether the latest Secret could not be compiled.
    pub(super) failed: bool,
}

/// What the access in force was made of.
#[derive(Debug, Clone, Copy)]
struct Origin {
    fingerprint: Fingerprint,
    validity: Option<Validity>,
    /// Nothing is between us and the cluster.
    direct: bool,
    /// A proxy is, and proves who it is.
    proxy_verified: bool,
}

/// Makes a cluster of a Secret; none when the Secret is no cluster.
///
/// Pure but for `previous`: its access is taken over when it was made of the same things, so that connections
/// survive, or when this Secret is a mistake, so that it does no harm.
pub(super) fn compile(
    secret: &Secret,
    options: &Options,
    previous: Option<&Compiled>,
    now: SystemTime,
) -> Option<Compiled> {
    let reading = Reading::of(secret, options)?;
    let made = reading.recipe.and_then(|recipe| access(&reading.name, recipe, options, previous));
    let failed = made.is_err();
    let (access, origin, problem) = match made {
        Ok((access, origin)) => {
            let problem = origin.validity.and_then(|validity| validity.problem(now));
            (Ok(access), Some(origin), problem)
        }
        Err(unusable) => {
            let reason = unusable.to_string();
            // Another object of the same name is another cluster: it inherits nothing. What should be verified or go
            // through a proxy from now on does not go on without that.
            let heir = previous.filter(|previous| {
                unusable.is_mistake() && previous.cluster.metadata.uid == reading.metadata.uid
            });
            let inherited = heir.and_then(|heir| heir.cluster.access.as_ref().ok().zip(heir.origin));
            match inherited.filter(|(access, origin)| {
                reading.wishes.are_met(origin.direct, access.verified, origin.proxy_verified)
            }) {
                Some((access, origin)) => (Ok(Arc::clone(access)), Some(origin), Some(reason)),
                None => (Err(reason.clone()), None, Some(reason)),
            }
        }
    };
    // Another object of the same name is another cluster.
    let same = previous.filter(|previous| previous.cluster.metadata.uid == reading.metadata.uid);
    let streams = same.map(|previous| Arc::clone(&previous.cluster.streams)).unwrap_or_default();
    let rules = rules(&reading.metadata, options);
    let problem = problem.or_else(|| rules.as_ref().err().cloned());
    let known = same.map_or(&[][..], |previous| &previous.cluster.conditions);
    let state = State {
        access: &access,
        problem: problem.as_deref(),
        failed,
        endpoint_type: reading.spec.endpoint_type,
        group: &options.group,
    };
    let view = View {
        conditions: conditions(&state, known, now),
        version: reading.metadata.resource_version.parse().unwrap_or_default(),
        name: reading.name,
        metadata: reading.metadata,
        spec: reading.spec,
        exposed: reading.exposed.map(Arc::new),
        health: reading.health,
    };
    let cluster = Cluster {
        series: options.telemetry.cluster(&view.name),
        view: Arc::new(view),
        rules,
        access,
        problem,
        streams,
    };
    Some(Compiled { cluster: Arc::new(cluster), origin, failed })
}

impl Compiled {
    fn is_source_in_use(&self) -> bool {
        self.cluster.access.as_ref().is_ok_and(|access| access.is_source_in_use())
    }

    /// The same as of now and of a resourceVersion, when time alone (or somebody's credential) has changed what
    /// there is to say about it.
    pub(super) fn as_of(&self, now: SystemTime, version: u64, group: &str) -> Option<Self> {
        let cluster = &self.cluster;
        let problem = match (self.failed, self.origin) {
            (true, _) | (false, None) => cluster.problem.clone(),
            (false, Some(origin)) => {
                let expired = origin.validity.and_then(|validity| validity.problem(now));
                expired.or_else(|| cluster.rules.as_ref().err().cloned())
            }
        };
        let state = State {
            access: &cluster.access,
            problem: problem.as_deref(),
            failed: self.failed,
            endpoint_type: cluster.spec.endpoint_type,
            group,
        };
        let conditions = conditions(&state, &cluster.conditions, now);
        if problem == cluster.problem && conditions == cluster.conditions {
            return None;
        }
        let view = View { conditions, version: cluster.version.max(version), ..View::clone(&cluster.view) };
        let cluster = Cluster { view: Arc::new(view), problem, ..Cluster::clone(cluster) };
        Some(Self { cluster: Arc::new(cluster), ..self.clone() })
    }
}

impl Options {
    /// The label that makes a Secret a cluster.
    pub fn credential_type_label(&self) -> String {
        format!("{}/cluster-credential-type", self.group)
    }

    pub(super) fn endpoint_type_label(&self) -> String {
        format!("{}/cluster-endpoint-type", self.group)
    }

    /// The annotation that says what a cluster's certificate is to say.
    pub(super) fn server_name_annotation(&self) -> String {
        format!("{}/tls-server-name", self.group)
    }

    fn rules_annotation(&self) -> String {
        format!("{}/cluster-gateway-proxy-configuration", self.group)
    }

    pub(super) fn healthy_annotation(&self) -> String {
        format!("status.{}/healthy", self.group)
    }

    pub(super) fn healthy_reason_annotation(&self) -> String {
        format!("status.{}/healthy-reason", self.group)
    }
}

fn access(
    name: &ClusterName,
    recipe: Recipe<'_>,
    options: &Options,
    previous: Option<&Compiled>,
) -> Result<(Arc<Access>, Origin), Unusable> {
    let verified = recipe.way.is_verified(recipe.ca.is_some());
    if options.require_ca && !verified {
        return Err(Unusable::Unverified(match recipe.way.why_unverified() {
            None => "data key ca.crt is missing or empty".to_owned(),
            Some(Unverified::NoTls) => "the endpoint is not https".to_owned(),
            Some(Unverified::NoServerName) => format!(
                "endpoint type ClusterProxy is verified only with the annotation {}",
                options.server_name_annotation()
            ),
        }));
    }
    let fingerprint = recipe.fingerprint();
    if let Some(previous) = previous
        && let Some(origin) = previous.origin.filter(|origin| origin.fingerprint == fingerprint)
        && let Ok(access) = &previous.cluster.access
    {
        return Ok((Arc::clone(access), origin));
    }
    let trust = match recipe.ca {
        Some((key, pem)) => Trust::Roots(roots(pem).map_err(|problem| Unusable::Ca { key, problem })?),
        None => Trust::Unverified,
    };
    let (direct, endpoint, server_name) =
        (recipe.way.is_direct(), recipe.way.endpoint.clone(), recipe.way.server_name.clone());
    let proxy_verified = recipe.way.is_proxy_verified(recipe.ca.is_some());
    let route = recipe.way.route(&trust, roots)?;
    let trust = if verified { trust } else { Trust::Unverified };
    let sources = &options.credentials;
    let bare = UpstreamSpec { endpoint, trust, identity: None, server_name, route, speaks: Speaks::Http };
    let (access, validity) = match recipe.credential {
        Credential::Certificate { chain, key } => {
            let made = ClientCertificate::from_pem(chain, key).map_err(Unusable::Identity)?;
            let spec = UpstreamSpec { identity: Some(made.identity), ..bare };
            let expiry = sources.metrics().series(name);
            expiry.expires(Some(made.validity.not_after()));
            (
                Access::fixed(grant(spec, None, options)?, verified, Some(made.validity), Some(expiry)),
                Some(made.validity),
            )
        }
        Credential::Token(token) => {
            let authorization = Some(bearer(token).map_err(Unusable::Token)?);
            (Access::fixed(grant(bare, authorization, options)?, verified, None, None), None)
        }
        Credential::Exec(spec) => {
            let wanted = previous.is_some_and(Compiled::is_source_in_use);
            let source = |make| sources.exec(name, spec, wanted, make);
            (renewed(bare, options, source, verified)?, None)
        }
        Credential::Files(spec) => {
            (renewed(bare, options, |make| sources.files(name, spec, make), verified)?, None)
        }
    };
    Ok((Arc::new(access), Origin { fingerprint, validity, direct, proxy_verified }))
}

fn grant(
    spec: UpstreamSpec,
    authorization: Option<HeaderValue>,
    options: &Options,
) -> Result<Grant, Unusable> {
    let upstream = Upstream::new(spec, &options.network).map_err(Unusable::Upstream)?;
    Ok(Grant { upstream: Arc::new(upstream), authorization })
}

fn renewed(
    spec: UpstreamSpec,
    options: &Options,
    source: impl FnOnce(credentials::Make<Grant>) -> Source<Grant>,
    verified: bool,
) -> Result<Access, Unusable> {
    let endpoint = spec.endpoint.clone();
    let grants = Grants::new(spec, &options.network).map_err(Unusable::Upstream)?;
    let make = move |credential: &credentials::Credential| {
        grants.make(credential).map_err(|error| error.to_string())
    };
    Ok(Access::renewed_by(source(Box::new(make)), endpoint, verified))
}

/// The cluster's own identity rules. Ones that cannot be read are an error only for those who would be exchanged by
/// them.
fn rules(metadata: &Metadata, options: &Options) -> Result<Option<Arc<Rules>>, String> {
    let annotation = options.rules_annotation();
    let Some(text) = metadata.annotations.get(&annotation) else {
        return Ok(None);
    };
    match Rules::parse(text) {
        Ok(rules) => Ok(Some(Arc::new(rules))),
        Err(error) => Err(format!("annotation {annotation}: {error}")),
    }
}

/// The certificates of a bundle. Text between them is allowed (openssl writes some), but one that cannot be used
/// is a mistake: it was meant to be trusted.
fn roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let roots = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| "it is not valid PEM".to_owned())?;
    if roots.is_empty() {
        return Err("there is no CERTIFICATE block in it".to_owned());
    }
    let mut store = RootCertStore::empty();
    for (number, root) in roots.iter().enumerate() {
        store
            .add(root.clone())
            .map_err(|error| format!("certificate {} in it cannot be used: {error}", number + 1))?;
    }
    Ok(roots)
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
