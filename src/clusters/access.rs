use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, header};

use crate::credentials::{Credential, ExpirySeries, Source, Unavailable, Validity};
use crate::upstream::{Endpoint, InvalidUpstream, Network, Upstream, UpstreamError, UpstreamSpec};

use super::contact::{Contact, Found, rfc3339};

/// How a cluster is reached as of one generation of its Secret. What a request needs of it is a [`Grant`].
pub struct Access {
    /// Whether the cluster's certificate is verified.
    pub verified: bool,
    endpoint: Endpoint,
    credential: Shown,
    /// How the cluster was found by it. Another access knows nothing of that: it goes another way, or shows another
    /// credential.
    contact: Contact,
}

/// What one request is sent with: all of it parsed and compiled.
///
/// A new token is a new grant for the same connections. A new client certificate is one with connections of its own;
/// those of the old one end with their last request.
pub struct Grant {
    /// Where to send it. Certificates are shown by its connections.
    pub upstream: Arc<Upstream>,
    /// `Bearer …`, marked sensitive; none where a certificate is the credential.
    pub authorization: Option<HeaderValue>,
}

/// How a cluster's credential stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialState {
    /// There is one, and nothing to say about it.
    Ready,
    /// There is one, but there will be none unless somebody does something.
    Endangered(String),
    /// There is none that could be used now, and why.
    Missing(String),
    /// There is one, and the cluster refused it when it was last asked.
    Refused(String),
    /// There is none because nobody wanted one yet.
    NotAskedFor,
}

enum Shown {
    Fixed {
        grant: Arc<Grant>,
        validity: Option<Validity>,
        /// Told as long as the access is there.
        expiry: Option<ExpirySeries>,
    },
    Renewed(Source<Grant>),
}

impl Access {
    /// With a credential that stands in the Secret.
    pub fn fixed(
        grant: Grant,
        verified: bool,
        validity: Option<Validity>,
        expiry: Option<ExpirySeries>,
    ) -> Self {
        let endpoint = grant.upstream.endpoint().clone();
        let grant = Arc::new(grant);
        let credential = Shown::Fixed { grant, validity, expiry };
        Self { verified, endpoint, credential, contact: Contact::default() }
    }

    /// With a credential that comes from somewhere else, and changes.
    pub(super) fn renewed_by(source: Source<Grant>, endpoint: Endpoint, verified: bool) -> Self {
        Self { verified, endpoint, credential: Shown::Renewed(source), contact: Contact::default() }
    }

    /// Where the cluster is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What a request is to be sent with. Waits, with a deadline, only where the credential has to be got first.
    pub async fn grant(&self) -> Result<Arc<Grant>, Unavailable> {
        match &self.credential {
            Shown::Fixed { grant, .. } => Ok(Arc::clone(grant)),
            Shown::Renewed(source) => source.get().await,
        }
    }

    /// After the cluster has refused a grant's credential (401, or an alert in the handshake): another one, if one
    /// can be had. Waits, with a deadline. None is given for a fixed credential, when the source gives the same
    /// again, or when it was asked too often.
    pub async fn renewed(&self, refused: &Arc<Grant>) -> Option<Arc<Grant>> {
        match &self.credential {
            Shown::Fixed { .. } => None,
            Shown::Renewed(source) => source.renewed(refused).await,
        }
    }

    /// The cluster answers, and not that it refuses the credential.
    pub fn answered(&self) {
        self.contact.answered(SystemTime::now);
    }

    /// The cluster could not be asked.
    pub fn failed(&self, error: &UpstreamError) {
        self.contact.failed(error, SystemTime::now());
    }

    /// The cluster answered 401 to what it was shown, and there was nothing else to show.
    pub fn refused(&self) {
        self.contact.refused("it answered 401", SystemTime::now());
    }

    /// How the cluster was found by those who went there.
    pub(super) fn found(&self, now: SystemTime) -> Found {
        self.contact.found(now)
    }

    /// No request comes here any more: the cluster is gone, or has another access. Its credential is got no more, and
    /// nothing is said of it, even while a request from before, a watch for days, still holds this.
    pub(super) fn retire(&self) {
        match &self.credential {
            Shown::Fixed { expiry, .. } => expiry.iter().for_each(ExpirySeries::release),
            Shown::Renewed(source) => source.retire(),
        }
    }

    /// How the credential stands at this time.
    pub fn credential_state(&self, now: SystemTime) -> CredentialState {
        match (self.supplied(now), self.contact.found(now)) {
            (CredentialState::Ready | CredentialState::Endangered(_), Found::Refused { since, why }) => {
                CredentialState::Refused(format!(
                    "refused by the cluster since {}: {why}; renew the credential in its Secret, or whatever gives it",
                    rfc3339(since)
                ))
            }
            (state, _) => state,
        }
    }

    /// How it stands with us, whatever the cluster thinks of it.
    fn supplied(&self, now: SystemTime) -> CredentialState {
        let ready = |validity: Option<Validity>| match validity.and_then(|validity| validity.ends_soon(now)) {
            Some(soon) => CredentialState::Endangered(soon),
            None => CredentialState::Ready,
        };
        match &self.credential {
            Shown::Fixed { validity, .. } => match validity.and_then(|validity| validity.problem(now)) {
                Some(expired) => CredentialState::Missing(expired),
                None => ready(*validity),
            },
            Shown::Renewed(source) => {
                let standing = source.standing();
                match (standing.usable, standing.problem) {
                    (true, None) => ready(standing.validity),
                    (true, Some(problem)) => CredentialState::Endangered(format!(
                        "it could not be renewed, and the last one is in use{}: {problem}",
                        standing.expires.map_or_else(String::new, until)
                    )),
                    (false, Some(problem)) => CredentialState::Missing(problem.to_string()),
                    (false, None) => CredentialState::NotAskedFor,
                }
            }
        }
    }

    /// Whether somebody uses a credential that had to be got: its successor is then wanted, too.
    pub(super) fn is_source_in_use(&self) -> bool {
        match &self.credential {
            Shown::Fixed { .. } => false,
            Shown::Renewed(source) => source.is_in_use(),
        }
    }
}

impl Grant {
    /// Puts the credential on a request, in place of whatever is there.
    pub fn authorize(&self, headers: &mut HeaderMap) {
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
    }
}

/// Makes grants of the credentials that a source gives.
pub(super) struct Grants {
    /// Less an identity.
    spec: UpstreamSpec,
    network: Network,
    /// For credentials without a certificate.
    bare: Arc<Upstream>,
}

impl Grants {
    /// Fails where no connection can be set up, whatever the credential.
    pub(super) fn new(spec: UpstreamSpec, network: &Network) -> Result<Self, InvalidUpstream> {
        let bare = Arc::new(Upstream::new(spec.clone(), network)?);
        Ok(Self { spec, network: network.clone(), bare })
    }

    /// The grant of a credential.
    pub(super) fn make(&self, credential: &Credential) -> Result<Grant, InvalidUpstream> {
        let upstream = match &credential.certificate {
            None => Arc::clone(&self.bare),
            Some(certificate) => {
                let identity = Some(certificate.identity.clone());
                Arc::new(Upstream::new(UpstreamSpec { identity, ..self.spec.clone() }, &self.network)?)
            }
        };
        Ok(Grant { upstream, authorization: credential.authorization.clone() })
    }
}

fn until(expires: SystemTime) -> String {
    k8s_openapi::jiff::Timestamp::try_from(expires)
        .map_or_else(|_| String::new(), |at| format!(" until {at}"))
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Access")
            .field("endpoint", &self.endpoint)
            .field("verified", &self.verified)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Grant").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}
