//! The lab by hand: build its servers, or start it and look around.

use std::io::Write as _;

use anyhow::Result;
use clap::{Parser, Subcommand};
use e2e::lab::binaries::{
    self, API, ETCD, INFORMER, KONNECTIVITY, KUBELET, KUBERNETES, KWOK, OLD_KUBECTL, PROXIES, STREAMS,
};
use e2e::lab::{Lab, LabOptions};

#[derive(Parser)]
#[command(about = "Real control planes on this machine")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build what the lab runs, where it is not built yet, and print where it is.
    Binaries,
    /// Start a hub and members; everything ends with this program.
    Up {
        /// How many members.
        #[arg(long, default_value_t = 2)]
        members: usize,
        /// How many of them have a node.
        #[arg(long, default_value_t = 0)]
        nodes: usize,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Binaries => tokio::task::spawn_blocking(print_binaries).await?,
        Command::Up { members, nodes } => up(members, nodes).await,
    }
}

fn print_binaries() -> Result<()> {
    for (module, name) in [
        (ETCD, "etcd"),
        (KUBERNETES, "kube-apiserver"),
        (KUBERNETES, "kubectl"),
        (KWOK, "kwok"),
        (INFORMER, "informer"),
        (API, "api"),
        (API, "typed"),
        (OLD_KUBECTL, "kubectl-1.31"),
        (KONNECTIVITY, "proxy-server"),
        (KONNECTIVITY, "proxy-agent"),
        (PROXIES, "connect"),
        (PROXIES, "socks5"),
        (KUBELET, "kubelet"),
        (STREAMS, "streams"),
    ] {
        writeln!(std::io::stdout(), "{}", binaries::program(&module, name)?.display())?;
    }
    Ok(())
}

async fn up(members: usize, nodes: usize) -> Result<()> {
    let lab = Lab::start(LabOptions::with_members(members).nodes(nodes)).await?;
    let mut out = std::io::stdout();
    writeln!(out, "folder {}", lab.folder().display())?;
    for plane in [lab.hub()].into_iter().chain(lab.members()) {
        writeln!(out, "{} {} {}", plane.name(), plane.url(), plane.admin_kubeconfig().display())?;
    }
    // For a test that ends us in every way and looks for what is left.
    let planes = [lab.hub()].into_iter().chain(lab.members()).map(|plane| plane.process());
    let others = (0..nodes).map(|index| lab.node(index).process()).chain([lab.etcd().process()]);
    let numbers: Vec<String> =
        planes.chain(others).filter_map(|process| process.pid()).map(|pid| pid.to_string()).collect();
    writeln!(out, "processes {}", numbers.join(" "))?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
