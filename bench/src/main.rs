//! The benchmark suite. Every comparison is interleaved in rounds of one run, because machines are noisy: the
//! ratios are the result, the absolute numbers are context.

mod load;
mod measure;
mod options;
mod report;
mod run;
mod sections;
mod stage;
mod upstream;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use tokio::runtime::Builder;

use options::{Arguments, Command};

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // The chain in a line: where in the suite it came up helps nobody who runs it.
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    e2e::lab::use_ring();
    match arguments.command {
        // One thread: what it costs is then the same for every proxy before it.
        Some(Command::Upstream(options)) => {
            Builder::new_current_thread().enable_all().build()?.block_on(upstream::serve(options))
        }
        None => Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?
            .block_on(run::run(arguments.options)),
    }
}
