use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Authorities by whose word a client's certificate is taken for true.
///
/// Each has a verifier of its own: webpki does not look at an authority's validity, Go does, so we have to know
/// which one it was.
#[derive(Clone)]
pub struct Trust(Arc<[Authority]>);

struct Authority {
    verifier: Arc<dyn ClientCertVerifier>,
    validity: Validity,
}

/// Why PEM text is no set of authorities.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidTrust {
    /// Not PEM.
    #[error("it is not valid PEM: {0}")]
    Pem(String),
    /// PEM without a CERTIFICATE block.
    #[error("there is no CERTIFICATE block in it")]
    Empty,
    /// A certificate that cannot be an authority.
    #[error("certificate {number} in it cannot be used: {reason}")]
    Certificate {
        /// Counted from 1.
        number: usize,
        /// The parser's words.
        reason: String,
    },
}

/// Why a client's chain proves nothing. For our own log: callers are told 401 and nothing more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainError {
    /// The certificate does not parse.
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
    /// No authority vouches for it now.
    #[error("the certificate does not verify: {0}")]
    Untrusted(String),
    /// The authority that vouches for it is not valid now.
    #[error("the certificate's authority has expired or is not valid yet")]
    AuthorityExpired,
    /// It verifies, but is not one of those who may speak for others.
    #[error("common name {0:?} is not in requestheader-allowed-names")]
    NotAllowed(String),
    /// The subject says who it is in a way that is not defined.
    #[error("the certificate's subject is ambiguous: {0}")]
    Subject(&'static str),
}

/// From and to, in seconds since 1970, both included (RFC 5280, section 4.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    not_before: u64,
    not_after: u64,
}

impl Trust {
    /// Takes every certificate of a PEM text.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidTrust> {
        let mut authorities = Vec::new();
        for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let certificate = certificate.map_err(|error| InvalidTrust::Pem(error.to_string()))?;
            let authority = Authority::new(certificate)
                .map_err(|reason| InvalidTrust::Certificate { number: index + 1, reason })?;
            authorities.push(authority);
        }
        if authorities.is_empty() { Err(InvalidTrust::Empty) } else { Ok(Self(authorities.into())) }
    }

    /// Verifies a chain (leaf first) for client authentication.
    pub(super) fn verify(&self, chain: &[CertificateDer<'_>], now: u64) -> Result<(), ChainError> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(ChainError::Unreadable("there is none".into()));
        };
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
        let mut why = None;
        for authority in self.0.iter() {
            match authority.verifier.verify_client_cert(leaf, intermediates, time) {
                Ok(_) if authority.validity.contains(now) => return Ok(()),
                Ok(_) => why = Some(ChainError::AuthorityExpired),
                // That the others have not signed it says less than what is wrong with the one that has.
                Err(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer))
                    if why.is_some() => {}
                Err(error) => why = Some(ChainError::Untrusted(error.to_string())),
            }
        }
        Err(why.unwrap_or_else(|| ChainError::Untrusted("no authority is known".into())))
    }

    pub(super) fn validities(&self) -> impl Iterator<Item = Validity> {
        self.0.iter().map(|authority| authority.validity)
    }
}

impl Authority {
    fn new(certificate: CertificateDer<'static>) -> Result<Self, String> {
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|error| error.to_string())?;
        let validity = Validity::of(&parsed);
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
                .build()
                .map_err(|error| error.to_string())?;
        Ok(Self { verifier, validity })
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Trust").field("authorities", &self.0.len()).finish_non_exhaustive()
    }
}

impl Validity {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
        let validity = certificate.validity();
        Self {
            not_before: seconds(validity.not_before.timestamp()),
            not_after: seconds(validity.not_after.timestamp()),
        }
    }

    fn contains(self, now: u64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// The time around `now` in which none of these begins or ends to be valid, so that what verified (or did not) at
/// `now` need not be verified again.
pub(super) fn steady(now: u64, validities: impl Iterator<Item = Validity>) -> Range<u64> {
    let mut steady = 0..u64::MAX;
    for validity in validities {
        for change in [validity.not_before, validity.not_after.saturating_add(1)] {
            if change <= now {
                steady.start = steady.start.max(change);
            } else {
                steady.end = steady.end.min(change);
            }
        }
    }
    steady
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_holds_until_any_validity_begins_or_ends() {
        let one = Validity { not_before: 100, not_after: 199 };
        let two = Validity { not_before: 50, not_after: 149 };
        let around = |now| steady(now, [one, two].into_iter());
        assert_eq!(around(10), 0..50);
        assert_eq!(around(60), 50..100);
        assert_eq!(around(100), 100..150);
        assert_eq!(around(150), 150..200);
        assert_eq!(around(200), 200..u64::MAX);
    }

    #[test]
    fn texts_that_hold_no_authority_say_why() {
        assert_eq!(Trust::from_pem(b"").unwrap_err(), InvalidTrust::Empty);
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(Trust::from_pem(broken), Err(InvalidTrust::Certificate { number: 1, .. })));
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(Trust::from_pem(cut), Err(InvalidTrust::Pem(_))));
    }
}
