use std::borrow::Cow;

use http::Method;

use super::Query;

/// What a request asks for, in the terms of Kubernetes authorization.
///
/// The rules are those of `RequestInfoFactory.NewRequestInfo` (k8s.io/apiserver,
/// pkg/endpoints/request/requestinfo.go), step by step, because the hub decides by them too: a path that we read
/// differently would be a path that one of us forgot to forbid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo<'a> {
    /// Below `/api` or `/apis`, with a group, a version and a resource.
    pub is_resource: bool,
    /// The decoded path.
    pub path: &'a str,
    /// `get`, `list`, `create`, …; the method in lower case when it is no resource.
    pub verb: Cow<'static, str>,
    /// `api` or `apis`.
    pub api_prefix: &'a str,
    /// Empty for the core group.
    pub api_group: &'a str,
    /// For instance `v1`.
    pub api_version: &'a str,
    /// Empty for what is not in a namespace.
    pub namespace: &'a str,
    /// Plural, lower case.
    pub resource: &'a str,
    /// Empty when the resource itself is meant.
    pub subresource: &'a str,
    /// Empty for collections; may come from a field selector.
    pub name: Cow<'a, str>,
}

/// How many leading path elements matter: prefix, group, version, verb, `namespaces`, namespace, resource, name,
/// subresource.
const PARTS: usize = 9;

impl<'a> RequestInfo<'a> {
    /// Reads a request. `path` is percent-decoded (as Go's `URL.Path`), `query` is raw.
    pub fn parse(method: &Method, path: &'a str, query: Option<&str>) -> Self {
        let mut info = Self::non_resource(method, path);
        let mut storage = [""; PARTS];
        let mut parts = split(path, &mut storage);
        match parts {
            ["api", version, rest @ ..] if !rest.is_empty() => {
                info.api_prefix = "api";
                info.api_version = version;
                parts = rest;
            }
            ["apis", group, version, rest @ ..] if !rest.is_empty() => {
                info.api_prefix = "apis";
                info.api_group = group;
                info.api_version = version;
                parts = rest;
            }
            _ => return info,
        }
        info.verb = Cow::Borrowed(match parts {
            // kube-apiserver answers 500 to a special verb that names nothing; as no resource it is just unknown.
            ["proxy" | "watch"] => return Self::non_resource(method, path),
            ["proxy", rest @ ..] => {
                parts = rest;
                "proxy"
            }
            ["watch", rest @ ..] => {
                parts = rest;
                "watch"
            }
            _ => resource_verb(method),
        });
        info.is_resource = true;
        if let ["namespaces", namespace, rest @ ..] = parts {
            info.namespace = namespace;
            if rest.first().is_some_and(|part| !matches!(*part, "status" | "finalize")) {
                parts = rest;
            }
        }
        info.resource = parts.first().unwrap_or(&"");
        info.name = Cow::Borrowed(parts.get(1).unwrap_or(&""));
        if info.verb != "proxy" {
            info.subresource = parts.get(2).unwrap_or(&"");
        }
        if info.name.is_empty() && info.verb == "get" {
            info.verb = Cow::Borrowed("list");
            if let Some(query) = query {
                info.read_list_options(query);
            }
        }
        if info.name.is_empty() && info.verb == "delete" {
            info.verb = Cow::Borrowed("deletecollection");
        }
        info
    }

    fn non_resource(method: &Method, path: &'a str) -> Self {
        Self {
            is_resource: false,
            path,
            verb: lower_case(method),
            api_prefix: "",
            api_group: "",
            api_version: "",
            namespace: "",
            resource: "",
            subresource: "",
            name: Cow::Borrowed(""),
        }
    }

    /// What makes a watch of a list, or one object of a collection.
    fn read_list_options(&mut self, query: &str) {
        let query = Query::new(Some(query));
        if query.flag("watch") {
            self.verb = Cow::Borrowed("watch");
        }
        if let Some(name) = query.first("fieldSelector").as_deref().and_then(exact_name) {
            self.name = Cow::Owned(name.to_owned());
        }
    }
}

fn split<'a, 'b>(path: &'a str, storage: &'b mut [&'a str; PARTS]) -> &'b [&'a str] {
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() {
        return &[];
    }
    let mut slashes = memchr::memchr_iter(b'/', trimmed.as_bytes());
    let (mut start, mut count) = (0, 0);
    for slot in storage.iter_mut() {
        count += 1;
        let Some(end) = slashes.next() else {
            *slot = &trimmed[start..];
            break;
        };
        *slot = &trimmed[start..end];
        start = end + 1;
    }
    &storage[..count]
}

fn resource_verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::GET | Method::HEAD => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    }
}

fn lower_case(method: &Method) -> Cow<'static, str> {
    match *method {
        Method::GET => Cow::Borrowed("get"),
        Method::POST => Cow::Borrowed("post"),
        Method::HEAD => Cow::Borrowed("head"),
        _ => Cow::Owned(method.as_str().to_ascii_lowercase()),
    }
}

