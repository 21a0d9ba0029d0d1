use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri, Version};

use crate::authn;
use crate::clusters::Grant;
use crate::exchange::Identity;
use crate::model::AUDIT_ID;

use super::headers::{X_FORWARDED_FOR, forwarded_for, is_hop_by_hop, listed_in_connection};

/// What is asked of a cluster, as often as it has to be.
///
/// The caller's header is kept as it came: each attempt gets one of its own, made in one go, with nothing in it that
/// would have to be taken out again.
pub(super) struct Outbound {
    pub(super) method: Method,
    pub(super) uri: Uri,
    /// As the caller sent them, less those by which this hub's front proxy says who calls.
    pub(super) headers: HeaderMap,
    /// Where they called from, as text.
    pub(super) caller: HeaderValue,
    pub(super) audit_id: HeaderValue,
    /// Who the caller is there.
    pub(super) identity: Identity,
    /// The protocols that are to be switched to.
    pub(super) upgrade: Option<HeaderValue>,
}

/// Headers of our own, at most, but for impersonation.
const OWN: usize = 5;

impl Outbound {
    /// Takes away the headers by which this hub's front proxy says who calls, where it calls them something else than
    /// what stays here anyway.
    pub(super) fn without_identity(mut self, is_identity: Option<impl Fn(&HeaderName) -> bool>) -> Self {
        let Some(is_identity) = is_identity else { return self };
        let names = self.headers.keys().filter(|name| !stays_here(name) && is_identity(name));
        let names: Vec<HeaderName> = names.cloned().collect();
        for name in names {
            self.headers.remove(name);
        }
        self
    }

    /// The request with a credential on it.
    pub(super) fn request(&self, grant: &Grant) -> Request<()> {
        let impersonation = match &self.identity {
            Identity::Impersonate(headers) => Some(headers.iter()),
            Identity::AsCredential => None,
        };
        let count = self.headers.len() + impersonation.as_ref().map_or(0, ExactSizeIterator::len) + OWN;
        let mut headers = HeaderMap::with_capacity(count);
        self.pass_on(&mut headers);
        if let Some(forwarded_for) = forwarded_for(&self.headers, &self.caller) {
            headers.insert(X_FORWARDED_FOR, forwarded_for);
        }
        headers.insert(AUDIT_ID, self.audit_id.clone());
        for (name, value) in impersonation.into_iter().flatten() {
            headers.append(name, value.clone());
        }
        if let Some(protocols) = &self.upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, protocols.clone());
        }
        grant.authorize(&mut headers);
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        *request.version_mut() = Version::HTTP_2;
        request
    }

    /// What of the caller's header is the cluster's business.
    fn pass_on(&self, headers: &mut HeaderMap) {
        let listed = listed_in_connection(&self.headers);
        for (name, value) in &self.headers {
            if !stays_here(name) && !listed.contains(name) {
                headers.append(name, value.clone());
            }
        }
        // Callers may show their token in it.
        if headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL)
            && let Some(others) = authn::protocols_without_token(headers)
        {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, others);
        }
    }
}

