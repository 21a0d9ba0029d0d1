//! An HTTPS client for tests: it says which protocol it speaks, sends headers and paths as they are given, and
//! keeps its connection in sight.

mod connection;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::{HeaderName, HeaderValue};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use connection::{Answer, Body, H1, H2, bytes, empty, streamed};

use crate::lab::Identity;

/// Setting up a connection on this machine takes milliseconds, but machines are busy.
const CONNECT: Duration = Duration::from_secs(20);

/// Knows a server and who we are there; makes connections.
#[derive(Clone)]
pub struct HttpsClient {
    address: SocketAddr,
    server_name: ServerName<'static>,
    authority: String,
    tls: rustls::ClientConfig,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl HttpsClient {
    /// A client of the server at `address`, verified by `server_name` and `ca_pem`, with a client certificate
    /// or without.
    pub fn new(
        address: SocketAddr,
        server_name: &str,
        ca_pem: &str,
        identity: Option<&Identity>,
    ) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let tls = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain =
                    CertificateDer::pem_slice_iter(identity.cert.as_bytes()).collect::<Result<_, _>>()?;
                builder
                    .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?)?
            }
        };
        Ok(Self {
            address,
            server_name: ServerName::try_from(server_name.to_owned())?,
            authority: format!("{server_name}:{}", address.port()),
            tls,
            headers: Vec::new(),
        })
    }

    /// With a header that each request carries; the same one twice is sent twice.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self> {
        self.headers.push((name.parse()?, value.parse()?));
        Ok(self)
    }

    /// With a bearer token.
    pub fn bearer(self, token: &str) -> Result<Self> {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With other TLS sessions to resume; clones share theirs.
    pub fn resumption(mut self, resumption: rustls::client::Resumption) -> Self {
        self.tls.resumption = resumption;
        self
    }

    /// A bare TLS connection that offers these protocols; which was chosen is in its session.
    pub async fn tls(&self, protocols: &[&str]) -> Result<TlsStream<TcpStream>> {
        let mut config = self.tls.clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let connector = TlsConnector::from(Arc::new(config));
        let connect = async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            connector.connect(self.server_name.clone(), stream).await
        };
        tokio::time::timeout(CONNECT, connect)
            .await
            .ok()
            .context("no connection in time")?
            .with_context(|| format!("connecting to {}", self.address))
    }

    /// An HTTP/1.1 connection.
    pub async fn h1(&self) -> Result<H1> {
        H1::new(self.tls(&["http/1.1"]).await?, self.authority.clone(), self.headers.clone()).await
    }

    /// An HTTP/2 connection, with room for what tests stream.
    pub async fn h2(&self) -> Result<H2> {
        let stream = self.tls(&["h2"]).await?;
        ensure!(stream.get_ref().1.alpn_protocol() == Some(b"h2"), "{} does not speak h2", self.address);
        H2::new(stream, self.authority.clone(), self.headers.clone()).await
    }

    /// Sends bytes over a connection of their own and gives all that comes back until the server closes it, or
    /// `limit` passes. For requests that no library would send.
    pub async fn raw(&self, request: &[u8], limit: Duration) -> Result<Vec<u8>> {
        let mut stream = self.tls(&["http/1.1"]).await?;
        stream.write_all(request).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        // An end without close_notify, or none at all, is an answer too.
        let _ = tokio::time::timeout(limit, stream.read_to_end(&mut answer)).await;
        Ok(answer)
    }

    /// The headers that each request carries, as lines for [`Self::raw`].
    pub fn header_lines(&self) -> String {
        let line = |(name, value): &(HeaderName, HeaderValue)| {
            format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()))
        };
        format!("Host: {}\r\n", self.authority) + &self.headers.iter().map(line).collect::<String>()
    }
}
