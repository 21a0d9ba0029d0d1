//! The first five minutes: a hub, two member clusters and the gateway between them, on this machine, and kubectl
//! going through it.
//!
//! Everything is real and everything is temporary: it ends, folder and all, with this program.

mod show;
mod terminal;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;

use crate::lab::binaries::{self, ETCD, KUBERNETES, KWOK};
use crate::lab::{
    ControlPlaneOptions, Exposure, Gateway, GatewayOptions, Kubeconfig, Lab, LabOptions, Login, Registration,
    gateway_binary, rule, user,
};
use terminal::Terminal;

/// What the show says about the world that it made.
struct Stage {
    lab: Lab,
    gateway: Gateway,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
}

const MEMBERS: [&str; 2] = ["east", "west"];
const SECRETS: &str = "vela-system";
const USER: &str = "you";

/// Builds, starts and shows everything. `once`: ends after the show; otherwise everything stays up until Ctrl-C.
pub async fn run(once: bool) -> Result<()> {
    let start = Instant::now();
    let mut terminal = Terminal::new(5);
    let stage = set(&mut terminal).await?;
    terminal.step("kubectl, through the hub and the gateway, as a user with just the rights for it");
    show::run(&mut terminal, &stage).await?;
    show::farewell(&mut terminal, &stage, start.elapsed(), once)?;
    if !once {
        tokio::signal::ctrl_c().await?;
        terminal.line("\nStopping: everything that was started ends, the folder is removed.");
    }
    Ok(())
}

async fn set(terminal: &mut Terminal) -> Result<Stage> {
    terminal.step("the servers: etcd, kube-apiserver, kubectl and kwok, built once for this user");
    for (module, name) in [(&ETCD, "etcd"), (&KUBERNETES, "kube-apiserver"), (&KWOK, "kwok")] {
        terminal.note(&binaries::program_async(module, name).await?.display().to_string());
    }
    let kubectl = binaries::program_async(&KUBERNETES, "kubectl").await?;
    let binary = tokio::task::spawn_blocking(gateway_binary).await??;
    terminal.note(&binary.display().to_string());

    terminal.step("a hub and two member clusters: east has a node, west has none");
    let lab = Lab::start(LabOptions {
        hub: Some(ControlPlaneOptions::hub("hub")),
        members: MEMBERS.map(ControlPlaneOptions::member).into(),
        nodes: 1,
    })
    .await?;
    for plane in [lab.hub()].into_iter().chain(lab.members()) {
        terminal.note(&format!("{:5} {}", plane.name(), plane.url()));
    }
    lab.node(0).start_pod(lab.member(0), "demo", "hello").await?;
    lab.node(0).log("hello from a pod in east")?;

    terminal.step("the gateway, with a Secret on the hub for each member");
    let hub = lab.hub();
    let options = GatewayOptions { binary: Some(binary), ..GatewayOptions::new(hub, SECRETS) };
    let gateway = Gateway::start(hub, options).await?;
    let client = hub.admin_client().await?;
    Registration::member(SECRETS, lab.member(0))?.apply(&client).await?;
    Registration::member_by_token(SECRETS, lab.member(1)).await?.apply(&client).await?;
    terminal
        .note(&format!("{}; east takes a client certificate, west a service account's token", gateway.url()));

    terminal.step("its APIService on the hub, Available, and a role for the user");
    gateway.expose(hub, Exposure::ExternalName).await?;
    let rules = vec![
        rule("cluster.core.oam.dev", "clustergateways", &["get", "list", "watch"]),
        rule("cluster.core.oam.dev", "clustergateways/proxy", &["*"]),
    ];
    hub.grant("quickstart", user(USER), rules).await?;
    let kubeconfig = write_kubeconfig(&lab, &lab.folder().join("quickstart.kubeconfig"))?;
    terminal.note(&format!("kubeconfig {}", kubeconfig.display()));
    Ok(Stage { lab, gateway, kubeconfig, kubectl })
}

/// A context for the hub and one for each member, all of them at the hub's address.
fn write_kubeconfig(lab: &Lab, path: &Path) -> Result<PathBuf> {
    let hub = lab.hub();
    let login = Login::Certificate(hub.issue(USER, &[])?);
    let kubeconfig = Kubeconfig::new().context("hub", &hub.url(), &hub.ca_pem(), &login);
    let kubeconfig = MEMBERS
        .iter()
        .fold(kubeconfig, |all, member| all.context(member, &hub.proxy_url(member), &hub.ca_pem(), &login));
    kubeconfig.write(path)?;
    Ok(path.to_owned())
}
