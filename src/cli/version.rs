use std::io::{Write, stdout};
use std::process::ExitCode;

pub(super) fn run() -> ExitCode {
    match writeln!(stdout(), "cluster-gateway {}", env!("CARGO_PKG_VERSION")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
