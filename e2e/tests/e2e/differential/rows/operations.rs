//! Health, version and metrics.

use super::super::part::Part;
use super::super::row::{Peer, Row, get, row};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for path in [
        "/healthz",
        "/livez",
        "/readyz",
        "/healthz/ping",
        "/livez/ping",
        "/readyz/ping",
        "/readyz/nope",
        "/livez/ping?verbose",
    ] {
        rows.push(get(path).peer(Peer::Itself));
    }
    for path in ["/livez?verbose", "/readyz?verbose", "/readyz?exclude=ping&verbose", "/healthz?verbose=0"] {
        rows.push(get(path).peer(Peer::Itself).part(Part::Ping));
    }
    rows.push(get("/version").peer(Peer::Itself).part(Part::Version));
    rows.push(row("HEAD", "/healthz").peer(Peer::Itself));
    rows.push(row("POST", "/version").peer(Peer::Itself));
    rows
}
