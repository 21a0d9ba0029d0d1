//! Watches, which end by themselves after a second: events, their framing, and what is refused.

use super::super::row::{Peer, Row, get, row};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const TABLE_BETA: &str = "application/json;as=Table;v=v1beta1;g=meta.k8s.io";
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
        "resourceVersion={now}",
        "resourceVersion={now}&labelSelector=env%3Done",
        "resourceVersion={now}&allowWatchBookmarks=true",
        "resourceVersion=1",
        "resourceVersion=1&labelSelector=none",
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0&allowWatchBookmarks=true",
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion={now}&allowWatchBookmarks=1",
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=none",
        "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion={now}",
        "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=1",
        "sendInitialEvents=false&resourceVersionMatch=NotOlderThan",
        "resourceVersion=0&limit=1",
        "resourceVersion=0&fieldSelector=metadata.name!%3Dtwo,metadata.name!%3Done",
        "resourceVersion=0&unheard=of",
    ] {
        rows.push(get(format!("{{all}}?watch=true&timeoutSeconds=1&{query}")));
    }
    for watch in ["nonsense", "TRUE", "", "1&watch=0"] {
        rows.push(get(format!("{{all}}?timeoutSeconds=1&resourceVersion=0&watch={watch}")));
    }
    rows.push(get("{all}?watch=1&timeoutSeconds=1").peer(Peer::Custom));
    rows.push(get("{watch}?timeoutSeconds=1"));
    rows.push(get("{watch}?timeoutSeconds=1&labelSelector=env%3Done"));
    rows.push(get("{watch}/one?timeoutSeconds=1"));
    rows.push(get("{watch}/nope?timeoutSeconds=1"));
    rows.push(get("{watch}/one?timeoutSeconds=x"));
    rows.push(get("{watch}").accept("text/html"));
    rows.push(row("POST", "{watch}"));
    rows.push(row("HEAD", "{watch}/one"));
    rows.push(row("HEAD", "{all}?watch=true"));
    for include in ["None", "Metadata", "Object", "Foo"] {
        rows.push(get(format!("{{all}}?watch=1&timeoutSeconds=1&includeObject={include}")).accept(TABLE));
    }
    const ALL_THEN_BOOKMARK: &str = "{all}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    for accept in [TABLE, PARTIAL, PARTIAL_PROTOBUF, TABLE_BETA] {
        rows.push(get(ALL_THEN_BOOKMARK).accept(accept));
        rows.push(get("{all}?watch=1&timeoutSeconds=1&resourceVersion=1").accept(accept));
    }
    for accept in ["application/yaml;as=Table;v=v1;g=meta.k8s.io", "application/*", "*"] {
        rows.push(get("{all}?watch=1&timeoutSeconds=1").accept(accept));
    }
    rows.push(get("{all}?watch=1&timeoutSeconds=1").header("accept-encoding", "gzip"));
    rows.push(
        get("{all}?watch=1&timeoutSeconds=1").accept(PARTIAL_LIST).differs(
            "an event is no list: kube-apiserver says so to nobody, and ends when there would be one",
        ),
    );
    rows.push(get("{all}?watch=1&timeoutSeconds=-1&resourceVersion={now}"));
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
        "sendInitialEvents=false",
        "resourceVersionMatch=NotOlderThan",
        "resourceVersionMatch=NotOlderThan&resourceVersion={now}",
        "continue={next}&resourceVersionMatch=NotOlderThan&sendInitialEvents=true",
        "limit=x",
        "fieldSelector=spec.x%3D1%3D2",
        "timeoutSeconds=",
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
            "a version that is none is the caller's mistake: kube-apiserver takes it for its own, 500, also of one object",
        ),
    );
    rows.push(get("{all}?watch=true").accept("text/html"));
    rows.push(get("{all}?watch=true&timeoutSeconds=1").accept("application/cbor"));
    rows.push(get("{all}?watch=true&timeoutSeconds=1").accept("application/yaml"));
    rows.push(get("{all}?watch=true&timeoutSeconds=1").accept("application/yaml,application/json;q=0.5"));
    rows.push(
        get("{all}?watch=true&timeoutSeconds=1")
            .accept("application/vnd.kubernetes.protobuf")
            .peer(Peer::Custom),
    );
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
