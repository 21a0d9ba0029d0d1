use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::tls::Identity;

use super::{InvalidUpstream, Network, Speaks, Trust, UpstreamSpec};

/// Sessions remembered per server. One server has one name, and TLS 1.3 tickets are counted by eights; rustls'
/// default of 256 would cost tens of kilobytes for each of ten thousand clusters.
const RESUMABLE_SESSIONS: usize = 8;

/// What all connections are encrypted with: lists of algorithms, the same for all.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// Makes the TLS side of a server once, so that all its connections share tickets and parsed certificates.
pub(super) fn client_config(
    spec: &UpstreamSpec,
    network: &Network,
) -> Result<Arc<ClientConfig>, InvalidUpstream> {
    let protocols = match spec.speaks {
        Speaks::Http => &[HTTP2, HTTP1][..],
        Speaks::Grpc => &[HTTP2],
    };
    config(&spec.trust, spec.identity.as_ref(), protocols, network)
}

/// As [`client_config`], for HTTP/1.1 alone.
pub(super) fn http1_config(
    spec: &UpstreamSpec,
    network: &Network,
) -> Result<Arc<ClientConfig>, InvalidUpstream> {
    config(&spec.trust, spec.identity.as_ref(), &[HTTP1], network)
}

/// For a proxy that is reached by TLS: it is shown nothing that is meant for the server.
pub(super) fn proxy_config(trust: &Trust, network: &Network) -> Result<Arc<ClientConfig>, InvalidUpstream> {
    config(trust, None, &[HTTP1], network)
}

fn config(
    trust: &Trust,
    identity: Option<&Identity>,
    protocols: &[&[u8]],
    network: &Network,
) -> Result<Arc<ClientConfig>, InvalidUpstream> {
    let provider = Arc::clone(&PROVIDER);
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Roots(certificates) => verifier(certificates)?,
        Trust::RootsOrSystem(certificates) => {
            let own = verifier(certificates)?;
            match network.system.verifier() {
                Some(system) => Arc::new(Either(own, system)),
                None => own,
            }
        }
        Trust::Unverified => Arc::new(AnyServer(Arc::clone(&provider))),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| InvalidUpstream::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
            identity
                .certified()
                .ok_or_else(|| InvalidUpstream::Tls("the private key cannot be used".to_owned()))?,
        ))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.resumption = Resumption::in_memory_sessions(RESUMABLE_SESSIONS);
    Ok(Arc::new(config))
}

/// That nothing about it will fail when a connection is made.
pub(super) fn check(trust: &Trust) -> Result<(), InvalidUpstream> {
    match trust {
        Trust::Roots(certificates) | Trust::RootsOrSystem(certificates) => verifier(certificates).map(drop),
        Trust::Unverified => Ok(()),
    }
}

fn verifier(certificates: &[CertificateDer<'static>]) -> Result<Arc<WebPkiServerVerifier>, InvalidUpstream> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).map_err(|error| InvalidUpstream::Ca(error.to_string()))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&PROVIDER))
        .build()
        .map_err(|error| InvalidUpstream::Ca(error.to_string()))
}

/// Whom this machine trusts: read when first needed, and once. Cheap to clone.
#[derive(Clone, Default)]
pub struct SystemRoots(Arc<OnceLock<Option<Arc<WebPkiServerVerifier>>>>);

impl SystemRoots {
    /// None when it trusts nobody: a container image without certificates.
    fn verifier(&self) -> Option<Arc<WebPkiServerVerifier>> {
        self.0.get_or_init(system_verifier).clone()
    }
}

fn system_verifier() -> Option<Arc<WebPkiServerVerifier>> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    for error in &found.errors {
        tracing::warn!(%error, "certificates that this machine trusts cannot be read");
    }
    tracing::info!(added, ignored, "read whom this machine trusts, for proxies reached by https");
    // Fails when there are none, and then nobody is trusted by them.
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&PROVIDER)).build().ok()
}

impl fmt::Debug for SystemRoots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SystemRoots").finish_non_exhaustive()
    }
}

/// Believes whom either of two believes.
#[derive(Debug)]
struct Either(Arc<WebPkiServerVerifier>, Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Either {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp, now)
            .or_else(|_| self.1.verify_server_cert(end_entity, intermediates, server_name, ocsp, now))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// For clusters without a CA: anybody may be the server, but must hold the key of the certificate they show.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
