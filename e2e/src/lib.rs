//! Real control planes on one machine: the lab, and what is run on it.
//!
//! | room | what for |
//! | --- | --- |
//! | [`lab`] | etcd, kube-apiservers, nodes, the gateway, kubectl: started, hurt, stopped |
//! | [`echo`] | an upstream that tells what reached it |
//! | [`relay`] | a TCP connection between two of them that a test can cut |
//! | [`client`] | an HTTPS client that says which protocol it speaks, and a raw one |
//! | [`quickstart`] | what `make quickstart` shows |
//!
//! # Writing a test
//! All tests live in one binary, `tests/e2e/main.rs`, one module for each subject, so that one lab serves the
//! whole run. They run in parallel, each `#[tokio::test]` on a runtime of its own.
//!
//! ```no_run
//! use e2e::lab::{Login, rule, shared, shared_gateway, user, whoami};
//!
//! # async fn test() -> anyhow::Result<()> {
//! let lab = shared().await; // a hub and two members; the first has a node
//! shared_gateway().await; // behind the hub, Available, both members registered
//! let hub = lab.hub();
//! let proxy = rule("cluster.core.oam.dev", "clustergateways/proxy", &["get"]);
//! hub.grant("t1-user", user("t1-user"), vec![proxy]).await?;
//! let login = Login::Certificate(hub.issue("t1-user", &[])?);
//! let through = hub.client_through("member-1", &login).await?;
//! assert_eq!(whoami(&through).await?, "member-1");
//! let kubectl = hub.kubectl("t1-user", &[])?.server(&hub.proxy_url("member-0"));
//! kubectl.ok(&["get", "configmap", "whoami"]).await?;
//! # Ok(()) }
//! ```
//! - **Names of its own**: users, roles, namespaces and clusters of a test start with something that no other
//!   test uses. There is no controller-manager: a deleted namespace stays Terminating.
//! - **Clients are made where they are used** (`admin_client`, `client`, `h2` …): they belong to the runtime of
//!   the test that made them.
//! - **Hurting a server** (stop, kill, pause, other flags): start one, `lab.start_member("t2-victim")`,
//!   `lab.start_hub(…)`, three seconds each on the shared etcd; `with_own_etcd()` when it is etcd that is hurt.
//! - **Hurting a gateway, or other flags**: `Gateway::start(hub, GatewayOptions::new(hub, "t3-secrets"))` with a
//!   Secret namespace of its own. It need not be behind the hub: [`lab::Gateway::front_proxy`] talks to it just as
//!   a hub does. A hub has one APIService for the group; who wants a second gateway behind one starts a hub.
//! - **What a cluster sees**: an [`echo::Echo`] registered with [`lab::Registration::x509`]; it answers with the
//!   request and [`echo::Plan`] lists what else it can be asked to do.
//! - **How a cluster's connections fail**: a [`relay::Relay`] before it cuts or freezes them, the echo's
//!   [`echo::EchoOptions::idle`] closes them, its switch `stale` hangs up instead of answering.
//! - **Pods**: [`lab::Node`] (kwok) runs them with real exec, port-forward and logs; [`lab::Kubelet`], a stand-in over
//!   kubelet's own stream packages, does what kwok does not: attach with stdin, exit codes, the end of stdin. Its
//!   commands run on this machine.
//! - **kubectl**: of the control planes' version, or [`lab::Kubectl::old`]; [`lab::Kubectl::protocol`] chooses SPDY or
//!   WebSocket for streams; [`lab::Terminal`] is one for `exec -it`. Many exec sessions of client-go at once are
//!   `e2e/clients/streams`, load beside them [`lab::Burners`].
//! - **Something between gateway and cluster**: [`lab::ForwardProxy`] (CONNECT, SOCKS5; user and password; counts
//!   connections and knows names that nobody else does) and [`lab::Konnectivity`] (server and agent, both modes, port
//!   or Unix socket). Konnectivity takes root: its agent has a mount namespace with its own `/etc/hosts`, and finds
//!   clusters on port 443 of loopback addresses of their own.
//! - **What Prometheus makes of it**: [`lab::Prometheus`] scrapes with any configuration and is asked by
//!   expressions, [`lab::promtool`] checks. Debian's package `prometheus`; `make test` installs it.
//! - **Waiting**: [`lab::until`] with a deadline, never a sleep.
//! - **Minutes**: a long test is `#[ignore = "long: what it does"]` and runs with `make test-long`.
//! - **Looking**: `LAB_KEEP=1` keeps logs and kubeconfigs under `/tmp/cluster-gateway-lab-*`.

pub mod client;
pub mod echo;
pub mod lab;
pub mod quickstart;
pub mod relay;
