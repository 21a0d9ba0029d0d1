use std::io::{Write, stdout};
use std::process::ExitCode;

use crate::app::{self, PatchError};
use crate::config::Patch;

use super::refuse;

/// Lets an APIService trust a CA, and says so.
pub(super) fn run(options: &Patch) -> ExitCode {
    match app::patch(options) {
        Ok(patched) => {
            // Nobody left to read it is no failure of ours.
            let _ = writeln!(stdout(), "{patched}");
            ExitCode::SUCCESS
        }
        Err(PatchError::Config(error)) => refuse(&error),
        Err(error) => {
            eprintln!("cluster-gateway: {error}");
            ExitCode::FAILURE
        }
    }
}
