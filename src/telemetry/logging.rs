//! Where log lines go: to standard error, as text or JSON.

use std::io::stderr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::config::{LogFormat, Logging};

/// The target of the one event per request.
pub const ACCESS: &str = "access";

/// Begins logging for the whole process; records of the `log` crate are taken along. The first call wins.
pub fn init(logging: &Logging) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter(logging)))
        .with_writer(stderr)
        .with_timer(SystemTime)
        .with_ansi(false);
    // An error means that somebody (a test, say) logs already, which is as good.
    let _ = match logging.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
}

/// What is let through. The libraries are one step quieter than we are: what they have to say about a single request
/// is said by us with the cluster's name, and at their debug level some of them print headers.
fn filter(logging: &Logging) -> String {
    use crate::config::Level::{Debug, Error, Info, Trace, Warn};
    let level = logging.level();
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
    let access = if logging.access_log() { "info" } else { "off" };
    let (own, libraries, pingora) = (level.as_str(), libraries.as_str(), pingora.as_str());
    format!(
        "{libraries},cluster_gateway={own},{ACCESS}={access},pingora={pingora},pingora_core={pingora},pingora_proxy={pingora}"
    )
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn filter_of(arguments: &[&str]) -> String {
        let matches = Logging::augment_args(Command::new("test"))
            .get_matches_from(std::iter::once(&"test").chain(arguments).copied());
        let filter = filter(&Logging::from_arg_matches(&matches).unwrap());
        assert!(EnvFilter::try_new(&filter).is_ok(), "{filter}");
        filter
    }

    #[test]
    fn requests_are_logged_when_asked_for_or_from_verbosity_3() {
        assert!(filter_of(&[]).contains("access=off"));
        assert!(filter_of(&["-v=3"]).contains("access=info"));
        assert!(filter_of(&["--access-log"]).contains("access=info"));
        assert!(filter_of(&["-v", "9", "--access-log=false"]).contains("access=off"));
    }

    #[test]
    fn libraries_never_log_what_could_hold_a_header() {
        for arguments in [&["-v=10"][..], &["--log-level=trace"]] {
            let filter = filter_of(arguments);
            assert!(filter.starts_with("info,cluster_gateway=trace,"), "{filter}");
        }
    }
}
