//! What somebody with kubectl sees: both members through the hub, and no more than RBAC allows.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::client::{Answer, HttpsClient, bytes};
use e2e::lab::gateway::API_SERVICE;
use e2e::lab::kubectl::Output;
use e2e::lab::{
    ControlPlane, Kubectl, Node, Process, Registration, SHARED_NAMESPACE, rule, shared, shared_gateway,
    until, user,
};
use http::Request;
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::{Value, json};

const GROUP: &str = "cluster.core.oam.dev";
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_apiservice_is_available_and_kubectl_discovers_the_resource() {
    let (lab, _) = (shared().await, shared_gateway().await);
    let kubectl = lab.hub().admin_kubectl();
    let condition = "jsonpath={.status.conditions[?(@.type=='Available')]['status','reason']} {.spec.insecureSkipTLSVerify}";
    // Not skipping: the hub verifies the gateway's certificate by the caBundle.
    let said = kubectl.ok(&["get", "apiservice", API_SERVICE, "-o", condition]).await.unwrap();
    assert_eq!(said, "True Passed ");
    let resources = ["api-resources", "--no-headers", "--cached=false"];
    let group = format!("--api-group={GROUP}");
    let said = kubectl.ok(&[&resources[..], &[&group]].concat()).await.unwrap();
    let line = said.lines().find(|line| line.starts_with("clustergateways ")).unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        words,
        ["clustergateways", "cg", "cluster.core.oam.dev/v1alpha1", "false", "ClusterGateway"],
        "{said}"
    );
}

#[tokio::test]
async fn clustergateways_are_listed_and_no_credential_is_shown() {
    let (lab, _) = (shared().await, shared_gateway().await);
    let hub = lab.hub();
    let admin = hub.admin_client().await.unwrap();
    let token = lab.member(1).service_account_token("kubectl-reads", "shown", None).await.unwrap();
    let member = lab.member(1);
    let by_token =
        Registration::token(SHARED_NAMESPACE, "kubectl-token", &member.url(), &member.ca_pem(), &token);
    by_token.apply(&admin).await.unwrap();
    hub.grant(
        "kubectl-reader",
        user("kubectl-reader"),
        vec![rule(GROUP, "clustergateways", &["get", "list"])],
    )
    .await
    .unwrap();
    let kubectl = hub.kubectl("kubectl-reader", &[]).unwrap();

    let table = until("three clusters", SOON, || async {
        let table = kubectl.ok(&["get", "clustergateways"]).await?;
        ensure!(["kubectl-token", "member-0", "member-1"].iter().all(|name| table.contains(name)), "{table}");
        Ok(table)
    })
    .await
    .unwrap();
    let head: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(head[..5], ["NAME", "PROVIDER", "CREDENTIAL-TYPE", "ENDPOINT-TYPE", "HEALTHY"], "{table}");
    let row = table.lines().find(|line| line.starts_with("kubectl-token ")).unwrap_or_default();
    assert!(row.contains("ServiceAccountToken") && row.contains("Const"), "{table}");
    let row = table.lines().find(|line| line.starts_with("member-0 ")).unwrap_or_default();
    assert!(row.contains("X509Certificate"), "{table}");

    let list = kubectl.ok(&["get", "clustergateways", "-o", "json"]).await.unwrap();
    let one = kubectl.ok(&["get", "clustergateway", "kubectl-token", "-o", "yaml"]).await.unwrap();
    for (index, registration) in [(0, "member-0"), (1, "member-1")] {
        let gateway = item(&list, registration).unwrap();
        let access = &gateway["spec"]["access"];
        assert_eq!(access["endpoint"]["const"]["address"], json!(lab.member(index).url()), "{gateway}");
        assert_eq!(access["credential"]["type"], "X509Certificate", "{gateway}");
        assert!(gateway["status"]["healthy"].is_boolean(), "{gateway}");
    }
    assert!(one.contains("type: ServiceAccountToken"), "{one}");
    for secret in secrets(hub).await.unwrap() {
        assert!(!list.contains(&secret) && !one.contains(&secret), "a credential is shown: {list}");
    }
    by_token.delete(&admin).await.unwrap();
}

