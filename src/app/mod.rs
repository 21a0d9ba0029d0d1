//! The composition root: builds the parts, owns every task and thread, and ends them in order.
//!
//! Two kinds of event loops: the *workers* carry requests and do nothing else; the *control* runtime watches the
//! hub, asks it questions, resolves names, reads files again and serves the operations listener. Nothing of control
//! ever runs on a worker.

mod build;
mod descriptors;
mod error;
mod hub;
mod konnectivity;
mod lifecycle;
mod patch;
mod reload;
mod text;

use tokio::runtime::Builder;

use crate::config::Config;

pub use error::Error;
pub use patch::{PatchError, Patched, patch};

/// Threads of the control runtime: one may be busy with a list of ten thousand Secrets while the other answers a
/// question about somebody's rights.
const CONTROL_THREADS: usize = 2;

/// Serves until it is told to end, drains, and returns.
///
/// An [`Error::Config`] comes before anything was served: the operator's command line names something that cannot be
/// had.
pub fn run(config: Config) -> Result<(), Error> {
    descriptors::raise_limit();
    let control = Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let result = control.block_on(lifecycle::run(config));
    // What is still asking the hub something has nobody left to tell.
    control.shutdown_background();
    result
}
