use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::task::noop_waker_ref;
use h2::client::SendRequest;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::connection::{self, Ended};
use super::dial::{Protocol, Target};
use super::h1;
use super::slot::Slot;
use super::{UpstreamError, Worker};

/// A connection without streams is closed after this: kube-apiserver closes idle ones after 90 s, and the side
/// that closes first never finds a connection closed that it was just about to use.
const IDLE: Duration = Duration::from_secs(60);
/// What Go's servers and kube-apiserver announce, and as many as we open: windows are sized for so many.
pub(super) const MAX_STREAMS: usize = 100;
/// Handshakes at one time: a server that has just come back is not buried under them.
const MAX_DIALS: usize = 8;
/// On one worker, to one server.
const MAX_CONNECTIONS: usize = 1024;
/// Requests that may wait for a connection, on one worker, to one server.
const MAX_WAITERS: usize = 16_384;

/// The connections of one worker to one server: streams are packed into as few of them as there need be, and
/// however many requests arrive while there is none, the first dial serves them all.
///
/// Only its own worker ever takes the lock, so nobody waits for it. When the pool is dropped, connections end as
/// soon as their last stream does.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

pub(super) struct Shared {
    pub(super) target: Arc<Target>,
    pub(super) worker: Worker,
    state: Mutex<State>,
}

struct State {
    h2: Vec<H2>,
    /// With the time since when each is idle.
    idle_h1: Vec<(Instant, h1::Connection)>,
    /// Whether somebody looks after them.
    reaped: bool,
    /// Idle and in use.
    open_h1: usize,
    dialing: usize,
    waiters: VecDeque<Waiter>,
    /// What the last dial agreed upon.
    protocol: Option<Protocol>,
    /// What the last server's SETTINGS allowed.
    streams: usize,
    next_id: u64,
}

struct H2 {
    id: u64,
    ended: Ended,
    send: SendRequest<Bytes>,
    in_use: usize,
    idle_since: Instant,
    /// Its SETTINGS have arrived. Until then one stream is all that surely may be opened.
    settled: bool,
}

type Waiter = oneshot::Sender<Result<Lease, UpstreamError>>;
type Deliveries = Vec<(Waiter, Result<Lease, UpstreamError>)>;

/// The right to send one request.
pub(super) enum Lease {
    H2 { send: SendRequest<Bytes>, slot: Slot },
    H1 { connection: h1::Connection, slot: Slot },
}

impl Pool {
    pub(super) fn new(target: Arc<Target>, worker: Worker) -> Self {
        Self(Arc::new(Shared {
            target,
            worker,
            state: Mutex::new(State {
                h2: Vec::new(),
                idle_h1: Vec::new(),
                reaped: false,
                open_h1: 0,
                dialing: 0,
                waiters: VecDeque::new(),
                protocol: None,
                streams: MAX_STREAMS,
                next_id: 0,
            }),
        }))
    }

    /// A place on a connection: at once where there is one, else as soon as there is, or why there will be none.
    pub(super) async fn acquire(&self) -> Result<Lease, UpstreamError> {
        let waiting = {
            let mut state = self.0.state.lock();
            if let Some(lease) = self.0.take(&mut state) {
                return Ok(lease);
            }
            if state.waiters.len() >= MAX_WAITERS {
                return Err(self.0.busy());
            }
            let (waiter, waiting) = oneshot::channel();
            state.waiters.push_back(waiter);
            self.0.dial_as_needed(&mut state);
            waiting
        };
        let _waiting = self.0.target.connections.wait();
        // A dial ends by its own limit, but a pool that is full of watches may have no place for very long.
        match tokio::time::timeout(self.0.target.connect_timeout * 2, waiting).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(self.0.busy()),
        }
    }

    /// Connections that are open now.
    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        let state = self.0.state.lock();
        state.h2.len() + state.open_h1
    }
}

#[cfg(test)]
impl Pool {
    /// Connections that could take a request now.
    pub(super) fn idle(&self) -> usize {
        let state = self.0.state.lock();
        state.h2.iter().filter(|connection| connection.has_room()).count() + state.idle_h1.len()
    }
}

impl Shared {
    fn busy(&self) -> UpstreamError {
        UpstreamError::Busy { address: self.target.authority().to_owned() }
    }

    fn take(self: &Arc<Self>, state: &mut State) -> Option<Lease> {
        let mut index = 0;
        while let Some(connection) = state.h2.get_mut(index) {
            if !connection.has_room() {
                index += 1;
            } else if connection.is_alive() {
                connection.in_use += 1;
                let slot = Slot::new(self, Some((connection.id, connection.ended.clone())));
                return Some(Lease::H2 { send: connection.send.clone(), slot });
            } else {
                state.h2.remove(index);
            }
        }
        while let Some((_, connection)) = state.idle_h1.pop() {
            if connection.is_ready() {
                let slot = Slot::new(self, None);
                return Some(Lease::H1 { connection, slot });
            }
            state.open_h1 -= 1;
        }
        None
    }

    /// Gives places to those who wait, first come, first served. To be delivered when the lock is released:
    /// somebody who has gone meanwhile gives the place back, which takes the lock.
    fn serve(self: &Arc<Self>, state: &mut State) -> Deliveries {
        let mut deliveries = Vec::new();
        while let Some(waiter) = state.waiters.pop_front() {
            if waiter.is_closed() {
                continue;
            }
            match self.take(state) {
                Some(lease) => deliveries.push((waiter, Ok(lease))),
                None => {
                    state.waiters.push_front(waiter);
                    break;
                }
            }
        }
        self.dial_as_needed(state);
        deliveries
    }

