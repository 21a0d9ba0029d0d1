//! Forms and encodings.

use super::super::row::{Peer, Row, get};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PARTIAL: &str = "as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIAL_LIST: &str = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const KUBECTL: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for accept in [
        "*/*",
        "*",
        "application/*",
        "application/json",
        "application/yaml",
        "application/json;q=0",
        "application/json;q=0.1,application/yaml;q=0.9",
        "application/yaml;q=0.1,application/json;q=0.9",
        "text/html,application/xhtml+xml,*/*;q=0.8",
        "application/json;pretty=1",
        "application/json; charset=utf-8",
        "application/json;stream=watch",
        "application/json;stream=x",
        "application/json;sv=v1",
        "application/json;sv=v2",
        "application/json;v=v1",
        "application/json;as=Unheard;g=meta.k8s.io;v=v1",
        "application/json;as=Table;g=meta.k8s.io;v=v2,application/yaml",
        "Application/JSON",
        "application",
        "text/html",
        "application/cbor",
        "application/cbor,application/json",
        KUBECTL,
        "application/yaml;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
    ] {
        rows.push(get("{all}/one").accept(accept));
        rows.push(get("{all}").accept(accept));
    }
    for accept in [KUBECTL, "application/yaml", "application/*", "text/html", "application/cbor"] {
        rows.push(get("{all}/nope/{sub}").accept(accept).peer(Peer::Nodes));
        rows.push(get("{all}/nope").accept(accept));
    }
    for include in ["Metadata", "None", "Object", ""] {
        rows.push(get(format!("{{all}}?includeObject={include}")).accept(TABLE));
        rows.push(get(format!("{{all}}/one?includeObject={include}")).accept(TABLE));
    }
    rows.push(get("{all}/one?includeObject=Foo").accept(TABLE));
    rows.push(get("{all}/one?includeObject=Foo"));
    rows.push(get("{all}?includeObject=Foo").accept(TABLE));
    rows.push(get("{all}?labelSelector=none").accept(TABLE));
    rows.push(get("{all}").accept(KUBECTL).header("accept-encoding", "gzip"));
    rows.push(get("{all}?pretty=true").accept(KUBECTL));
    rows.push(get("{all}").accept(KUBECTL).peer(Peer::Custom));
    for (accept, target) in [(PARTIAL, "{all}/one"), (PARTIAL_LIST, "{all}")] {
        rows.push(get(target).accept(format!("application/json;{accept}")));
        rows.push(get(target).accept(format!("application/json;{accept}beta1")));
        rows.push(get(target).accept(format!("application/yaml;{accept}")));
        rows.push(get(target).accept(format!("{PROTOBUF};{accept}")));
    }
    rows.push(get("{all}").accept(format!("application/json;{PARTIAL}")).peer(Peer::Nodes));
    rows.push(get("{all}/one").accept(format!("application/json;{PARTIAL_LIST}")).peer(Peer::Nodes));
    rows.push(
        get("{all}/one")
            .accept(PROTOBUF)
            .differs("ours are not written in protobuf, as no custom resource is"),
    );
    for accept in [PROTOBUF.to_owned(), format!("{PROTOBUF},application/json")] {
        rows.push(get("{all}/one").accept(&accept).peer(Peer::Custom));
        // But a failure is.
        rows.push(get("{all}/nope").accept(&accept).peer(Peer::Custom));
    }
    rows
}
