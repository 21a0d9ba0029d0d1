use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue};

use super::{Refusal, Token};

/// A browser cannot set Authorization on a WebSocket, so Kubernetes takes the token from a subprotocol.
const PROTOCOL_PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// The token of an Authorization header, read as k8s.io/apiserver's `bearertoken`: another scheme, or nothing after
/// the scheme, is no token rather than a bad one.
pub(super) fn authorization(headers: &HeaderMap) -> Result<Option<Token>, Refusal> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let mut parts = value.as_bytes().trim_ascii().splitn(3, |byte| *byte == b' ');
    match (parts.next(), parts.next()) {
        (Some(scheme), Some(token)) if scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty() => {
            let token = std::str::from_utf8(token).map_err(|_| Refusal::Malformed("it is not UTF-8"))?;
            Ok(Some(Token::new(token)))
        }
        _ => Ok(None),
    }
}

/// The token among the subprotocols of a WebSocket request, read as k8s.io/apiserver's `websocket`.
pub(super) fn web_socket(headers: &HeaderMap) -> Result<Option<Token>, Refusal> {
    if !is_web_socket(headers) {
        return Ok(None);
    }
    let mut token = None;
    let mut others = 0;
    for protocol in protocols(headers) {
        let Some(encoded) = protocol.strip_prefix(PROTOCOL_PREFIX) else {
            others += 1;
            continue;
        };
        if token.is_some() {
            return Err(Refusal::Malformed("several subprotocols hold one"));
        }
        let decoded = URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| Refusal::Malformed("the subprotocol is not base64url without padding"))?;
        token = Some(String::from_utf8(decoded).map_err(|_| Refusal::Malformed("it is not UTF-8"))?);
    }
    match token.filter(|token| !token.is_empty()) {
        // There has to be one that can be answered, as the one with the token must not be.
        Some(_) if others == 0 => Err(Refusal::Malformed("no subprotocol besides the one that holds it")),
        token => Ok(token.map(|token| Token::new(&token))),
    }
}

/// `Sec-WebSocket-Protocol` as it may be passed on: without the token of the caller. None when there is no token in
/// it, so that it may pass as it is.
pub fn protocols_without_token(headers: &HeaderMap) -> Option<HeaderValue> {
    if !protocols(headers).any(|protocol| protocol.starts_with(PROTOCOL_PREFIX)) {
        return None;
    }
    let others: Vec<&str> =
        protocols(headers).filter(|protocol| !protocol.starts_with(PROTOCOL_PREFIX)).collect();
    // Pieces of a header's value joined by commas are one.
    Some(HeaderValue::from_str(&others.join(",")).unwrap_or_else(|_| HeaderValue::from_static("")))
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn is_web_socket(headers: &HeaderMap) -> bool {
    let is_upgrade = || {
        headers
            .get_all(CONNECTION)
            .into_iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.to_ascii_lowercase().contains("upgrade"))
    };
    headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && is_upgrade()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(result: Result<Option<Token>, Refusal>) -> Option<String> {
        result.unwrap().map(|token| token.secret().to_owned())
    }

    #[test]
    fn authorization_headers_are_read_as_kube_apiserver_reads_them() {
        let rows = [
            ("Bearer abc", Some("abc")),
            ("bearer  abc", None),
            (" BEARER abc def", Some("abc")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Basic abc", None),
            ("", None),
        ];
        for (value, expected) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(token(authorization(&headers)).as_deref(), expected, "{value:?}");
        }
        assert_eq!(token(authorization(&HeaderMap::new())), None);
    }

    fn socket(protocols: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        for protocol in protocols {
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        headers
    }

    const WITH_TOKEN: &str = "base64url.bearer.authorization.k8s.io.YWJj";

    #[test]
    fn a_web_socket_may_carry_its_token_beside_another_protocol() {
        let headers = socket(&["v5.channel.k8s.io", WITH_TOKEN, "v4.channel.k8s.io"]);
        assert_eq!(token(web_socket(&headers)).as_deref(), Some("abc"));
        assert_eq!(protocols_without_token(&headers).unwrap(), "v5.channel.k8s.io,v4.channel.k8s.io");
    }

    #[test]
    fn requests_that_are_no_web_socket_have_no_token_there() {
        let mut headers = socket(&["a", WITH_TOKEN]);
        headers.remove(UPGRADE);
        assert_eq!(token(web_socket(&headers)), None);
        assert_eq!(token(web_socket(&socket(&["a, b"]))), None);
        assert_eq!(protocols_without_token(&socket(&["a, b"])), None);
    }

    #[test]
    fn tokens_that_are_shown_wrongly_are_refused_and_not_overlooked() {
        for protocols in [
            &[WITH_TOKEN][..],
            &["a", WITH_TOKEN, WITH_TOKEN],
            &["a", "base64url.bearer.authorization.k8s.io.YWJj=="],
            &["a", "base64url.bearer.authorization.k8s.io._w"],
        ] {
            let refused = web_socket(&socket(protocols));
            assert!(matches!(refused, Err(Refusal::Malformed(_))), "{protocols:?}");
        }
    }
}
