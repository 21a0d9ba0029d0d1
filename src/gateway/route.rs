use std::borrow::Cow;

use http::Uri;
use memchr::{memchr, memchr_iter};
use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::model::{ClusterName, Query, RequestInfo};

/// What a request is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// A cluster.
    Proxy {
        cluster: Cow<'a, str>,
        /// What follows `/proxy` of the path as the caller wrote it, empty or beginning with a slash.
        rest: &'a str,
        /// The same with its percent-escapes decoded, as it is authorized and recorded; never empty.
        target: Cow<'a, str>,
    },
    /// Our own API, operations, or nothing that exists.
    Local,
}

/// A path that nobody may mean.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum BadPath {
    #[error("the path is not valid UTF-8 when its percent-escapes are decoded")]
    NotUtf8,
    #[error(
        "the path below /proxy holds a \".\" or \"..\" segment, which could leave the cluster's API: send the path that is meant"
    )]
    DotSegment,
}

/// Splits `/apis/GROUP/VERSION/clustergateways/NAME/proxy[/REST]`, leaving REST as it is.
///
/// The parts before are compared one by one after decoding, so that no spelling of the path is read differently
/// here than by [`RequestInfo`], by which it is authorized.
pub(super) fn route<'a>(uri: &'a Uri, group: &str) -> Result<Route<'a>, BadPath> {
    let path = uri.path();
    let mut rest = path.strip_prefix('/').unwrap_or(path);
    let mut name = None;
    let expected = ["apis", group, "v1alpha1", "clustergateways", "", "proxy"];
    for (index, expected) in expected.iter().enumerate() {
        let end = memchr(b'/', rest.as_bytes()).unwrap_or(rest.len());
        let last = index + 1 == 6;
        if end == rest.len() && !last {
            return Ok(Route::Local);
        }
        let part = decode(&rest[..end])?;
        if index == 4 {
            name = Some(part);
        } else if part != *expected {
            return Ok(Route::Local);
        }
        rest = if last { &rest[end..] } else { &rest[end + 1..] };
    }
    match name {
        Some(cluster) if ClusterName::is_valid(&cluster) => {
            // Decoded as a whole: a cluster that decodes `%2F` before it looks for segments finds them there too.
            let target = if rest.is_empty() { "/".into() } else { decode(rest)? };
            match has_dot_segment(target.as_bytes()) {
                true => Err(BadPath::DotSegment),
                false => Ok(Route::Proxy { cluster, rest, target }),
            }
        }
        // A name that no cluster can have: whatever it is, it is answered here.
        _ => Ok(Route::Local),
    }
}

/// The path with its percent-escapes decoded, as Kubernetes authorizes it.
pub(super) fn decode(path: &str) -> Result<Cow<'_, str>, BadPath> {
    match memchr(b'%', path.as_bytes()) {
        None => Ok(path.into()),
        Some(_) => percent_decode_str(path).decode_utf8().map_err(|_| BadPath::NotUtf8),
    }
}

/// Whether a segment, between slashes of either kind, is `.` or `..`.
fn has_dot_segment(path: &[u8]) -> bool {
    let is_end = |at: usize| path.get(at).is_none_or(|byte| matches!(byte, b'/' | b'\\'));
    memchr_iter(b'.', path).any(|dot| {
        let begins = dot.checked_sub(1).is_none_or(is_end);
        begins && (is_end(dot + 1) || path[dot + 1] == b'.' && is_end(dot + 2))
    })
}

/// Whether the answer is one whose reader takes it up again where it ended: a watch, or a log that is followed.
pub(super) fn is_resumable(info: &RequestInfo<'_>, query: Option<&str>) -> bool {
    let query = Query::new(query);
    info.is_resource
        && (info.verb == "watch"
            || info.verb == "get" && info.subresource.is_empty() && query.flag("watch")
            || info.verb == "get" && info.subresource == "log" && query.flag("follow"))
}

/// Whether the answer may take as long as it likes and is streamed: kube-apiserver's
/// `BasicLongRunningRequestCheck` for watches, logs and the streams into pods and services.
pub(super) fn is_long_running(info: &RequestInfo<'_>, query: Option<&str>) -> bool {
    let parameters = Query::new(query);
    is_resumable(info, query)
        || info.verb == "proxy"
        || matches!(info.subresource, "proxy" | "exec" | "attach" | "portforward")
        || parameters.flag("watch")
        || parameters.flag("follow")
}

#[cfg(test)]
mod tests {
    use http::Method;
    use proptest::prelude::*;

    use super::*;

    const GROUP: &str = "cluster.core.oam.dev";

