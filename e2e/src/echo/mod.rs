//! An upstream that tells exactly what reached it: method, path and query as they came, every header line, the
//! body's length and digest, the client's certificate. Its answers are steered by the request's query, see
//! [`Plan`]. HTTP/1.1 is read by hand, since every library normalizes what a proxy's test must see.
//!
//! It runs on a thread and runtime of its own, ends when dropped, and counts its connections.

mod h1;
mod h2;
mod plan;
mod received;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

pub use plan::Plan;
pub use received::Received;

use crate::lab::{Authority, Identity};

/// How many requests are remembered; older ones are forgotten.
const REMEMBERED: usize = 4096;

/// How an echo is set up.
#[derive(Clone, Debug)]
pub struct EchoOptions {
    /// ALPN protocols, the preferred one first.
    pub protocols: Vec<String>,
    /// Certificates of authorities, one of which must have issued the client's certificate; none is asked for
    /// when this is `None`.
    pub client_ca: Option<String>,
    /// Whether clients without a certificate are served too.
    pub client_optional: bool,
    /// HTTP/2 streams that a client may have open on one connection.
    pub streams: u32,
    /// Names in its certificate besides `localhost` and `127.0.0.1`.
    pub names: Vec<String>,
    /// After so long without a request a connection is closed without a word, as by a firewall; never when this is
    /// `None`.
    pub idle: Option<Duration>,
    /// An `x-echo` header in each answer: which of several echoes it was.
    pub name: String,
}

/// A running echo.
pub struct Echo {
    address: SocketAddr,
    authority: Authority,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What connections share.
#[derive(Default)]
struct State {
    name: String,
    streams: u32,
    idle: Option<Duration>,
    accepted: AtomicU64,
    live: AtomicU64,
    requests: Mutex<Vec<u64>>,
    received: Mutex<VecDeque<Received>>,
}

impl Default for EchoOptions {
    fn default() -> Self {
        Self {
            protocols: vec!["h2".to_owned(), "http/1.1".to_owned()],
            client_ca: None,
            client_optional: false,
            streams: 1000,
            names: Vec::new(),
            idle: None,
            name: "echo".to_owned(),
        }
    }
}

impl EchoOptions {
    /// One that speaks HTTP/1.1 only.
    pub fn h1() -> Self {
        Self { protocols: vec!["http/1.1".to_owned()], ..Self::default() }
    }

    /// One that asks for a client certificate of this authority.
    pub fn client_ca(mut self, pem: &str) -> Self {
        self.client_ca = Some(pem.to_owned());
        self
    }

    /// One that also serves clients without a certificate; to be given after [`Self::client_ca`].
    pub fn client_optional(mut self) -> Self {
        self.client_optional = true;
        self
    }

    /// With another limit of HTTP/2 streams. kube-apiserver's is 100.
    pub fn streams(mut self, streams: u32) -> Self {
        self.streams = streams;
        self
    }

    /// One that closes connections which are idle for so long.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// With another name.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }
}

impl Echo {
    /// Starts one on a free port of 127.0.0.1, with an authority of its own.
    pub fn start(options: EchoOptions) -> Result<Self> {
        let authority = Authority::new(&format!("{}-ca", options.name))?;
        let mut names = vec!["localhost", "127.0.0.1"];
        names.extend(options.names.iter().map(String::as_str));
        let acceptor = acceptor(&authority.server(&names)?, &options)?;
        let EchoOptions { name, streams, idle, .. } = options;
        let state = Arc::new(State { name, streams, idle, ..State::default() });
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("echo".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, acceptor, shared) => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { address, authority, state, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate of the authority of its own.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// Connections that it has accepted, those whose handshake failed not counted.
    pub fn accepted(&self) -> u64 {
        self.state.accepted.load(Ordering::Relaxed)
    }

    /// Connections that are open.
    pub fn live(&self) -> u64 {
        self.state.live.load(Ordering::Relaxed)
    }

    /// Requests of each connection, in the order in which connections came.
    pub fn requests_per_connection(&self) -> Vec<u64> {
        self.state.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last requests, oldest first. One is there when its head has come; the body's digest only when the
    /// answer was made after reading it (not with `echo` and `watch`).
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The last request whose path starts so.
    pub fn last(&self, path: &str) -> Option<Received> {
        self.received().into_iter().rev().find(|received| received.target.starts_with(path))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // A thread that has ended already does not listen.
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    /// Counts a request of a connection and remembers it.
    fn note(&self, connection: usize, received: &Received) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)[connection] += 1;
        let mut all = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == REMEMBERED {
            all.pop_front();
        }
        all.push_back(received.clone());
    }
}

/// Counts a connection as long as it lives.
struct Live(Arc<State>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn accept(listener: std::net::TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(serve(stream, acceptor.clone(), Arc::clone(&state)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    // A client that breaks off is what tests do; its side of the story is the one that they look at.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    state.accepted.fetch_add(1, Ordering::Relaxed);
    state.live.fetch_add(1, Ordering::Relaxed);
    let _live = Live(Arc::clone(&state));
    let number = {
        let mut requests = state.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push(0);
        requests.len() - 1
    };
    let client = received::client_subject(stream.get_ref().1.peer_certificates());
    let connection = Connection { state, number, client };
    let _ = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => h2::serve(stream, connection).await,
        _ => h1::serve(stream, connection).await,
    };
}

/// What a protocol knows of its connection.
#[derive(Clone)]
struct Connection {
    state: Arc<State>,
    number: usize,
    client: Option<String>,
}

impl Connection {
    /// Ends when nothing has come for as long as is allowed.
    async fn idle(&self) {
        match self.state.idle {
            Some(idle) => tokio::time::sleep(idle).await,
            None => std::future::pending().await,
        }
    }
}

fn acceptor(identity: &Identity, options: &EchoOptions) -> Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match &options.client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate?)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(if options.client_optional {
                verifier.allow_unauthenticated().build()?
            } else {
                verifier.build()?
            })
        }
    };
    let chain = CertificateDer::pem_slice_iter(identity.cert.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).context("the echo's key")?;
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = options.protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}
