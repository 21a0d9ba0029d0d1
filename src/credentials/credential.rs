use std::fmt;
use std::time::SystemTime;

use http::HeaderValue;

use super::ClientCertificate;

/// What is shown: a bearer token, a client certificate, or both.
#[derive(Clone)]
pub struct Credential {
    /// `Bearer …`, marked sensitive.
    pub authorization: Option<HeaderValue>,
    /// For the TLS handshake.
    pub certificate: Option<ClientCertificate>,
}

/// A credential as it came from its source.
#[derive(Debug, Clone)]
pub struct Supplied {
    /// What is shown.
    pub credential: Credential,
    /// When it expires, as far as somebody said so.
    pub expires: Option<SystemTime>,
}

impl Credential {
    /// Whether showing the other one shows nothing new.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_certificate = match (&self.certificate, &other.certificate) {
            (Some(one), Some(other)) => {
                one.identity.chain() == other.identity.chain()
                    && one.identity.key().secret_der() == other.identity.key().secret_der()
            }
            (None, None) => true,
            _ => false,
        };
        same_certificate && self.authorization == other.authorization
    }
}

impl Supplied {
    /// With the certificate's own end taken into account: nobody accepts it for longer.
    pub fn new(credential: Credential, expires: Option<SystemTime>) -> Self {
        let ends = credential.certificate.as_ref().map(|certificate| certificate.validity.not_after());
        Self { expires: expires.into_iter().chain(ends).min(), credential }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credential")
            .field("token", &self.authorization.is_some())
            .field("certificate", &self.certificate.is_some())
            .finish()
    }
}
