use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use rustls::ServerConfig;
use thiserror::Error;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gateway::Gateway;

use super::connection;

/// Connections on their way to a worker that is busy. More than that are closed: their clients try again.
const QUEUE: usize = 1024;

/// The workers, for whoever has sockets for them.
#[derive(Clone)]
pub struct Workers(Arc<[Worker]>);

struct Worker {
    sockets: mpsc::Sender<(TcpStream, SocketAddr, Load)>,
    /// Connections that it has, and those on their way to it.
    load: Arc<AtomicUsize>,
}

/// A worker that could not be started.
#[derive(Debug, Error)]
#[error("worker {index} cannot be started: {cause}")]
pub struct WorkerError {
    index: usize,
    cause: io::Error,
}

impl Workers {
    /// Starts one thread for each gateway. They end once they are to drain and their last connection is over, or at
    /// once when they are to stop.
    pub fn start(
        gateways: Vec<Arc<Gateway>>,
        tls: &Arc<ServerConfig>,
        endings: &Endings,
    ) -> Result<(Self, Vec<JoinHandle<()>>), WorkerError> {
        let mut workers = Vec::with_capacity(gateways.len());
        let mut threads = Vec::with_capacity(gateways.len());
        for (index, gateway) in gateways.into_iter().enumerate() {
            let (sockets, queue) = mpsc::channel(QUEUE);
            let load = Arc::new(AtomicUsize::new(0));
            let failed = |cause| WorkerError { index, cause };
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
            let run = run(gateway, Arc::clone(tls), queue, endings.clone());
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || runtime.block_on(run))
                .map_err(failed)?;
            workers.push(Worker { sockets, load });
            threads.push(thread);
        }
        Ok((Self(workers.into()), threads))
    }

    /// Gives a socket to the least loaded worker that takes it.
    pub(super) fn give(&self, socket: TcpStream, peer: SocketAddr) {
        let mut by_load: Vec<&Worker> = self.0.iter().collect();
        by_load.sort_by_key(|worker| worker.load.load(Ordering::Relaxed));
        let mut item = (socket, peer);
        for worker in by_load {
            let load = Load::of(&worker.load);
            item = match worker.sockets.try_send((item.0, item.1, load)) {
                Ok(()) => return,
                Err(TrySendError::Full((socket, peer, _)) | TrySendError::Closed((socket, peer, _))) => {
                    (socket, peer)
                }
            };
        }
        tracing::warn!(%peer, "connection closed: every worker is behind");
    }
}

/// How workers are told to end, each when the one before was not enough.
#[derive(Debug, Clone, Default)]
pub struct Endings {
    /// Nothing new is taken; what is under way goes on.
    pub drain: CancellationToken,
    /// Streams that would never end by themselves are told, and end.
    pub last_call: CancellationToken,
    /// What has not ended yet is cut.
    pub stop: CancellationToken,
}

/// A connection that a worker has, or is about to get.
struct Load(Arc<AtomicUsize>);

impl Load {
    fn of(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn run(
    gateway: Arc<Gateway>,
    tls: Arc<ServerConfig>,
    mut queue: mpsc::Receiver<(TcpStream, SocketAddr, Load)>,
    endings: Endings,
) {
    let Endings { drain, last_call, stop } = endings;
    let connections = TaskTracker::new();
    let serve = |(socket, peer, load)| {
        let serve = connection::serve(
            socket,
            peer,
            Arc::clone(&tls),
            Arc::clone(&gateway),
            drain.clone(),
            last_call.clone(),
        );
        connections.spawn(async move {
            let _load: Load = load;
            serve.await;
        });
    };
    loop {
        tokio::select! {
            biased;
            () = drain.cancelled() => break,
            next = queue.recv() => match next {
                Some(next) => serve(next),
                None => break,
            },
        }
    }
    // Those that were accepted are served, and told to go away.
    queue.close();
    while let Ok(next) = queue.try_recv() {
        serve(next);
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = stop.cancelled() => {}
    }
}
