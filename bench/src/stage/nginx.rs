use anyhow::Result;
use e2e::lab::{ControlPlane, Program};

use super::gateway::{CLUSTER, cluster_path};
use super::place::file;
use super::{Contender, Place, Upstream};

/// nginx, which checks nobody's rights, with HTTP/1.1 upstream: it knows no other.
pub(super) async fn start(hub: &ControlPlane, upstream: &Upstream) -> Result<Contender> {
    let path = super::installed("nginx")?;
    let place = Place::new("nginx", hub, upstream)?;
    let config = file(&place.folder, "nginx.conf", &config(&place, upstream))?;
    let program = Program {
        name: "nginx".to_owned(),
        path,
        args: vec![
            "-p".to_owned(),
            place.folder.display().to_string(),
            "-e".to_owned(),
            "stderr".to_owned(),
            "-c".to_owned(),
            config.display().to_string(),
        ],
        env: Vec::new(),
        folder: place.folder.clone(),
    };
    Contender::proxy("nginx (h1 upstream)", &place, hub, program).await
}

fn config(place: &Place, upstream: &Upstream) -> String {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!(
        r"
daemon off;
user root;
worker_processes {workers};
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 9000; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    tcp_nodelay on;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    client_max_body_size 0;
    upstream cluster {{
        server {upstream};
        keepalive 512;
        keepalive_requests 1000000000;
        keepalive_time 10h;
    }}
    server {{
        listen {listen} ssl http2;
        keepalive_requests 1000000000;
        keepalive_time 10h;
        http2_max_concurrent_streams 1000;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_client_certificate {client_ca};
        ssl_verify_client on;
        ssl_session_cache shared:sessions:10m;
        location {prefix}/ {{
            proxy_pass https://cluster/;
            proxy_http_version 1.1;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Upgrade $http_upgrade;
            proxy_buffering off;
            proxy_buffer_size 64k;
            proxy_buffers 4 64k;
            proxy_busy_buffers_size 128k;
            proxy_request_buffering off;
            proxy_read_timeout 1h;
            proxy_ssl_certificate {client_cert};
            proxy_ssl_certificate_key {client_key};
            proxy_ssl_trusted_certificate {upstream_ca};
            proxy_ssl_verify on;
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
        }}
    }}
}}
",
        upstream = upstream.address(),
        listen = place.address,
        cert = place.cert.display(),
        key = place.key.display(),
        client_ca = place.client_ca.display(),
        prefix = cluster_path(CLUSTER),
        client_cert = place.client_cert.display(),
        client_key = place.client_key.display(),
        upstream_ca = place.upstream_ca.display(),
    )
}
