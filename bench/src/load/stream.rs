use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Target;

/// Opens an upgraded stream as a hub passes one on: HTTP/1.1, a connection of its own.
pub(crate) async fn upgraded(target: &Target, path: &str) -> Result<TlsStream<TcpStream>> {
    let mut stream = target.client.tls(&["http/1.1"]).await?;
    let (prefix, headers) = (&target.prefix, target.client.header_lines());
    let request =
        format!("POST {prefix}{path} HTTP/1.1\r\n{headers}Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut head = Vec::new();
    // The echo says nothing by itself: what follows the head is ours to ask for.
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.context("closed before the answer's head was whole")?);
    }
    let line = String::from_utf8_lossy(&head);
    ensure!(line.starts_with("HTTP/1.1 101 "), "{}", line.lines().next().unwrap_or_default());
    Ok(stream)
}
