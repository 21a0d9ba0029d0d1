//! The one binary: everything it can do is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    cluster_gateway::cli::run(std::env::args_os())
}
