//! As in a pod: the service account's files and environment, no kubeconfig, and exactly the rights of
//! `config/rbac.yaml`. The files' folder is absolute, so the gateway runs in a mount namespace of its own where the
//! test's folder is bound there; root makes one, others need user namespaces.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::lab::pki::write_file;
use e2e::lab::{
    ControlPlane, Exposure, Gateway, GatewayOptions, Login, Registration, leash::leash, service_account,
    shared, until, until_every, whoami,
};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::SelfSubjectRulesReview;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, PostParams};

use crate::identity::{GATEWAYS, proxy};

const NAMESPACE: &str = "t3-in-cluster";
const ACCOUNT: &str = "cluster-gateway";
const SOON: Duration = Duration::from_secs(30);
/// A client reads its token's file anew once a minute, and the hub believes a token for ten seconds.
const NEW_TOKEN: Duration = Duration::from_secs(100);
const NOW_AND_THEN: Duration = Duration::from_millis(500);

/// Binds `$0` where a pod finds its service account, then becomes what follows. The tmpfs hides the machine's own
/// `/run`, in this mount namespace alone.
const POD: &str = "mount -t tmpfs tmpfs /run && [ /var/run -ef /run ] || exit 97
    mkdir -p /run/secrets/kubernetes.io/serviceaccount \
    && mount --bind \"$0\" /run/secrets/kubernetes.io/serviceaccount && exec \"$@\"";

/// What makes a process find `folder` where a pod's service account is; why not, where that is not allowed.
async fn pod(folder: &Path) -> Result<Vec<String>, String> {
    let mut why = String::new();
    for namespaces in [&["--mount"][..], &["--mount", "--user", "--map-root-user"]] {
        let mut line = vec!["unshare".to_owned()];
        line.extend(namespaces.iter().map(|&flag| flag.to_owned()));
        line.extend(["--", "sh", "-c", POD].map(str::to_owned));
        line.push(folder.display().to_string());
        let tried = tokio::process::Command::new(&line[0])
            .args(&line[1..])
            .args(["test", "-e", "/var/run/secrets/kubernetes.io/serviceaccount/token"])
            .output()
            .await;
        match tried {
            Ok(output) if output.status.success() => return Ok(line),
            Ok(output) => why += &String::from_utf8_lossy(&output.stderr),
            Err(error) => why += &format!("unshare: {error}"),
        }
    }
    Err(why)
}

/// A token of the gateway's account that is good as long as a Secret of that name exists, as a pod's is while the
/// pod does.
async fn bound_token(client: &kube::Client, secret: &str) -> Result<String> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let mut object = Secret::default();
    object.metadata.name = Some(secret.to_owned());
    let made = secrets.create(&PostParams::default(), &object).await?;
    let request = TokenRequest {
        spec: TokenRequestSpec {
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Secret".to_owned()),
                name: Some(secret.to_owned()),
                uid: made.metadata.uid,
            }),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let answer = accounts.create_token_request(ACCOUNT, &PostParams::default(), &request).await?;
    Ok(answer.status.context("a token request without a status")?.token)
}

