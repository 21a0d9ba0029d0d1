use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::model::{Answer, Status, local_headers};

use super::Operations;

/// Probes and scrapes are few; whoever opens more has to wait for a place.
const CONNECTIONS: usize = 64;
/// For one request and its answer: nothing here takes longer than the network does.
const CONNECTION: Duration = Duration::from_secs(10);
/// For the request's header.
const HEADER: Duration = Duration::from_secs(5);
/// After a failed accept (no descriptors left, mostly), so as not to spin.
const PAUSE: Duration = Duration::from_millis(100);
/// Probes and scrapers send next to nothing.
const HEADER_BYTES: usize = 16 * 1024;

/// Serves operations in the clear, one request per connection, for ever: dropping the future ends everything.
pub async fn listen(listener: TcpListener, operations: Operations) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // Never closed, hence never an error.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let operations = operations.clone();
                connections.spawn(async move {
                    let _place = place;
                    serve(stream, operations).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "operations listener cannot accept");
                sleep(PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, operations: Operations) {
    let service = service_fn(move |request: Request<Incoming>| {
        let operations = operations.clone();
        async move { Ok::<_, Infallible>(answer(&operations, &request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_buf_size(HEADER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "operations connection"),
        Err(_) => tracing::debug!("operations connection took too long"),
    }
}

async fn answer(operations: &Operations, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let uri = request.uri();
    let mut answer = operations
        .answer(request.method(), uri.path(), uri.query())
        .await
        .unwrap_or_else(|| Answer::from(&Status::resource_not_found()));
    local_headers(answer.headers_mut(), None);
    answer.map(Full::new)
}
