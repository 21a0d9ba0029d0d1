//! The command line: which subcommand, and how it ends.
//!
//! Exit code 0 when all went well, 2 when the command line or something that it names is wrong (told in one line,
//! before anything listens), 1 when it ended otherwise than it should.

mod arguments;
mod patch;
mod serve;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Command;
use clap::error::ErrorKind;

use crate::config::{Config, Error, Patch};

/// What is wrong with the command line, as getopt and clap have it.
const USAGE: u8 = 2;

/// Runs the subcommand that the arguments (program name first) ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(arguments::normalize(arguments)) {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            // Nobody left to read it is no failure of ours.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => return refuse(&Error::from_clap(&error)),
    };
    match matches.subcommand() {
        Some(("version", _)) => version::run(),
        Some(("patch", matches)) => match Patch::from_matches(matches) {
            Ok(options) => patch::run(&options),
            Err(error) => refuse(&error),
        },
        Some((_, matches)) => match Config::from_matches(matches) {
            Ok(config) => serve::run(config),
            Err(error) => refuse(&error),
        },
        None => ExitCode::from(USAGE),
    }
}

fn command() -> Command {
    // Said after the flags were added, whose groups bring descriptions of their own.
    let serve = Config::augment(Command::new("serve"))
        .visible_alias("apiserver")
        .about("Serves; the same as giving flags without a subcommand")
        .long_about(None);
    let patch = Patch::augment(Command::new("patch"))
        .about("Lets an APIService trust the CA in a Secret; as when the program is called patch")
        .long_about(None);
    Command::new("cluster-gateway")
        .about(
            "Reaches the API of every cluster through one: an aggregated apiserver and proxy for Kubernetes",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .subcommand(serve)
        .subcommand(patch)
        .subcommand(Command::new("version").about("Says which version this is"))
}

fn refuse(error: &Error) -> ExitCode {
    eprintln!("cluster-gateway: {error}");
    ExitCode::from(USAGE)
}

#[cfg(test)]
mod tests;
