use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::authn::ClientChain;
use crate::gateway::Caller;
use crate::tls::Ahead;
use crate::upstream::keepalive;

use super::age::Age;
use super::coalesce::Coalesced;
use super::worker::{Desk, Endings};
use super::{http1, http2};

/// For a TLS handshake, as Go's server gives kube-apiserver's clients.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves one connection from its handshake to its end.
pub(super) async fn serve(socket: StdStream, peer: SocketAddr, desk: Arc<Desk>) {
    let age = Age::begin(desk.options.max_connection_age);
    // Registers the socket with this worker's event loop.
    let stream = match TcpStream::from_std(socket) {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%peer, %error, "connection lost"),
    };
    // Failing to say so costs speed, and a caller who is gone is found later; neither is worth a connection.
    let _ = stream.set_nodelay(true);
    let _ = keepalive::on_tcp(&stream);
    let stream =
        match timeout(HANDSHAKE, TlsAcceptor::from(Arc::clone(&desk.tls)).accept(Ahead::new(stream))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => return tracing::debug!(%peer, "TLS handshake took too long"),
        };
    let session = stream.get_ref().1;
    let chain = session.peer_certificates().and_then(|chain| {
        ClientChain::new(chain.iter().map(|certificate| certificate.clone().into_owned()).collect())
    });
    let is_h2 = session.alpn_protocol() == Some(b"h2");
    let Endings { drain, last_call, .. } = desk.endings.clone();
    let caller = Arc::new(Caller::new(peer, chain, drain, last_call));
    match is_h2 {
        true => http2::serve(Coalesced::new(stream, false), caller, &desk, age).await,
        false => http1::serve(Coalesced::new(stream, true), caller, &desk, age).await,
    }
}
