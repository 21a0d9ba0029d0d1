//! Lists, whole and in parts, as of now and as of an earlier resourceVersion (the rules of
//! k8s.io/apiserver, pkg/storage/cacher, watch_cache.go and delegator/interface.go).
//!
//! A list that says no resourceVersion gets what this replica knows, which follows the hub by milliseconds, or is
//! what was known last while the hub is away; it is never held up by the hub.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::clusters::{Tables, View};
use crate::model::{Answer, Query, Reason, Status, answer};

use super::cursor::Cursor;
use super::encode::{Encoding, Format};
use super::meta::{ListMeta, Partial};
use super::negotiation::{self, Form, Wanted};
use super::options::{ListOptions, Match, too_large, version};
use super::pieces::{Objects, Pieces};
use super::resource::{Kept, Object, Resource};
use super::serve::filled;
use super::table::{Include, Table};
use super::{Api, Outcome, Request, VERSION, protobuf};

/// For a resourceVersion that the hub has, but we do not know yet.
const FRESH_WITHIN: Duration = Duration::from_secs(3);

/// As of when a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AsOf {
    Now,
    NotOlderThan(u64),
    Exactly(u64),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<T> {
    kind: String,
    api_version: String,
    metadata: ListMeta,
    items: Vec<T>,
}

/// One object.
pub(super) async fn get(
    api: &Api,
    request: &Request<'_>,
    resource: Resource,
    name: &str,
    tables: &Tables,
) -> Result<Answer, Status> {
    let query = Query::new(request.query);
    let wanted = negotiation::object(request, resource.kind())?;
    let since = query.first("resourceVersion").unwrap_or_default();
    let since = version(&since).map_err(|message| Status::new(Reason::BadRequest, message))?;
    filled(&tables.load())?;
    fresh(tables, since).await?;
    let table = tables.load_full();
    let constant = resource.constant(api).filter(|object| object.name() == name);
    let object = constant.or_else(|| resource.object(&table.get(name)?.view, api));
    let object = object.ok_or_else(|| Status::object_not_found(api.group.as_str(), resource.name(), name))?;
    one(api, request, wanted, resource, object)
}

/// An object in the form that is wanted.
pub(super) fn one(
    api: &Api,
    request: &Request<'_>,
    wanted: Wanted,
    resource: Resource,
    object: Object<'_>,
) -> Result<Answer, Status> {
    let (Wanted { form, format }, version) = (wanted, object.version());
    match form {
        Form::Plain => format.write(StatusCode::OK, &object.show(version, api)),
        Form::Partial(group_version) => {
            let partial = Partial::new(object.metadata(version, api), group_version);
            partially(wanted, &partial, protobuf::partial)
        }
        Form::Table(group_version) => {
            let include = Include::of(&Query::new(request.query))?;
            let metadata = ListMeta { resource_version: version, ..ListMeta::default() };
            let objects = std::iter::once((object, version));
            let table = Table::new(resource, objects, metadata, group_version, include, api);
            format.write(StatusCode::OK, &table)
        }
    }
}

