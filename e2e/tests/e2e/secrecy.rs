//! No token, key or password that a caller, a cluster or a Secret shows is anywhere to be seen: in logs at the
//! highest verbosity, in metrics, in what the API shows, in errors.

use std::time::Duration;

use anyhow::ensure;
use e2e::client::HttpsClient;
use e2e::lab::ports::free_port;
use e2e::lab::{Authority, Gateway, GatewayOptions, Registration, rule, shared, until};

use crate::identity::{GATEWAYS, proxy};
use crate::operations::{get, plain};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn no_secret_is_in_logs_metrics_or_errors_at_the_highest_verbosity() {
    let lab = shared().await;
    let (hub, member, namespace) = (lab.hub(), lab.member(0), "t3-secrets");
    let port = free_port().unwrap();
    let options = GatewayOptions::new(hub, namespace)
        .flag("-v=10")
        .flag(&format!("--operations-address=127.0.0.1:{port}"));
    let gateway = Gateway::start(hub, options).await.unwrap();
    let secrets = hub.admin_client().await.unwrap();
    // What must not be seen: whole tokens, and each line of a key, as it is and as base64 of the file.
    let mut hidden: Vec<String> = Vec::new();
    let callers = hub.service_account_token(namespace, "caller", None).await.unwrap();
    let member_token = member.service_account_token("t3-secrets", "gateway", None).await.unwrap();
    member
        .grant(
            "t3-secrets",
            e2e::lab::service_account("t3-secrets", "gateway"),
            vec![rule("", "configmaps", &["get"])],
        )
        .await
        .unwrap();
    hub.grant("t3-secrets", e2e::lab::service_account(namespace, "caller"), proxy(&["get"])).await.unwrap();
    let client_identity = member.issue("t3-secrets", &["system:masters"]).unwrap();
    let [stray, wrong_ca] = [Authority::new("t3-stray").unwrap(), Authority::new("t3-stray").unwrap()];
    let stray = stray.client("t3-stray", &["system:masters"]).unwrap();
    hidden.extend([callers.clone(), member_token.clone()]);
    let texts = [
        "t3-bad-token-of-a-caller",
        "t3-bad-token-of-a-cluster",
        "t3-token\u{7}with-a-bell",
        "t3-password",
        "t3-exec-secret",
    ];
    hidden.extend(texts.map(str::to_owned));
    // A log escapes the bell.
    hidden.push("with-a-bell".to_owned());
    let serving = std::fs::read_to_string(gateway.folder().join("tls.key")).unwrap();
    let front_proxy = hub.front_proxy().unwrap().client.key.clone();
    for key in [&client_identity.key, &stray.key, &serving, &front_proxy, &hub.admin().key] {
        hidden
            .extend(key.lines().filter(|line| line.len() > 20 && !line.starts_with('-')).map(str::to_owned));
        let encoded = base64_of(key);
        hidden.extend(encoded.as_bytes().chunks(60).map(|chunk| String::from_utf8_lossy(chunk).into_owned()));
    }
    hidden.retain(|secret| secret.len() > 10);

    let (url, ca) = (member.url(), member.ca_pem());
    let x509 = |name: &str, identity| Registration::x509(namespace, name, &url, &ca, identity);
    let token = |name: &str, token: &str| Registration::token(namespace, name, &url, &ca, token);
    for registration in [
        x509("x509", &client_identity),
        token("token", &member_token),
        token("bad-token", texts[1]),
        token("odd-token", texts[2]),
        x509("stray", &stray),
        x509("wrong-ca", &client_identity).data("ca.crt", wrong_ca.pem()),
        x509("mixed-up", &client_identity)
            .data("tls.crt", &client_identity.key)
            .data("tls.key", &client_identity.cert),
        x509("mismatch", &client_identity).data("tls.key", &stray.key),
        x509("key-as-ca", &client_identity).data("ca.crt", &client_identity.key),
        token("key-as-endpoint", &member_token).data("endpoint", &client_identity.key),
        token("user-in-endpoint", &member_token)
            .data("endpoint", format!("https://t3:{}@127.0.0.1:1", texts[3])),
        token("unreachable", &member_token).data("endpoint", "https://127.0.0.1:1"),
        token("token-as-endpoint", &member_token).data("endpoint", &member_token),
        token("dynamic", &member_token)
            .label("cluster.core.oam.dev/cluster-credential-type", "Dynamic")
            .data(
                "exec",
                format!(
                    r#"{{"apiVersion":"client.authentication.k8s.io/v1","command":"x","args":["{}"]}}"#,
                    texts[4]
                ),
            ),
        token("label", &member_token).label("cluster.core.oam.dev/cluster-endpoint-type", "t3-nonsense"),
    ] {
        registration.apply(&secrets).await.unwrap();
    }
    let caller = gateway.anonymous().unwrap().bearer(&callers).unwrap();
    let mut seen = Vec::new();
    until("the last cluster", SOON, || async {
        let answer = get(&caller, &format!("{GATEWAYS}/label/proxy/api")).await;
        ensure!(answer.status == 503, "{}: {}", answer.status, answer.text());
        Ok(())
    })
    .await
    .unwrap();
    let whoami = "proxy/api/v1/namespaces/default/configmaps/whoami";
    for (name, code) in [
        ("x509", 200),
        ("token", 200),
        ("bad-token", 502),
        ("odd-token", 503),
        ("stray", 502),
        ("wrong-ca", 502),
        ("mixed-up", 503),
        ("mismatch", 503),
        ("key-as-ca", 503),
        ("key-as-endpoint", 503),
        ("user-in-endpoint", 503),
        ("unreachable", 503),
        ("token-as-endpoint", 503),
        ("dynamic", 503),
        ("label", 503),
        ("none", 404),
    ] {
        let answer = get(&caller, &format!("{GATEWAYS}/{name}/{whoami}")).await;
        assert_eq!(answer.status, code, "{name}: {}", answer.text());
        if code != 200 {
            let status = answer.json().unwrap();
            let message = status["message"].as_str().unwrap();
            assert!(status["kind"] == "Status" && message.contains(name), "{name}: {status}");
        }
        seen.push((format!("the answer of {name}"), answer.text()));
    }
    let anonymous = gateway.anonymous().unwrap();
    let protocol = |token: &str| {
        use base64::Engine as _;
        let token = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(token);
        format!("base64url.bearer.authorization.k8s.io.{token}, v4.channel.k8s.io")
    };
    hidden.push(protocol(&callers).split(',').next().unwrap().to_owned());
    let exec = format!("{GATEWAYS}/token/proxy/api/v1/namespaces/default/pods/x/exec");
    for client in [
        anonymous.clone().bearer(texts[0]).unwrap(),
        anonymous.clone().header("authorization", &format!("Basic {}", texts[0])).unwrap(),
        anonymous
            .clone()
            .header("connection", "Upgrade")
            .unwrap()
            .header("upgrade", "websocket")
            .unwrap()
            .header("sec-websocket-version", "13")
            .unwrap()
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .unwrap()
            .header("sec-websocket-protocol", &protocol(&callers))
            .unwrap(),
        HttpsClient::new(gateway.address(), "localhost", gateway.ca_pem(), Some(&stray)).unwrap(),
    ] {
        let answer = get(&client, &exec).await;
        assert!(answer.status >= 400, "{}", answer.text());
        seen.push(("an error".to_owned(), answer.text()));
    }
    let admin = gateway.front_proxy("t3-admin", &["system:masters"]).unwrap();
    seen.push(("the list".to_owned(), get(&admin, GATEWAYS).await.text()));
    seen.push(("metrics".to_owned(), plain(port, "/metrics").await.unwrap().1));
    seen.push(("openapi".to_owned(), get(&admin, "/openapi/v3").await.text()));
    assert!(gateway.stop(SOON * 2).await.unwrap().success());
    let logs = gateway.logs();
    assert!(logs.contains(" TRACE ") || logs.contains(" DEBUG "), "nothing was verbose:\n{logs}");
    assert!(logs.contains("mismatch"), "{logs}");
    seen.push(("the log".to_owned(), logs));
    for (place, text) in &seen {
        for secret in &hidden {
            let line = text.lines().find(|line| line.contains(secret.as_str()));
            assert!(line.is_none(), "{place} shows {secret:?}: {}", line.unwrap_or_default());
        }
    }
    eprintln!("looked for {} secrets in {} places", hidden.len(), seen.len());
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}
