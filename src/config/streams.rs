use std::time::Duration;

use clap::Args;

use super::values;

/// Connections that have left HTTP: exec, attach, port-forward.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Upgraded streams")]
pub struct Streams {
    /// Open at once into one cluster, through this replica; 0 for no limit
    // A port-forward or shell is two connections and some 60 kB: this many are what a fleet's people and CI jobs need
    // of one cluster at once, and less than what a replica's descriptors allow.
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub max_upgraded_streams_per_cluster: usize,
    /// How long either side of a stream may take nothing of what is there for it
    // Somebody who pages through a log holds the stream up for minutes; whoever is gone is found by TCP's own probes.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = values::deadline)]
    pub upgraded_stream_write_timeout: Duration,
    /// How long a stream may be silent both ways; 0 for ever
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = values::duration)]
    upgraded_stream_idle_timeout: Duration,
}

impl Streams {
    /// `--upgraded-stream-idle-timeout`, if there is one.
    pub fn idle_timeout(&self) -> Option<Duration> {
        Some(self.upgraded_stream_idle_timeout).filter(|timeout| !timeout.is_zero())
    }
}
