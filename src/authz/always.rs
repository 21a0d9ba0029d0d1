use std::collections::HashSet;

use thiserror::Error;

use crate::model::RequestInfo;

/// Paths that are open to all, as k8s.io/apiserver's `path.NewAuthorizer`: whole ones, or beginnings that end in `*`.
/// A slash at the beginning may be left out.
#[derive(Debug)]
pub(super) struct AlwaysAllowed {
    whole: HashSet<String>,
    beginnings: Vec<String>,
}

/// A path with a `*` that is not at its end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} cannot be opened to all: a * may only stand at the end")]
pub struct InvalidPath(String);

impl AlwaysAllowed {
    pub(super) fn new(paths: &[String]) -> Result<Self, InvalidPath> {
        let mut always = Self { whole: HashSet::new(), beginnings: Vec::new() };
        for path in paths {
            let trimmed = path.strip_prefix('/').unwrap_or(path);
            match trimmed.split_once('*') {
                None => {
                    always.whole.insert(trimmed.to_owned());
                }
                Some((beginning, "")) => always.beginnings.push(beginning.to_owned()),
                Some(_) => return Err(InvalidPath(path.clone())),
            }
        }
        Ok(always)
    }

    pub(super) fn allows(&self, attributes: &RequestInfo<'_>) -> bool {
        let path = attributes.path.strip_prefix('/').unwrap_or(attributes.path);
        !attributes.is_resource
            && (self.whole.contains(path)
                || self.beginnings.iter().any(|beginning| path.starts_with(beginning)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    #[test]
    fn only_the_paths_that_are_named_are_open() {
        let always = AlwaysAllowed::new(&["/healthz".into(), "readyz".into(), "/public/*".into()]).unwrap();
        let allows = |path: &str| always.allows(&RequestInfo::parse(&Method::GET, path, None));
        for open in ["/healthz", "/readyz", "/public/", "/public/a/b"] {
            assert!(allows(open), "{open}");
        }
        for closed in ["/", "/healthz/", "/healthz/ping", "/metrics", "//healthz", "/public", "/api/v1/pods"]
        {
            assert!(!allows(closed), "{closed}");
        }
        assert!(AlwaysAllowed::new(&["/a*b".into()]).is_err());
    }
}
