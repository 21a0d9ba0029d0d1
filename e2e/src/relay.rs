//! A TCP relay between two parties of a test, whose connections can be cut: both sides then see a reset, as when a
//! failing machine is back and knows nothing of a connection. Or they can be frozen: neither side hears of the other
//! again, as behind a firewall that has forgotten a connection.
//!
//! It runs on a thread and runtime of its own and ends when dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A running relay.
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    accepted: AtomicU64,
    /// One for each connection that is relayed; sending on it ends that.
    live: Mutex<Vec<oneshot::Sender<Fate>>>,
}

/// What is to become of a connection.
enum Fate {
    Cut,
    /// Passes nothing on; lets go of this when it has stopped.
    Frozen(mpsc::Sender<()>),
}

impl Relay {
    /// Listens on a free port of 127.0.0.1 and passes every connection on to `target`.
    pub fn start(target: SocketAddr) -> Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), target)
    }

    /// [`Relay::start`] on an address that the caller chooses; any of 127.0.0.0/8 is this machine's own.
    pub fn start_at(address: SocketAddr, target: SocketAddr) -> Result<Self> {
        let listener =
            std::net::TcpListener::bind(address).with_context(|| format!("listening on {address}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("relay".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, target, shared) => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { address, state, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection that is open now and says how many those were.
    pub fn cut(&self) -> usize {
        self.end(|| Fate::Cut)
    }

    /// Passes nothing on any more on connections that are open now, and closes none of them; says how many those
    /// were. New ones are relayed.
    pub fn freeze(&self) -> usize {
        let (still_moving, frozen) = mpsc::channel();
        let count = self.end(|| Fate::Frozen(still_moving.clone()));
        drop(still_moving);
        // Until the last of them has let go of its end: what is sent from now on passes none of them.
        while frozen.recv().is_ok() {}
        count
    }

    fn end(&self, fate: impl Fn() -> Fate) -> usize {
        let mut live = self.state.live();
        // One whose connection has ended meanwhile has no receiver any more.
        live.drain(..).filter_map(|connection| connection.send(fate()).ok()).count()
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> u64 {
        self.state.accepted.load(Ordering::Relaxed)
    }

    /// How many connections are open and pass something on.
    pub fn live(&self) -> usize {
        self.state.live().iter().filter(|cut| !cut.is_closed()).count()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // A thread that has ended already does not listen.
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    fn live(&self) -> std::sync::MutexGuard<'_, Vec<oneshot::Sender<Fate>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: std::net::TcpListener, target: SocketAddr, state: Arc<State>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let (end, fate) = oneshot::channel();
                let mut live = state.live();
                live.retain(|cut| !cut.is_closed());
                live.push(end);
                drop(live);
                state.accepted.fetch_add(1, Ordering::Relaxed);
                connections.spawn(relay(client, target, fate));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn relay(mut client: TcpStream, target: SocketAddr, fate: oneshot::Receiver<Fate>) {
    // A target that does not listen is a connection that ends, as it would be without us.
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    tokio::select! {
        biased;
        Ok(fate) = fate => match fate {
            // With nothing to linger for, closing sends a reset.
            Fate::Cut => drop((client.set_zero_linger(), server.set_zero_linger())),
            // Until the relay ends.
            Fate::Frozen(still_moving) => {
                drop(still_moving);
                std::future::pending().await
            }
        },
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn bytes_pass_until_the_connection_is_cut_and_then_both_sides_know() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let relay = Relay::start(listener.local_addr().unwrap()).unwrap();
        let mut client = TcpStream::connect(relay.address()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        client.write_all(b"over").await.unwrap();
        let mut bytes = [0; 4];
        server.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"over");
        assert_eq!((relay.live(), relay.cut(), relay.accepted()), (1, 1, 1));
        assert_eq!(client.read(&mut bytes).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(server.read(&mut bytes).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!((relay.live(), relay.cut()), (0, 0));
    }

    #[tokio::test]
    async fn a_frozen_connection_passes_nothing_and_is_not_closed_while_new_ones_are_relayed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let relay = Relay::start(listener.local_addr().unwrap()).unwrap();
        let mut frozen = TcpStream::connect(relay.address()).await.unwrap();
        let (mut behind, _) = listener.accept().await.unwrap();
        behind.write_all(b"a").await.unwrap();
        assert_eq!(frozen.read_u8().await.unwrap(), b'a');
        assert_eq!((relay.freeze(), relay.live()), (1, 0));
        behind.write_all(b"b").await.unwrap();
        let mut fresh = TcpStream::connect(relay.address()).await.unwrap();
        let (mut answering, _) = listener.accept().await.unwrap();
        answering.write_all(b"c").await.unwrap();
        assert_eq!(fresh.read_u8().await.unwrap(), b'c');
        // The new connection's byte has overtaken the old one's, which never comes; nor does an end.
        assert_eq!(frozen.try_read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}
