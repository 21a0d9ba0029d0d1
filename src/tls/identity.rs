use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use thiserror::Error;

use super::key_kind;

/// A certificate, its chain and the private key that goes with it, for either side of a handshake.
///
/// The key is shown by no `Debug` and cannot be serialized.
#[derive(Clone)]
pub struct Identity(Arc<Parts>);

struct Parts {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// The same once more, as the TLS library wants it: as long as nobody shows it, as of most of ten thousand
    /// clusters, it is not there.
    certified: OnceLock<Option<Arc<CertifiedKey>>>,
}

const USABLE: &str = "RSA of 2048 to 8192 bits, ECDSA on P-256 or P-384, and Ed25519";

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
    /// A key that only a password opens.
    #[error("the private key is encrypted: nobody is there to type its password, so give it unencrypted")]
    KeyEncrypted,
    /// A key of a kind that we cannot sign with.
    #[error("the private key is {0}, which cannot be used here; {USABLE} can")]
    KeyKind(&'static str),
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
        if key_kind::is_encrypted(key) {
            return Err(InvalidIdentity::KeyEncrypted);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| InvalidIdentity::KeyPem)?;
        Self::from_der(chain, key)
    }

    /// As [`Identity::from_pem`], from DER.
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, InvalidIdentity> {
        let signing = ring::sign::any_supported_type(&key)
            .map_err(|_| InvalidIdentity::KeyKind(key_kind::describe(&key)))?;
        let certified = CertifiedKey::new(chain, signing);
        match certified.keys_match() {
            Ok(()) => {}
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                return Err(InvalidIdentity::Mismatch);
            }
            Err(error) => return Err(InvalidIdentity::Certificate(error.to_string())),
        }
        Ok(Self(Arc::new(Parts { chain: certified.cert, key, certified: OnceLock::new() })))
    }

    /// Leaf first, at least one.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
    }

    /// The private key, for those who hand it to a TLS library and nobody else.
    pub fn key(&self) -> &PrivateKeyDer<'static> {
        &self.0.key
    }

    /// Ready for a rustls resolver: made when it is first shown, and kept. Always there, since the key was read once
    /// already.
    pub fn certified(&self) -> Option<Arc<CertifiedKey>> {
        let Parts { chain, key, certified } = &*self.0;
        let made = certified.get_or_init(|| {
            let signing = ring::sign::any_supported_type(key).ok()?;
            Some(Arc::new(CertifiedKey::new(chain.clone(), signing)))
        });
        made.clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Identity").field("certificates", &self.0.chain.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
