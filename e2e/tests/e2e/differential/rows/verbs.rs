//! What is not served.

use super::super::row::{JSON, Peer, Row, row};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FOO"] {
        for target in ["{all}", "{all}/one", "{all}/nope"] {
            rows.push(row(method, target).peer(Peer::ComponentStatuses));
        }
    }
    for method in ["POST", "DELETE", "OPTIONS"] {
        rows.push(row(method, "{all}/one/{sub}").peer(Peer::Nodes));
    }
    rows.push(
        row("POST", "{all}")
            .header("content-type", JSON)
            .body(r#"{"kind":"{kind}","apiVersion":"{apiVersion}","metadata":{"name":"new"}}"#)
            .peer(Peer::ComponentStatuses),
    );
    rows.push(row("POST", "{all}").accept("application/yaml").peer(Peer::ComponentStatuses));
    rows.push(row("POST", "{all}?pretty=true").peer(Peer::ComponentStatuses));
    rows
}
