use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use thiserror::Error;

/// A certificate, its chain and the private key that goes with it, for either side of a handshake.
///
/// The key is shown by no `Debug` and cannot be serialized.
#[derive(Clone)]
pub struct Identity(Arc<Parts>);

struct Parts {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    certified: Arc<CertifiedKey>,
}

/// Why PEM texts are no identity. Never holds any of the key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidIdentity {
    /// The certificate's text is not PEM.
    #[error("the certificate is not valid PEM: {0}")]
    CertificatePem(String),
    /// PEM, but without a CERTIFICATE block.
    #[error("there is no CERTIFICATE block in the certificate")]
    NoCertificate,
    /// The key's text is not PEM, or holds no key.
    #[error("the private key is no PKCS#8, PKCS#1 or SEC1 key in PEM")]
    KeyPem,
    /// A key of a kind that we cannot sign with.
    #[error("the private key is of no usable kind (RSA, ECDSA P-256/P-384 or Ed25519 is)")]
    KeyKind,
    /// Both parse, but do not belong together.
    #[error("the private key does not match the certificate")]
    Mismatch,
    /// The certificate itself cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
}

impl Identity {
    /// Takes a chain (leaf first) and its key, both PEM, and checks that they belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, InvalidIdentity> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| InvalidIdentity::CertificatePem(error.to_string()))?;
        if chain.is_empty() {
            return Err(InvalidIdentity::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| InvalidIdentity::KeyPem)?;
        Self::from_der(chain, key)
    }

    /// As [`Identity::from_pem`], from DER.
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, InvalidIdentity> {
        let signing = ring::sign::any_supported_type(&key).map_err(|_| InvalidIdentity::KeyKind)?;
        let certified = CertifiedKey::new(chain.clone(), signing);
        match certified.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                return Err(InvalidIdentity::Mismatch);
            }
            Err(error) => return Err(InvalidIdentity::Certificate(error.to_string())),
        }
        Ok(Self(Arc::new(Parts { chain, key, certified: Arc::new(certified) })))
    }

    /// Leaf first, at least one.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
    }

    /// The private key, for those who hand it to a TLS library and nobody else.
    pub fn key(&self) -> &PrivateKeyDer<'static> {
        &self.0.key
    }

    /// Ready for a rustls resolver.
    pub fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.certified)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Identity").field("certificates", &self.0.chain.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["test".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_key_that_does_not_fit_its_certificate_is_named_as_such() {
        let ((certificate, key), (_, other)) = (pair(), pair());
        assert!(Identity::from_pem(certificate.as_bytes(), key.as_bytes()).is_ok());
        let mismatch = Identity::from_pem(certificate.as_bytes(), other.as_bytes()).unwrap_err();
        assert_eq!(mismatch, InvalidIdentity::Mismatch);
    }

    #[test]
    fn texts_that_are_no_pem_are_told_apart() {
        let (certificate, key) = pair();
        assert_eq!(Identity::from_pem(b"", key.as_bytes()).unwrap_err(), InvalidIdentity::NoCertificate);
        assert_eq!(
            Identity::from_pem(certificate.as_bytes(), b"nonsense").unwrap_err(),
            InvalidIdentity::KeyPem
        );
        assert!(matches!(
            Identity::from_pem(b"-----BEGIN CERTIFICATE-----\n!!\n", key.as_bytes()),
            Err(InvalidIdentity::CertificatePem(_))
        ));
    }

    #[test]
    fn debug_shows_no_key() {
        let (certificate, key) = pair();
        let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(format!("{identity:?}"), "Identity { certificates: 1, .. }");
    }
}