#[tokio::test]
async fn kubectl_works_on_both_members_with_just_the_rights_for_it() {
    let (lab, _) = (shared().await, shared_gateway().await);
    let hub = lab.hub();
    let proxy = rule(GROUP, "clustergateways/proxy", &["get", "create", "update", "patch", "delete"]);
    let names = vec!["member-0".to_owned(), "member-1".to_owned()];
    hub.grant(
        "kubectl-user",
        user("kubectl-user"),
        vec![PolicyRule { resource_names: Some(names), ..proxy }],
    )
    .await
    .unwrap();
    let own;
    let nodes: [&Node; 2] = {
        own = lab.start_node(lab.member(1), "kubectl-node").await.unwrap();
        [lab.node(0), &own]
    };
    for (member, node) in lab.members().iter().zip(nodes) {
        let kubectl = hub.kubectl("kubectl-user", &[]).unwrap().server(&hub.proxy_url(member.name()));
        let name = kubectl.ok(&["get", "configmap", "whoami", "-o", "jsonpath={.data.name}"]).await.unwrap();
        assert_eq!(name, member.name());
        changes(&kubectl, member).await.unwrap();
        logs(&kubectl, member, node).await.unwrap();
    }
}

#[tokio::test]
async fn without_the_right_kubectl_is_refused_as_a_kube_apiserver_refuses() {
    let (lab, gateway) = (shared().await, shared_gateway().await);
    let hub = lab.hub();
    let named = PolicyRule {
        resource_names: Some(vec!["member-0".to_owned()]),
        ..rule(GROUP, "clustergateways/proxy", &["get"])
    };
    hub.grant("kubectl-half", user("kubectl-half"), vec![named]).await.unwrap();
    let kubectl = hub.kubectl("kubectl-half", &[]).unwrap();
    let through = |name: &str| kubectl.clone().server(&hub.proxy_url(name));
    through("member-0").ok(&["get", "configmap", "whoami"]).await.unwrap();

    let text = |name: &str, verb: &str| {
        format!(
            "clustergateways.{GROUP} \"{name}\" is forbidden: User \"kubectl-half\" cannot {verb} resource \
             \"clustergateways/proxy\" in API group \"{GROUP}\" at the cluster scope"
        )
    };
    // kubectl begins with discovery, of whose refusal it only says that there was one, unless it remembers.
    for (name, command) in [("member-1", ["get", "configmaps"]), ("member-none", ["get", "namespaces"])] {
        let refused = through(name).run(&command).await.unwrap();
        assert_eq!(refused.code, Some(1), "{name}: {}", refused.stdout);
        let last = refused.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("Error from server (Forbidden): "), "{}", refused.stderr);
    }
    let base = format!("/apis/{GROUP}/v1alpha1/clustergateways");
    let namespaces = format!("{base}/member-1/proxy/api/v1/namespaces");
    let refused = kubectl.run(&["get", "--raw", &namespaces]).await.unwrap();
    assert_refused(&refused, &text("member-1", "get"));
    let refused = through("member-0").run(&["create", "configmap", "kubectl-half"]).await.unwrap();
    assert_refused(&refused, &text("member-0", "create"));
    let refused = kubectl.run(&["get", "clustergateways"]).await.unwrap();
    let list = format!(
        "clustergateways.{GROUP} is forbidden: User \"kubectl-half\" cannot list resource \"clustergateways\" \
         in API group \"{GROUP}\" at the cluster scope"
    );
    assert_refused(&refused, &list);

    // The hub has refused so far. The gateway, asked as the hub would ask it, gives the hub's own answer.
    let identity = hub.issue("kubectl-half", &[]).unwrap();
    let at_hub =
        HttpsClient::new(([127, 0, 0, 1], hub.port()).into(), "localhost", &hub.ca_pem(), Some(&identity));
    let at_hub = at_hub.unwrap();
    let at_gateway = gateway.front_proxy("kubectl-half", &["system:authenticated"]).unwrap();
    for (method, path) in [
        ("GET", "/member-1/proxy/api/v1/namespaces"),
        ("POST", "/member-0/proxy/api/v1/namespaces/default/configmaps"),
        ("PUT", "/member-0/proxy/x"),
        ("PATCH", "/member-0/proxy/x"),
        ("DELETE", "/member-0/proxy/x"),
        ("GET", "/unknown/proxy/api"),
        ("GET", ""),
        ("GET", "/member-0"),
    ] {
        let uri = format!("{base}{path}");
        let ask = async |client: &HttpsClient| -> Result<Answer> {
            let request = Request::builder().method(method).uri(&uri).body(bytes("{}"))?;
            client.h2().await?.fetch(request).await
        };
        let hubs = ask(&at_hub).await.unwrap();
        let own = ask(&at_gateway).await.unwrap();
        assert_eq!(hubs.status, 403, "{method} {path}: {}", hubs.text());
        assert_eq!(own.status, 403, "{method} {path}: {}", own.text());
        assert_eq!(own.text().trim_end(), hubs.text().trim_end(), "{method} {path}");
        assert_eq!(own.header("content-type"), Some("application/json"), "{method} {path}");
        assert_eq!(own.header("x-content-type-options"), Some("nosniff"), "{method} {path}");
    }
}

