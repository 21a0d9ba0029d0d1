//! One object and many of them.

use super::super::row::{Peer, Row, get, row};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        get("{all}/one"),
        get("{all}/one/"),
        get("{all}/one/{sub}"),
        get("{all}/large"),
        get("{all}/nope"),
        get("{all}/nope/{sub}"),
        get("{all}/nope").peer(Peer::Nodes),
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
    rows
}
