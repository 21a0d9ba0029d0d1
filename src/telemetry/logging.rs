//! Where log lines go: to standard error, as text or JSON.

use std::io::stderr;

use clap::ValueEnum;
use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// The target of the one event per request.
pub const ACCESS: &str = "access";

/// What is logged and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The form of lines.
    pub format: LogFormat,
    /// What is let through.
    pub level: Level,
    /// Whether every request has its line.
    pub access_log: bool,
}

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `--log-level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// What needs somebody now.
    Error,
    /// What somebody should look at.
    Warn,
    /// What happened.
    Info,
    /// Why.
    Debug,
    /// Everything.
    Trace,
}

/// Begins logging for the whole process; records of the `log` crate are taken along. The first call wins.
pub fn init(options: Options) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter(options)))
        .with_writer(stderr)
        .with_timer(SystemTime)
        .with_ansi(false);
    // An error means that somebody (a test, say) logs already, which is as good.
    let _ = match options.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
}

/// What is let through. The libraries are one step quieter than we are: what they have to say about a single request
/// is said by us with the cluster's name, and at their debug level some of them print headers.
fn filter(options: Options) -> String {
    use Level::{Debug, Error, Info, Trace, Warn};
    let level = options.level;
    let libraries = match level {
        Error => Error,
        Warn | Info | Debug => Warn,
        Trace => Info,
    };
    // Pingora logs failed requests as errors, and closed connections as warnings.
    let pingora = match level {
        Error | Warn | Info | Debug => Error,
        Trace => Info,
    };
    // kube logs every attempt to reach a hub that is away as an error; those who watch it say it once.
    let kube = if level == Trace { "info" } else { "off" };
    let access = if options.access_log { "info" } else { "off" };
    // Nothing of ours is below debug, and a release has no room for it: asking for it would be warned of.
    let own = if STATIC_MAX_LEVEL < LevelFilter::TRACE { level.min(Debug) } else { level };
    let (own, libraries, pingora) = (own.as_str(), libraries.as_str(), pingora.as_str());
    format!(
        "{libraries},cluster_gateway={own},{ACCESS}={access},pingora={pingora},pingora_core={pingora},pingora_proxy={pingora},kube_client={kube}"
    )
}

impl Level {
    /// As filters spell it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_understood_and_quieter_for_libraries() {
        for level in Level::value_variants() {
            for access_log in [true, false] {
                let filter = filter(Options { format: LogFormat::Text, level: *level, access_log });
                assert!(EnvFilter::try_new(&filter).is_ok(), "{filter}");
                assert_eq!(filter.contains("access=info"), access_log);
                // At debug and below some libraries print headers.
                let libraries = filter.split(',').next().unwrap();
                assert!(["error", "warn", "info"].contains(&libraries), "{filter}");
            }
        }
    }
}