#[tokio::test]
async fn an_unknown_cluster_is_a_404_and_errors_are_status_objects() {
    let (lab, gateway) = (shared().await, shared_gateway().await);
    let hub = lab.hub();
    let kubectl = hub.admin_kubectl();
    let not_found =
        format!("Error from server (NotFound): clustergateways.{GROUP} \"kubectl-none\" not found\n");
    let path = format!("/apis/{GROUP}/v1alpha1/clustergateways/kubectl-none");
    for arguments in
        [&["get", "clustergateway", "kubectl-none"][..], &["get", "--raw", &format!("{path}/proxy/api")]]
    {
        let output = kubectl.run(arguments).await.unwrap();
        assert_eq!((output.code, output.stderr.as_str()), (Some(1), not_found.as_str()), "{arguments:?}");
    }
    let status = |answer: &Answer| -> Result<(Value, Value, Value)> {
        let status = answer.json()?;
        ensure!(status["kind"] == "Status" && status["apiVersion"] == "v1", "{status}");
        ensure!(status["status"] == "Failure" && status["code"] == answer.status, "{status}");
        Ok((status["reason"].clone(), status["message"].clone(), status["details"].clone()))
    };
    let admin = gateway.front_proxy("kubectl-admin", &["system:masters"]).unwrap().h2().await.unwrap();
    let answer = admin.get(&format!("{path}/proxy/api")).await.unwrap();
    let message = format!("clustergateways.{GROUP} \"kubectl-none\" not found");
    let details = json!({"name": "kubectl-none", "group": GROUP, "kind": "clustergateways"});
    assert_eq!(answer.status, 404);
    assert_eq!(status(&answer).unwrap(), (json!("NotFound"), json!(message), details));

    let answer = admin.get(&format!("/apis/{GROUP}/v1alpha1/nothings")).await.unwrap();
    let message = "the server could not find the requested resource";
    assert_eq!(answer.status, 404, "{}", answer.text());
    let (reason, found, _) = status(&answer).unwrap();
    assert_eq!((reason, found), (json!("NotFound"), json!(message)));

    let request = Request::delete(path.clone()).body(bytes("")).unwrap();
    let answer = admin.fetch(request).await.unwrap();
    let message = "the server does not allow this method on the requested resource";
    assert_eq!(answer.status, 405, "{}", answer.text());
    assert_eq!(status(&answer).unwrap(), (json!("MethodNotAllowed"), json!(message), json!({})));

    // The certificate of an authority that nobody knows: neither a front proxy nor a user, and not anonymous.
    let stranger = e2e::lab::Authority::new("kubectl-stranger").unwrap();
    let identity = stranger.client("front-proxy-client", &[]).unwrap();
    let stranger = HttpsClient::new(gateway.address(), "localhost", gateway.ca_pem(), Some(&identity))
        .and_then(|client| client.header("X-Remote-User", "kubectl-admin"))
        .and_then(|client| client.header("X-Remote-Group", "system:masters"))
        .unwrap();
    let answer = stranger.h2().await.unwrap().get(&format!("{path}/proxy/api")).await.unwrap();
    assert_eq!(answer.status, 401);
    let (reason, message, _) = status(&answer).unwrap();
    assert_eq!((reason, message), (json!("Unauthorized"), json!("Unauthorized")));

    // Nobody in particular, who says that they are somebody.
    let liar = gateway.anonymous().unwrap().header("X-Remote-User", "kubectl-admin").unwrap();
    let liar = liar.header("X-Remote-Group", "system:masters").unwrap();
    let answer = liar.h2().await.unwrap().get(&format!("{path}/proxy/api")).await.unwrap();
    assert_eq!(answer.status, 403);
    let (reason, message, _) = status(&answer).unwrap();
    assert_eq!(reason, "Forbidden");
    assert!(message.to_string().contains("system:anonymous"), "{message}");
}

