//! One object and many of them.

use super::super::part::Part;
use super::super::row::{Peer, Row, get, row};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        get("{all}/one"),
        get("{all}/one").peer(Peer::Custom),
        get("{all}").peer(Peer::Custom),
        get("{all}/one/"),
        get("{all}/one/{sub}").peer(Peer::Nodes).part(Part::Identity),
        get("{all}/one/{sub}").peer(Peer::Custom),
        get("{all}/large"),
        get("{all}/nope"),
        get("{all}/nope/{sub}").peer(Peer::Nodes),
        get("{all}/nope").peer(Peer::Nodes),
        get("{all}/nope").peer(Peer::PriorityClasses),
        get("{all}/nope").peer(Peer::Custom),
        get("{all}/UPPER"),
        get("{all}/%6Fne"),
        get("{all}/a%22b"),
        get("{all}/a%3Cb%3E%26"),
        get("{all}/one?pretty=true"),
        get("{all}/one?pretty=1"),
        get("{all}/one?pretty=0").header("user-agent", "curl/8.0"),
        get("{all}/one?pretty=").header("user-agent", "Mozilla/5.0 (X11)"),
        get("{all}/one?pretty=nonsense").header("user-agent", "Wget/1.21"),
        get("{all}/one").header("user-agent", "curl/8.0"),
        get("{all}/one").header("user-agent", "Wget/1.21"),
        get("{all}/one").header("user-agent", "kubectl/v1.35.4"),
        get("{all}/nope?pretty=true"),
        get("{all}/nope").header("user-agent", "curl/8.0"),
        get("{all}/one?unheard=of"),
        get("{all}/one?resourceVersion=0"),
        get("{all}/one").header("audit-id", "11111111-2222-3333-4444-555555555555"),
        row("HEAD", "{all}/one"),
        row("HEAD", "{all}/nope"),
        row("HEAD", "{all}"),
        get("{all}"),
        get("{all}/"),
        get("{all}?limit=500"),
        get("{all}?pretty=true"),
        get("{all}?resourceVersion=0"),
        get("{all}?watch=false"),
        get("{all}?watch=0"),
        get("{all}").header("accept-encoding", "gzip"),
        get("{all}").header("accept-encoding", "deflate, gzip, br"),
        get("{all}").header("accept-encoding", "gzip;q=1.0"),
        get("{all}?labelSelector=env%3Done").header("accept-encoding", "gzip"),
        get("{all}/large").header("accept-encoding", "gzip"),
    ];
    for selector in [
        "env",
        "!env",
        "env%3Done",
        "env%3D%3Dtwo",
        "env!%3Done",
        "env+in+(one,two)",
        "env+notin+(one)",
        "env%3Done,env%3Dtwo",
        "none",
        "%21none,env+in+(three)",
    ] {
        rows.push(get(format!("{{all}}?labelSelector={selector}")));
    }
    for selector in
        ["metadata.name%3Done", "metadata.name!%3Done", "metadata.name%3Dnope", "metadata.name%3D%3Done"]
    {
        rows.push(get(format!("{{all}}?fieldSelector={selector}")));
    }
    for wrong in [
        "labelSelector=a+b",
        "labelSelector=%3Dx",
        "labelSelector=a+in+(b",
        "fieldSelector=metadata.name",
        "limit=x",
        "timeoutSeconds=x",
    ] {
        rows.push(get(format!("{{all}}?{wrong}")));
    }
    rows.push(get("{all}?fieldSelector=spec.x%3D1").peer(Peer::PriorityClasses));
    rows.extend([parts(), versions()].concat());
    rows
}

/// Lists a part at a time.
fn parts() -> Vec<Row> {
    let mut rows = Vec::new();
    for query in [
        "limit=1",
        "limit=3",
        "limit=4",
        "limit=0",
        "limit=-1",
        "limit=",
        "limit=99999999999999999999",
        "limit=1&limit=2",
        "limit=2&resourceVersion=0",
        "limit=1&labelSelector=env",
        "limit=1&labelSelector=env%3Dtwo",
        "limit=2&fieldSelector=metadata.name!%3Done",
        "limit=2&labelSelector=none",
        "limit=2&continue={next}",
        "continue={next}",
        "continue={next}&labelSelector=env%3Dtwo",
        "continue={next}&resourceVersion=0",
        "continue={next}&resourceVersion={now}",
        "continue={next}&resourceVersionMatch=Exact&resourceVersion={now}",
        "limit=2&continue={rest}",
        "continue={rest}",
        "continue={rest}&labelSelector=env%3Dtwo",
    ] {
        rows.push(get(format!("{{all}}?{query}")));
    }
    for accept in ["application/yaml", TABLE, PARTIAL_LIST] {
        rows.push(get("{all}?limit=1").accept(accept));
        rows.push(get("{all}?limit=2&continue={next}").accept(accept));
    }
    rows
}

/// As of when.
fn versions() -> Vec<Row> {
    let mut rows = Vec::new();
    for query in [
        "resourceVersion={now}",
        "resourceVersion={now}&limit=2",
        "resourceVersion={now}&resourceVersionMatch=Exact",
        "resourceVersion={now}&resourceVersionMatch=Exact&limit=1",
        "resourceVersion={now}&resourceVersionMatch=NotOlderThan",
        "resourceVersion={now}&resourceVersionMatch=NotOlderThan&limit=1",
        "resourceVersion=0&resourceVersionMatch=NotOlderThan",
        "resourceVersion=1",
        "resourceVersion=1&resourceVersionMatch=NotOlderThan",
        "resourceVersion=999999999999",
        "resourceVersion=999999999999&resourceVersionMatch=NotOlderThan",
        "resourceVersion=-1",
        "resourceVersion=99999999999999999999",
        "resourceVersionMatch=NotOlderThan",
        "resourceVersionMatch=&resourceVersion=1",
        "resourceVersionMatch=exact&resourceVersion=1",
    ] {
        rows.push(get(format!("{{all}}?{query}")));
    }
    for version in ["{now}", "1", "999999999999"] {
        rows.push(get(format!("{{all}}/one?resourceVersion={version}")));
    }
    rows
}
