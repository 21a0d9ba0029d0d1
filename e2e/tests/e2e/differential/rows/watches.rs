//! Watches, which end by themselves after a second: events, their framing, and what is refused.

use super::super::row::{Peer, Row, get, row};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

const PARTIAL_PROTOBUF: &str =
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for query in [
        "resourceVersion=0",
        "",
        "resourceVersion=0&labelSelector=env%3Done",
        "resourceVersion=0&labelSelector=none",
        "resourceVersion=0&fieldSelector=metadata.name%3Dtwo",
        "resourceVersion=0&allowWatchBookmarks=true&labelSelector=env%3Done",
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
        "resourceVersion=999999999999",
    ] {
        rows.push(get(format!("{{all}}?watch=true&timeoutSeconds=1&{query}")));
    }
    rows.push(get("{all}?watch=1&timeoutSeconds=1&resourceVersion=0").accept(TABLE));
    rows.push(get("{all}?watch=1&timeoutSeconds=1&resourceVersion=0").accept(PARTIAL));
    rows.push(
        get("{all}?watch=1&timeoutSeconds=1&resourceVersion=0").accept("application/json;stream=watch"),
    );
    rows.push(get("{all}?watch=1&timeoutSeconds=1&resourceVersion=0&pretty=true"));
    for wrong in [
        "timeoutSeconds=x",
        "labelSelector=a+b",
        "fieldSelector=metadata.name",
        "resourceVersionMatch=Exact&resourceVersion=1",
        "sendInitialEvents=true",
        "sendInitialEvents=true&resourceVersionMatch=Exact",
    ] {
        rows.push(get(format!("{{all}}?watch=true&{wrong}")));
    }
    for wrong in [
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=Nonsense&resourceVersion=1",
        "resourceVersionMatch=Exact&resourceVersion=0",
        "resourceVersion=x",
        "continue=nonsense",
        "continue=e30",
        "continue=!!",
        "sendInitialEvents=true",
    ] {
        rows.push(get(format!("{{all}}?{wrong}")));
    }
    rows.push(
        get("{all}?watch=true&resourceVersion=x").differs(
            "a version that is none is the caller's mistake: kube-apiserver takes it for its own, 500",
        ),
    );
    rows.push(get("{all}?watch=true").accept("text/html"));
    rows.push(get("{all}?watch=true&timeoutSeconds=1").accept("application/cbor"));
    rows.push(get("{all}?watch=true&timeoutSeconds=1").accept("application/yaml"));
    rows.push(get("{all}?watch=true&timeoutSeconds=1").accept("application/yaml,application/json;q=0.5"));
    rows.push(get("{all}?watch=true&timeoutSeconds=1").accept("application/vnd.kubernetes.protobuf"));
    for query in
        ["resourceVersion=0", "resourceVersion=999999999999", "resourceVersion=0&labelSelector=env%3Done"]
    {
        // As client-go's clients of metadata ask.
        let both = format!("{PARTIAL_PROTOBUF},{PARTIAL}");
        rows.push(get(format!("{{all}}?watch=true&timeoutSeconds=1&{query}")).accept(both));
    }
    rows.push(row("POST", "{all}?watch=true").peer(Peer::ComponentStatuses));
    rows
}
