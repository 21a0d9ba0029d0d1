//! Which path gets which answer.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, StatusCode};

use crate::clusters::{Table, Tables};
use crate::model::{Answer, Query, Reason, Status, answer};

use super::options::ListOptions;
use super::resource::Resource;
use super::restful::{Produces, read};
use super::watch::Watch;
use super::{Api, Outcome, Request, VERSION, list, refusal};

/// The resource that has subresources; its `proxy` never comes this way.
pub(super) const RESOURCE: &str = "clustergateways";

pub(super) async fn serve(api: &Arc<Api>, request: &Request<'_>, tables: &Tables) -> Outcome {
    let mut answer = match route(api, request, tables).await {
        Ok(Outcome::Answer(answer)) => answer,
        Ok(long @ (Outcome::Pieces(_) | Outcome::Watch(_))) => return long,
        Err(status) => refusal::refuse(&status, request),
    };
    if request.method == Method::HEAD {
        *answer.body_mut() = Bytes::new();
    }
    Outcome::Answer(answer)
}

/// A path's elements, as many as could matter; a slash at its end means nothing.
pub(super) fn parts(path: &str) -> Vec<&str> {
    let trimmed = path.strip_prefix('/').unwrap_or(path);
    let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
    trimmed.split('/').take(8).collect()
}

async fn route(api: &Arc<Api>, request: &Request<'_>, tables: &Tables) -> Result<Outcome, Status> {
    let group = api.group.as_str();
    // These two are kube-apiserver's aggregator's, which does not mind HEAD; what is below is its router's.
    let above = || match *request.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Status::method_not_allowed()),
    };
    let resource = |name: &str| Resource::of(name).ok_or_else(Status::resource_not_found);
    let answer = match parts(request.path)[..] {
        [""] => api.discovery.paths(),
        ["apis"] => above().and_then(|()| api.discovery.groups(request)),
        ["apis", g] if g == group => above().and_then(|()| api.discovery.group(request)),
        ["apis", g, VERSION] if g == group => {
            read(request, Produces::One).and_then(|()| api.discovery.resources(request))
        }
        ["openapi", "v2"] => api.openapi.v2(request),
        ["openapi", "v3"] => api.openapi.v3(),
        ["openapi", "v3", "apis", g, VERSION] if g == group => api.openapi.v3_group(request),
        ["apis", g, VERSION, name] if g == group => {
            let resource = resource(name)?;
            read(request, Produces::Many)?;
            return many(api, request, resource, None, false, tables).await;
        }
        // What watches were asked for by before there was `?watch`.
        ["apis", g, VERSION, "watch", name] if g == group => {
            let resource = resource(name)?;
            read(request, Produces::Many)?;
            return many(api, request, resource, None, true, tables).await;
        }
        ["apis", g, VERSION, "watch", name, object] if g == group && !object.is_empty() => {
            let resource = resource(name)?;
            read(request, Produces::Many)?;
            return many(api, request, resource, Some(object), true, tables).await;
        }
        ["apis", g, VERSION, name, object] if g == group && !object.is_empty() => {
            let resource = resource(name)?;
            read(request, Produces::One)?;
            list::get(api, request, resource, object, tables).await
        }
        ["apis", g, VERSION, RESOURCE, object, "health"] if g == group && !object.is_empty() => {
            read(request, Produces::One)?;
            list::get(api, request, Resource::ClusterGateways, object, tables).await
        }
        ["apis", g, ..] if g == group => Err(Status::resource_not_found()),
        ["openapi", "v3", ..] => Ok(bare(StatusCode::NOT_FOUND)),
        _ => Ok(nowhere()),
    };
    answer.map(Outcome::Answer)
}

/// A list or a watch.
async fn many(
    api: &Arc<Api>,
    request: &Request<'_>,
    resource: Resource,
    name: Option<&str>,
    watch: bool,
    tables: &Tables,
) -> Result<Outcome, Status> {
    let mut options = ListOptions::of(&Query::new(request.query), watch)?;
    if let Some(name) = name {
        options.selectors = options.selectors.named(name)?;
    }
    if options.watch {
        let watch = Watch::start(api, request, resource, options, tables).await?;
        return Ok(Outcome::Watch(Box::new(watch)));
    }
    list::list(api, request, resource, &options, tables).await
}

/// What kube-apiserver's outermost mux says of a path that nothing is at.
fn nowhere() -> Answer {
    let mut answer = answer(
        StatusCode::NOT_FOUND,
        HeaderValue::from_static("text/plain; charset=utf-8"),
        "404 page not found\n",
    );
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Nothing but a status code.
fn bare(code: StatusCode) -> Answer {
    let mut answer = Answer::new(Bytes::new());
    *answer.status_mut() = code;
    answer
}

/// An empty table before the first list would say that there is no cluster at all, which somebody might act upon.
pub(super) fn filled(clusters: &Table) -> Result<(), Status> {
    match clusters.version() {
        0 => Err(Status::new(
            Reason::ServiceUnavailable,
            "the clusters have not been read from the hub yet; try again in a moment",
        )
        .with_retry_after(std::time::Duration::from_secs(1))),
        _ => Ok(()),
    }
}
