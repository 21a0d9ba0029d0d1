//! The load generator: speaks as a hub does (front-proxy certificate, X-Remote-* headers, one or many HTTP/2
//! connections), in a closed loop or an open one, on a thread and event loop of its own.

mod closed;
mod connection;
mod open;
mod pacer;
mod ramp;
mod serial;
mod stream;
mod tally;
mod target;

use std::future::Future;

use anyhow::{Context, Result};
use tokio::sync::oneshot;

pub(crate) use closed::{Closed, closed, until_stopped};
pub(crate) use connection::{Connection, Work};
pub(crate) use open::{Open, open};
pub(crate) use ramp::{Ramp, kept_up};
pub(crate) use serial::serial;
pub(crate) use stream::upgraded;
pub(crate) use tally::{Tally, distribution};
pub(crate) use target::Target;

/// Runs what `make` makes on a thread of its own: what the suite does besides does not delay it.
pub(crate) async fn apart<F, T>(make: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    F: Future<Output = Result<T>>,
    T: Send + 'static,
{
    let (mut done, result) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("load".to_owned()).spawn(move || {
        let local = tokio::task::LocalSet::new();
        let result = local.block_on(&runtime, async {
            tokio::select! {
                result = make() => Some(result),
                // A load that nobody waits for any more ends.
                () = done.closed() => None,
            }
        });
        // As above.
        let _ = result.map(|result| done.send(result));
    })?;
    let result = result.await.context("the load's thread broke off")?;
    thread.join().ok().context("the load's thread panicked")?;
    result
}
