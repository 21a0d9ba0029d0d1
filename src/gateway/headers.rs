use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::authn;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// RFC 9110 section 7.6.1, and what Go's reverse proxy counts among them.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Takes away what callers may not tell a cluster: how they or the hub proved who they are, whom to be there, and
/// what was meant for this hop only. `identity` names the headers by which this hub's front proxy says who calls.
pub(super) fn clean_request(headers: &mut HeaderMap, identity: impl Fn(&HeaderName) -> bool) {
    remove_hop_by_hop(headers);
    headers.remove(header::HOST);
    headers.remove(header::AUTHORIZATION);
    // Answered by us: see `expects_continue`.
    headers.remove(header::EXPECT);
    if let Some(others) = authn::protocols_without_token(headers) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, others);
    }
    let forbidden: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let text = name.as_str();
            text.starts_with("x-remote-") || text.starts_with("impersonate-") || identity(name)
        })
        .cloned()
        .collect();
    for name in forbidden {
        headers.remove(name);
    }
}

/// Takes away what a cluster means for its own hop.
pub(super) fn clean_response(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
}

/// Appends the caller's address, as Go's reverse proxy does: one value, comma separated.
pub(super) fn forwarded_for(headers: &mut HeaderMap, caller: IpAddr) {
    let caller = caller.to_canonical();
    let mut all = String::new();
    for value in headers.get_all(X_FORWARDED_FOR) {
        if let Ok(value) = value.to_str() {
            all.push_str(value);
            all.push_str(", ");
        }
    }
    all.push_str(&caller.to_string());
    if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(all)) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

/// Whether the caller waits for a 100 before it sends its body.
pub(super) fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Whether two readers could disagree about where the body ends (RFC 9112 section 6.3): more than one length, a
/// length beside a transfer coding, or codings other than the one `chunked` that Go's server knows.
pub(super) fn has_ambiguous_length(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        return codings.next().is_some()
            || !coding.as_bytes().eq_ignore_ascii_case(b"chunked")
            || headers.contains_key(header::CONTENT_LENGTH);
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else {
        return false;
    };
    lengths.next().is_some() || first.is_empty() || !first.as_bytes().iter().all(u8::is_ascii_digit)
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let listed: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in listed {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in rows {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn nothing_that_says_who_calls_reaches_a_cluster() {
        let mut map = headers(&[
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
            ("Accept", "a/b"),
        ]);
        clean_request(&mut map, |name| name == "x-corp-user");
        assert_eq!(map, headers(&[("accept", "a/b"), ("sec-websocket-protocol", "v4.channel.k8s.io")]));
    }

    #[test]
    fn headers_listed_in_connection_go_and_cannot_smuggle() {
        let mut map = headers(&[
            ("Connection", "close, X-Remote-User"),
            ("Connection", "accept"),
            ("X-Remote-User", "bob"),
            ("Accept", "a/b"),
            ("Te", "trailers"),
            ("Keep-Alive", "5"),
            ("Upgrade", "websocket"),
            ("Transfer-Encoding", "chunked"),
            ("User-Agent", "x"),
        ]);
        clean_request(&mut map, |_| false);
        assert_eq!(map, headers(&[("user-agent", "x")]));
    }

    #[test]
    fn the_callers_address_is_appended() {
        let mut map = headers(&[("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "5.6.7.8")]);
        forwarded_for(&mut map, "::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(map, headers(&[("x-forwarded-for", "1.2.3.4, 5.6.7.8, 10.0.0.1")]));
    }

    #[test]
    fn lengths_that_two_readers_read_differently_are_found() {
        assert!(!has_ambiguous_length(&headers(&[])));
        assert!(!has_ambiguous_length(&headers(&[("content-length", "5")])));
        assert!(has_ambiguous_length(&headers(&[("content-length", "5"), ("content-length", "5")])));
        assert!(has_ambiguous_length(&headers(&[("content-length", "5, 6")])));
        assert!(has_ambiguous_length(&headers(&[("content-length", "+5")])));
        assert!(has_ambiguous_length(&headers(&[("content-length", "5"), ("transfer-encoding", "chunked")])));
        assert!(!has_ambiguous_length(&headers(&[("transfer-encoding", "Chunked")])));
        assert!(has_ambiguous_length(&headers(&[("transfer-encoding", "gzip, chunked")])));
        let twice = [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")];
        assert!(has_ambiguous_length(&headers(&twice)));
    }
}
