use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Args;

use super::values;

/// Workers, deadlines and draining.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Running")]
pub struct Runtime {
    /// Event loops that carry requests; as many as there are cores when not given
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// How long a connection to a cluster (a proxy's part, TCP and TLS) may take to be made
    // A cluster on the other side of the world needs three round trips, a second; a lost SYN is sent again after one
    // and three. Beyond that somebody should be told.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = values::deadline)]
    pub connect_timeout: Duration,
    /// How long a cluster may take to begin its answer; watches and logs have no limit, streams only have to begin
    // kube-apiserver itself answers 504 after 60 s: a little more, so that its own word is what callers get.
    #[arg(long, value_name = "DURATION", default_value = "65s", value_parser = values::deadline)]
    pub request_timeout: Duration,
    /// How long to go on accepting after SIGTERM while /readyz already says no
    // Endpoints and the hub's connections follow readiness after a second or two, probes after some more.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = values::duration)]
    pub shutdown_delay_duration: Duration,
    /// How long running requests may take to end after that
    // Together with the delay it stays below the 30 s that a kubelet gives before it kills.
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = values::duration)]
    pub drain_timeout: Duration,
}

impl Runtime {
    /// How many workers: `--workers`, else one per core that this process may use.
    pub fn workers(&self) -> NonZeroUsize {
        self.workers.or_else(|| available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
    }
}
