//! Certificates, keys and authorities are replaced while everything runs: new ones work, old ones stop working,
//! on live connections and resumed TLS sessions too, and nothing is restarted.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::client::{Answer, H2, HttpsClient, empty};
use e2e::echo::{Echo, EchoOptions, Received};
use e2e::lab::pki::write_file;
use e2e::lab::{
    Authority, ControlPlaneOptions, Exposure, Gateway, GatewayOptions, Identity, Login, Registration, shared,
    until, whoami,
};
use http::Request;
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DeleteParams;
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::identity::GATEWAYS;

/// Files are looked at once a second, the hub's ConfigMap is watched.
const SOON: Duration = Duration::from_secs(30);

async fn admin(gateway: &Gateway) -> H2 {
    gateway.front_proxy("t3-admin", &["system:masters"]).unwrap().h2().await.unwrap()
}

#[tokio::test]
async fn a_member_with_a_new_authority_is_reached_with_a_new_secret_and_not_with_the_old_one() {
    let lab = shared().await;
    let hub = lab.hub();
    let member = lab.start_member("t3-rotated").await.unwrap();
    let gateway = Gateway::start(hub, GatewayOptions::new(hub, "t3-rotation")).await.unwrap();
    let (pid, secrets) = (gateway.process().pid(), hub.admin_client().await.unwrap());
    let connection = admin(&gateway).await;
    let path = format!("{GATEWAYS}/t3-rotated/proxy/api/v1/namespaces/default/configmaps/whoami");
    let answers = |code: u16, says: &'static str| {
        let (connection, path) = (&connection, &path);
        until(says, SOON, move || async move {
            let answer = connection.get(path).await?;
            ensure!(
                answer.status == code && answer.text().contains(says),
                "{}: {}",
                answer.status,
                answer.text()
            );
            Ok(answer)
        })
    };
    let old = Registration::member("t3-rotation", &member).unwrap();
    old.apply(&secrets).await.unwrap();
    answers(200, "t3-rotated").await.unwrap();

    member.replace_authority().unwrap();
    member.restart().await.unwrap();
    let refused = answers(502, "is not trusted").await.unwrap();
    let message = refused.json().unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("\"t3-rotated\"") && message.contains("ca.crt"), "{message}");
    // The new CA with the old client certificate: now it is the member that refuses.
    let half = old.clone().data("ca.crt", member.ca_pem());
    half.apply(&secrets).await.unwrap();
    answers(502, "credential").await.unwrap();
    Registration::member("t3-rotation", &member).unwrap().apply(&secrets).await.unwrap();
    answers(200, "t3-rotated").await.unwrap();
    assert_eq!((gateway.process().pid(), gateway.process().exit()), (pid, None));
}

/// A cluster that says which certificate and token it was shown; it trusts one authority.
struct Told {
    echo: Echo,
    authority: Authority,
    gateway: Gateway,
    secrets: kube::Client,
    connection: H2,
}

impl Told {
    const NAME: &str = "t3-told";

    async fn start(namespace: &str) -> Self {
        let hub = shared().await.hub();
        let authority = Authority::new("t3-clients").unwrap();
        let echo = Echo::start(EchoOptions::default().client_ca(authority.pem())).unwrap();
        let gateway = Gateway::start(hub, GatewayOptions::new(hub, namespace)).await.unwrap();
        let (secrets, connection) = (hub.admin_client().await.unwrap(), admin(&gateway).await);
        Self { echo, authority, gateway, secrets, connection }
    }

    fn client(&self, name: &str) -> Identity {
        self.authority.client(name, &[]).unwrap()
    }

    fn registration(&self, identity: &Identity) -> Registration {
        let namespace = &self.gateway.options().namespace;
        Registration::x509(namespace, Self::NAME, &self.echo.url(), self.echo.ca_pem(), identity)
    }

    async fn ask(&self, query: &str) -> Result<Answer> {
        self.connection.get(&format!("{GATEWAYS}/{}/proxy/x{query}", Self::NAME)).await
    }

    async fn shown(&self) -> Result<Received> {
        let answer = self.ask("").await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
        Received::parse(&answer.body)
    }

