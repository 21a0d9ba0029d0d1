//! In which form an answer is wanted (k8s.io/apiserver, pkg/endpoints/handlers/negotiation).

use http::HeaderMap;
use http::header::ACCEPT;

use crate::model::{Reason, Status};

/// A form of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Plain,
    /// As rows, for people; in this version of meta.k8s.io.
    Table(&'static str),
    /// Only their metadata.
    Partial,
}

/// For one object.
pub(super) fn object(headers: &HeaderMap) -> Result<Form, Status> {
    form(headers, "PartialObjectMetadata")
}

/// For many.
pub(super) fn list(headers: &HeaderMap) -> Result<Form, Status> {
    form(headers, "PartialObjectMetadataList")
}

/// For documents of which there is only JSON.
pub(super) fn json(headers: &HeaderMap) -> Result<(), Status> {
    choose(headers, |clause| clause.target.is_empty().then_some(()))
}

/// Whether `/apis` is wanted as a whole (KEP-3352), and not just as a list of groups.
pub(super) fn aggregated(headers: &HeaderMap) -> Result<bool, Status> {
    choose(headers, |clause| match clause.target {
        "" => Some(false),
        "APIGroupDiscoveryList" if clause.group == "apidiscovery.k8s.io" && clause.version == "v2" => {
            Some(true)
        }
        _ => None,
    })
}

fn form(headers: &HeaderMap, partial: &str) -> Result<Form, Status> {
    choose(headers, |clause| match (clause.target, clause.group, clause.version) {
        ("", _, _) => Some(Form::Plain),
        ("Table", "meta.k8s.io", "v1") => Some(Form::Table("v1")),
        ("Table", "meta.k8s.io", "v1beta1") => Some(Form::Table("v1beta1")),
        (target, "meta.k8s.io", "v1") if target == partial => Some(Form::Partial),
        _ => None,
    })
}

/// One clause of an Accept header, already known to allow JSON.
#[derive(Default)]
struct Clause<'a> {
    /// `as`
    target: &'a str,
    /// `g`
    group: &'a str,
    /// `v`
    version: &'a str,
}

/// The first acceptable clause by quality, then by order.
fn choose<T>(headers: &HeaderMap, mut accept: impl FnMut(&Clause<'_>) -> Option<T>) -> Result<T, Status> {
    let mut clauses: Vec<(f32, Clause<'_>)> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|text| !text.trim().is_empty())
        .filter_map(parse)
        .collect();
    // Whoever does not say takes anything.
    if headers.get_all(ACCEPT).iter().all(|value| value.as_bytes().trim_ascii().is_empty()) {
        clauses.push((1.0, Clause::default()));
    }
    clauses.retain(|(quality, _)| *quality > 0.0);
    clauses.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    clauses.iter().find_map(|(_, clause)| accept(clause)).ok_or_else(|| {
        Status::new(
            Reason::NotAcceptable,
            "406: Not Acceptable: only the following media types are accepted: application/json",
        )
    })
}

/// A clause that allows JSON, with its quality.
fn parse(text: &str) -> Option<(f32, Clause<'_>)> {
    let mut parameters = text.split(';').map(str::trim);
    let media = parameters.next().unwrap_or_default();
    if !["application/json", "application/*", "*/*"].iter().any(|json| media.eq_ignore_ascii_case(json)) {
        return None;
    }
    let mut clause = Clause::default();
    let mut quality = 1.0;
    for (name, value) in parameters.filter_map(|parameter| parameter.split_once('=')) {
        let value = value.trim_matches('"');
        match name {
            "as" => clause.target = value,
            "g" => clause.group = value,
            "v" => clause.version = value,
            "q" => quality = value.parse().unwrap_or(0.0),
            _ => {}
        }
    }
    Some((quality, clause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, http::HeaderValue::from_static(text))])
    }

    #[test]
    fn clients_get_the_form_that_they_like_best() {
        const KUBECTL: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        for (header, form) in [
            ("", Form::Plain),
            ("*/*", Form::Plain),
            (KUBECTL, Form::Table("v1")),
            ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Form::Table("v1beta1")),
            ("application/json;as=Table;v=v1;g=meta.k8s.io;q=0.2, application/json;q=0.9", Form::Plain),
            ("application/vnd.kubernetes.protobuf,application/json", Form::Plain),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Form::Partial),
            ("application/json;as=Unheard;g=x;v=v1,application/json", Form::Plain),
        ] {
            assert_eq!(list(&accept(header)), Ok(form), "{header}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_406() {
        for header in [
            "text/html",
            "application/yaml",
            "application/json;q=0",
            "application/json;as=Unheard;g=x;v=v1",
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        ] {
            assert_eq!(list(&accept(header)).unwrap_err().code(), 406, "{header}");
        }
    }

    #[test]
    fn the_hub_gets_aggregated_discovery_and_old_clients_the_list_of_groups() {
        const HUB: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        assert_eq!(aggregated(&accept(HUB)), Ok(true));
        assert_eq!(aggregated(&accept("application/json")), Ok(false));
        assert_eq!(aggregated(&HeaderMap::new()), Ok(false));
        assert!(
            aggregated(&accept("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"))
                .is_err()
        );
    }
}