/// Metadata, which has a protobuf form.
fn partially(
    wanted: Wanted,
    value: &impl Serialize,
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

/// Many objects.
pub(super) async fn list(
    api: &Arc<Api>,
    request: &Request<'_>,
    resource: Resource,
    options: &ListOptions,
    tables: &Tables,
) -> Result<Outcome, Status> {
    let wanted = negotiation::list(request, &format!("{}List", resource.kind()))?;
    filled(&tables.load())?;
    let cursor = cursor(options, resource)?;
    let (views, version) = match as_of(options, cursor.as_ref())? {
        AsOf::Now => now(tables),
        AsOf::NotOlderThan(version) => {
            fresh(tables, version).await?;
            now(tables)
        }
        AsOf::Exactly(version) => {
            fresh(tables, version).await?;
            (tables.at(version).map_err(|_| too_old(cursor.as_ref()))?, version)
        }
    };
    let (objects, metadata) = page(api, resource, &views, version, options, cursor.as_ref());
    let include = match wanted.form {
        Form::Table(_) => Include::of(&Query::new(request.query))?,
        Form::Plain | Form::Partial(_) => Include::Metadata,
    };
    if wanted.format != Format::JSON {
        let each = objects.iter().map(|(object, _)| (*object, object.version()));
        return whole(api, resource, wanted, include, each, metadata).map(Outcome::Answer);
    }
    let empty = whole(api, resource, wanted, include, std::iter::empty(), metadata)?;
    let rest = objects.iter().map(|(_, view)| Kept::of(*view)).collect();
    Pieces::begin(Objects::new(api, resource, (wanted.form, include), rest, empty.body()))
}

/// A list in the form that is wanted.
fn whole<'a>(
    api: &Api,
    resource: Resource,
    wanted: Wanted,
    include: Include,
    each: impl Iterator<Item = (Object<'a>, u64)>,
    metadata: ListMeta,
) -> Result<Answer, Status> {
    match wanted.form {
        Form::Plain => {
            let items = each.map(|(object, version)| object.show(version, api)).collect();
            let (kind, api_version) =
                (format!("{}List", resource.kind()), format!("{}/{VERSION}", api.group));
            wanted.format.write(StatusCode::OK, &List { kind, api_version, metadata, items })
        }
        Form::Partial(group_version) => {
            let items =
                each.map(|(object, version)| Partial::new(object.metadata(version, api), group_version));
            let kind = "PartialObjectMetadataList".to_owned();
            let api_version = format!("meta.k8s.io/{group_version}");
            let items = items.collect();
            partially(wanted, &List { kind, api_version, metadata, items }, protobuf::partial_list)
        }
        Form::Table(group_version) => {
            let table = Table::new(resource, each, metadata, group_version, include, api);
            wanted.format.write(StatusCode::OK, &table)
        }
    }
}

/// Waits until the table is at least as of a resourceVersion, but not for long.
pub(super) async fn fresh(tables: &Tables, version: u64) -> Result<(), Status> {
    let there = tables.wait_for(version, FRESH_WITHIN).await;
    there.map_err(|current| too_large(version, current))
}

fn cursor(options: &ListOptions, resource: Resource) -> Result<Option<Cursor>, Status> {
    if options.cursor.is_empty() {
        return Ok(None);
    }
    let bad = |message: String| Status::new(Reason::BadRequest, message);
    let cursor = Cursor::parse(&options.cursor, resource).map_err(bad)?;
    if !matches!(&*options.version, "" | "0") {
        return Err(bad("specifying resource version is not allowed when using continue".to_owned()));
    }
    Ok(Some(cursor))
}

fn as_of(options: &ListOptions, cursor: Option<&Cursor>) -> Result<AsOf, Status> {
    let version = version(&options.version)
        .map_err(|message| Status::new(Reason::BadRequest, format!("invalid resource version: {message}")))?;
    Ok(match (options.version_match, cursor) {
        (Some(Match::Exact), _) => AsOf::Exactly(version),
        (Some(Match::NotOlderThan), _) => AsOf::NotOlderThan(version),
        (None, Some(cursor)) => cursor.version.map_or(AsOf::Now, AsOf::Exactly),
        // Older than the parameter that says which is meant.
        (None, None) if version > 0 && options.limit.is_some() => AsOf::Exactly(version),
        (None, None) if version > 0 => AsOf::NotOlderThan(version),
        (None, None) => AsOf::Now,
    })
}

fn now(tables: &Tables) -> (Vec<Arc<View>>, u64) {
    let table = tables.load_full();
    (table.iter().map(|cluster| Arc::clone(&cluster.view)).collect(), table.version())
}

/// An object, and what it is made of unless it is always there.
type Chosen<'a> = (Object<'a>, Option<&'a Arc<View>>);

/// What of the clusters is wanted, in order, and how to get at the rest.
fn page<'a>(
    api: &Api,
    resource: Resource,
    views: &'a [Arc<View>],
    version: u64,
    options: &ListOptions,
    cursor: Option<&Cursor>,
) -> (Vec<Chosen<'a>>, ListMeta) {
    let made = views.iter().filter_map(|view| Some((resource.object(view, api)?, Some(view))));
    let constant = resource.constant(api).map(|object| (object, None));
    let mut objects: Vec<Chosen<'_>> = constant.into_iter().chain(made).collect();
    if let Some(cursor) = cursor {
        objects.retain(|(object, _)| object.place() > cursor.place());
    }
    objects.sort_unstable_by(|(one, _), (other, _)| one.place().cmp(&other.place()));
    let total = objects.len();
    // Who says 0 has always got everything.
    let limit = options.limit.filter(|_| options.version != "0").unwrap_or(usize::MAX);
    let mut seen = 0;
    let mut chosen = Vec::with_capacity(total.min(limit));
    for (object, view) in objects {
        if chosen.len() >= limit {
            break;
        }
        seen += 1;
        if object.is_chosen(&options.selectors, api) {
            chosen.push((object, view));
        }
    }
    let mut metadata = ListMeta { resource_version: version, ..ListMeta::default() };
    if let Some((last, _)) = chosen.last().filter(|_| seen < total) {
        metadata.cursor = Cursor::after(last.place(), version, resource);
        metadata.remaining_item_count = options.selectors.is_empty().then_some(total - seen);
    }
    (chosen, metadata)
}

/// 410, with a token by which the rest can be had as it is now, where somebody has a part already.
fn too_old(cursor: Option<&Cursor>) -> Status {
    match cursor {
        None => Status::new(Reason::Expired, "The resourceVersion for the provided list is too old."),
        Some(cursor) => Status::new(
            Reason::Expired,
            "The provided continue parameter is too old to display a consistent list result. You can start a new \
             list without the continue parameter, or use the continue token in this response to retrieve the \
             remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
             that were created, modified, or deleted between the time the first chunk was returned and now may show \
             up in the list.",
        )
        .with_continue(cursor.as_of_now()),
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
