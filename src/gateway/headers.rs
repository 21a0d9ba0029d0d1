use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Header fields of a request: a map of them cannot have many more, and nobody needs them.
pub(super) const MOST: usize = 8192;

/// Whether a header was meant for one hop only: RFC 9110 section 7.6.1, and what Go's reverse proxy counts among those.
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "proxy-connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Takes away what a cluster means for its own hop.
pub(super) fn clean_response(headers: &mut HeaderMap) {
    // Seldom there is any, and looking once costs less than asking for each.
    if !headers.keys().any(is_hop_by_hop) {
        return;
    }
    let mut names = listed_in_connection(headers);
    names.extend(headers.keys().filter(|name| is_hop_by_hop(name)).cloned());
    for name in names {
        headers.remove(name);
    }
}

/// An address as [`forwarded_for`] writes it.
pub(super) fn address(peer: IpAddr) -> HeaderValue {
    // Digits, colons and dots are valid in a header.
    HeaderValue::try_from(peer.to_canonical().to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}

/// The addresses that a request came by, the caller's at the end, as Go's reverse proxy writes them: one value, comma
/// separated.
pub(super) fn forwarded_for(headers: &HeaderMap, caller: &HeaderValue) -> Option<HeaderValue> {
    const SEPARATOR: &[u8] = b", ";
    let before = || headers.get_all(X_FORWARDED_FOR).iter().filter(|value| value.to_str().is_ok());
    let size: usize = before().map(|value| value.len() + SEPARATOR.len()).sum();
    if size == 0 {
        return Some(caller.clone());
    }
    // Of just the size that it has in the end, so that it is allocated once.
    let mut all = Vec::with_capacity(size + caller.len());
    for value in before() {
        all.extend_from_slice(value.as_bytes());
        all.extend_from_slice(SEPARATOR);
    }
    all.extend_from_slice(caller.as_bytes());
    HeaderValue::from_maybe_shared(bytes::Bytes::from(all)).ok()
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

/// The headers that `Connection` names: meant for one hop only. Allocates only where there is one.
pub(super) fn listed_in_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect()
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
    fn the_callers_address_is_appended() {
        let map = headers(&[("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "5.6.7.8")]);
        let all =
            |map: &HeaderMap, caller: &str| forwarded_for(map, &address(caller.parse().unwrap())).unwrap();
        assert_eq!(all(&map, "::ffff:10.0.0.1"), "1.2.3.4, 5.6.7.8, 10.0.0.1");
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        assert_eq!(all(&HeaderMap::new(), longest), longest);
    }

    #[test]
    fn what_a_cluster_means_for_its_own_hop_goes_no_further() {
        let mut map = headers(&[
            ("Connection", "close, X-Own"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Proxy-Authenticate", "Basic"),
            ("Trailer", "x"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("X-Own", "1"),
            ("X-Own", "2"),
            ("Content-Type", "a/b"),
            ("Warning", "299 - one"),
            ("Warning", "299 - two"),
        ]);
        clean_response(&mut map);
        let left = [("content-type", "a/b"), ("warning", "299 - one"), ("warning", "299 - two")];
        assert_eq!(map, headers(&left));
        clean_response(&mut map);
        assert_eq!(map, headers(&left));
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
