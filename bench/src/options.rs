//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::upstream::UpstreamOptions;

/// Measures the gateway on this machine, beside the reference's table, plain proxies and itself.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// What is measured and where it goes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Everything, with long rounds (more than an hour); otherwise a quick run of at most five minutes
    #[arg(long)]
    pub(crate) full: bool,
    /// Only this section (may be given several times): see --list
    #[arg(long = "section", value_name = "NAME")]
    pub(crate) sections: Vec<String>,
    /// Say which sections there are, and end
    #[arg(long)]
    pub(crate) list: bool,
    /// Rounds of each comparison, instead of the section's own choice
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: Option<u32>,
    /// Where report.json and report.html go, unless to `bench` in cargo's target folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// An earlier report.json: say what got slower since
    #[arg(long, value_name = "REPORT.json")]
    pub(crate) compare: Option<PathBuf>,
    /// Another gateway that takes the same flags, measured beside ours (may be given several times)
    #[arg(long = "other", value_name = "NAME=BINARY", value_parser = other)]
    pub(crate) others: Vec<Other>,
    /// Your own hub instead of the lab, for the section "table": the context of this kubeconfig
    #[arg(long, value_name = "FILE", requires = "cluster")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The cluster behind your own hub, for the section "table"
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub(crate) cluster: Option<String>,
    /// End with an error when a figure that the project promises is missed
    #[arg(long)]
    pub(crate) strict: bool,
}

impl Options {
    /// Where the report goes.
    pub(crate) fn out(&self) -> PathBuf {
        let target = || std::env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
        let default = || PathBuf::from(target().unwrap_or_else(|| "target".into())).join("bench");
        self.out.clone().unwrap_or_else(default)
    }
}

/// What this program is besides.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The light upstream that requests go to; the suite starts it by itself
    #[command(hide = true)]
    Upstream(UpstreamOptions),
}

/// Another gateway.
#[derive(Clone, Debug)]
pub(crate) struct Other {
    /// What the report calls it.
    pub(crate) name: String,
    /// Its executable.
    pub(crate) binary: PathBuf,
}

fn other(text: &str) -> Result<Other, String> {
    let (name, binary) =
        text.split_once('=').ok_or("write NAME=BINARY, as in reference=/usr/local/bin/apiserver")?;
    if name.is_empty() || binary.is_empty() {
        return Err("neither NAME nor BINARY may be empty".to_owned());
    }
    let binary = PathBuf::from(binary).canonicalize().map_err(|error| format!("{binary}: {error}"))?;
    Ok(Other { name: name.to_owned(), binary })
}
