use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use httparse::{EMPTY_HEADER, Response, Status};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::telemetry::{TunnelKind, Tunnels};
use crate::upstream::{Host, InvalidUpstream, Network, Trust, UpstreamError, trust};

use super::conduit::Hop;
use super::hop::ToProxy;
use super::proxy::{Kind, Proxy};
use super::{Conduit, Dial, Transport, proxy_late};

/// As much of a proxy's answer as is read: a proxy that has more to say before it leads anywhere is none.
const MAX_HEADER: usize = 16 << 10;
const MAX_FIELDS: usize = 100;
/// What of a proxy's own words goes into a message.
const MAX_REASON: usize = 120;

/// HTTP CONNECT (RFC 9110 section 9.3.6): a forward proxy, or Konnectivity in its mode of that name.
pub(in crate::upstream) struct HttpConnect {
    name: String,
    to: ToProxy,
    /// `Basic …`
    authorization: Option<String>,
    kind: TunnelKind,
    tunnels: Tunnels,
}

impl HttpConnect {
    pub(super) fn to_proxy(proxy: &Proxy, trust: &Trust, network: &Network) -> Result<Self, InvalidUpstream> {
        let resolver = &network.resolver;
        let to = match proxy.kind {
            Kind::Https => {
                let config = trust::proxy_config(trust, network)?;
                ToProxy::tls(&proxy.host, proxy.port, config, resolver)?
            }
            Kind::Http | Kind::Socks5 => ToProxy::tcp(&proxy.host, proxy.port, resolver),
        };
        let authorization = proxy
            .login
            .as_ref()
            .map(|login| format!("Basic {}", STANDARD.encode(format!("{}:{}", login.user, login.password))));
        let tunnels = network.tunnels.clone();
        Ok(Self { name: proxy.to_string(), to, authorization, kind: TunnelKind::HttpConnect, tunnels })
    }

    /// Konnectivity, by mutual TLS.
    pub(super) fn to_konnectivity(
        (host, port): (&Host, u16),
        config: Arc<ClientConfig>,
        name: String,
        network: &Network,
    ) -> Result<Self, InvalidUpstream> {
        Ok(Self::konnectivity(ToProxy::tls(host, port, config, &network.resolver)?, name, network))
    }

    /// Konnectivity, over a socket of this machine.
    pub(super) fn to_konnectivity_socket(path: PathBuf, name: String, network: &Network) -> Self {
        Self::konnectivity(ToProxy::unix(path), name, network)
    }

    fn konnectivity(to: ToProxy, name: String, network: &Network) -> Self {
        let tunnels = network.tunnels.clone();
        Self { name, to, authorization: None, kind: TunnelKind::KonnectivityConnect, tunnels }
    }

    /// Who it is, for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Asks to be led there. What was read after the answer's header is given back: it is the server's.
    async fn ask(&self, stream: &mut Hop, to: Dial<'_>) -> Result<Bytes, UpstreamError> {
        let broken = |error: std::io::Error| self.unusable(format!("the connection to it broke: {error}"));
        stream.write_all(self.request(to).as_bytes()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        let mut header = BytesMut::with_capacity(1024);
        loop {
            match self.answer(&header, to)? {
                Some(Answer { length, informational: true }) => drop(header.split_to(length)),
                Some(Answer { length, informational: false }) => {
                    return Ok(header.split_off(length).freeze());
                }
                None if header.len() >= MAX_HEADER => {
                    return Err(
                        self.unusable(format!("its answer's header is longer than {MAX_HEADER} bytes"))
                    );
                }
                None => {
                    if stream.read_buf(&mut header).await.map_err(broken)? == 0 {
                        return Err(self.unusable("it closed the connection before it answered".to_owned()));
                    }
                }
            }
        }
    }

    fn request(&self, to: Dial<'_>) -> String {
        let agent = concat!("cluster-gateway/", env!("CARGO_PKG_VERSION"));
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: {agent}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        request
    }

    /// None while it is not complete; an error unless it leads there. A body's length in it means nothing.
    fn answer(&self, header: &[u8], to: Dial<'_>) -> Result<Option<Answer>, UpstreamError> {
        let mut fields = [EMPTY_HEADER; MAX_FIELDS];
        let mut response = Response::new(&mut fields);
        let length = match response.parse(header) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return Ok(None),
            Err(error) => return Err(self.unusable(format!("its answer is not HTTP: {error}"))),
        };
        let code = response.code.unwrap_or_default();
        let reason: String = response.reason.unwrap_or_default().chars().take(MAX_REASON).collect();
        let said = format!("it answered {code} {reason}").trim_end().to_owned();
        match code {
            100..=199 => Ok(Some(Answer { length, informational: true })),
            200..=299 => Ok(Some(Answer { length, informational: false })),
            407 if self.authorization.is_some() => {
                Err(self.unusable(format!("{said}: it does not take the user and password of the URL")))
            }
            407 => Err(self.unusable(format!("{said}: it wants a user and a password in its URL"))),
            // These say that it tried.
            500 | 502..=504 => Err(UpstreamError::Unreached {
                proxy: self.name.clone(),
                address: to.to_string(),
                cause: said,
            }),
            _ => Err(self.unusable(format!("{said} to CONNECT {to}"))),
        }
    }

    fn unusable(&self, cause: String) -> UpstreamError {
        UpstreamError::Proxy { proxy: self.name.clone(), cause }
    }
}

struct Answer {
    length: usize,
    /// Another one follows.
    informational: bool,
}

impl Transport for HttpConnect {
    async fn connect(&self, dial: Dial<'_>) -> Result<Conduit, UpstreamError> {
        let mut stream = self.to.open(&self.name, dial.within).await?;
        let early = self.ask(&mut stream, dial).await?;
        Ok(Conduit::through(stream, early, self.tunnels.open(self.kind)))
    }

    fn late(&self, dial: Dial<'_>) -> UpstreamError {
        proxy_late(&self.name, dial)
    }
}
