//! What can be known of the gateway from outside while it runs: logs, and metrics.

pub mod logging;
