//! The composition root: builds the parts, owns every task, drains them in order.

use thiserror::Error as ThisError;

use crate::config::{self, Config};

/// Why the gateway could not run.
#[derive(Debug, ThisError)]
pub enum Error {
    /// Something that the operator asked for cannot be had.
    #[error(transparent)]
    Config(#[from] config::Error),
}

/// Serves until it is told to end, drains, and returns.
pub fn run(config: Config) -> Result<(), Error> {
    let _ = config;
    Ok(())
}
