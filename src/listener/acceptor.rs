use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use super::Workers;

/// Connections that the kernel keeps until we take them: a hub reconnects all its watchers at once after a restart.
const BACKLOG: u32 = 4096;
/// After an error that says "not now" (no more descriptors, no memory).
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections from one address and hands them to the workers.
pub struct Acceptor {
    listener: TcpListener,
}

/// Why nothing can be taken from an address.
#[derive(Debug, Error)]
#[error("{address}: {cause}")]
pub struct BindError {
    address: SocketAddr,
    cause: io::Error,
}

impl BindError {
    /// The system's words.
    pub fn into_cause(self) -> io::Error {
        self.cause
    }
}

impl Acceptor {
    /// Listens on an address; `[::]` and `0.0.0.0` take both families where the system does.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bind = || {
            let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
            // A restart must not wait for the kernel to forget old connections.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        let listener = bind().map_err(|cause| BindError { address, cause })?;
        Ok(Self { listener })
    }

    /// Where it listens: tells the port where 0 was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Takes connections until it is told to stop.
    pub async fn run(self, workers: Workers, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => match stream.into_std() {
                    Ok(stream) => workers.give(stream, peer),
                    Err(error) => tracing::warn!(%error, "a connection was lost on its way to a worker"),
                },
                // The other side was gone before we came to it.
                Err(error) if is_theirs(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot take connections: raise the limit of open files");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn is_theirs(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
