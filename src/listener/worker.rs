use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use rustls::ServerConfig;
use thiserror::Error;
use tokio::sync::mpsc;
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
    sockets: mpsc::Sender<(TcpStream, SocketAddr)>,
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
    /// Starts one thread for each gateway. They end once `drain` is called and their last connection is over, or at
    /// once when `stop` is called.
    pub fn start(
        gateways: Vec<Arc<Gateway>>,
        tls: &Arc<ServerConfig>,
        drain: &CancellationToken,
        stop: &CancellationToken,
    ) -> Result<(Self, Vec<JoinHandle<()>>), WorkerError> {
        let mut workers = Vec::with_capacity(gateways.len());
        let mut threads = Vec::with_capacity(gateways.len());
        for (index, gateway) in gateways.into_iter().enumerate() {
            let (sockets, queue) = mpsc::channel(QUEUE);
            let load = Arc::new(AtomicUsize::new(0));
            let failed = |cause| WorkerError { index, cause };
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
            let run = run(gateway, Arc::clone(tls), queue, Arc::clone(&load), drain.clone(), stop.clone());
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || runtime.block_on(run))
                .map_err(failed)?;
            workers.push(Worker { sockets, load });
            threads.push(thread);
        }
        Ok((Self(workers.into()), threads))
    }

    /// Gives a socket to the least loaded worker.
    pub(super) fn give(&self, socket: TcpStream, peer: SocketAddr) {
        let Some(worker) = self.0.iter().min_by_key(|worker| worker.load.load(Ordering::Relaxed)) else {
            return;
        };
        worker.load.fetch_add(1, Ordering::Relaxed);
        if worker.sockets.try_send((socket, peer)).is_err() {
            worker.load.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(%peer, "connection closed: every worker is behind");
        }
    }
}

async fn run(
    gateway: Arc<Gateway>,
    tls: Arc<ServerConfig>,
    mut queue: mpsc::Receiver<(TcpStream, SocketAddr)>,
    load: Arc<AtomicUsize>,
    drain: CancellationToken,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    loop {
        let (socket, peer) = tokio::select! {
            biased;
            () = drain.cancelled() => break,
            next = queue.recv() => match next {
                Some(next) => next,
                None => break,
            },
        };
        let serve = connection::serve(socket, peer, Arc::clone(&tls), Arc::clone(&gateway), drain.clone());
        let load = Arc::clone(&load);
        connections.spawn(async move {
            serve.await;
            load.fetch_sub(1, Ordering::Relaxed);
        });
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = stop.cancelled() => {}
    }
}
