use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};

/// A cluster that answers every request alike, over HTTP/2 in the clear.
pub(crate) struct Cluster {
    folder: TempDir,
}

/// What a small object is: a kilobyte.
const BODY: &[u8] = &[b'x'; 1024];

impl Cluster {
    /// To be called in a runtime, and to be held for as long as it is wanted.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(socket(folder.path())).expect("a socket");
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(stream));
            }
        });
        Self { folder }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("cluster")
}

async fn serve(stream: UnixStream) {
    let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
    while let Some(accepted) = connection.accept().await {
        // An error is the end of the connection: whoever measures has gone.
        let Ok((_, mut respond)) = accepted else { return };
        let mut body = respond.send_response(answer(), false).expect("a caller");
        body.send_data(Bytes::from_static(BODY), true).expect("a caller");
    }
}

/// As kube-apiserver's.
pub(crate) fn answer() -> Response<()> {
    let mut answer = Response::new(());
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("1024"));
    headers.insert(header::DATE, HeaderValue::from_static("Sun, 01 Nov 2026 12:00:00 GMT"));
    headers.insert("audit-id", HeaderValue::from_static("1b6f3c1e-5e0b-4e58-9a0d-3f1a9c2d7e44"));
    headers.insert(
        "x-kubernetes-pf-flowschema-uid",
        HeaderValue::from_static("6f0b2f0c-9d84-4f57-8f1c-0d7b5a1e2c33"),
    );
    headers.insert(
        "x-kubernetes-pf-prioritylevel-uid",
        HeaderValue::from_static("0a5c2d7e-1b1e-4c3d-9e7f-2f6a8b4c5d66"),
    );
    answer
}
