use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri, Version, header};

use crate::model::{Reason, Status};
use crate::upstream::{Endpoint, Scheme as EndpointScheme};

/// Makes the request's line for a cluster: what follows `/proxy` and the query go out byte for byte.
pub(super) fn target(endpoint: &Endpoint, rest: &str, query: Option<&str>) -> Result<Uri, Status> {
    let prefix = endpoint.path_prefix();
    let mut path = String::with_capacity(prefix.len() + rest.len() + query.map_or(0, str::len) + 2);
    path.push_str(prefix);
    path.push_str(rest);
    if path.is_empty() {
        path.push('/');
    }
    if let Some(query) = query {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(match endpoint.scheme() {
        EndpointScheme::Https => Scheme::HTTPS,
        EndpointScheme::Http => Scheme::HTTP,
    });
    let bad = |what: &str| Status::new(Reason::BadRequest, format!("the {what} cannot be sent to a cluster"));
    parts.authority = Some(Authority::try_from(endpoint.authority()).map_err(|_| bad("cluster's endpoint"))?);
    parts.path_and_query =
        Some(PathAndQuery::from_maybe_shared(bytes::Bytes::from(path)).map_err(|_| bad("path"))?);
    Uri::from_parts(parts).map_err(|_| bad("path"))
}

/// Puts a request together.
pub(super) fn assemble(method: Method, uri: Uri, headers: HeaderMap) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    *request.version_mut() = Version::HTTP_2;
    request
}

/// Whether the caller wants to leave HTTP on this connection.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
        && headers.get_all(header::CONNECTION).iter().any(|value| {
            value.to_str().is_ok_and(|value| {
                value.split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade"))
            })
        })
}
