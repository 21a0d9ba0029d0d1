use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ServerSessionMemoryCache;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme, SupportedCipherSuite};

use super::ServingCertificate;

/// How the secure port speaks TLS.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The suites to offer, as ring has them.
    pub cipher_suites: Vec<SupportedCipherSuite>,
    /// Refuse TLS 1.2.
    pub tls13_only: bool,
    /// Offer HTTP/2 next to HTTP/1.1.
    pub http2: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { cipher_suites: ring::ALL_CIPHER_SUITES.to_vec(), tls13_only: false, http2: true }
    }
}

/// The rustls configuration of the secure port.
///
/// Clients are asked for a certificate and need not have one. *Any* chain is accepted in the handshake, because a
/// wrong one must become a 401 that says so and not a TLS alert: what is proven then is only that the client holds
/// the leaf's private key. Whoever reads `peer_certificates` has to verify the chain, on resumed sessions too, whose
/// chain comes out of the ticket.
pub fn server_config(
    certificate: ServingCertificate,
    options: &ServerOptions,
) -> Result<ServerConfig, rustls::Error> {
    let provider =
        CryptoProvider { cipher_suites: options.cipher_suites.clone(), ..ring::default_provider() };
    let versions: &[_] = if options.tls13_only { &[&TLS13] } else { &[&TLS13, &TLS12] };
    let verifier = AnyChain { algorithms: provider.signature_verification_algorithms };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(certificate));
    config.alpn_protocols = match options.http2 {
        true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    // Tickets carry the session, the client's chain included, so that neither workers nor time fill a cache here.
    config.ticketer = ring::Ticketer::new()?;
    // For TLS 1.2 clients without ticket support.
    config.session_storage = ServerSessionMemoryCache::new(1024);
    Ok(config)
}

/// Takes every chain, but no handshake that is not signed with the leaf's key.
#[derive(Debug)]
struct AnyChain {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyChain {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: a client then sends the certificate that it has, whoever signed it. The authorities change while we run.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::IpAddr;

    use rustls::pki_types::ServerName;
    use rustls::sign::CertifiedKey;
    use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConnection};

    use crate::tls::{Identity, ServingSource};

    use super::*;

    struct Fixture {
        server: Arc<ServerConfig>,
        roots: Arc<RootCertStore>,
    }

    impl Fixture {
        fn new(options: &ServerOptions) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let source = ServingSource::Directory {
                directory: folder.path().to_owned(),
                address: IpAddr::from([127, 0, 0, 1]),
            };
            let certificate = ServingCertificate::load(&source).unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(certificate.identity().chain()[0].clone()).unwrap();
            Self { server: Arc::new(server_config(certificate, options).unwrap()), roots: Arc::new(roots) }
        }

        fn client(&self, shown: Option<CertifiedKey>) -> ClientConfig {
            let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(Arc::clone(&self.roots));
            match shown {
                Some(key) => {
                    builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)))
                }
                None => builder.with_no_client_auth(),
            }
        }

        /// A handshake in memory, until both ends have nothing more to say.
        fn connect(&self, client: &Arc<ClientConfig>) -> Result<ServerConnection, rustls::Error> {
            let name = ServerName::try_from("localhost").unwrap();
            let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
            let mut server = ServerConnection::new(Arc::clone(&self.server)).unwrap();
            loop {
                let mut bytes = Vec::new();
                let sent = client.write_tls(&mut bytes).unwrap();
                server.read_tls(&mut io::Cursor::new(bytes)).unwrap();
                server.process_new_packets()?;
                let mut bytes = Vec::new();
                let answered = server.write_tls(&mut bytes).unwrap();
                client.read_tls(&mut io::Cursor::new(bytes)).unwrap();
                client.process_new_packets()?;
                if sent == 0 && answered == 0 {
                    return Ok(server);
                }
            }
        }
    }

    fn somebody() -> Identity {
        let made = rcgen::generate_simple_self_signed(["somebody".to_owned()]).unwrap();
        Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap()
    }

    #[test]
    fn a_chain_that_nobody_signed_is_kept_for_later_and_so_is_none() {
        let fixture = Fixture::new(&ServerOptions::default());
        let identity = somebody();
        let client = Arc::new(fixture.client(Some((*identity.certified().unwrap()).clone())));
        let server = fixture.connect(&client).unwrap();
        assert_eq!(server.peer_certificates(), Some(identity.chain()));
        let resumed = fixture.connect(&client).unwrap();
        assert_eq!(resumed.handshake_kind(), Some(HandshakeKind::Resumed));
        assert_eq!(resumed.peer_certificates(), Some(identity.chain()));
        let server = fixture.connect(&Arc::new(fixture.client(None))).unwrap();
        assert_eq!(server.peer_certificates(), None);
    }

    #[test]
    fn a_certificate_without_its_key_is_no_handshake() {
        let fixture = Fixture::new(&ServerOptions::default());
        let (victim, thief) = (somebody(), somebody());
        let stolen = CertifiedKey::new(victim.chain().to_vec(), Arc::clone(&thief.certified().unwrap().key));
        for version in [&TLS12, &TLS13] {
            let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(Arc::clone(&fixture.roots));
            let resolver = rustls::sign::SingleCertAndKey::from(stolen.clone());
            let client = builder.with_client_cert_resolver(Arc::new(resolver));
            let refused = fixture.connect(&Arc::new(client)).unwrap_err();
            assert!(matches!(refused, rustls::Error::InvalidCertificate(_)), "{refused:?}");
        }
    }

    #[test]
    fn http2_is_preferred_and_can_be_turned_off() {
        for (http2, expected) in [(true, &b"h2"[..]), (false, b"http/1.1")] {
            let fixture = Fixture::new(&ServerOptions { http2, ..ServerOptions::default() });
            let mut client = fixture.client(None);
            client.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
            assert_eq!(fixture.connect(&Arc::new(client)).unwrap().alpn_protocol(), Some(expected));
        }
    }
}
