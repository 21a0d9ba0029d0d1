//! Which path gets which answer.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::clusters::{Cluster, Table};
use crate::model::{Answer, Query, Reason, Status, answer};

use super::encode::Encoding;
use super::negotiation::{self, Form, Wanted};
use super::selector::Selectors;
use super::{Api, Request, VERSION, gateway, protobuf, refusal, table};

/// The one resource that is read here; its `proxy` never comes this way.
pub(super) const RESOURCE: &str = "clustergateways";

pub(super) fn serve(api: &Api, request: &Request<'_>, clusters: &Table) -> Answer {
    let mut answer = route(api, request, clusters).unwrap_or_else(|status| refusal::refuse(&status, request));
    if request.method == Method::HEAD {
        *answer.body_mut() = Bytes::new();
    }
    answer
}

/// A path's elements, as many as could matter; a slash at its end means nothing.
pub(super) fn parts(path: &str) -> Vec<&str> {
    let trimmed = path.strip_prefix('/').unwrap_or(path);
    let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
    trimmed.split('/').take(8).collect()
}

fn route(api: &Api, request: &Request<'_>, clusters: &Table) -> Result<Answer, Status> {
    let group = api.group.as_str();
    let read = || match *request.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Status::method_not_allowed()),
    };
    match parts(request.path)[..] {
        [""] => api.discovery.paths(),
        ["apis"] => read().and_then(|()| api.discovery.groups(request)),
        ["apis", g] if g == group => read().and_then(|()| api.discovery.group(request)),
        ["apis", g, VERSION] if g == group => read().and_then(|()| api.discovery.resources(request)),
        ["openapi", "v2"] => api.openapi.v2(request),
        ["openapi", "v3"] => api.openapi.v3(),
        ["openapi", "v3", "apis", g, VERSION] if g == group => api.openapi.v3_group(request),
        ["apis", g, VERSION, RESOURCE] if g == group => read().and_then(|()| list(api, request, clusters)),
        ["apis", g, VERSION, RESOURCE, name] | ["apis", g, VERSION, RESOURCE, name, "health"]
            if g == group && !name.is_empty() =>
        {
            read().and_then(|()| get(api, request, clusters, name))
        }
        ["apis", g, ..] if g == group => Err(Status::resource_not_found()),
        ["openapi", "v3", ..] => Ok(bare(StatusCode::NOT_FOUND)),
        _ => Ok(nowhere()),
    }
}

fn get(api: &Api, request: &Request<'_>, clusters: &Table, name: &str) -> Result<Answer, Status> {
    let wanted = negotiation::object(request, "ClusterGateway")?;
    filled(clusters)?;
    let cluster =
        clusters.get(name).ok_or_else(|| Status::object_not_found(api.group.as_str(), RESOURCE, name))?;
    one(api, request, wanted, cluster)
}

/// One cluster in the form that is wanted.
pub(super) fn one(
    api: &Api,
    request: &Request<'_>,
    wanted: Wanted,
    cluster: &Arc<Cluster>,
) -> Result<Answer, Status> {
    let Wanted { form, format } = wanted;
    match form {
        Form::Plain => format.write(StatusCode::OK, &gateway::show(cluster, &api.group)),
        Form::Partial(version) => {
            partially(wanted, &table::partial(cluster, &api.group, version), protobuf::partial)
        }
        Form::Table(version) => {
            let include = table::Include::of(&Query::new(request.query))?;
            let rows = std::slice::from_ref(cluster);
            let version_of = &cluster.metadata.resource_version;
            format.write(StatusCode::OK, &table::show(rows, version_of, version, include, &api.group))
        }
    }
}

/// Metadata, which has a protobuf form.
fn partially(
    wanted: Wanted,
    value: &impl serde::Serialize,
    protobuf: impl Fn(&Value) -> Vec<u8>,
) -> Result<Answer, Status> {
    match wanted.format.encoding {
        Encoding::Protobuf => {
            // Made of texts: it can be written.
            let value = serde_json::to_value(value).unwrap_or_default();
            Ok(answer(StatusCode::OK, Encoding::Protobuf.content_type(), protobuf(&value)))
        }
        Encoding::Json | Encoding::Yaml => wanted.format.write(StatusCode::OK, value),
    }
}

fn list(api: &Api, request: &Request<'_>, clusters: &Table) -> Result<Answer, Status> {
    let query = Query::new(request.query);
    if query.flag("watch") {
        return Err(Status::method_not_allowed());
    }
    let wanted = negotiation::list(request, "ClusterGatewayList")?;
    let selectors = Selectors::of(&query)?;
    filled(clusters)?;
    let mut chosen: Vec<_> = clusters
        .iter()
        .filter(|cluster| selectors.match_object(cluster.name.as_str(), &cluster.metadata.labels))
        .cloned()
        .collect();
    chosen.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let version_of = clusters.resource_version();
    match wanted.form {
        Form::Plain => {
            let items: Vec<_> = chosen.iter().map(|cluster| gateway::show(cluster, &api.group)).collect();
            wanted.format.write(
                StatusCode::OK,
                &json!({
                    "kind": "ClusterGatewayList",
                    "apiVersion": format!("{}/{VERSION}", api.group),
                    "metadata": {"resourceVersion": version_of},
                    "items": items,
                }),
            )
        }
        Form::Partial(version) => {
            let items: Vec<_> =
                chosen.iter().map(|cluster| table::partial(cluster, &api.group, version)).collect();
            let list = json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": format!("meta.k8s.io/{version}"),
                "metadata": {"resourceVersion": version_of},
                "items": items,
            });
            partially(wanted, &list, protobuf::partial_list)
        }
        Form::Table(version) => {
            let include = table::Include::of(&query)?;
            wanted
                .format
                .write(StatusCode::OK, &table::show(&chosen, version_of, version, include, &api.group))
        }
    }
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
