//! The lab's own proxies, without a gateway: what tests of the gateway take for granted.

use std::time::Duration;

use e2e::client::HttpsClient;
use e2e::lab::konnectivity::{Frontend, Mode};
use e2e::lab::{ForwardProxy, Konnectivity, ProxyKind, until};

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
            anyhow::ensure!(proxy.live(&target) == 0, "{} are open", proxy.live(&target));
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
    let answer = client.raw(request.as_bytes(), Duration::from_secs(2)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    let relay = konnectivity.to_cluster("streams-by-name").unwrap();
    assert_eq!(relay.accepted(), 1);
    until("nothing to be open", SOON, || async {
        let open = konnectivity.agent_metric("konnectivity_network_proxy_agent_open_endpoint_connections");
        anyhow::ensure!(open.await? == 0.0 && relay.live() == 0, "something is");
        Ok(())
    })
    .await
    .unwrap();
}
