//! Steps of the data path one by one, for `benches/` and nobody else: those that have no name outside this room.

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request};

use crate::clusters::{Access, Grant};
use crate::exchange::Identity;
use crate::model::RequestInfo;

use super::headers;
use super::outbound::Outbound;
use super::request;
use super::route::{Route, decode, is_long_running, is_resumable, route};

/// What a request is for, for the hub and for the cluster. Gives the cluster, and whether the answer may take its
/// time; none for a request that goes to no cluster.
pub fn classify<'a>(parts: &'a Parts, group: &str) -> Option<(std::borrow::Cow<'a, str>, bool)> {
    let query = parts.uri.query();
    let path = decode(parts.uri.path()).ok()?;
    std::hint::black_box(RequestInfo::parse(&parts.method, &path, query));
    let Route::Proxy { cluster, target, .. } = route(&parts.uri, group).ok()? else { return None };
    let asked = RequestInfo::parse(&parts.method, &target, query);
    Some((cluster, is_long_running(&asked, query) || is_resumable(&asked, query)))
}

/// A request on its way from the caller's header to the cluster's.
pub struct Rewriting(Outbound);

impl Rewriting {
    /// Takes the caller's header. None where no cluster can be asked that.
    pub fn new(
        parts: Parts,
        access: &Access,
        rest: &str,
        caller: HeaderValue,
        identity: Identity,
    ) -> Option<Self> {
        let audit_id = HeaderValue::from_static("5c0f7c1a-0a41-4f0a-8d53-7f1f7a3e9b11");
        let uri = request::target(access.endpoint(), rest, parts.uri.query()).ok()?;
        let Parts { method, headers, .. } = parts;
        Some(Self(Outbound { method, uri, headers, caller, audit_id, identity, upgrade: None }))
    }

    /// What one attempt sends.
    pub fn request(&mut self, access: &Access, grant: &Grant, rest: &str) -> Request<()> {
        if let Ok(uri) = request::target(access.endpoint(), rest, None) {
            self.0.uri = uri;
        }
        self.0.request(grant)
    }
}

/// What is done to the header of an answer.
pub fn answer(headers: &mut HeaderMap) {
    headers::clean_response(headers);
}
