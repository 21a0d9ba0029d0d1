//! Requests that leave HTTP: exec, attach, port-forward, and whatever else a cluster switches to.
//!
//! The request goes out over a connection of its own, as it came; what the cluster answers is passed on like any
//! other answer unless it is 101. From then on bytes are passed on both ways, each to its own end, and nothing is
//! looked at but the lengths of frames. Streams end with their cluster, and when we drain; callers are told then, in
//! the words of their protocol.

mod ask;
mod flow;
mod framing;
mod session;
mod splice;

pub(super) use ask::{Asked, Switched, ask};
pub use session::Options;
pub(super) use session::{Ended, Session};
