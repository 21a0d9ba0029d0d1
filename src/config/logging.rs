use clap::Args;

use crate::telemetry::logging::{Level, LogFormat, Options};

use super::values;

/// What is logged and how. Everything goes to standard error.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logging")]
pub struct Logging {
    /// Form of log lines
    #[arg(long, alias = "logging-format", value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// What to log; when not given -v decides
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<Level>,
    /// Kubernetes' verbosity: from 3 with an access log, from 5 debug, from 8 trace
    #[arg(
        short = 'v',
        long = "v",
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    verbosity: i32,
    /// One line per request; on from -v=3, as in kube-apiserver
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = values::boolean)]
    access_log: Option<bool>,
}

impl Logging {
    /// What is in force.
    pub fn options(&self) -> Options {
        let level = self.log_level.unwrap_or(match self.verbosity {
            ..=4 => Level::Info,
            5..=7 => Level::Debug,
            8.. => Level::Trace,
        });
        Options { format: self.log_format, level, access_log: self.access_log.unwrap_or(self.verbosity >= 3) }
    }
}