    fn dial_as_needed(self: &Arc<Self>, state: &mut State) {
        let each = match state.protocol {
            // One answer tells what the next dials are for.
            None => usize::MAX,
            Some(Protocol::H1) => 1,
            Some(Protocol::H2) => state.streams.max(1),
        };
        loop {
            let unsettled = state.h2.iter().filter(|connection| !connection.settled).count();
            let coming = each.saturating_mul(state.dialing + unsettled);
            let open = state.dialing + state.h2.len() + state.open_h1;
            if coming >= state.waiters.len() || state.dialing >= MAX_DIALS || open >= MAX_CONNECTIONS {
                return;
            }
            state.dialing += 1;
            let shared = Arc::clone(self);
            // Ends by the dial's own limit.
            tokio::spawn(async move {
                let result = connection::open(&shared).await;
                shared.dialed(result);
            });
        }
    }

    fn dialed(self: &Arc<Self>, result: Result<connection::Opened, UpstreamError>) {
        let deliveries = {
            let mut state = self.state.lock();
            state.dialing -= 1;
            match result {
                Ok(connection::Opened::H2 { send, driver }) => {
                    state.protocol = Some(Protocol::H2);
                    let id = state.next_id();
                    let (ended, idle_since) = (driver.ended(), Instant::now());
                    state.h2.push(H2 { id, ended, send, in_use: 0, idle_since, settled: false });
                    // Ends with its connection.
                    tokio::spawn(driver.run(Arc::downgrade(self), id));
                    self.serve(&mut state)
                }
                Ok(connection::Opened::H1(connection)) => {
                    state.protocol = Some(Protocol::H1);
                    state.open_h1 += 1;
                    self.put_aside(&mut state, connection);
                    self.serve(&mut state)
                }
                Err(error) if state.dialing == 0 => {
                    state.waiters.drain(..).map(|waiter| (waiter, Err(error.clone()))).collect()
                }
                Err(_) => Vec::new(),
            }
        };
        deliver(deliveries);
    }

    /// The server's SETTINGS are known.
    pub(super) fn settled(self: &Arc<Self>, id: u64) {
        let deliveries = {
            let mut state = self.state.lock();
            if let Some(connection) = state.h2.iter_mut().find(|connection| connection.id == id) {
                connection.settled = true;
                state.streams = streams(&connection.send);
            }
            self.serve(&mut state)
        };
        deliver(deliveries);
    }

    /// The connection is no more.
    pub(super) fn closed(self: &Arc<Self>, id: u64) {
        let deliveries = {
            let mut state = self.state.lock();
            state.h2.retain(|connection| connection.id != id);
            self.serve(&mut state)
        };
        deliver(deliveries);
    }

    /// Takes the connection out of the pool when it has been idle for too long: it ends by itself then.
    pub(super) fn retire_if_idle(&self, id: u64) {
        self.state.lock().h2.retain(|connection| {
            connection.id != id || connection.in_use > 0 || connection.idle_since.elapsed() < IDLE
        });
    }

    /// A place on a connection is free again.
    pub(super) fn release(self: &Arc<Self>, h2: Option<u64>) {
        let deliveries = {
            let mut state = self.state.lock();
            match h2 {
                None => state.open_h1 -= 1,
                Some(id) => {
                    if let Some(connection) = state.h2.iter_mut().find(|connection| connection.id == id) {
                        connection.in_use -= 1;
                        connection.idle_since = Instant::now();
                    }
                }
            }
            if state.waiters.is_empty() { Vec::new() } else { self.serve(&mut state) }
        };
        deliver(deliveries);
    }

    /// Keeps an HTTP/1 connection for the next request.
    pub(super) fn keep(self: &Arc<Self>, connection: h1::Connection) {
        let deliveries = {
            let mut state = self.state.lock();
            state.open_h1 += 1;
            self.put_aside(&mut state, connection);
            self.serve(&mut state)
        };
        deliver(deliveries);
    }

    fn put_aside(self: &Arc<Self>, state: &mut State, connection: h1::Connection) {
        state.idle_h1.push((Instant::now(), connection));
        if !state.reaped {
            state.reaped = true;
            // Ends when there is nothing left to look after, or with the pool.
            tokio::spawn(reap(Arc::downgrade(self)));
        }
    }

    /// Closes HTTP/1 connections that have been idle for too long. False when there are none left.
    fn close_idle(&self) -> bool {
        let mut state = self.state.lock();
        let before = state.idle_h1.len();
        state.idle_h1.retain(|(since, connection)| since.elapsed() < IDLE && connection.is_ready());
        state.open_h1 -= before - state.idle_h1.len();
        state.reaped = !state.idle_h1.is_empty();
        state.reaped
    }
}

async fn reap(pool: Weak<Shared>) {
    loop {
        sleep(IDLE / 4).await;
        match pool.upgrade() {
            Some(pool) if pool.close_idle() => {}
            _ => return,
        }
    }
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

impl H2 {
    fn has_room(&self) -> bool {
        let limit = if self.settled { streams(&self.send) } else { 1 };
        self.in_use < limit
    }

    /// Neither ended nor told to go away.
    fn is_alive(&mut self) -> bool {
        !matches!(self.send.poll_ready(&mut Context::from_waker(noop_waker_ref())), Poll::Ready(Err(_)))
    }
}

/// What a server allows on one connection, but no more than the connection's window has room for. At least one: a
/// server that allows none for now is asked, and refuses.
fn streams(send: &SendRequest<Bytes>) -> usize {
    send.current_max_send_streams().clamp(1, MAX_STREAMS)
}

fn deliver(deliveries: Deliveries) {
    for (waiter, result) in deliveries {
        // Somebody who has gone drops the lease, which gives it back.
        drop(waiter.send(result));
    }
}
