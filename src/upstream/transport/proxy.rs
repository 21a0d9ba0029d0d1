use std::fmt;

use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::upstream::Host;
use crate::upstream::endpoint::split_port;

/// A forward proxy: where it is and what it is shown. Displays without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(super) kind: Kind,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) login: Option<Login>,
}

/// What is spoken with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// CONNECT, in the clear.
    Http,
    /// CONNECT, over TLS.
    Https,
    /// Names are resolved by the proxy whether it says `socks5` or `socks5h`, as Go's net/http has it.
    Socks5,
}

/// User and password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// Why a text is no proxy. Does not repeat it: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidProxy {
    /// Not a URL with a scheme and a host.
    #[error(
        "it is no URL like http://proxy.example:3128 or socks5://user:password@10.0.0.1 (in user and password write \
         / and % as %2F and %25)"
    )]
    NotAUrl,
    /// A scheme that no proxy speaks.
    #[error("its scheme is none of http, https, socks5 and socks5h")]
    Scheme,
    /// `/path`, `?…` or `#…`.
    #[error(
        "it has a path, a query or a fragment, which no proxy's address has (in a password write / as %2F)"
    )]
    Path,
    /// RFC 1929 has one byte for each length.
    #[error("SOCKS5 takes a user of 1 to 255 bytes and a password of no more than 255")]
    Login,
}

impl Proxy {
    /// Parses a URL: `http`, `https`, `socks5` or `socks5h`, user and password percent-encoded. The port is the
    /// scheme's own where there is none: 80, 443, 1080.
    pub fn parse(url: &str) -> Result<Self, InvalidProxy> {
        let (scheme, rest) = url.trim().split_once("://").ok_or(InvalidProxy::NotAUrl)?;
        let (kind, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Kind::Http, 80),
            "https" => (Kind::Https, 443),
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            _ => return Err(InvalidProxy::Scheme),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(InvalidProxy::Path);
        }
        let (login, authority) = match authority.rsplit_once('@') {
            Some((login, authority)) => (Some(Login::parse(login)?), authority),
            None => (None, authority),
        };
        let (host, port) = split_port(authority).ok_or(InvalidProxy::NotAUrl)?;
        let host = Host::parse(host).ok_or(InvalidProxy::NotAUrl)?;
        let port = match port {
            None | Some("") => default_port,
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(InvalidProxy::NotAUrl)?,
        };
        if kind == Kind::Socks5
            && login
                .as_ref()
                .is_some_and(|login| !(1..=255).contains(&login.user.len()) || login.password.len() > 255)
        {
            return Err(InvalidProxy::Login);
        }
        Ok(Self { kind, host, port, login })
    }

    /// Whether it speaks SOCKS5.
    pub(super) fn is_socks(&self) -> bool {
        self.kind == Kind::Socks5
    }

    /// Whether it is reached by TLS, so that it has a certificate.
    pub fn has_certificate(&self) -> bool {
        self.kind == Kind::Https
    }
}

impl Login {
    fn parse(text: &str) -> Result<Self, InvalidProxy> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let decoded = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8().map_err(|_| InvalidProxy::NotAUrl)?;
            match decoded.contains(char::is_control) {
                true => Err(InvalidProxy::NotAUrl),
                false => Ok(decoded.into_owned()),
            }
        };
        Ok(Self { user: decoded(user)?, password: decoded(password)? })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Https => "https",
            Kind::Socks5 => "socks5",
        };
        write!(formatter, "proxy {scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Proxy").field(&format_args!("{self}")).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_proxies() {
        let login =
            |user: &str, password: &str| Some(Login { user: user.to_owned(), password: password.to_owned() });
        for (url, shown, expected) in [
            ("http://Proxy.example:3128\n", "proxy http://proxy.example:3128", None),
            ("HTTP://10.0.0.1/", "proxy http://10.0.0.1:80", None),
            ("https://u:p@[fd00::1]", "proxy https://[fd00::1]:443", login("u", "p")),
            ("socks5h://u@h", "proxy socks5://h:1080", login("u", "")),
            ("http://u:p:q@r@h", "proxy http://h:80", login("u", "p:q@r")),
            ("socks5://a%40b:c%2f%3A%25@h:9", "proxy socks5://h:9", login("a@b", "c/:%")),
        ] {
            let proxy = Proxy::parse(url).unwrap();
            assert_eq!((proxy.to_string(), proxy.login == expected), (shown.to_owned(), true), "{url}");
            assert!(format!("{proxy:?}").contains(shown));
        }
    }

    #[test]
    fn what_is_no_proxy_says_why_and_shows_no_password() {
        let long = format!("socks5://{}@h", "u".repeat(256));
        for (url, expected) in [
            ("proxy:3128", InvalidProxy::NotAUrl),
            ("ftp://u:hunter2@h", InvalidProxy::Scheme),
            ("http://h/path", InvalidProxy::Path),
            ("http://u:hun/ter2@h", InvalidProxy::Path),
            ("http://u:%00@h", InvalidProxy::NotAUrl),
            ("http://u:%0d%0ax@h", InvalidProxy::NotAUrl),
            ("http://u:%ff@h", InvalidProxy::NotAUrl),
            ("http://", InvalidProxy::NotAUrl),
            ("http://h:0", InvalidProxy::NotAUrl),
            ("http://h:x", InvalidProxy::NotAUrl),
            ("socks5://:p@h", InvalidProxy::Login),
            (&long, InvalidProxy::Login),
        ] {
            let error = Proxy::parse(url).unwrap_err();
            assert_eq!(error, expected, "{url}");
            assert!(!error.to_string().contains("hun"));
        }
    }
}
