//! Forward proxies for tests, that do as they are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::tls::Identity;

use super::*;

/// What proxies are asked for, in their own words.
pub(super) type Asked = Arc<Mutex<Vec<String>>>;

/// A proxy that leads wherever it is told to.
pub(super) struct Stand {
    pub(super) address: String,
    pub(super) accepted: Arc<AtomicUsize>,
    pub(super) asked: Asked,
    certificate: Option<CertificateDer<'static>>,
}

impl Stand {
    /// A scheme of `proxy-url`.
    pub(super) async fn start(scheme: &'static str) -> Self {
        let (tls, certificate) = match scheme {
            "https" => {
                let (acceptor, certificate) = acceptor();
                (Some(acceptor), Some(certificate))
            }
            _ => (None, None),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (accepted, asked) = (Arc::new(AtomicUsize::new(0)), Asked::default());
        let (counted, heard) = (Arc::clone(&accepted), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (tls, heard) = (tls.clone(), Arc::clone(&heard));
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => lead(tls.accept(stream).await.unwrap(), scheme, heard).await,
                        None => lead(stream, scheme, heard).await,
                    }
                });
            }
        });
        Self { address, accepted, asked, certificate }
    }

    pub(super) fn route(&self, scheme: &str) -> Route {
        let trust = self.certificate.clone().map_or(Trust::Unverified, |root| Trust::Roots(vec![root]));
        Route::Proxy(Proxy::parse(&format!("{scheme}://user:pass%20word@{}", self.address)).unwrap(), trust)
    }
}

pub(super) fn acceptor() -> (TlsAcceptor, CertificateDer<'static>) {
    let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = made.signing_key.serialize_pem();
    let identity = Identity::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain().to_vec(), identity.key().clone_key())
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), identity.chain()[0].clone())
}

async fn lead(mut stream: impl AsyncRead + AsyncWrite + Unpin, scheme: &str, asked: Asked) {
    let to = match scheme {
        "socks5" | "socks5h" => take_socks5(&mut stream, &asked).await,
        _ => take_connect(&mut stream, &asked).await,
    };
    let mut server = TcpStream::connect(to).await.unwrap();
    stream
        .write_all(if scheme.starts_with("socks5") { SOCKS5_DONE } else { b"HTTP/1.1 200 OK\r\n\r\n" })
        .await
        .unwrap();
    // Until either side is gone.
    let _ = copy_bidirectional(&mut stream, &mut server).await;
}

/// Where it leads.
pub(super) async fn take_connect(stream: &mut (impl AsyncRead + Unpin), asked: &Asked) -> String {
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        header.push(stream.read_u8().await.unwrap());
    }
    let header = String::from_utf8(header).unwrap();
    let to = header.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
    assert!(header.contains(&format!("\r\nHost: {to}\r\n")), "{header}");
    asked.lock().push(header);
    to
}

const SOCKS5_DONE: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

async fn take_socks5(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), asked: &Asked) -> String {
    let mut hello = [0; 4];
    stream.read_exact(&mut hello).await.unwrap();
    assert_eq!(hello, [5, 2, 0, 2]);
    stream.write_all(&[5, 2]).await.unwrap();
    let mut login = [0; 16];
    stream.read_exact(&mut login).await.unwrap();
    assert_eq!(&login, b"\x01\x04user\x09pass word");
    stream.write_all(&[1, 0]).await.unwrap();
    let mut request = [0; 4];
    stream.read_exact(&mut request).await.unwrap();
    let host = match request {
        [5, 1, 0, 1] => {
            let mut address = [0; 4];
            stream.read_exact(&mut address).await.unwrap();
            std::net::Ipv4Addr::from(address).to_string()
        }
        [5, 1, 0, 3] => {
            let mut name = vec![0; usize::from(stream.read_u8().await.unwrap())];
            stream.read_exact(&mut name).await.unwrap();
            String::from_utf8(name).unwrap()
        }
        other => panic!("{other:?}"),
    };
    let to = format!("{host}:{}", stream.read_u16().await.unwrap());
    asked.lock().push(to.clone());
    to
}
