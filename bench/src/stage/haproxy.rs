use anyhow::Result;
use e2e::lab::{ControlPlane, Program};

use super::gateway::{CLUSTER, cluster_path};
use super::place::file;
use super::{Contender, Place, Upstream};

/// What it speaks to the upstream.
#[derive(Clone, Copy, Debug)]
pub(super) enum Speaks {
    Http1,
    Http2,
}

/// HAProxy, which checks nobody's rights.
pub(super) async fn start(hub: &ControlPlane, upstream: &Upstream, speaks: Speaks) -> Result<Contender> {
    let path = super::installed("haproxy")?;
    let (name, title, protocol) = match speaks {
        Speaks::Http1 => ("haproxy-h1", "HAProxy (h1 upstream)", "http/1.1"),
        Speaks::Http2 => ("haproxy-h2", "HAProxy (h2 upstream)", "h2"),
    };
    let place = Place::new(name, hub, upstream)?;
    let config = file(&place.folder, "haproxy.cfg", &config(&place, upstream, protocol))?;
    let program = Program {
        name: name.to_owned(),
        path,
        args: vec!["-db".to_owned(), "-f".to_owned(), config.display().to_string()],
        env: Vec::new(),
        folder: place.folder.clone(),
    };
    Contender::proxy(title, &place, hub, program).await
}

fn config(place: &Place, upstream: &Upstream, protocol: &str) -> String {
    format!(
        r"
global
    maxconn 6000
    tune.h2.max-concurrent-streams 1000
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend hub
    bind {listen} ssl crt {both} ca-file {client_ca} verify required alpn h2,http/1.1
    http-request replace-path ^{prefix}(/.*) \1
    default_backend cluster
backend cluster
    http-reuse always
    server upstream {upstream} ssl crt {client_both} ca-file {upstream_ca} verify required sni str(localhost) alpn {protocol}
",
        listen = place.address,
        both = place.both.display(),
        client_ca = place.client_ca.display(),
        prefix = cluster_path(CLUSTER),
        upstream = upstream.address(),
        client_both = place.client_both.display(),
        upstream_ca = place.upstream_ca.display(),
    )
}
