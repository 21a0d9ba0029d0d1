//! What the benchmarks and the test of allocations measure: a gateway's data path with everything on that a request
//! meets (front proxy, authorization from memory, credential, metrics, record), in one thread with its caller and its
//! cluster, over sockets that are memory. No TLS: that is not ours.

mod cluster;
mod gateway;
mod line;
mod stages;

use cluster::Cluster;
use gateway::{NAME, REST, Stand, request};
pub use line::{Hop, Line};
pub use stages::Stages;
