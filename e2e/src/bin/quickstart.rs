//! `make quickstart`: two member clusters, a hub and the gateway on this machine, and kubectl going through it.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Start a hub, two member clusters and the gateway here, and show kubectl going through it")]
struct Arguments {
    /// End after the show instead of staying up until Ctrl-C.
    #[arg(long)]
    once: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut errors = std::io::stderr();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(errors, "quickstart: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        tokio::select! {
            biased;
            result = e2e::quickstart::run(arguments.once) => result,
            // Once everything is up, `run` waits for it too and is asked first.
            _ = interrupted_early() => Err(anyhow::anyhow!("interrupted")),
        }
    });
    // A build that still runs is not waited for.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(errors, "\nquickstart: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn interrupted_early() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
