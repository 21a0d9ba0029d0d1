use http::HeaderValue;
use http::Method;

use super::*;

const JSON: Format = Format::JSON;
const YAML: Format = Format { encoding: Encoding::Yaml, pretty: false };
const PROTOBUF: Format = Format { encoding: Encoding::Protobuf, pretty: false };

fn ask<T>(accept: &str, query: Option<&str>, ask: impl Fn(&Request<'_>) -> T) -> T {
    let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_str(accept).unwrap())]);
    ask(&Request { method: &Method::GET, path: "/", query, headers: &headers })
}

fn many(accept: &str) -> Result<(Form, Format), u16> {
    let wanted = ask(accept, None, |request| list(request, "ClusterGatewayList"));
    wanted.map(|wanted| (wanted.form, wanted.format)).map_err(|status| status.code().as_u16())
}

#[test]
fn clients_get_the_form_that_they_like_best() {
    const KUBECTL: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
    const METADATA: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    for (header, form, format) in [
        ("", Form::Plain, JSON),
        ("*/*", Form::Plain, JSON),
        ("application/yaml", Form::Plain, YAML),
        (KUBECTL, Form::Table("v1"), JSON),
        (METADATA, Form::Partial("v1"), PROTOBUF),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Form::Table("v1beta1"), JSON),
        ("application/yaml;as=Table;v=v1;g=meta.k8s.io", Form::Table("v1"), YAML),
        ("application/json;as=Table;v=v1;g=meta.k8s.io;q=0.2, application/json;q=0.9", Form::Plain, JSON),
        ("application/vnd.kubernetes.protobuf,application/json", Form::Plain, JSON),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Form::Partial("v1"), JSON),
        ("application/json;as=Unheard;g=x;v=v1,application/json", Form::Plain, JSON),
        // As kube-apiserver has it.
        ("application/json;q=0", Form::Plain, JSON),
        ("application/json;stream=watch;sv=v1", Form::Plain, JSON),
    ] {
        assert_eq!(many(header), Ok((form, format)), "{header}");
    }
}

#[test]
fn what_cannot_be_written_is_406() {
    for header in [
        "text/html",
        "application/cbor",
        "application/vnd.kubernetes.protobuf",
        "Application/JSON",
        "application/json;as=Unheard;g=x;v=v1",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        "application/json;v=v1",
        "application/json;sv=v2",
        "application/json;stream=x",
    ] {
        assert_eq!(many(header), Err(406), "{header}");
    }
}

#[test]
fn the_hub_gets_aggregated_discovery_and_old_clients_the_list_of_groups() {
    const HUB: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
    let kind = |accept: &str| ask(accept, None, aggregated).map(|(aggregated, _)| aggregated);
    assert_eq!(kind(HUB), Ok(true));
    assert_eq!(kind("application/json"), Ok(false));
    assert_eq!(kind(""), Ok(false));
    // Gone since 1.33.
    assert!(kind("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList").is_err());
}

#[test]
fn people_get_indented_json() {
    let pretty = |accept: &str, query: &str| ask(accept, Some(query), failure).unwrap().pretty;
    assert!(pretty("*/*", "pretty=true") && pretty("application/json;pretty=1", "") && !pretty("*/*", ""));
    assert!(!pretty("*/*", "pretty=0"));
}

#[test]
fn failures_are_written_in_whatever_encoding_is_taken() {
    let format = |accept: &str| ask(accept, None, failure);
    assert_eq!(format("application/vnd.kubernetes.protobuf"), Some(PROTOBUF));
    assert_eq!(format("application/json;as=Table;v=v1;g=meta.k8s.io,application/yaml"), Some(YAML));
    assert_eq!(format("application/json;as=Table;v=v1;g=meta.k8s.io"), None);
}
