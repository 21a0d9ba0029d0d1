//! What the benchmarks and the test of allocations measure: a gateway's data path with everything on that a request
//! meets (front proxy, authorization from memory, credential, metrics, record), in one thread with its caller and its
//! cluster, over sockets that are memory. No TLS: that is not ours.

// Each of those who use it uses a part of it.
#![allow(dead_code, unreachable_pub, unused_imports)]

mod cluster;
mod gateway;
mod line;
mod stages;

pub use cluster::Cluster;
pub use gateway::{NAME, REST, Stand, request};
pub use line::{Hop, Line};
pub use stages::Stages;
