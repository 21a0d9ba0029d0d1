use std::io;
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConfig;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gateway::Gateway;

use super::neighbours::{Guest, Neighbours};
use super::{Metrics, connection};

/// Connections on their way to a worker that is busy. More than that are closed: their clients try again.
const QUEUE: usize = 1024;

/// The workers, for whoever has sockets for them.
#[derive(Clone)]
pub struct Workers(Arc<[Worker]>);

struct Worker {
    sockets: mpsc::Sender<Accepted>,
    /// Connections that it has, and those on their way to it.
    load: Arc<AtomicUsize>,
}

type Accepted = (TcpStream, SocketAddr, Load);

/// A worker that could not be started.
#[derive(Debug, Error)]
#[error("worker {index} cannot be started: {cause}")]
pub struct WorkerError {
    index: usize,
    cause: io::Error,
}

/// What the operator chose of connections.
#[derive(Debug, Clone)]
pub struct Options {
    /// HTTP/2 streams that a caller may have open on one connection.
    pub max_streams: u32,
    /// After which callers are told to open another connection; none: never.
    pub max_connection_age: Option<Duration>,
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

/// What a worker serves its connections with.
pub(super) struct Desk {
    pub(super) gateway: Arc<Gateway>,
    pub(super) tls: Arc<ServerConfig>,
    pub(super) options: Options,
    pub(super) metrics: Metrics,
    pub(super) neighbours: Arc<Neighbours>,
    pub(super) endings: Endings,
}

impl Workers {
    /// Starts one thread for each gateway. They end once they are to drain and their last connection is over, or at
    /// once when they are to stop.
    pub fn start(
        gateways: Vec<Arc<Gateway>>,
        tls: &Arc<ServerConfig>,
        options: &Options,
        metrics: &Metrics,
        endings: &Endings,
    ) -> Result<(Self, Vec<JoinHandle<()>>), WorkerError> {
        let mut workers = Vec::with_capacity(gateways.len());
        let mut threads = Vec::with_capacity(gateways.len());
        let neighbours = Neighbours::new(gateways.len(), metrics);
        for (index, (gateway, (neighbours, guests))) in gateways.into_iter().zip(neighbours).enumerate() {
            let (sockets, queue) = mpsc::channel(QUEUE);
            let failed = |cause| WorkerError { index, cause };
            let runtime = runtime(&neighbours).map_err(failed)?;
            let desk = Desk {
                gateway,
                tls: Arc::clone(tls),
                options: options.clone(),
                metrics: metrics.clone(),
                neighbours,
                endings: endings.clone(),
            };
            let run = run(Arc::new(desk), queue, guests);
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || runtime.block_on(run))
                .map_err(failed)?;
            workers.push(Worker { sockets, load: Arc::default() });
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

/// An event loop that looks at what it uses each time before it sleeps, if there is anybody to know.
fn runtime(neighbours: &Arc<Neighbours>) -> io::Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all();
    if neighbours.are_some() {
        let (parks, wakes) = (Arc::clone(neighbours), Arc::clone(neighbours));
        builder.on_thread_park(move || parks.parks()).on_thread_unpark(move || wakes.wakes());
    }
    builder.build()
}

async fn run(desk: Arc<Desk>, mut queue: mpsc::Receiver<Accepted>, mut guests: mpsc::Receiver<Guest>) {
    let work = TaskTracker::new();
    let serve = |(socket, peer, load)| {
        let serve = connection::serve(socket, peer, Arc::clone(&desk));
        work.spawn(async move {
            let _load: Load = load;
            serve.await;
        });
    };
    let welcome = |guest: Guest| {
        desk.neighbours.look();
        work.spawn(guest.serve(Arc::clone(&desk.gateway)));
    };
    let Endings { drain, stop, .. } = &desk.endings;
    let mut draining = pin!(drain.cancelled());
    loop {
        tokio::select! {
            biased;
            () = &mut draining => break,
            next = queue.recv() => match next {
                Some(next) => serve(next),
                None => break,
            },
            Some(guest) = guests.recv() => welcome(guest),
        }
    }
    // Those that were accepted are served, and told to go away.
    queue.close();
    while let Some(next) = queue.recv().await {
        serve(next);
    }
    // From here on each worker serves what its connections still bring.
    guests.close();
    while let Some(guest) = guests.recv().await {
        welcome(guest);
    }
    work.close();
    tokio::select! {
        () = work.wait() => {}
        () = stop.cancelled() => {}
    }
}
