//! The lab's own proxies, without a gateway: what tests of the gateway take for granted.

use std::time::Duration;

use anyhow::ensure;
use e2e::client::HttpsClient;
use e2e::lab::konnectivity::{Frontend, Mode};
use e2e::lab::{ForwardProxy, Konnectivity, ProxyKind, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::place::place;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn forward_proxies_know_names_ask_for_a_password_and_tell_of_connections() {
    let place = place().await;
    let (target, address) = place.known();
    for kind in [ProxyKind::Connect, ProxyKind::Socks5] {
        let proxy = ForwardProxy::start(kind, &[(&target, address)]).await.unwrap();
        let name = format!("streams-lab-{kind:?}");
        let kubectl = place.member.kubectl(&name, &["system:masters"]).unwrap();
        let kubectl = kubectl.server(&format!("https://{target}"));
        let through = async |url: &str| {
            kubectl.ok(&["config", "set-cluster", "streams", &format!("--proxy-url={url}")]).await.unwrap();
            kubectl.run(&["get", "--raw", "/readyz"]).await.unwrap()
        };
        let output = through(&proxy.url()).await;
        assert!(output.success() && output.stdout == "ok", "{kind:?}: {output:?}");
        assert_eq!((proxy.dialed(&target), proxy.refused()), (1, 0), "{kind:?}");
        until("the connection's end", SOON, || async {
            ensure!(proxy.live(&target) == 0, "{} are open", proxy.live(&target));
            Ok(())
        })
        .await
        .unwrap();
        assert!(!through(&proxy.wrong_url()).await.success(), "{kind:?}");
        assert!(proxy.refused() >= 1 && proxy.dialed(&target) == 1, "{kind:?}");
    }
}

#[tokio::test]
async fn konnectivity_leads_to_port_443_of_a_name_that_only_its_agent_knows() {
    let place = place().await;
    let clusters = [("streams-by-name", place.member.port())];
    let mode = (Mode::HttpConnect, Frontend::MutualTls);
    let konnectivity = Konnectivity::start(mode.0, mode.1, &clusters).await.unwrap();
    let (address, authority, identity) = konnectivity.tls_frontend().unwrap();
    let client = HttpsClient::new(address, "localhost", &authority, Some(&identity)).unwrap();
    let request = "CONNECT streams-by-name:443 HTTP/1.1\r\nHost: streams-by-name:443\r\n\r\n";
    let mut tunnel = client.tls(&["http/1.1"]).await.unwrap();
    tunnel.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 13];
    tunnel.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 200 ");
    let relay = konnectivity.to_cluster("streams-by-name").unwrap();
    let open = async |number: usize| {
        until("as many connections as tunnels", SOON, || async {
            let own = "konnectivity_network_proxy_agent_open_endpoint_connections";
            let (agent, relay) = (konnectivity.agent_metric(own).await?, relay.live());
            ensure!(agent == number as f64 && relay == number, "{agent} and {relay}");
            Ok(())
        })
        .await
        .unwrap();
    };
    open(1).await;
    drop(tunnel);
    open(0).await;
    assert_eq!(relay.accepted(), 1);
}