    fn read(path: &str) -> Result<Option<(String, String)>, BadPath> {
        let uri: Uri = path.parse().unwrap();
        route(&uri, GROUP).map(|route| match route {
            Route::Proxy { cluster, rest, .. } => Some((cluster.into_owned(), rest.to_owned())),
            Route::Local => None,
        })
    }

    #[test]
    fn what_follows_proxy_stays_as_it_was_written() {
        let base = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/member-1/proxy";
        for rest in ["", "/", "/api/v1/pods", "/api//v1/", "/a%2Fb", "/a+b%20c", "/%C3%BC", "/a..b", "/..."] {
            let proxied = Some(("member-1".to_owned(), rest.to_owned()));
            assert_eq!(read(&format!("{base}{rest}")), Ok(proxied), "{rest}");
        }
        let query = read(&format!("{base}/api?x=../y"));
        assert_eq!(query, Ok(Some(("member-1".to_owned(), "/api".to_owned()))));
    }

    #[test]
    fn spellings_that_decode_to_the_same_are_the_same() {
        let path = "/apis/cluster%2Ecore.oam.dev/v1alpha1/clustergateways/member%2D1/prox%79/x";
        assert_eq!(read(path), Ok(Some(("member-1".to_owned(), "/x".to_owned()))));
    }

    #[test]
    fn names_that_no_cluster_can_have_reach_none() {
        for name in ["", ".", "..", "%2e%2e", "a%2fb", "A", "%00", "a%20b", "a;b"] {
            let path = format!("/apis/cluster.core.oam.dev/v1alpha1/clustergateways/{name}/proxy/api");
            assert_eq!(read(&path), Ok(None), "{name}");
        }
    }

    #[test]
    fn dot_segments_never_leave_the_clusters_api() {
        for rest in [
            "/..",
            "/.",
            "/a/../b",
            "/%2e%2E/x",
            "/.%2e",
            "/a/%2e",
            "/..%2Fb",
            "/a%2f%2E.%2fb",
            "/a%5C..%5Cb",
        ] {
            let path = format!("/apis/cluster.core.oam.dev/v1alpha1/clustergateways/a/proxy{rest}");
            assert_eq!(read(&path), Err(BadPath::DotSegment), "{rest}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_dot_segment_is_one_between_slashes_of_either_kind(path in r"[./\\a%ü]{0,12}") {
            let expected = path.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."));
            prop_assert_eq!(has_dot_segment(path.as_bytes()), expected);
        }

        #[test]
        fn what_has_no_escape_is_decoded_to_itself(path in "[a-z/%2Ee.ü]{0,16}") {
            let decoded = percent_decode_str(&path).decode_utf8().map_err(|_| BadPath::NotUtf8);
            prop_assert_eq!(decode(&path), decoded);
        }
    }

    #[test]
    fn other_paths_are_not_proxied() {
        for path in [
            "/",
            "/apis",
            "//apis/cluster.core.oam.dev/v1alpha1/clustergateways/a/proxy",
            "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/a",
            "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/a/proxyx",
            "/apis/other/v1alpha1/clustergateways/a/proxy",
            "/apis/cluster.core.oam.dev%2Fv1alpha1/clustergateways/a/proxy/x",
        ] {
            assert_eq!(read(path), Ok(None), "{path}");
        }
    }

    #[test]
    fn watches_logs_and_streams_may_take_their_time() {
        let check = |path: &str, query: Option<&str>| {
            is_long_running(&RequestInfo::parse(&Method::GET, path, query), query)
        };
        assert!(check("/api/v1/pods", Some("watch=true")));
        assert!(check("/api/v1/namespaces/a/pods/b", Some("watch=1")));
        assert!(check("/api/v1/namespaces/a/pods/b/log", Some("follow=true")));
        assert!(check("/api/v1/namespaces/a/services/b/proxy/x", None));
        assert!(!check("/api/v1/namespaces/a/pods/b/log", None));
        assert!(!check("/api/v1/pods", Some("limit=500")));
        assert!(!check("/healthz", None));
    }

    #[test]
    fn only_what_is_taken_up_again_ends_early() {
        let check = |path: &str, query: Option<&str>| {
            is_resumable(&RequestInfo::parse(&Method::GET, path, query), query)
        };
        assert!(check("/api/v1/pods", Some("watch=true")));
        assert!(check("/api/v1/namespaces/a/pods/b", Some("watch=1")));
        assert!(check("/api/v1/namespaces/a/pods/b/log", Some("follow=true")));
        assert!(!check("/api/v1/namespaces/a/services/b/proxy/x", Some("watch=true")));
        assert!(!check("/api/v1/namespaces/a/services/b/proxy/backup.tar.gz", None));
        assert!(!check("/api/v1/pods", None));
    }
}
