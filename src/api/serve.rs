//! Which path gets which answer.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::clusters::Table;
use crate::model::{Answer, Reason, Status, answer};

use super::negotiation::{self, Form};
use super::selector::Selectors;
use super::{Api, Request, VERSION, document, gateway, table};
use crate::model::Query;

/// The one resource that is read here; its `proxy` never comes this way.
const RESOURCE: &str = "clustergateways";

pub(super) fn serve(api: &Api, request: &Request<'_>, clusters: &Table) -> Answer {
    let mut answer = route(api, request, clusters).unwrap_or_else(|status| Answer::from(&status));
    if request.method == Method::HEAD {
        *answer.body_mut() = Bytes::new();
    }
    answer
}

fn route(api: &Api, request: &Request<'_>, clusters: &Table) -> Result<Answer, Status> {
    let trimmed = request.path.strip_prefix('/').unwrap_or(request.path);
    let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
    let parts: Vec<&str> = trimmed.split('/').take(8).collect();
    let group = api.group.as_str();
    let read = || match *request.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Status::method_not_allowed()),
    };
    match parts[..] {
        [""] => read().and_then(|()| to_json(request, &api.discovery.paths)),
        ["apis"] => read().and_then(|()| api.discovery.groups(request)),
        ["apis", g] if g == group => read().and_then(|()| api.discovery.group(request)),
        ["apis", g, VERSION] if g == group => read().and_then(|()| api.discovery.resources(request)),
        ["openapi", "v2"] => read().and_then(|()| api.openapi.v2(request)),
        ["openapi", "v3"] => read().and_then(|()| api.openapi.v3(request)),
        ["openapi", "v3", "apis", g, VERSION] if g == group => {
            read().and_then(|()| api.openapi.v3_group(request))
        }
        ["apis", g, VERSION, RESOURCE] if g == group => read().and_then(|()| list(api, request, clusters)),
        ["apis", g, VERSION, RESOURCE, name] if g == group => {
            read().and_then(|()| get(api, request, clusters, name))
        }
        _ => Err(Status::resource_not_found()),
    }
}

fn get(api: &Api, request: &Request<'_>, clusters: &Table, name: &str) -> Result<Answer, Status> {
    let form = negotiation::object(request.headers)?;
    filled(clusters)?;
    let cluster =
        clusters.get(name).ok_or_else(|| Status::object_not_found(api.group.as_str(), RESOURCE, name))?;
    match form {
        Form::Plain => to_json(request, &gateway::show(cluster, &api.group)),
        Form::Partial => to_json(request, &table::partial(cluster, &api.group)),
        Form::Table(version) => {
            let include = table::Include::of(&Query::new(request.query))?;
            let rows = std::slice::from_ref(cluster);
            let version_of = &cluster.metadata.resource_version;
            to_json(request, &table::show(rows, version_of, version, include, &api.group))
        }
    }
}

fn list(api: &Api, request: &Request<'_>, clusters: &Table) -> Result<Answer, Status> {
    let query = Query::new(request.query);
    if query.flag("watch") {
        return Err(Status::method_not_allowed());
    }
    let form = negotiation::list(request.headers)?;
    let selectors = Selectors::of(&query)?;
    filled(clusters)?;
    let mut chosen: Vec<_> = clusters
        .iter()
        .filter(|cluster| selectors.match_object(cluster.name.as_str(), &cluster.metadata.labels))
        .cloned()
        .collect();
    chosen.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let version_of = clusters.resource_version();
    match form {
        Form::Plain => {
            let items: Vec<_> = chosen.iter().map(|cluster| gateway::show(cluster, &api.group)).collect();
            to_json(
                request,
                &json!({
                    "kind": "ClusterGatewayList",
                    "apiVersion": format!("{}/{VERSION}", api.group),
                    "metadata": {"resourceVersion": version_of},
                    "items": items,
                }),
            )
        }
        Form::Partial => {
            let items: Vec<_> = chosen.iter().map(|cluster| table::partial(cluster, &api.group)).collect();
            to_json(
                request,
                &json!({
                    "kind": "PartialObjectMetadataList",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": {"resourceVersion": version_of},
                    "items": items,
                }),
            )
        }
        Form::Table(version) => {
            let include = table::Include::of(&query)?;
            to_json(request, &table::show(&chosen, version_of, version, include, &api.group))
        }
    }
}

/// An empty table before the first list would say that there is no cluster at all, which somebody might act upon.
fn filled(clusters: &Table) -> Result<(), Status> {
    match clusters.resource_version() {
        "" => Err(Status::new(
            Reason::ServiceUnavailable,
            "the clusters have not been read from the hub yet; try again in a moment",
        )
        .with_retry_after(std::time::Duration::from_secs(1))),
        _ => Ok(()),
    }
}

fn to_json(request: &Request<'_>, value: &impl Serialize) -> Result<Answer, Status> {
    let pretty = document::is_pretty(request);
    let body = document::serialize(value, pretty).map_err(|error| {
        Status::new(Reason::InternalError, format!("the answer cannot be written: {error}"))
    })?;
    Ok(answer(StatusCode::OK, HeaderValue::from_static("application/json"), body))
}
