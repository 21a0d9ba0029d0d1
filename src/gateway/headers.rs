use std::io::Write as _;
use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Header fields of a request: a map of them cannot have many more, and nobody needs them.
pub(super) const MOST: usize = 8192;

/// Of an IPv6 address as text.
const LONGEST_ADDRESS: usize = 45;

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

/// Takes away what a cluster means for its own hop.
pub(super) fn clean_response(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
}

/// The addresses that a request came by, the caller's at the end, as Go's reverse proxy writes them: one value, comma
/// separated.
pub(super) fn forwarded_for(headers: &HeaderMap, caller: IpAddr) -> Option<HeaderValue> {
    const SEPARATOR: &[u8] = b", ";
    let mut address = [0; LONGEST_ADDRESS];
    let mut rest = &mut address[..];
    write!(rest, "{}", caller.to_canonical()).ok()?;
    let length = LONGEST_ADDRESS - rest.len();
    let before = || headers.get_all(X_FORWARDED_FOR).iter().filter(|value| value.to_str().is_ok());
    let size: usize = before().map(|value| value.len() + SEPARATOR.len()).sum();
    // Of just the size that it has in the end, so that it is allocated once.
    let mut all = Vec::with_capacity(size + length);
    for value in before() {
        all.extend_from_slice(value.as_bytes());
        all.extend_from_slice(SEPARATOR);
    }
    all.extend_from_slice(&address[..length]);
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

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        for name in listed_in_connection(headers) {
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
    fn the_callers_address_is_appended() {
        let map = headers(&[("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "5.6.7.8")]);
        let all = |map: &HeaderMap, caller: &str| forwarded_for(map, caller.parse().unwrap()).unwrap();
        assert_eq!(all(&map, "::ffff:10.0.0.1"), "1.2.3.4, 5.6.7.8, 10.0.0.1");
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        assert_eq!(all(&HeaderMap::new(), longest), longest);
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
