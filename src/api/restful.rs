//! What kube-apiserver's router of built-in resources (github.com/emicklei/go-restful, route.go and jsr311.go) refuses
//! before anybody reads the request: a method, and an Accept header that names nothing a path is written in. It reads
//! Accept in its own way, which knows no `application/*`; what it lets pass is negotiated once more ([`super::negotiation`]).

use http::header::ACCEPT;
use http::{HeaderMap, Method};

use crate::model::{Details, Status};

use super::Request;
use super::encode::Encoding;
use super::negotiation::{MEDIA_TYPES, not_acceptable};

/// What a path is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Produces {
    /// One document.
    One,
    /// A list, or a watch of it.
    Many,
}

/// Whether a request may read at a path: GET only, HEAD is none.
pub(super) fn read(request: &Request<'_>, produces: Produces) -> Result<(), Status> {
    match *request.method {
        Method::GET => acceptable(request.headers, produces),
        _ => Err(Status::method_not_allowed()),
    }
}

/// 406 to whoever names no type that can be written, whatever its parameters say.
pub(super) fn acceptable(headers: &HeaderMap, produces: Produces) -> Result<(), Status> {
    // The first header only, as Go's Header.Get.
    let header = headers.get(ACCEPT).map(|value| value.to_str().unwrap_or_default());
    let Some(header) = header.filter(|header| !header.is_empty()) else { return Ok(()) };
    let is_written = |clause: &str| {
        let media = clause.split(';').next().unwrap_or_default().trim_matches(' ');
        let written = Encoding::ALL.map(Encoding::media_type);
        media == "*/*" || written.iter().any(|(kind, subtype)| media.split_once('/') == Some((kind, subtype)))
    };
    if header.split(',').any(is_written) {
        return Ok(());
    }
    let streams = match produces {
        Produces::One => "",
        Produces::Many => ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch",
    };
    let message = format!("406: Not Acceptable\n\nAvailable representations: {MEDIA_TYPES}{streams}");
    Err(not_acceptable(message).with_details(Details::default()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn types_are_named_in_full_or_not_at_all() {
        for (accept, passes) in [
            ("", true),
            ("*/*", true),
            ("text/html, */*;q=0.1", true),
            ("application/json;as=Unheard;v=v1", true),
            ("application/vnd.kubernetes.protobuf", true),
            (" application/yaml ;q=0", true),
            ("*", false),
            ("application/*", false),
            ("application", false),
            ("Application/JSON", false),
            ("text/html", false),
            (",", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(acceptable(&headers, Produces::One).is_ok(), passes, "{accept}");
        }
        assert!(acceptable(&HeaderMap::new(), Produces::Many).is_ok());
    }

    #[test]
    fn what_there_would_be_is_said() {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("text/html"))]);
        let refused = |produces| acceptable(&headers, produces).unwrap_err();
        assert_eq!(refused(Produces::One).code(), 406);
        assert!(refused(Produces::One).message().ends_with("yaml, application/vnd.kubernetes.protobuf"));
        assert!(refused(Produces::Many).message().ends_with("protobuf;stream=watch"));
    }
}
