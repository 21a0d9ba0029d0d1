//! No token, key or password that a caller, a cluster or a Secret shows is anywhere to be seen: in logs at the
//! highest verbosity, in metrics, in what the API shows, in errors.

use std::path::Path;
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
    let plugins = tempfile::tempdir().unwrap();
    let commands = plugins.path().join("plugin").display().to_string();
    let options = GatewayOptions::new(hub, namespace)
        .flag("-v=10")
        .flag(&format!("--exec-allowed={commands}"))
        .flag(&format!("--credential-dir={}", plugins.path().display()))
        .flag(&format!("--operations-address=127.0.0.1:{port}"));
    write_plugin(Path::new(&commands));
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
        "t3-exec-environment",
        "t3-exec-garbage",
        "t3-secret-in-a-file",
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

    std::fs::write(plugins.path().join("token"), &member_token).unwrap();
    std::fs::write(plugins.path().join("words"), format!("{} and more", texts[7])).unwrap();
    std::fs::write(plugins.path().join("tls.key"), &client_identity.key).unwrap();
    std::fs::write(plugins.path().join("tls.crt"), &client_identity.cert).unwrap();
    let exec = |name: &str, action: &str, argument: &str| {
        let config = serde_json::json!({
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": commands,
            "args": [action, argument],
            "env": [{"name": "T3_SECRET", "value": texts[5]}],
            "provideClusterInfo": true,
        });
        Registration::dynamic(namespace, name, &member.url(), &member.ca_pem(), &config.to_string())
    };
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
        exec("exec-token", "token", &member_token),
        exec("exec-refused", "token", texts[1]),
        exec("exec-fails", "fail", &member_token),
        exec("exec-traced", "trace", &member_token),
        exec("exec-garbage", "print", texts[6]),
        exec("exec-token-garbage", "token", &format!("{} and more", texts[6])),
        exec("exec-no-json", "token", "x").data("exec", format!("{{\"command\":{}", texts[5])),
        exec("exec-variable", "token", "x").data(
            "exec",
            format!(
                r#"{{"apiVersion":"client.authentication.k8s.io/v1","command":"x","env":[{{"value":"{}"}}]}}"#,
                texts[5]
            ),
        ),
        Registration::token_file(namespace, "file", &url, &ca, "token"),
        Registration::token_file(namespace, "file-words", &url, &ca, "words"),
        Registration::token_file(namespace, "token-as-path", &url, &ca, &member_token),
        Registration::certificate_files(namespace, "files", &url, &ca, ("tls.crt", "tls.key")),
        Registration::certificate_files(namespace, "files-mixed-up", &url, &ca, ("tls.key", "tls.crt")),
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
        ("exec-token", 200),
        ("exec-refused", 502),
        ("exec-fails", 503),
        ("exec-traced", 503),
        ("exec-garbage", 503),
        ("exec-token-garbage", 503),
        ("exec-no-json", 503),
        ("exec-variable", 503),
        ("file", 200),
        ("file-words", 503),
        ("token-as-path", 503),
        ("files", 200),
        ("files-mixed-up", 503),
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
    assert!(logs.contains("my last words"), "{logs}");
    seen.push(("the log".to_owned(), logs));
    for (place, text) in &seen {
        for secret in &hidden {
            let line = text.lines().find(|line| line.contains(secret.as_str()));
            assert!(line.is_none(), "{place} shows {secret:?}: {}", line.unwrap_or_default());
        }
    }
    eprintln!("looked for {} secrets in {} places", hidden.len(), seen.len());
}

/// A command that shows its second argument in one way or another.
fn write_plugin(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let script = r#"#!/bin/sh
credential='{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}'
case $1 in
  token) printf "$credential" "$2" ;;
  print) echo "$2" ;;
  fail) printf "$credential" "$2"; echo "my last words: $2 $T3_SECRET $KUBERNETES_EXEC_INFO" >&2; exit 1 ;;
  trace) set -x; printf "$credential" "$2"; echo "$T3_SECRET" >/dev/null; exit 1 ;;
esac
"#;
    let new = path.with_extension("new");
    std::fs::write(&new, script).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(new, path).unwrap();
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}
