//! Takes connections: TCP, TLS with the client's chain kept for later, then HTTP/2 or HTTP/1.1.
//!
//! One acceptor hands sockets to one worker per core, the least loaded first. A worker is a thread with an event
//! loop of its own; what it takes it keeps, so nothing of a request wakes another core. Only when one worker uses the
//! whole of its core and another does not, new streams of the first one's HTTP/2 connections are served by the other
//! (`spill`): a hub sends everything over one connection. A client certificate is asked for and decided on later: a
//! bad one is answered 401, as kube-apiserver does, not with an alert.
//!
//! Callers are told to open another connection when one has reached its age, so that they come to be spread over
//! replicas and workers that were not there when they first came.
//!
//! On drain each connection is told to go away (GOAWAY, `Connection: close`) and ends with its last request.

mod acceptor;
mod age;
mod coalesce;
mod connection;
mod http1;
mod http2;
mod metrics;
mod neighbours;
mod spare;
mod spill;
mod usage;
mod worker;

pub use acceptor::{Acceptor, BindError};
pub use metrics::Metrics;
pub use worker::{Endings, Options, WorkerError, Workers};
