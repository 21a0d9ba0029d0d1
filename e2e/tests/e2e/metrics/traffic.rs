use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::client::{H2, HttpsClient, bytes, empty};
use e2e::echo::{Echo, EchoOptions};
use e2e::lab::{Authority, ControlPlane, Gateway, GatewayOptions, Registration, until};
use http::{Method, Request};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::identity::GATEWAYS;
use crate::through::{master, path, until_code};

pub(super) const SOON: Duration = Duration::from_secs(30);

const RULES: &str = "apiVersion: cluster.core.oam.dev/v1alpha1\n\
    kind: ClusterGatewayProxyConfiguration\n\
    spec:\n  clientIdentityExchanger:\n    rules: []\n";

/// A gateway to which everything has happened that it counts.
pub(super) struct Traffic {
    pub(super) gateway: Gateway,
    connection: H2,
    _echo: Echo,
    _stream: TlsStream<TcpStream>,
    _watch: Incoming,
    _files: tempfile::TempDir,
}

impl Traffic {
    pub(super) async fn start(hub: &ControlPlane, namespace: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let rules = files.path().join("rules.yaml");
        std::fs::write(&rules, RULES).unwrap();
        let options = GatewayOptions::new(hub, namespace)
            .flag("--authorize-proxy-subpath")
            .flag(&format!("--cluster-gateway-proxy-config={}", rules.display()))
            .flag(&format!("--credential-dir={}", files.path().display()));
        let gateway = Gateway::start(hub, options).await.unwrap();
        let identity = Authority::new("metrics-client-ca").unwrap().client("gateway", &[]).unwrap();
        let echo = Echo::start(EchoOptions::default()).unwrap();
        let admin = hub.admin_client().await.unwrap();
        let nowhere = "https://127.0.0.1:1";
        for cluster in [
            Registration::x509(namespace, "echo", &echo.url(), echo.ca_pem(), &identity),
            Registration::token(namespace, "nowhere", nowhere, "", "none").without_ca(),
            Registration::token(namespace, "unusable", "no url", "", "none").without_ca(),
            Registration::token_file(namespace, "no-file", &echo.url(), echo.ca_pem(), "not-there"),
        ] {
            cluster.apply(&admin).await.unwrap();
        }
        let client = master(&gateway);
        let connection = client.h2().await.unwrap();
        until_code(&connection, &path("echo", "/api/v1/pods"), 200).await;
        let stream = stream(&client).await.unwrap();
        let watch = Request::get(format!("{GATEWAYS}?watch=1")).body(empty()).unwrap();
        let watch = connection.send(watch).await.unwrap().into_body();
        let health = Request::patch(format!("{GATEWAYS}/echo/health"))
            .header("content-type", "application/merge-patch+json")
            .body(bytes(r#"{"status":{"healthy":true}}"#))
            .unwrap();
        assert_eq!(connection.fetch(health).await.unwrap().status, 200);
        let traffic =
            Self { gateway, connection, _echo: echo, _stream: stream, _watch: watch, _files: files };
        traffic.some().await.unwrap();
        // The file that is not there is looked for by itself.
        until("the credential that fails", SOON, || async {
            let text = traffic.scrape().await?;
            ensure!(text.contains("cluster_gateway_credential_failing{cluster=\"no-file\"} 1"), "{text}");
            Ok(())
        })
        .await
        .unwrap();
        traffic
    }

    /// Some requests of each kind.
    pub(super) async fn some(&self) -> Result<()> {
        for (method, target, code) in [
            (Method::GET, path("echo", "/api/v1/namespaces/default/pods"), 200),
            (Method::GET, path("echo", "/api/v1/nodes/none?status=404"), 404),
            (Method::GET, path("echo", "/apis/example.com/v1/widgets?status=418"), 418),
            (Method::POST, path("echo", "/api/v1/namespaces/default/configmaps?status=201"), 201),
            (Method::PUT, path("echo", "/api/v1/namespaces/default/configmaps/a?status=409"), 409),
            (Method::DELETE, path("echo", "/api/v1/namespaces/default/configmaps/a"), 200),
            (Method::GET, path("nowhere", "/api"), 503),
            (Method::GET, path("no-file", "/api"), 503),
            (Method::GET, path("no-such-cluster", "/api"), 404),
            (Method::GET, "/livez".to_owned(), 200),
            (Method::GET, GATEWAYS.to_owned(), 200),
        ] {
            let body = if method == Method::GET { empty() } else { bytes("{}") };
            let request = Request::builder().method(method).uri(&target).body(body)?;
            let answer = self.connection.fetch(request).await?;
            ensure!(answer.status == code, "{target}: {} {}", answer.status, answer.text());
        }
        Ok(())
    }

    /// The metrics as they are now.
    pub(super) async fn scrape(&self) -> Result<String> {
        let answer = self.connection.get("/metrics").await?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(answer.text())
    }
}

/// A connection that has left HTTP.
async fn stream(client: &HttpsClient) -> Result<TlsStream<TcpStream>> {
    let mut stream = client.tls(&["http/1.1"]).await?;
    let target = path("echo", "/api/v1/namespaces/default/pods/a/exec?switch=hello");
    let headers = client.header_lines();
    let request =
        format!("GET {target} HTTP/1.1\r\n{headers}Connection: Upgrade\r\nUpgrade: metrics\r\n\r\nping");
    stream.write_all(request.as_bytes()).await?;
    let mut said = Vec::new();
    while !said.ends_with(b"ping") {
        let read = tokio::time::timeout(SOON, stream.read_buf(&mut said)).await.context("silence")??;
        ensure!(read > 0, "{}", String::from_utf8_lossy(&said));
    }
    Ok(stream)
}
