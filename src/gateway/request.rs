use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Uri, Version, header};

use crate::model::{Reason, Status};
use crate::upstream::{Endpoint, Scheme as EndpointScheme};

/// Makes the request's line for a cluster: what follows `/proxy` and the query go out byte for byte.
pub(super) fn target(endpoint: &Endpoint, rest: &str, query: Option<&str>) -> Result<Uri, Status> {
    let prefix = endpoint.path_prefix();
    let root = if prefix.is_empty() && rest.is_empty() { "/" } else { "" };
    let (mark, query) = query.map_or(("", ""), |query| ("?", query));
    // Of just the size that it has in the end, so that it is allocated once.
    let path = [prefix, rest, root, mark, query].concat();
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(match endpoint.scheme() {
        EndpointScheme::Https => Scheme::HTTPS,
        EndpointScheme::Http => Scheme::HTTP,
    });
    let bad = |what: &str| Status::new(Reason::BadRequest, format!("the {what} cannot be sent to a cluster"));
    parts.authority = Some(endpoint.uri_authority().ok_or_else(|| bad("cluster's endpoint"))?.clone());
    parts.path_and_query =
        Some(PathAndQuery::from_maybe_shared(bytes::Bytes::from(path)).map_err(|_| bad("path"))?);
    Uri::from_parts(parts).map_err(|_| bad("path"))
}

/// The protocols that the caller wants to switch to (RFC 9110 section 7.8), if it wants to.
///
/// Not other versions of HTTP: whoever talks HTTP/2 over a switched connection sends requests that nobody looks at.
pub(super) fn upgrade(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    let options = || {
        let values = headers.get_all(header::CONNECTION).iter();
        values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
    };
    let says = |option: &str| options().any(|said| said.eq_ignore_ascii_case(option));
    // A connection that is to be closed cannot become anything else.
    if version != Version::HTTP_11 || !says("upgrade") || says("close") {
        return None;
    }
    let values = headers.get_all(header::UPGRADE).iter().filter_map(|value| value.to_str().ok());
    let is_http = |name: &str| {
        let name = name.split('/').next().unwrap_or_default();
        name.eq_ignore_ascii_case("h2c") || name.eq_ignore_ascii_case("http") || name.is_empty()
    };
    let protocols: Vec<&str> =
        values.flat_map(|value| value.split(',')).map(str::trim).filter(|name| !is_http(name)).collect();
    let wanted = HeaderValue::from_str(&protocols.join(", ")).ok();
    wanted.filter(|wanted| !wanted.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(connection: &'static str, upgrade: &'static str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static(connection));
        headers.insert(header::UPGRADE, HeaderValue::from_static(upgrade));
        let protocols = super::upgrade(Version::HTTP_11, &headers)?;
        Some(protocols.to_str().unwrap().to_owned())
    }

    #[test]
    fn any_protocol_can_be_switched_to() {
        assert_eq!(wanted("Upgrade", "SPDY/3.1").unwrap(), "SPDY/3.1");
        assert_eq!(wanted("keep-alive, upgrade", "websocket").unwrap(), "websocket");
        assert_eq!(wanted("Upgrade", "foo/2, bar").unwrap(), "foo/2, bar");
    }

    #[test]
    fn nobody_leaves_by_another_version_of_http() {
        assert_eq!(wanted("Upgrade, HTTP2-Settings", "h2c"), None);
        assert_eq!(wanted("Upgrade", "HTTP/2.0, H2C"), None);
        assert_eq!(wanted("Upgrade", "h2c, websocket").unwrap(), "websocket");
    }

    #[test]
    fn what_does_not_ask_for_it_is_no_upgrade() {
        assert_eq!(wanted("keep-alive", "websocket"), None);
        assert_eq!(wanted("close, upgrade", "websocket"), None);
        assert_eq!(wanted("upgrade", " , "), None);
        let headers = HeaderMap::from_iter([
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
        ]);
        assert_eq!(super::upgrade(Version::HTTP_10, &headers), None);
    }
}
