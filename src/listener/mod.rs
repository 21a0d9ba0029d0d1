//! Takes connections: TCP, TLS with the client's chain kept for later, then HTTP/2 or HTTP/1.1.
//!
//! One acceptor hands sockets to one worker per core, the least loaded first. A worker is a thread with an event
//! loop of its own; what it takes it keeps, so nothing of a request ever wakes another core. A client certificate is
//! asked for and decided on later: a bad one is answered 401, as kube-apiserver does, not with an alert.
//!
//! On drain each connection is told to go away (GOAWAY, `Connection: close`) and ends with its last request.

mod acceptor;
mod coalesce;
mod connection;
mod http1;
mod http2;
mod worker;

pub use acceptor::{Acceptor, BindError};
pub use worker::{Endings, WorkerError, Workers};
