use std::sync::Arc;
use std::time::Instant;

use http::Method;

use crate::model::{Reason, RequestInfo, Status, User};

use super::{Denied, WorkerAuthorizer};

impl WorkerAuthorizer {
    /// `--authorize-proxy-subpath`: whether the hub would allow the user what the target path asks for.
    ///
    /// `path` is what follows `…/proxy`, percent-decoded, with its slash at the beginning or empty; `query` is raw.
    /// A path with a `.` or `..` element is refused with 400: a cluster behind something that resolves these would
    /// be asked for another path than the one that was decided on.
    pub async fn authorize_subpath(
        &self,
        user: &Arc<User>,
        method: &Method,
        path: &str,
        query: Option<&str>,
    ) -> Result<(), Denied> {
        let start = Instant::now();
        let result = match target(method, path, query) {
            Ok(attributes) => self.authorize(user, &attributes).await,
            Err(denied) => Err(denied),
        };
        let metrics = self.metrics();
        let outcome = if result.is_ok() { &metrics.subpath_allowed } else { &metrics.subpath_refused };
        outcome.observe(start.elapsed().as_secs_f64());
        result
    }
}

fn target<'a>(method: &Method, path: &'a str, query: Option<&str>) -> Result<RequestInfo<'a>, Denied> {
    let path = if path.is_empty() { "/" } else { path };
    if path.split('/').any(|element| matches!(element, "." | "..")) {
        return Err(Status::new(
            Reason::BadRequest,
            "the proxied path has a '.' or '..' element, on which cannot be decided: send the path without it",
        )
        .into());
    }
    Ok(RequestInfo::parse(method, path, query))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::testing::{Script, worker};

    #[tokio::test(start_paused = true)]
    async fn the_target_paths_own_attributes_decide() {
        let script = Script::new(|question| {
            let spec = question.review().spec;
            match (spec.resource_attributes, spec.non_resource_attributes) {
                (Some(resource), None) => resource.verb.as_deref() == Some("list"),
                (None, Some(other)) => other.path.as_deref() == Some("/"),
                _ => false,
            }
        });
        let worker = worker(&script);
        let bob = Arc::new(User::new("bob", ["dev"]));
        let rows = [
            (Method::GET, "/api/v1/namespaces/n/pods", None, None),
            (Method::GET, "/api/v1/namespaces/n/pods", Some("watch=true"), Some(403)),
            (Method::DELETE, "/api/v1/namespaces/n/pods", None, Some(403)),
            (Method::GET, "", None, None),
            (Method::GET, "/version", None, Some(403)),
            (Method::GET, "/healthz/../api/v1/secrets", None, Some(400)),
            (Method::GET, "/api/v1/./pods", None, Some(400)),
        ];
        for (method, path, query, expected) in rows {
            let result = worker.authorize_subpath(&bob, &method, path, query).await;
            let code = result.err().map(|denied| denied.status().code().as_u16());
            assert_eq!(code, expected, "{method} {path}");
        }
        assert_eq!(worker.metrics().subpath_allowed.get_sample_count(), 2);
        assert_eq!(worker.metrics().subpath_refused.get_sample_count(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn paths_that_are_open_on_the_hub_are_open_below_proxy_too() {
        let script = Script::new(|_| false);
        let bob = Arc::new(User::new("bob", ["dev"]));
        assert!(worker(&script).authorize_subpath(&bob, &Method::GET, "/healthz", None).await.is_ok());
    }
}
