//! What there is, in every form, and what is said of paths that lead nowhere.

use super::super::part::Part;
use super::super::row::{Peer, Row, YAML, get, row};

const AGGREGATED: &str = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        get("{group}").peer(Peer::PriorityClasses),
        get("{group}/").peer(Peer::PriorityClasses),
        get("{group}?pretty=true").peer(Peer::PriorityClasses),
        get("{group}").peer(Peer::PriorityClasses).header("user-agent", "curl/8.0"),
        get("{group}").peer(Peer::PriorityClasses).accept(YAML),
        get("{group}").peer(Peer::PriorityClasses).accept("text/html"),
        row("HEAD", "{group}").peer(Peer::PriorityClasses),
        get("{version}").peer(Peer::Custom).part(Part::OwnGroup),
        get("{version}/").peer(Peer::Custom).part(Part::OwnGroup),
        get("{version}").peer(Peer::Custom).accept(YAML).part(Part::OwnGroup),
        get("{version}").accept("text/html"),
        get("{version}").accept("application/cbor"),
        row("HEAD", "{version}"),
        row("POST", "{version}").peer(Peer::Nodes),
        row("DELETE", "{version}").peer(Peer::Nodes),
        row("PUT", "{version}").peer(Peer::Nodes),
        row("PATCH", "{version}").peer(Peer::Nodes),
        get("/apis").peer(Peer::Itself).part(Part::OwnGroup),
        get("/apis/").peer(Peer::Itself).part(Part::OwnGroup),
        get("/apis").peer(Peer::Itself).accept(YAML).part(Part::OwnGroup),
        get("/apis").peer(Peer::Itself).accept("text/html"),
        row("HEAD", "/apis").peer(Peer::Itself),
        get("/").peer(Peer::Itself).part(Part::OwnGroup),
        row("POST", "/").peer(Peer::Itself).part(Part::OwnGroup),
        get("/openapi/v2").peer(Peer::Itself).part(Part::OwnOperations),
        get("/openapi/v2").peer(Peer::Itself).accept("text/html"),
        get("/openapi/v3").peer(Peer::Itself).part(Part::OwnGroup),
        get("/openapi/v3").peer(Peer::Itself).accept("text/html").part(Part::OwnGroup),
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
    rows.push(get("{openapi}").peer(Peer::Custom).part(Part::OwnOperations));
    for query in ["?hash=0", "?hash="] {
        rows.push(get(format!("{{openapi}}{query}")).peer(Peer::Custom).part(Part::OwnOperations));
    }
    for accept in ["text/html", PROTOBUF, "application/json;q=0.1,text/html"] {
        rows.push(get("{openapi}").peer(Peer::Custom).accept(accept).part(Part::OwnOperations));
        rows.push(get("/openapi/v2").peer(Peer::Itself).accept(accept).part(Part::OwnOperations));
    }
    for target in ["{group}", "{version}"] {
        for accept in [PROTOBUF, "application/vnd.kubernetes.protobuf,application/json;q=0.9"] {
            rows.push(get(target).peer(Peer::Custom).accept(accept).part(Part::OwnGroup));
        }
    }
    rows.push(get("{group}").accept("application/*").peer(Peer::PriorityClasses));
    rows.push(get("{version}").accept("application/*"));
    for media in ["application/json", "application/yaml"] {
        let aggregated = format!("{media}{AGGREGATED}");
        rows.push(get("/apis").peer(Peer::Itself).accept(&aggregated).part(Part::OwnGroup));
        rows.push(
            get("/apis")
                .peer(Peer::Itself)
                .accept(format!("text/html,{aggregated};q=0.1"))
                .part(Part::OwnGroup),
        );
    }
    rows.push(
        get("/apis")
            .peer(Peer::Itself)
            .accept("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"),
    );
    rows.push(row("HEAD", "/apis").peer(Peer::Itself).accept(format!("application/json{AGGREGATED}")));
    rows
}