/// The account can do what the file says, and nothing else that matters.
async fn has_just_these_rights(hub: &ControlPlane, token: &str) -> Result<()> {
    let client = hub.client(&Login::Token(token.to_owned())).await?;
    let reviews: Api<SelfSubjectRulesReview> = Api::all(client);
    let mut review = SelfSubjectRulesReview::default();
    for (namespace, expected) in [
        (NAMESPACE, vec!["secrets: get,list,watch,patch"]),
        ("kube-system", vec!["configmaps: get,list,watch"]),
        ("default", vec![]),
    ] {
        review.spec.namespace = Some(namespace.to_owned());
        let status = reviews.create(&PostParams::default(), &review).await?.status.context("no status")?;
        let rules = status.resource_rules.iter().filter_map(|rule| {
            let resources = rule.resources.clone().unwrap_or_default();
            // Everybody may ask about themselves; reviews of others come from system:auth-delegator.
            let usual = |name: &String| name.starts_with("selfsubject") || name.ends_with("reviews");
            let own: Vec<String> = resources.into_iter().filter(|name| !usual(name)).collect();
            (!own.is_empty()).then(|| format!("{}: {}", own.join(","), rule.verbs.join(",")))
        });
        let rules: Vec<String> = rules.collect();
        ensure!(rules == expected, "in {namespace} it may {rules:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_pod_with_the_rights_of_the_chart_serves_and_takes_up_its_new_token() {
    let lab = shared().await;
    let hub = lab.start_hub("t3-in-cluster").await.unwrap();
    hub.ensure_namespace(NAMESPACE).await.unwrap();
    let rbac = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/rbac.yaml")).unwrap();
    let rbac = rbac.replace("vela-system", NAMESPACE);
    let applied = hub.admin_kubectl().run_with_input(&["apply", "-f", "-"], &rbac).await.unwrap();
    assert!(applied.success(), "{}", applied.stderr);
    let admin = hub.admin_client().await.unwrap();
    let first = bound_token(&admin, "t3-first").await.unwrap();
    until("the rights", SOON, || has_just_these_rights(&hub, &first)).await.unwrap();

    let account = tempfile::Builder::new().prefix("account-").tempdir_in(leash().unwrap().folder()).unwrap();
    write_file(&account.path().join("token"), &first).unwrap();
    write_file(&account.path().join("ca.crt"), &hub.ca_pem()).unwrap();
    write_file(&account.path().join("namespace"), NAMESPACE).unwrap();
    let wrapper = match pod(account.path()).await {
        Ok(wrapper) => wrapper,
        Err(why) => {
            assert!(!rustix::process::geteuid().is_root() || why.contains("not permitted"), "as root: {why}");
            eprintln!(
                "left out: this user may make no mount namespace here, so that no pod can be played: {why}"
            );
            return;
        }
    };
    let options = GatewayOptions {
        name: ACCOUNT.to_owned(),
        kubeconfig: None,
        // As the chart of KubeVela calls it.
        subcommand: vec!["apiserver".to_owned()],
        env: vec![
            ("KUBERNETES_SERVICE_HOST".to_owned(), "127.0.0.1".to_owned()),
            ("KUBERNETES_SERVICE_PORT".to_owned(), hub.port().to_string()),
        ],
        wrapper,
        ..GatewayOptions::new(&hub, NAMESPACE)
    };
    let gateway = Gateway::start(&hub, options).await.unwrap();
    let member = lab.member(0);
    Registration::member(NAMESPACE, member).unwrap().apply(&admin).await.unwrap();
    gateway.expose(&hub, Exposure::ExternalName).await.unwrap();
    // Each way to be somebody: through the hub, by a token, by a certificate.
    hub.grant("t3-app", service_account(NAMESPACE, "t3-app"), proxy(&["get"])).await.unwrap();
    let app = hub.service_account_token(NAMESPACE, "t3-app", None).await.unwrap();
    let through = hub.client_through(member.name(), &Login::Token(app.clone())).await.unwrap();
    until("the member through the hub", SOON, || whoami(&through)).await.unwrap();
    let path = format!("{GATEWAYS}/member-0/proxy/version");
    let by_token = gateway.anonymous().unwrap().bearer(&app).unwrap();
    let answer = by_token.h1().await.unwrap().get(&path).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());

    // It may write what it has to write: clusters' health.
    let patch = http::Request::patch(format!("{GATEWAYS}/member-0/health"))
        .header("content-type", "application/merge-patch+json")
        .body(e2e::client::bytes(r#"{"status":{"healthy":true}}"#))
        .unwrap();
    let prober = gateway.front_proxy("t3-prober", &["system:masters"]).unwrap();
    let answer = prober.h1().await.unwrap().fetch(patch).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());

    // A kubelet replaces the file long before the old token ends.
    let second = bound_token(&admin, "t3-second").await.unwrap();
    write_file(&account.path().join("token"), &second).unwrap();
    let secrets: Api<Secret> = Api::namespaced(admin.clone(), NAMESPACE);
    secrets.delete("t3-first", &DeleteParams::default()).await.unwrap();
    until_every(NOW_AND_THEN, "the old token refused by the hub", NEW_TOKEN, || async {
        let old = hub.client(&Login::Token(first.clone())).await?;
        let error = whoami(&old).await.err().context("it is still somebody")?;
        ensure!(error.to_string().contains("Unauthorized"), "{error}");
        Ok(())
    })
    .await
    .unwrap();
    // A question that the hub was never asked before, and a cluster that it never told us of.
    Registration::member(NAMESPACE, lab.member(1)).unwrap().apply(&admin).await.unwrap();
    let mut number = 0;
    until_every(NOW_AND_THEN, "an answer of the hub to the new token", NEW_TOKEN, || {
        number += 1;
        let name = format!("t3-stranger-{number}");
        let gateway = &gateway;
        async move {
            let answer = gateway.front_proxy(&name, &[])?.h1().await?.get(GATEWAYS).await?;
            ensure!(answer.status == 403, "{}: {}", answer.status, answer.text());
            Ok(())
        }
    })
    .await
    .unwrap();
    let through = hub.client_through("member-1", &Login::Token(app)).await.unwrap();
    assert_eq!(until("the new cluster", SOON, || whoami(&through)).await.unwrap(), "member-1");
}
