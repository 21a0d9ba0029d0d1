//! In which form an answer is wanted (k8s.io/apiserver, pkg/endpoints/handlers/negotiation).

use http::HeaderMap;
use http::header::{ACCEPT, USER_AGENT};

use crate::model::{Query, Reason, Status};

use super::Request;
use super::accept;
use super::encode::{Encoding, Format};

/// How an answer is to be made and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What of the objects.
    pub(super) form: Form,
    /// In which letters.
    pub(super) format: Format,
}

/// A form of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Plain,
    /// As rows, for people; in this version of meta.k8s.io.
    Table(&'static str),
    /// Only their metadata; in this version of meta.k8s.io.
    Partial(&'static str),
}

/// What a form is asked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Plain,
    Table(&'static str),
    One(&'static str),
    Many(&'static str),
}

/// For one object. `kind` is its kind.
pub(super) fn object(request: &Request<'_>, kind: &str) -> Result<Wanted, Status> {
    let (target, format) = choose(request, resource)?;
    let form = match target {
        Target::Plain => Form::Plain,
        Target::Table(version) => Form::Table(version),
        Target::One(version) => Form::Partial(version),
        Target::Many(_) => {
            return Err(not_acceptable(format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list (*v1alpha1.{kind})"
            )));
        }
    };
    Ok(Wanted { form, format })
}

/// For many. `kind` is the list's kind.
pub(super) fn list(request: &Request<'_>, kind: &str) -> Result<Wanted, Status> {
    let (target, format) = choose(request, resource)?;
    let form = match target {
        Target::Plain => Form::Plain,
        Target::Table(version) => Form::Table(version),
        Target::Many(version) => Form::Partial(version),
        Target::One(_) => {
            return Err(not_acceptable(format!(
                "you requested PartialObjectMetadata, but the requested object is a list (*v1alpha1.{kind})"
            )));
        }
    };
    Ok(Wanted { form, format })
}

/// For the events of a watch, each of one object. In letters that events can be told in: what stands first counts, also
/// where it is none of them.
pub(super) fn stream(request: &Request<'_>) -> Result<Wanted, Status> {
    const STREAMED: &str = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
    let refuse = |types| Err(not_acceptable(format!("only the following media types are accepted: {types}")));
    let (target, format) = choose(request, resource)?;
    let form = match target {
        _ if format.encoding == Encoding::Yaml => return refuse(STREAMED),
        Target::Plain => Form::Plain,
        Target::Table(version) => Form::Table(version),
        Target::One(version) => Form::Partial(version),
        Target::Many(_) => return refuse(MEDIA_TYPES),
    };
    // Events are never indented.
    Ok(Wanted { form, format: Format { pretty: false, ..format } })
}

/// For a document.
pub(super) fn document(request: &Request<'_>) -> Result<Format, Status> {
    let (_, format) = choose(request, |_, convert| convert.is_none().then_some(()))?;
    Ok(format)
}

/// For a failure. None: nothing that can be written is wanted.
pub(super) fn failure(request: &Request<'_>) -> Option<Format> {
    // No `sv` is allowed here.
    let (_, format) = select(request, false, |_, convert| convert.is_none().then_some(()))?;
    Some(format)
}

/// Whether `/apis` is wanted as a whole (KEP-3352), and not just as a list of groups.
pub(super) fn aggregated(request: &Request<'_>) -> Result<(bool, Format), Status> {
    choose(request, |_, convert| match convert {
        None => Some(false),
        Some(Convert { kind: "APIGroupDiscoveryList", group: "apidiscovery.k8s.io", version: "v2" }) => {
            Some(true)
        }
        Some(_) => None,
    })
}

/// `?pretty=`, else whether somebody reads it (isPrettyPrint).
pub(super) fn is_pretty(headers: &HeaderMap, query: Option<&str>) -> bool {
    if let Some(pretty) = Query::new(query).first("pretty").filter(|value| !value.is_empty()) {
        return matches!(&*pretty, "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"].iter().any(|reader| agent.starts_with(reader))
}

/// 406
pub(super) fn not_acceptable(message: impl Into<String>) -> Status {
    Status::new(Reason::NotAcceptable, message)
}

/// What kube-apiserver lists for every resource. Objects are not written in protobuf, here as there for custom
/// resources; what is made of them, and failures, are.
pub(super) const MEDIA_TYPES: &str =
    "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// `as`, `g` and `v` of a clause.
#[derive(Clone, Copy, Default)]
struct Convert<'a> {
    kind: &'a str,
    group: &'a str,
    version: &'a str,
}

fn resource(encoding: Encoding, convert: Option<Convert<'_>>) -> Option<Target> {
    let Some(convert) = convert else {
        return (encoding != Encoding::Protobuf).then_some(Target::Plain);
    };
    let version = match (convert.group, convert.version) {
        ("meta.k8s.io", "v1") => "v1",
        ("meta.k8s.io", "v1beta1") => "v1beta1",
        _ => return None,
    };
    match convert.kind {
        "Table" if encoding != Encoding::Protobuf => Some(Target::Table(version)),
        "PartialObjectMetadata" => Some(Target::One(version)),
        "PartialObjectMetadataList" => Some(Target::Many(version)),
        _ => None,
    }
}

fn choose<T>(
    request: &Request<'_>,
    accept: impl Fn(Encoding, Option<Convert<'_>>) -> Option<T>,
) -> Result<(T, Format), Status> {
    select(request, true, accept)
        .ok_or_else(|| not_acceptable(format!("only the following media types are accepted: {MEDIA_TYPES}")))
}

/// The first clause that something can be written for. `server_version`: whether `sv=v1` is allowed.
fn select<T>(
    request: &Request<'_>,
    server_version: bool,
    accept: impl Fn(Encoding, Option<Convert<'_>>) -> Option<T>,
) -> Option<(T, Format)> {
    let is_pretty = is_pretty(request.headers, request.query);
    // The first header only, as Go's Header.Get.
    let header = request.headers.get(ACCEPT).map(|value| value.to_str().unwrap_or_default());
    let Some(header) = header.filter(|header| !header.is_empty()) else {
        let chosen = accept(Encoding::Json, None)?;
        return Some((chosen, Format { encoding: Encoding::Json, pretty: is_pretty }));
    };
    for clause in accept::parse(header) {
        for encoding in Encoding::ALL {
            let (kind, subtype) = encoding.media_type();
            if !clause.covers(kind, subtype) {
                continue;
            }
            let mut convert = None::<Convert<'_>>;
            let mut pretty = is_pretty;
            let mut allowed = true;
            for (name, value) in &clause.parameters {
                match *name {
                    "as" => convert.get_or_insert_default().kind = value,
                    "g" => convert.get_or_insert_default().group = value,
                    "v" => convert.get_or_insert_default().version = value,
                    "stream" => allowed &= *value == "watch",
                    "sv" => allowed &= server_version && *value == "v1",
                    "pretty" => pretty |= *value == "1",
                    _ => {}
                }
            }
            if let Some(chosen) = accept(encoding, convert).filter(|_| allowed) {
                return Some((chosen, Format { encoding, pretty }));
            }
        }
    }
    None
}

#[cfg(test)]
#[path = "negotiation_tests.rs"]
mod tests;
