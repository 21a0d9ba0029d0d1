//! What there is, in every form, and what is said of paths that lead nowhere.

use super::super::row::{Peer, Row, YAML, get, row};

const AGGREGATED: &str = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        get("{group}"),
        get("{group}/"),
        get("{group}?pretty=true"),
        get("{group}").header("user-agent", "curl/8.0"),
        get("{group}").accept(YAML),
        get("{group}").accept("text/html"),
        row("HEAD", "{group}").head_only(),
        get("{version}").head_only(),
        get("{version}/").head_only(),
        get("{version}").accept(YAML).head_only(),
        get("{version}").accept("text/html"),
        get("{version}").accept("application/cbor"),
        row("HEAD", "{version}").head_only(),
        row("POST", "{version}").peer(Peer::Nodes),
        row("DELETE", "{version}").peer(Peer::Nodes),
        row("PUT", "{version}").peer(Peer::Nodes),
        row("PATCH", "{version}").peer(Peer::Nodes),
        get("/apis").peer(Peer::Itself).head_only(),
        get("/apis/").peer(Peer::Itself).head_only(),
        get("/apis").peer(Peer::Itself).accept(YAML).head_only(),
        get("/apis").peer(Peer::Itself).accept("text/html"),
        row("HEAD", "/apis").peer(Peer::Itself).head_only(),
        get("/").peer(Peer::Itself).head_only(),
        row("POST", "/").peer(Peer::Itself).head_only(),
        get("/openapi/v2").peer(Peer::Itself).head_only(),
        get("/openapi/v2").peer(Peer::Itself).accept("text/html"),
        get("/openapi/v3").peer(Peer::Itself).head_only(),
        get("/openapi/v3").peer(Peer::Itself).accept("text/html").head_only(),
        get("/openapi/v3/apis/nope/v1").peer(Peer::Itself),
        get("/nope").peer(Peer::Itself),
        get("{group}/v2").peer(Peer::Nodes),
        get("{group}/v2/things").peer(Peer::Nodes),
        row("POST", "{group}/v2/things").peer(Peer::Nodes),
        get("{version}/nope").peer(Peer::Nodes),
        row("POST", "{version}/nope").peer(Peer::Nodes),
        get("{version}/nope/one").peer(Peer::Nodes),
        get("{all}/one/nope").peer(Peer::Nodes),
        row("PUT", "{all}/one/nope").peer(Peer::Nodes),
        get("{all}/one/{sub}/nope").peer(Peer::Nodes),
        row("PATCH", "{all}/one/{sub}/nope").peer(Peer::Nodes),
        get("{all}//one").peer(Peer::Nodes),
    ];
    for media in ["application/json", "application/yaml"] {
        let aggregated = format!("{media}{AGGREGATED}");
        rows.push(get("/apis").peer(Peer::Itself).accept(&aggregated).head_only());
        rows.push(
            get("/apis").peer(Peer::Itself).accept(format!("text/html,{aggregated};q=0.1")).head_only(),
        );
    }
    rows.push(
        get("/apis")
            .peer(Peer::Itself)
            .accept("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"),
    );
    rows.push(
        row("HEAD", "/apis").peer(Peer::Itself).accept(format!("application/json{AGGREGATED}")).head_only(),
    );
    rows
}
