use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use http::{Method, Request, Response, StatusCode};
use rustls::HandshakeKind;
use tokio::task::AbortHandle;

use super::Target;

/// After that long a request has failed.
const LIMIT: Duration = Duration::from_secs(60);

/// A request that is made again and again.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// Its method.
    pub(crate) method: Method,
    /// Its path and query, without the target's prefix.
    pub(crate) path: String,
    /// Its body.
    pub(crate) body: Bytes,
}

impl Work {
    /// A read.
    pub(crate) fn get(path: &str) -> Self {
        Self { method: Method::GET, path: path.to_owned(), body: Bytes::new() }
    }

    /// A write of so many bytes.
    pub(crate) fn post(path: &str, size: usize) -> Self {
        Self { method: Method::POST, path: path.to_owned(), body: Bytes::from(vec![b'x'; size]) }
    }
}

/// An HTTP/2 connection as a hub makes it.
pub(crate) struct Connection {
    sender: SendRequest<Bytes>,
    target: Target,
    driver: AbortHandle,
    /// Whether a session was resumed.
    pub(crate) handshake: Option<HandshakeKind>,
}

impl Connection {
    /// Connects; Go's transport has the same windows.
    pub(crate) async fn open(target: &Target) -> Result<Self> {
        let stream = target.client.tls(&["h2"]).await?;
        ensure!(stream.get_ref().1.alpn_protocol() == Some(b"h2"), "{} does not speak h2", target.authority);
        let handshake = stream.get_ref().1.handshake_kind();
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(4 << 20)
            .initial_connection_window_size(1 << 30)
            .initial_max_send_streams(1000)
            .handshake(stream)
            .await?;
        let driver = tokio::task::spawn_local(async move {
            // Its requests tell.
            let _ = connection.await;
        });
        Ok(Self { sender, target: target.clone(), driver: driver.abort_handle(), handshake })
    }

    /// Sends a request and gives the answer's head.
    pub(crate) async fn send(&self, work: &Work) -> Result<Response<RecvStream>> {
        let Target { authority, headers, prefix, .. } = &self.target;
        let uri = format!("https://{authority}{prefix}{}", work.path);
        let mut request = Request::builder().method(work.method.clone()).uri(uri).body(())?;
        *request.headers_mut() = headers.clone();
        let mut sender = self.sender.clone().ready().await?;
        let (response, mut body) = sender.send_request(request, work.body.is_empty())?;
        if !work.body.is_empty() {
            body.send_data(work.body.clone(), true)?;
        }
        Ok(response.await?)
    }

    /// Makes a request; gives the bytes of the answer's body and how long it took.
    pub(crate) async fn fetch(&self, work: &Work) -> Result<(u64, Duration)> {
        let began = Instant::now();
        let fetch = async {
            let response = self.send(work).await?;
            let status = response.status();
            ensure!(matches!(status, StatusCode::OK | StatusCode::CREATED), "answered {status}");
            drain(response.into_body()).await
        };
        let bytes = tokio::time::timeout(LIMIT, fetch).await.context("no answer in a minute")??;
        Ok((bytes, began.elapsed()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn drain(mut body: RecvStream) -> Result<u64> {
    let mut bytes = 0;
    while let Some(piece) = body.data().await {
        let piece = piece?;
        bytes += piece.len() as u64;
        body.flow_control().release_capacity(piece.len())?;
    }
    Ok(bytes)
}
