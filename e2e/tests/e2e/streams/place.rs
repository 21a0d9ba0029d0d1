//! Where the tests of streams run: a member with two nodes, a pod on each.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use e2e::lab::{
    ControlPlane, Gateway, Kubeconfig, Kubectl, Kubelet, Login, Node, Registration, rule, shared,
    shared_gateway, until, user,
};
use tokio::sync::OnceCell;

/// The namespace of the pods.
pub(super) const NAMESPACE: &str = "streams";
/// The pod on kwok's node.
pub(super) const KWOK: &str = "kwok";
/// The pod on the node of the lab's own kubelet.
pub(super) const STAND_IN: &str = "stand-in";
/// Who may open streams on every cluster of the shared hub.
pub(super) const USER: &str = "streams-user";

/// A member and its pods.
pub(super) struct Place {
    pub(super) member: ControlPlane,
    pub(super) node: Node,
    pub(super) kubelet: Kubelet,
}

/// The place of this test process; started once, by whoever asks first.
pub(super) async fn place() -> &'static Place {
    static PLACE: OnceCell<Result<Place, String>> = OnceCell::const_new();
    let place = PLACE.get_or_init(|| async { start().await.map_err(|error| format!("{error:#}")) });
    place.await.as_ref().unwrap_or_else(|error| panic!("the member for streams: {error}"))
}

async fn start() -> Result<Place> {
    let lab = shared().await;
    let member = lab.start_member("streams").await?;
    let node = lab.start_node(&member, "streams-kwok").await?;
    let kubelet = Kubelet::start(&member, "streams-stand-in").await?;
    node.start_pod(&member, NAMESPACE, KWOK).await?;
    kubelet.start_pod(&member, NAMESPACE, STAND_IN).await?;
    echo_at(node.forward_port())?;
    echo_at(kubelet.forward_port())?;
    Ok(Place { member, node, kubelet })
}

impl Place {
    /// How the member is registered under another name.
    pub(super) fn registered(&self, namespace: &str, name: &str) -> Result<Registration> {
        Ok(Registration::member(namespace, &self.member)?.named(name))
    }

    /// An endpoint whose name resolves nowhere but at a proxy that was told of [`Self::known`]. The member's
    /// certificate has that name.
    pub(super) fn hidden(&self) -> String {
        format!("kubernetes.default.svc:{}", self.member.port())
    }

    /// What a proxy has to know to find the member.
    pub(super) fn known(&self) -> (String, std::net::SocketAddr) {
        (self.hidden(), (Ipv4Addr::LOCALHOST, self.member.port()).into())
    }

    /// kubectl straight to the member, as its admin.
    pub(super) fn direct(&self) -> Kubectl {
        self.member.admin_kubectl()
    }
}

/// kubectl through the shared hub and gateway to a cluster, as a user who may open streams.
pub(super) async fn aimed(cluster: &str) -> Result<Kubectl> {
    let hub = shared().await.hub();
    static GRANTED: OnceCell<Result<PathBuf, String>> = OnceCell::const_new();
    let granted = GRANTED.get_or_init(|| async { grant(hub).await.map_err(|error| format!("{error:#}")) });
    let kubeconfig = granted.await.clone().map_err(anyhow::Error::msg)?;
    shared_gateway().await;
    Ok(Kubectl::new(kubeconfig).server(&hub.proxy_url(cluster)))
}

/// Registers a cluster behind the shared gateway and waits until it is served.
pub(super) async fn register(cluster: &Registration) -> Result<()> {
    let kubectl = aimed(&cluster.name).await?;
    cluster.apply(&shared().await.hub().admin_client().await?).await?;
    until("the cluster", Duration::from_secs(30), || kubectl.ok(&["get", "--raw", "/readyz"])).await?;
    Ok(())
}

/// The user and their rights on a hub; gives their kubeconfig.
pub(super) async fn grant(hub: &ControlPlane) -> Result<PathBuf> {
    let verbs = &["get", "create", "update", "patch", "delete"];
    let proxy = rule("cluster.core.oam.dev", "clustergateways/proxy", verbs);
    hub.grant(USER, user(USER), vec![proxy]).await?;
    hub.write_kubeconfig(USER, &Login::Certificate(hub.issue(USER, &[])?))
}

/// A kubeconfig for a gateway itself, without the hub: as an admin of the hub, by certificate.
pub(super) fn straight_to(gateway: &Gateway, hub: &ControlPlane, cluster: &str) -> Result<PathBuf> {
    let path = gateway.folder().join("straight.kubeconfig");
    let url = gateway.url() + &crate::through::path(cluster, "");
    let login = Login::Certificate(hub.admin());
    Kubeconfig::new().context("gateway", &url, gateway.ca_pem(), &login).write(&path)?;
    Ok(path)
}

/// A server that sends back what it gets, until the process ends.
fn echo_at(port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    std::thread::Builder::new().name("streams-echo".to_owned()).spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || echo(connection));
        }
    })?;
    Ok(())
}

fn echo(mut connection: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = connection.read(&mut buffer) {
        if connection.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}