    async fn is_shown(&self, name: &str) {
        until(name, SOON, || async {
            let client = self.shown().await?.client;
            ensure!(client.as_deref() == Some(name), "it was shown {client:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn no_connection_or_session_of_an_old_client_certificate_is_used_after_a_change() {
    let told = Told::start("t3-client-certificate").await;
    told.registration(&told.client("t3-old")).apply(&told.secrets).await.unwrap();
    told.is_shown("t3-old").await;
    // A stream that runs goes on over the connection that it has.
    let watch = Request::get(format!("{GATEWAYS}/{}/proxy/x?watch=20", Told::NAME)).body(empty()).unwrap();
    let mut watch = told.connection.send(watch).await.unwrap().into_body();
    watch.frame().await.unwrap().unwrap();
    told.registration(&told.client("t3-new")).apply(&told.secrets).await.unwrap();
    told.is_shown("t3-new").await;
    // From then on never the old one, though its connection lives and its session could be resumed.
    for _ in 0..50 {
        assert_eq!(told.shown().await.unwrap().client.as_deref(), Some("t3-new"));
    }
    for _ in 0..3 {
        watch.frame().await.expect("the watch was ended").expect("the watch was cut");
    }
}

#[tokio::test]
async fn a_cluster_whose_certificate_the_new_ca_does_not_vouch_for_is_not_asked_any_more() {
    let told = Told::start("t3-cluster-ca").await;
    let good = told.registration(&told.client("t3-same"));
    good.apply(&told.secrets).await.unwrap();
    told.is_shown("t3-same").await;
    let stranger = Authority::new("echo-ca").unwrap();
    good.clone().data("ca.crt", stranger.pem()).apply(&told.secrets).await.unwrap();
    until("no more answers", SOON, || async {
        let answer = told.ask("").await?;
        ensure!(answer.status == 502 && answer.text().contains("not trusted"), "{}", answer.text());
        Ok(())
    })
    .await
    .unwrap();
    let before = told.echo.received().len();
    for _ in 0..20 {
        assert_eq!(told.ask("").await.unwrap().status, 502);
    }
    assert_eq!(told.echo.received().len(), before);
    good.apply(&told.secrets).await.unwrap();
    told.is_shown("t3-same").await;
}

#[tokio::test]
async fn a_new_token_is_shown_and_a_broken_secret_leaves_the_last_good_one() {
    let told = Told::start("t3-token").await;
    // The other one wants a certificate.
    let echo = Echo::start(EchoOptions::default()).unwrap();
    let token = |token: &str| Registration::token("t3-token", Told::NAME, &echo.url(), echo.ca_pem(), token);
    let shown = |expected: &'static str| {
        let told = &told;
        until(expected, SOON, move || async move {
            let received = told.shown().await?;
            let shown = received.header("authorization");
            ensure!(shown == [format!("Bearer {expected}")], "{shown:?}");
            Ok(())
        })
    };
    token("t3-first").apply(&told.secrets).await.unwrap();
    shown("t3-first").await.unwrap();
    token("t3-second").apply(&told.secrets).await.unwrap();
    shown("t3-second").await.unwrap();
    for _ in 0..20 {
        assert_eq!(told.shown().await.unwrap().header("authorization"), ["Bearer t3-second"]);
    }
    token("t3-third").data("ca.crt", "no PEM").apply(&told.secrets).await.unwrap();
    until("a word about the broken Secret", SOON, || async {
        let logs = told.gateway.logs();
        ensure!(logs.lines().any(|line| line.contains("WARN") && line.contains("ca.crt")), "{logs}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(told.shown().await.unwrap().header("authorization"), ["Bearer t3-second"]);
    assert!(!told.gateway.logs().contains("t3-third"));
}

#[tokio::test]
async fn the_serving_certificate_is_replaced_by_its_files_and_bad_files_change_nothing() {
    let hub = shared().await.hub();
    let gateway = Gateway::start(hub, GatewayOptions::new(hub, "t3-serving")).await.unwrap();
    let pid = gateway.process().pid();
    let old = gateway.anonymous().unwrap();
    let authority = Authority::new("t3-new-serving-ca").unwrap();
    let names = ["cluster-gateway.t3-serving.svc", "localhost", "127.0.0.1"];
    let new = HttpsClient::new(gateway.address(), "localhost", authority.pem(), None).unwrap();
    let live = old.h2().await.unwrap();
    let says = |text: &'static str| {
        let gateway = &gateway;
        until(text, SOON, move || async move {
            let logs = gateway.logs();
            ensure!(logs.lines().any(|line| line.contains("WARN") && line.contains(text)), "{logs}");
            Ok(())
        })
    };
    // A key that does not fit, then no key at all, then half a certificate.
    let stray = authority.server(&names).unwrap();
    write_file(&gateway.folder().join("tls.key"), &stray.key).unwrap();
    says("does not match").await.unwrap();
    std::fs::remove_file(gateway.folder().join("tls.key")).unwrap();
    says("No such file").await.unwrap();
    assert!(old.tls(&["h2"]).await.is_ok());
    assert!(new.tls(&["h2"]).await.is_err());

    let identity = authority.server(&names).unwrap();
    identity.write(gateway.folder(), "tls").unwrap();
    until("the new certificate", SOON, || new.tls(&["h2"])).await.unwrap();
    // Somebody who has no session to resume, and trusts the old authority alone.
    let error = gateway.anonymous().unwrap().tls(&["h2"]).await.err().context("the old one is still shown");
    assert!(format!("{:#}", error.unwrap()).contains("UnknownIssuer"));
    // Who is connected stays so.
    assert_eq!(live.get("/readyz").await.unwrap().status, 200);
    assert_eq!((gateway.process().pid(), gateway.process().exit()), (pid, None));
}

/// An HTTP/1.1 request over a resumed TLS session of a client; gives the status code.
async fn resumed(client: &HttpsClient, path: &str) -> Result<u16> {
    let mut stream = client.tls(&["http/1.1"]).await?;
    ensure!(
        stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed),
        "the session was not resumed: {:?}",
        stream.get_ref().1.handshake_kind()
    );
    let request = format!("GET {path} HTTP/1.1\r\n{}\r\n", client.header_lines());
    stream.write_all(request.as_bytes()).await?;
    let mut head = [0_u8; 12];
    tokio::time::timeout(SOON, stream.read_exact(&mut head)).await??;
    // "HTTP/1.1 200"
    Ok(std::str::from_utf8(&head[9..])?.parse()?)
}

/// A client as `system:masters` through this front proxy, its identity and what is known of it.
fn through(gateway: &Gateway, identity: &Identity) -> HttpsClient {
    HttpsClient::new(gateway.address(), "localhost", gateway.ca_pem(), Some(identity))
        .unwrap()
        .header("X-Remote-User", "t3-admin")
        .unwrap()
        .header("X-Remote-Group", "system:masters")
        .unwrap()
}

#[tokio::test]
async fn authorities_of_callers_are_replaced_by_their_files_and_the_old_ones_are_refused_at_once() {
    let hub = shared().await.hub();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    // All of one name: only their keys tell them apart.
    let [old_proxy, new_proxy, old, new] = [(); 4].map(|()| Authority::new("t3-callers").unwrap());
    write_file(&file("proxy.crt"), old_proxy.pem()).unwrap();
    write_file(&file("client.crt"), old.pem()).unwrap();
    let options = GatewayOptions::new(hub, "t3-callers")
        .flag(&format!("--requestheader-client-ca-file={}", file("proxy.crt").display()))
        .flag("--requestheader-allowed-names=t3-proxy")
        .flag(&format!("--client-ca-file={}", file("client.crt").display()));
    let gateway = Gateway::start_unready(hub, options).await.unwrap();
    gateway
        .process()
        .wait_ready(Duration::from_secs(60), || async {
            let answer = gateway.anonymous()?.h1().await?.get("/readyz").await?;
            ensure!(answer.status == 200, "{}", answer.text());
            Ok(())
        })
        .await
        .unwrap();
    let proxied = |authority: &Authority| through(&gateway, &authority.client("t3-proxy", &[]).unwrap());
    let direct = |authority: &Authority| {
        let identity = authority.client("t3-someone", &["system:masters"]).unwrap();
        HttpsClient::new(gateway.address(), "localhost", gateway.ca_pem(), Some(&identity)).unwrap()
    };
    for (name, pem, old_client, new_client) in [
        ("proxy.crt", new_proxy.pem(), proxied(&old_proxy), proxied(&new_proxy)),
        ("client.crt", new.pem(), direct(&old), direct(&new)),
    ] {
        let live = old_client.h2().await.unwrap();
        let code = |connection: H2| async move { connection.get(GATEWAYS).await.map(|answer| answer.status) };
        assert_eq!(code(live.clone()).await.unwrap(), 200);
        assert_eq!(old_client.h1().await.unwrap().get(GATEWAYS).await.unwrap().status, 200);
        assert_eq!(resumed(&old_client, GATEWAYS).await.unwrap(), 200);
        let early = new_client.h2().await.unwrap();
        assert_eq!(code(early.clone()).await.unwrap(), 401);
        // A bad file changes nothing.
        write_file(&file(name), "no PEM").unwrap();
        until("a word about the bad file", SOON, || async {
            let logs = gateway.logs();
            let kept =
                |line: &str| line.contains("WARN") && line.contains("the last good one stays in force");
            ensure!(
                logs.lines().filter(|line| kept(line)).count() > usize::from(name == "client.crt"),
                "{logs}"
            );
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(code(live.clone()).await.unwrap(), 200);

        write_file(&file(name), pem).unwrap();
        until("the old authority refused on its live connection", SOON, || async {
            ensure!(code(live.clone()).await? == 401);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(resumed(&old_client, GATEWAYS).await.unwrap(), 401);
        assert_eq!(old_client.h1().await.unwrap().get(GATEWAYS).await.unwrap().status, 401);
        // A chain is judged anew for the connection that was there before it was trusted.
        assert_eq!(code(early).await.unwrap(), 200);
        assert_eq!(new_client.h1().await.unwrap().get(GATEWAYS).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_hub_that_changes_its_front_proxy_is_served_on_and_the_old_one_is_refused() {
    let lab = shared().await;
    let hub = lab.start_control_plane(ControlPlaneOptions::hub("t3-front-proxy")).await.unwrap();
    let gateway = Gateway::start(&hub, GatewayOptions::new(&hub, "t3-front-proxy")).await.unwrap();
    let pid = gateway.process().pid();
    let member = lab.member(0);
    let client = hub.admin_client().await.unwrap();
    Registration::member("t3-front-proxy", member).unwrap().apply(&client).await.unwrap();
    gateway.expose(&hub, Exposure::ExternalName).await.unwrap();
    let old = through(&gateway, &hub.front_proxy().unwrap().client);
    let live = old.h2().await.unwrap();
    assert_eq!(live.get(GATEWAYS).await.unwrap().status, 200);
    assert_eq!(old.h1().await.unwrap().get(GATEWAYS).await.unwrap().status, 200);

    let authority = Authority::new("t3-front-proxy-ca-2").unwrap();
    write_file(&hub.folder().join("front-proxy-ca.crt"), authority.pem()).unwrap();
    authority.client("front-proxy-client", &[]).unwrap().write(hub.folder(), "front-proxy-client").unwrap();
    hub.restart().await.unwrap();
    // The hub adds its authority to those that the ConfigMap has; an admin takes the old one out.
    let client = hub.admin_client().await.unwrap();
    let maps: kube::Api<ConfigMap> = kube::Api::namespaced(client, "kube-system");
    let name = "extension-apiserver-authentication";
    maps.delete(name, &DeleteParams::default()).await.unwrap();
    until("the old front proxy refused on its live connection", Duration::from_secs(90), || async {
        let answer = live.get(GATEWAYS).await?;
        ensure!(answer.status == 401, "{}", answer.status);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(resumed(&old, GATEWAYS).await.unwrap(), 401);
    let through = hub.client_through(member.name(), &Login::Certificate(hub.admin())).await.unwrap();
    let answered = until("the hub's own way", Duration::from_secs(60), || whoami(&through)).await.unwrap();
    assert_eq!(answered, member.name());
    assert_eq!((gateway.process().pid(), gateway.process().exit()), (pid, None));
}
