use std::process::ExitCode;

use crate::app;
use crate::config::Config;
use crate::telemetry::logging;

use super::refuse;

/// Serves until told to end.
pub(super) fn run(config: Config) -> ExitCode {
    // Before logging begins: what is wrong with the command line is one line and nothing else.
    if let Err(error) = config.check_files() {
        return refuse(&error);
    }
    logging::init(config.logging.options());
    match app::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(app::Error::Config(error)) => refuse(&error),
        Err(error) => {
            tracing::error!(%error, "the gateway cannot go on");
            ExitCode::FAILURE
        }
    }
}
