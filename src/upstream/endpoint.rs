use std::fmt;
use std::net::IpAddr;

use http::uri::Authority;
use rustls::pki_types::ServerName;
use thiserror::Error;

use super::InvalidUpstream;

/// Where a server is: scheme, host, port and the path under which its API begins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: Scheme,
    host: Host,
    port: u16,
    path_prefix: String,
    authority: String,
    /// The same, parsed for those who make a request's line of it; none where no request could carry it.
    uri_authority: Option<Authority>,
}

/// `https`, or `http` for those who terminate TLS elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// TLS.
    Https,
    /// In the clear: no credential of ours is verified to reach the right server.
    Http,
}

/// A server's host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name that has to be resolved; lower case, without a trailing dot.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// Why a text is no endpoint. Does not repeat it: what stands there by mistake may be a token or a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidEndpoint {
    /// Not a URL with a scheme and a host.
    #[error("it is no URL like https://10.0.0.1:6443 or https://cluster.example/prefix")]
    NotAUrl,
    /// A scheme that no cluster speaks.
    #[error("its scheme is neither https nor http")]
    Scheme,
    /// `user:password@` belongs into the credential.
    #[error("the endpoint holds user information, which belongs into the credential")]
    UserInfo,
    /// `?…` or `#…`.
    #[error("it has a query or a fragment, which no server's address has")]
    Query,
}

impl Endpoint {
    /// Parses an absolute URL. White space around it is ignored, and so is a slash at its end.
    pub fn parse(url: &str) -> Result<Self, InvalidEndpoint> {
        let url = url.trim();
        let not_a_url = || InvalidEndpoint::NotAUrl;
        let (scheme, rest) = url.split_once("://").ok_or_else(not_a_url)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err(InvalidEndpoint::Scheme),
        };
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(InvalidEndpoint::UserInfo);
        }
        if path.contains(['?', '#']) {
            return Err(InvalidEndpoint::Query);
        }
        let path_prefix = path.trim_end_matches('/');
        if !path_prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(not_a_url());
        }
        let (host, port) = split_port(authority).ok_or_else(not_a_url)?;
        let host = Host::parse(host).ok_or_else(not_a_url)?;
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(not_a_url)?,
            None => scheme.default_port(),
        };
        Ok(Self { path_prefix: path_prefix.to_owned(), ..Self::at(scheme, host, port) })
    }

    /// The root of a server.
    pub fn at(scheme: Scheme, host: Host, port: u16) -> Self {
        let authority = match port == scheme.default_port() {
            true => host.to_string(),
            false => format!("{host}:{port}"),
        };
        let uri_authority = Authority::try_from(authority.as_str()).ok();
        Self { scheme, host, port, path_prefix: String::new(), authority, uri_authority }
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, the scheme's own where the URL has none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What goes before every path: empty, or `/` and more without a slash at its end.
    pub fn path_prefix(&self) -> &str {
        &self.path_prefix
    }

    /// What the server sees as Host or `:authority`: the port only where it is not the scheme's own.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The same as a part of a URI; none where no URI can hold it.
    pub fn uri_authority(&self) -> Option<&Authority> {
        self.uri_authority.as_ref()
    }
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

impl Host {
    /// Takes a DNS name, an IPv4 address, or an IPv6 address in brackets; none if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return address.parse().ok().map(|address| Self::Address(IpAddr::V6(address)));
        }
        if let Ok(address) = text.parse() {
            return Some(Self::Address(IpAddr::V4(address)));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        (name.len() <= 253 && name.split('.').all(is_label)).then(|| Self::Name(name.to_ascii_lowercase()))
    }
}

impl Host {
    /// As a TLS server of this host calls itself.
    pub(super) fn server_name(&self) -> Result<ServerName<'static>, InvalidUpstream> {
        match self {
            Self::Address(address) => Ok(ServerName::from(*address)),
            Self::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|_| InvalidUpstream::ServerName(name.clone()))
            }
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(formatter, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

pub(super) fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        let (host, rest) = authority.split_at(end);
        return match rest {
            "" => Some((host, None)),
            _ => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_endpoints() {
        let rows = [
            ("https://10.0.0.1:6443", "10.0.0.1:6443", 6443, ""),
            ("https://10.0.0.1:6443/\n", "10.0.0.1:6443", 6443, ""),
            ("https://Cluster.Example./k8s/clusters/c-1/", "cluster.example", 443, "/k8s/clusters/c-1"),
            ("https://cluster.example:443", "cluster.example", 443, ""),
            ("https://[::1]:6443/x", "[::1]:6443", 6443, "/x"),
            ("https://[fd00::1]", "[fd00::1]", 443, ""),
            ("HTTP://localhost:8080", "localhost:8080", 8080, ""),
        ];
        for (url, authority, port, prefix) in rows {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(
                (endpoint.authority(), endpoint.port(), endpoint.path_prefix()),
                (authority, port, prefix)
            );
        }
    }

    #[test]
    fn what_is_no_endpoint_says_why() {
        assert_eq!(Endpoint::parse("https://u:p@host"), Err(InvalidEndpoint::UserInfo));
        assert_eq!(Endpoint::parse("ftp://host"), Err(InvalidEndpoint::Scheme));
        assert_eq!(Endpoint::parse("https://host/?x"), Err(InvalidEndpoint::Query));
        for bad in [
            "",
            "host",
            "https://",
            "https://host:",
            "https://host:0",
            "https://host:65536",
            "https://::1",
            "https://[::1",
            "https://a b",
            "https://a/ü",
            "https://h:x",
        ] {
            assert_eq!(Endpoint::parse(bad), Err(InvalidEndpoint::NotAUrl), "{bad}");
        }
    }
}