/// Whether a header is not for clusters: it was meant for this hop only, it says how a caller proved who they are or
/// whom to be there, or it is one that we write.
fn stays_here(name: &HeaderName) -> bool {
    let text = name.as_str();
    // `expect` is answered by us: see `headers::expects_continue`.
    is_hop_by_hop(name)
        || matches!(text, "host" | "authorization" | "expect" | "x-forwarded-for" | "audit-id")
        || text.starts_with("x-remote-")
        || text.starts_with("impersonate-")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exchange::{Exchanger, GlobalRules};
    use crate::model::User;
    use crate::upstream::{
        Endpoint, Network, Resolver, Route, Speaks, SystemRoots, Trust, Upstream, UpstreamSpec,
    };

    fn headers(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in rows {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static(value));
        }
        map
    }

    fn outbound(headers: HeaderMap) -> Outbound {
        Outbound {
            method: Method::GET,
            uri: Uri::from_static("https://c/x"),
            headers,
            caller: HeaderValue::from_static("10.0.0.1"),
            audit_id: HeaderValue::from_static("id"),
            identity: Identity::AsCredential,
            upgrade: None,
        }
    }

    fn grant() -> Grant {
        let spec = UpstreamSpec {
            endpoint: Endpoint::parse("https://c").unwrap(),
            trust: Trust::Unverified,
            identity: None,
            server_name: None,
            route: Route::Direct,
            speaks: Speaks::Http,
        };
        let registry = prometheus::Registry::new();
        let network = Network {
            workers: 1,
            connect_timeout: std::time::Duration::from_secs(1),
            resolver: Resolver::new(tokio::runtime::Handle::current()),
            system: SystemRoots::default(),
            tunnels: crate::telemetry::Tunnels::new(&registry).unwrap(),
            connections: crate::telemetry::Connections::new(&registry).unwrap(),
        };
        let upstream = Arc::new(Upstream::new(spec, &network).unwrap());
        Grant { upstream, authorization: Some(HeaderValue::from_static("Bearer ours")) }
    }

    fn sent(outbound: &Outbound) -> HeaderMap {
        outbound.request(&grant()).headers().clone()
    }

    const OURS: [(&str, &str); 3] =
        [("x-forwarded-for", "10.0.0.1"), ("audit-id", "id"), ("authorization", "Bearer ours")];

    fn with_ours(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        headers(&[rows, &OURS].concat())
    }

    #[tokio::test]
    async fn nothing_that_says_who_calls_reaches_a_cluster() {
        let map = headers(&[
            ("Authorization", "Bearer secret"),
            ("X-Remote-User", "bob"),
            ("x-ReMoTe-GrOuP", "system:masters"),
            ("X-Remote-Extra-Scopes", "x"),
            ("iMpErSoNaTe-User", "root"),
            ("Impersonate-Group", "system:masters"),
            ("Proxy-Authorization", "Basic secret"),
            ("X-Corp-User", "bob"),
            ("Sec-WebSocket-Protocol", "v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.c2VjcmV0"),
            ("Host", "hub"),
            ("Audit-ID", "theirs"),
            ("Accept", "a/b"),
        ]);
        let expected = with_ours(&[("accept", "a/b"), ("sec-websocket-protocol", "v4.channel.k8s.io")]);
        assert_eq!(
            sent(&outbound(map).without_identity(Some(|name: &HeaderName| name == "x-corp-user"))),
            expected
        );
    }

    #[tokio::test]
    async fn headers_listed_in_connection_go_and_cannot_smuggle() {
        let map = headers(&[
            ("Connection", "close, X-Remote-User"),
            ("Connection", "accept"),
            ("X-Remote-User", "bob"),
            ("Accept", "a/b"),
            ("Te", "trailers"),
            ("Trailer", "x"),
            ("Keep-Alive", "5"),
            ("Proxy-Connection", "keep-alive"),
            ("Proxy-Authenticate", "Basic"),
            ("Expect", "100-continue"),
            ("Upgrade", "websocket"),
            ("Transfer-Encoding", "chunked"),
            ("User-Agent", "x"),
        ]);
        assert_eq!(sent(&outbound(map)), with_ours(&[("user-agent", "x")]));
    }

    #[tokio::test]
    async fn what_we_say_ourselves_cannot_be_taken_away_by_a_caller() {
        let map = headers(&[
            ("Connection", "authorization, x-forwarded-for, audit-id, impersonate-user"),
            ("X-Forwarded-For", "1.2.3.4"),
        ]);
        let exchanger = Exchanger::new(true, GlobalRules::default()).for_worker();
        let alice = Arc::new(User::new("alice", ["dev", "ops"]));
        let identity = exchanger.identity(&alice, "c", None, false).unwrap();
        let upgrade = Some(HeaderValue::from_static("websocket"));
        let outbound = Outbound { identity, upgrade, ..outbound(map) };
        let expected = headers(&[
            ("x-forwarded-for", "1.2.3.4, 10.0.0.1"),
            ("audit-id", "id"),
            ("impersonate-user", "alice"),
            ("impersonate-group", "dev"),
            ("impersonate-group", "ops"),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("authorization", "Bearer ours"),
        ]);
        assert_eq!(sent(&outbound), expected);
        // As often as it is needed.
        assert_eq!(sent(&outbound), expected);
    }
}
