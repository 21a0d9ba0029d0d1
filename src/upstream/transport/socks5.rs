use std::io;
use std::net::IpAddr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::telemetry::{TunnelKind, Tunnels};
use crate::upstream::{Host, Network, UpstreamError};

use super::conduit::Hop;
use super::hop::ToProxy;
use super::proxy::{Login, Proxy};
use super::{Conduit, Dial, Transport, proxy_late};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
/// Of RFC 1929, which has a version of its own.
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// A SOCKS5 proxy (RFC 1928), without login or with user and password (RFC 1929).
pub(in crate::upstream) struct Socks5 {
    name: String,
    to: ToProxy,
    login: Option<Login>,
    tunnels: Tunnels,
}

impl Socks5 {
    pub(super) fn new(proxy: &Proxy, network: &Network) -> Self {
        Self {
            name: proxy.to_string(),
            to: ToProxy::tcp(&proxy.host, proxy.port, &network.resolver),
            login: proxy.login.clone(),
            tunnels: network.tunnels.clone(),
        }
    }

    /// Who it is, for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    async fn ask(&self, stream: &mut Hop, to: Dial<'_>) -> Result<(), Refusal> {
        // RFC 1928 section 3: which ways to log in there are.
        let methods: &[u8] = match self.login {
            None => &[VERSION, 1, NO_AUTHENTICATION],
            Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
        };
        stream.write_all(methods).await?;
        stream.flush().await?;
        let [version, method] = read(stream).await?;
        check(version, VERSION)?;
        match (method, &self.login) {
            (NO_AUTHENTICATION, _) => {}
            (USER_AND_PASSWORD, Some(login)) => log_in(stream, login).await?,
            (_, None) => return Err(Refusal::own("it wants a user and a password in its URL")),
            (_, Some(_)) => return Err(Refusal::own("it takes no user and password")),
        }
        stream.write_all(&request(to)).await?;
        stream.flush().await?;
        let [version, reply, _, kind] = read(stream).await?;
        check(version, VERSION)?;
        match reply {
            0 => {}
            // These say that it tried.
            1 | 3..=6 => return Err(Refusal::Unreached(reason(reply))),
            _ => return Err(Refusal::own(reason(reply))),
        }
        // Where it is bound, which nobody wants to know: read so that what follows is the server's.
        let length = match kind {
            IPV4 => 4,
            IPV6 => 16,
            NAME => usize::from(read::<1>(stream).await?[0]),
            _ => return Err(Refusal::own("its answer is not SOCKS5")),
        };
        let mut bound = vec![0; length + 2];
        stream.read_exact(&mut bound).await?;
        Ok(())
    }
}

impl Transport for Socks5 {
    async fn connect(&self, dial: Dial<'_>) -> Result<Conduit, UpstreamError> {
        let mut stream = self.to.open(&self.name, dial.within).await?;
        let proxy = || self.name.clone();
        match self.ask(&mut stream, dial).await {
            Ok(()) => Ok(Conduit::through(stream, Bytes::new(), self.tunnels.open(TunnelKind::Socks5))),
            Err(Refusal::Own(cause)) => Err(UpstreamError::Proxy { proxy: proxy(), cause }),
            Err(Refusal::Unreached(cause)) => Err(UpstreamError::Unreached {
                proxy: proxy(),
                address: dial.to_string(),
                cause: format!("it answered: {cause}"),
            }),
        }
    }

    fn late(&self, dial: Dial<'_>) -> UpstreamError {
        proxy_late(&self.name, dial)
    }
}

/// Why the proxy does not lead there.
enum Refusal {
    /// The proxy's own doing.
    Own(String),
    /// It tried.
    Unreached(&'static str),
}

impl Refusal {
    fn own(cause: impl Into<String>) -> Self {
        Self::Own(cause.into())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::own("it closed the connection before it answered"),
            _ => Self::Own(format!("the connection to it broke: {error}")),
        }
    }
}

async fn log_in(stream: &mut Hop, login: &Login) -> Result<(), Refusal> {
    let mut message = vec![LOGIN_VERSION];
    for text in [&login.user, &login.password] {
        // No longer than a byte says: the URL was refused otherwise.
        message.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        message.extend_from_slice(text.as_bytes());
    }
    stream.write_all(&message).await?;
    stream.flush().await?;
    let [version, status] = read(stream).await?;
    check(version, LOGIN_VERSION)?;
    match status {
        0 => Ok(()),
        _ => Err(Refusal::own("it does not take the user and password of the URL")),
    }
}

/// RFC 1928 section 4.
fn request(to: Dial<'_>) -> Vec<u8> {
    let mut request = vec![VERSION, CONNECT, 0];
    match to.host {
        Host::Address(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend_from_slice(&address.octets());
        }
        Host::Address(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend_from_slice(&address.octets());
        }
        Host::Name(name) => {
            // A name is no longer than 253 bytes.
            request.extend_from_slice(&[NAME, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
            request.extend_from_slice(name.as_bytes());
        }
    }
    request.extend_from_slice(&to.port.to_be_bytes());
    request
}

async fn read<const N: usize>(stream: &mut Hop) -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn check(version: u8, expected: u8) -> Result<(), Refusal> {
    match version == expected {
        true => Ok(()),
        false => Err(Refusal::own("its answer is not SOCKS5")),
    }
}

/// RFC 1928 section 6.
fn reason(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "a failure that SOCKS5 does not know",
    }
}