/// The name that a field selector requires, if it requires one that could stand in a path.
fn exact_name(selector: &str) -> Option<&str> {
    // With escapes a comma need not end a term: the wider question is asked then.
    if selector.contains('\\') {
        return None;
    }
    selector.split(',').find_map(|term| {
        let value = term.strip_prefix("metadata.name=")?;
        let name = value.strip_prefix('=').unwrap_or(value);
        let possible = !name.is_empty() && !matches!(name, "." | "..") && !name.contains(['/', '%']);
        possible.then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of TestGetAPIRequestInfo (k8s.io/apiserver) and of our own:
    /// method, path with query, verb, prefix, group, version, namespace, resource, subresource, name.
    type Row = (&'static str, &'static str, [&'static str; 8]);
    const ROWS: &[Row] = &[
        ("GET", "/api/v1/namespaces", ["list", "api", "", "v1", "", "namespaces", "", ""]),
        ("GET", "/api/v1/namespaces/other", ["get", "api", "", "v1", "other", "namespaces", "", "other"]),
        ("GET", "/api/v1/namespaces/other/pods", ["list", "api", "", "v1", "other", "pods", "", ""]),
        ("GET", "/api/v1/namespaces/other/pods/foo", ["get", "api", "", "v1", "other", "pods", "", "foo"]),
        ("HEAD", "/api/v1/namespaces/other/pods/foo", ["get", "api", "", "v1", "other", "pods", "", "foo"]),
        ("GET", "/api/v1/pods", ["list", "api", "", "v1", "", "pods", "", ""]),
        ("GET", "/api/v1/pods?watch=true", ["watch", "api", "", "v1", "", "pods", "", ""]),
        ("GET", "/api/v1/pods?watch=false", ["list", "api", "", "v1", "", "pods", "", ""]),
        ("GET", "/api/v1/pods?watch=0", ["list", "api", "", "v1", "", "pods", "", ""]),
        ("GET", "/api/v1/pods?watch", ["watch", "api", "", "v1", "", "pods", "", ""]),
        ("GET", "/api/v1/watch/namespaces/other/pods", ["watch", "api", "", "v1", "other", "pods", "", ""]),
        (
            "GET",
            "/api/v1/proxy/namespaces/other/pods/foo/x",
            ["proxy", "api", "", "v1", "other", "pods", "", "foo"],
        ),
        (
            "GET",
            "/api/v1/namespaces/other/pods/foo/log",
            ["get", "api", "", "v1", "other", "pods", "log", "foo"],
        ),
        (
            "PUT",
            "/api/v1/namespaces/other/finalize",
            ["update", "api", "", "v1", "other", "namespaces", "finalize", "other"],
        ),
        (
            "PUT",
            "/api/v1/namespaces/other/status",
            ["update", "api", "", "v1", "other", "namespaces", "status", "other"],
        ),
        ("DELETE", "/api/v1/nodes", ["deletecollection", "api", "", "v1", "", "nodes", "", ""]),
        ("DELETE", "/api/v1/nodes/a", ["delete", "api", "", "v1", "", "nodes", "", "a"]),
        (
            "POST",
            "/apis/apps/v1/namespaces/n/deployments",
            ["create", "apis", "apps", "v1", "n", "deployments", "", ""],
        ),
        (
            "GET",
            "/api/v1/pods?fieldSelector=metadata.name%3Dfoo",
            ["list", "api", "", "v1", "", "pods", "", "foo"],
        ),
        (
            "GET",
            "/api/v1/pods?watch=1&fieldSelector=metadata.name==foo",
            ["watch", "api", "", "v1", "", "pods", "", "foo"],
        ),
        (
            "GET",
            "/api/v1/pods?fieldSelector=metadata.name%3D..",
            ["list", "api", "", "v1", "", "pods", "", ""],
        ),
        (
            "GET",
            "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/a/proxy/api/v1/pods?watch=true",
            ["get", "apis", "cluster.core.oam.dev", "v1alpha1", "", "clustergateways", "proxy", "a"],
        ),
        ("OPTIONS", "/apis/g/v1/things/a/proxy", ["", "apis", "g", "v1", "", "things", "proxy", "a"]),
    ];

    #[test]
    fn resource_paths_are_read_as_kube_apiserver_reads_them() {
        for (method, target, expected) in ROWS {
            let (path, query) =
                target.split_once('?').map_or((*target, None), |(path, query)| (path, Some(query)));
            let info = RequestInfo::parse(&method.parse().unwrap(), path, query);
            assert!(info.is_resource, "{target}");
            let read = [
                &*info.verb,
                info.api_prefix,
                info.api_group,
                info.api_version,
                info.namespace,
                info.resource,
                info.subresource,
                &*info.name,
            ];
            assert_eq!(read, *expected, "{method} {target}");
        }
    }

    #[test]
    fn parts_are_those_between_slashes_as_far_as_they_matter() {
        for path in ["", "/", "//", "a", "/a", "/a/", "//a//b/", "/a//b", "/1/2/3/4/5/6/7/8/9/10/11", "ü/ö"]
        {
            let trimmed = path.trim_matches('/');
            let expected: Vec<&str> = trimmed.split('/').take(PARTS).collect();
            let mut storage = [""; PARTS];
            let parts = split(path, &mut storage);
            assert_eq!(parts, if trimmed.is_empty() { &[] } else { &expected[..] }, "{path}");
        }
    }

    #[test]
    fn other_paths_are_no_resources_and_keep_their_method() {
        for path in [
            "",
            "/",
            "/healthz",
            "/api",
            "/api/v1",
            "/apis",
            "/apis/g",
            "/apis/g/v1",
            "/apis/g/v1/",
            "/x/y/z/w",
            "/api/v1/watch",
        ] {
            let info = RequestInfo::parse(&Method::GET, path, None);
            assert!(!info.is_resource, "{path}");
            assert_eq!(info.verb, "get", "{path}");
        }
        assert_eq!(RequestInfo::parse(&"PROPFIND".parse().unwrap(), "/x", None).verb, "propfind");
    }
}