/// Create, watch, patch, replace, delete, each seen by the member itself.
async fn changes(kubectl: &Kubectl, member: &ControlPlane) -> Result<()> {
    member.ensure_namespace("kubectl-user").await?;
    let kubectl = kubectl.clone().flag("--namespace=kubectl-user");
    let direct = member.admin_kubectl().flag("--namespace=kubectl-user");
    let value = &["get", "configmap", "one", "-o", "jsonpath={.data.key}"];
    let watch = kubectl
        .start(
            &format!("kubectl-watch-{}", member.name()),
            &["get", "configmaps", "--watch", "--output-watch-events", "-o", WATCHED],
        )
        .await?;
    kubectl.ok(&["create", "configmap", "one", "--from-literal=key=made"]).await?;
    ensure!(direct.ok(value).await? == "made", "the member does not have it");
    line(&watch, "ADDED one made").await?;
    kubectl
        .ok(&["patch", "configmap", "one", "--type=merge", "--patch", r#"{"data":{"key":"patched"}}"#])
        .await?;
    ensure!(direct.ok(value).await? == "patched", "the member has no patched one");
    line(&watch, "MODIFIED one patched").await?;
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"key": "replaced"},
    });
    let output = kubectl.run_with_input(&["replace", "-f", "-"], &map.to_string()).await?;
    ensure!(output.success(), "{}", output.stderr);
    line(&watch, "MODIFIED one replaced").await?;
    kubectl.ok(&["delete", "configmap", "one"]).await?;
    line(&watch, "DELETED one replaced").await?;
    let gone = direct.run(&["get", "configmap", "one"]).await?;
    ensure!(gone.stderr.contains("NotFound"), "{}", gone.stderr);
    Ok(())
}

/// A watch's line.
const WATCHED: &str = r#"jsonpath={.type} {.object.metadata.name} {.object.data.key}{"\n"}"#;

async fn logs(kubectl: &Kubectl, member: &ControlPlane, node: &Node) -> Result<()> {
    node.start_pod(member, "kubectl-user", "pod").await?;
    let arguments = ["logs", "--follow", "--namespace=kubectl-user", "pod"];
    let follow = kubectl.start(&format!("kubectl-logs-{}", member.name()), &arguments).await?;
    line(&follow, "the container has started").await?;
    let written = format!("written on {} while somebody follows", node.name());
    node.log(&written)?;
    line(&follow, &written).await?;
    let all = kubectl.ok(&["logs", "--namespace=kubectl-user", "pod"]).await?;
    ensure!(all.contains(&written), "{all}");
    Ok(())
}

async fn line(process: &Process, wanted: &str) -> Result<()> {
    until(&format!("{wanted:?}"), SOON, || async {
        let logs = process.logs();
        ensure!(logs.lines().any(|line| line == wanted), "{logs}");
        Ok(())
    })
    .await
}

#[track_caller]
fn assert_refused(output: &Output, text: &str) {
    let expected = format!("Error from server (Forbidden): {text}\n");
    let stderr =
        output.stderr.replace("error: failed to create configmap: ", "Error from server (Forbidden): ");
    assert_eq!((output.code, stderr.as_str()), (Some(1), expected.as_str()), "{}", output.stdout);
}

fn item(list: &str, name: &str) -> Result<Value> {
    let list: Value = serde_json::from_str(list)?;
    let items = list["items"].as_array().context("no items")?;
    items.iter().find(|item| item["metadata"]["name"] == name).cloned().with_context(|| format!("no {name}"))
}

/// Tokens and keys of every cluster, as they are and as JSON would carry them: nobody may be shown those.
async fn secrets(hub: &ControlPlane) -> Result<Vec<String>> {
    use base64::Engine as _;
    use k8s_openapi::api::core::v1::Secret;
    let secrets: kube::Api<Secret> = kube::Api::namespaced(hub.admin_client().await?, SHARED_NAMESPACE);
    let mut found = Vec::new();
    for secret in secrets.list(&Default::default()).await? {
        for (key, value) in secret.data.into_iter().flatten() {
            if ["token", "tls.key"].contains(&key.as_str()) {
                let text = String::from_utf8(value.0.clone())?;
                found.push(base64::prelude::BASE64_STANDARD.encode(&value.0));
                // A PEM file's own lines, however its line ends are written.
                found.extend(
                    text.lines()
                        .filter(|line| line.len() > 20 && !line.starts_with("---"))
                        .map(str::to_owned),
                );
            }
        }
    }
    ensure!(found.len() > 6, "a token and two keys, each in more than one form");
    Ok(found)
}
