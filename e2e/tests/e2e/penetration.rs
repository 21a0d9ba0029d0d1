//! The gate ClientIdentityPenetration: the member sees the caller, and its own RBAC decides; rules say otherwise.

use std::time::Duration;

use anyhow::ensure;
use e2e::lab::pki::write_file;
use e2e::lab::{
    ControlPlane, Exposure, Gateway, GatewayOptions, Login, Registration, group, rule, service_account,
    shared, shared_gateway, until, user,
};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::identity::{GATEWAYS, proxy, who};

const GATE: &str = "--feature-gates=ClientIdentityPenetration=true";
const NAMESPACE: &str = "t3-seen";
const SOON: Duration = Duration::from_secs(30);

/// A hub with a gateway that shows members who calls, and `member-0` registered as `member-0` and, with a
/// credential that may impersonate users and groups but no extras, as `limited`. Everybody of the group
/// `system:authenticated` may get and create there: it is about the members' decisions.
async fn hub() -> &'static (ControlPlane, Gateway) {
    static HUB: OnceCell<Result<(ControlPlane, Gateway), String>> = OnceCell::const_new();
    let hub = HUB.get_or_init(|| async { start().await.map_err(|error| format!("{error:#}")) });
    hub.await.as_ref().unwrap_or_else(|error| panic!("the hub of these tests: {error}"))
}

async fn start() -> anyhow::Result<(ControlPlane, Gateway)> {
    let lab = shared().await;
    let hub = lab.start_hub("t3-seen").await?;
    let gateway = Gateway::start(&hub, GatewayOptions::new(&hub, NAMESPACE).flag(GATE)).await?;
    hub.grant("t3-seen", group("system:authenticated"), proxy(&["get", "create"])).await?;
    let client = hub.admin_client().await?;
    let member = lab.member(0);
    Registration::member(NAMESPACE, member)?.apply(&client).await?;
    Registration::token(NAMESPACE, "limited", &member.url(), &member.ca_pem(), &limited().await?)
        .apply(&client)
        .await?;
    gateway.expose(&hub, Exposure::ExternalName).await?;
    Ok((hub, gateway))
}

/// A token for `member-0` that may impersonate users, groups and service accounts, and nobody's extras.
async fn limited() -> anyhow::Result<String> {
    let member = shared().await.member(0);
    let token = member.service_account_token("t3-seen", "limited", None).await?;
    let rules = ["users", "groups", "serviceaccounts"].map(|what| rule("", what, &["impersonate"]));
    let granted = member.grant("t3-seen-limited", service_account("t3-seen", "limited"), rules.into()).await;
    if !granted.as_ref().is_err_and(|error| error.to_string().contains("already exists")) {
        granted?;
    }
    Ok(token)
}

#[tokio::test]
async fn the_member_sees_name_groups_and_extras_and_its_rbac_decides() {
    let (_, gateway) = hub().await;
    let member = shared().await.member(0);
    member.grant("t3-seen-user", user("t3-seen"), vec![rule("", "configmaps", &["get"])]).await.unwrap();
    let client = gateway
        .front_proxy("t3-seen", &["t3-one", "t3, two"])
        .unwrap()
        .header("X-Remote-Extra-Acme.com%2FProject", "a b")
        .unwrap()
        .header("X-Remote-Extra-Acme.com%2FProject", "c")
        .unwrap();
    let seen = who(&client, "member-0", "").await.unwrap();
    assert_eq!(seen["username"], "t3-seen");
    assert_eq!(seen["groups"], json!(["t3-one", "t3, two", "system:authenticated"]));
    assert_eq!(seen["extra"], json!({"acme.com/project": ["a b", "c"]}));
    let get = |path: &'static str| {
        let client = client.clone();
        async move { client.h1().await?.get(&format!("{GATEWAYS}/member-0/proxy{path}")).await }
    };
    let answer = get("/api/v1/namespaces/default/configmaps/whoami").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = get("/api/v1/namespaces/default/secrets").await.unwrap();
    assert_eq!(answer.status, 403);
    let message = answer.json().unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("User \"t3-seen\" cannot list resource \"secrets\""), "{message}");
}

#[tokio::test]
async fn a_service_account_of_the_hub_is_the_same_on_a_member_whose_credential_may_not_impersonate_extras() {
    let (hub, _) = hub().await;
    let token = hub.service_account_token("t3-apps", "app", None).await.unwrap();
    let login = Login::Token(token);
    let review = SelfSubjectReview::default();
    // The hub has extras for it that only mean something there.
    let own: kube::Api<SelfSubjectReview> = kube::Api::all(hub.client(&login).await.unwrap());
    let known = own.create(&PostParams::default(), &review).await.unwrap().status.unwrap().user_info.unwrap();
    let extra = known.extra.unwrap_or_default();
    assert!(extra.keys().any(|key| key.starts_with("authentication.kubernetes.io/")), "{extra:?}");
    // The member would refuse them.
    let mut config =
        shared().await.member(0).kubeconfig(&Login::Token(limited().await.unwrap())).config().await.unwrap();
    let name =
        http::HeaderName::from_static("impersonate-extra-authentication.kubernetes.io%2fcredential-id");
    config.auth_info.impersonate = Some("system:serviceaccount:t3-apps:app".to_owned());
    config.headers.push((name, "JTI=x".parse().unwrap()));
    let refusing: kube::Api<SelfSubjectReview> = kube::Api::all(kube::Client::try_from(config).unwrap());
    let error = refusing.create(&PostParams::default(), &review).await.unwrap_err();
    assert!(error.to_string().contains("userextras"), "{error}");

    let through = hub.client_through("limited", &login).await.unwrap();
    let through: kube::Api<SelfSubjectReview> = kube::Api::all(through);
    let seen =
        through.create(&PostParams::default(), &review).await.unwrap().status.unwrap().user_info.unwrap();
    assert_eq!(seen.username.as_deref(), Some("system:serviceaccount:t3-apps:app"));
    let groups = ["system:serviceaccounts", "system:serviceaccounts:t3-apps", "system:authenticated"];
    assert_eq!(seen.groups.unwrap(), groups);
}

#[tokio::test]
async fn rules_of_the_cluster_and_then_of_the_file_say_who_one_becomes() {
    let (hub, gateway) = hub().await;
    let namespace = "t3-rules";
    let rules = |named: &str| {
        format!(
            "apiVersion: cluster.core.oam.dev/v1alpha1\nkind: ClusterGatewayProxyConfiguration\nspec:\n  \
             clientIdentityExchanger:\n    rules:\n    - name: privileged\n      \
             type: PrivilegedIdentityExchanger\n      source: {{user: t3-privileged}}\n    - name: mapped\n      \
             type: StaticMappingIdentityExchanger\n      source: {{userPattern: '^t3-map'}}\n      \
             target: {{user: {named}, groups: [t3-target, system:authenticated]}}\n"
        )
    };
    let file = gateway.folder().join("rules.yaml");
    write_file(&file, &rules("t3-by-file")).unwrap();
    let options = GatewayOptions::new(hub, namespace)
        .flag(GATE)
        .flag(&format!("--cluster-gateway-proxy-config={}", file.display()));
    let gateway = Gateway::start(hub, options).await.unwrap();
    let client = hub.admin_client().await.unwrap();
    let member = Registration::member(namespace, shared().await.member(0)).unwrap();
    let annotation = "cluster.core.oam.dev/cluster-gateway-proxy-configuration";
    member.apply(&client).await.unwrap();
    member
        .clone()
        .named("t3-own")
        .annotation(annotation, &rules("t3-by-cluster"))
        .apply(&client)
        .await
        .unwrap();
    let seen = |caller: &'static str, cluster: &'static str| {
        let client = gateway.front_proxy(caller, &[]).unwrap();
        async move {
            let info = who(&client, cluster, "").await?;
            anyhow::Ok((info["username"].as_str().unwrap_or_default().to_owned(), info["groups"].clone()))
        }
    };
    until("both clusters", SOON, || async {
        seen("t3-other", "member-0").await?;
        seen("t3-other", "t3-own").await
    })
    .await
    .unwrap();
    for (caller, cluster, name, a_group) in [
        ("t3-mapped", "member-0", "t3-by-file", "t3-target"),
        ("t3-mapped", "t3-own", "t3-by-cluster", "t3-target"),
        // The credential's own name and group.
        ("t3-privileged", "member-0", "cluster-gateway", "system:masters"),
        ("t3-other", "member-0", "t3-other", "system:authenticated"),
        ("t3-other", "t3-own", "t3-other", "system:authenticated"),
    ] {
        let (username, groups) = seen(caller, cluster).await.unwrap();
        assert_eq!(username, name, "{caller} on {cluster}");
        assert!(groups.as_array().unwrap().contains(&a_group.into()), "{caller}: {groups}");
    }
    // Another file is in force without a restart, a broken one is not.
    write_file(&file, &rules("t3-by-new-file")).unwrap();
    until("the new file", SOON, || async {
        let (name, _) = seen("t3-mapped", "member-0").await?;
        ensure!(name == "t3-by-new-file", "{name}");
        Ok(())
    })
    .await
    .unwrap();
    write_file(&file, "spec: [").unwrap();
    until("a word about the broken file", SOON, || async {
        let logs = gateway.logs();
        ensure!(logs.lines().any(|line| line.contains("WARN") && line.contains("rules.yaml")), "{logs}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(seen("t3-mapped", "member-0").await.unwrap().0, "t3-by-new-file");
}

#[tokio::test]
async fn a_uid_of_the_front_proxy_counts_only_where_its_header_is_configured() {
    let (hub, gateway) = hub().await;
    let rules = "spec: {clientIdentityExchanger: {rules: [{name: uid, type: StaticMappingIdentityExchanger, \
        source: {uid: t3-uid-7}, target: {user: t3-uid-was-believed, groups: [system:authenticated]}}]}}";
    let file = gateway.folder().join("uid.yaml");
    write_file(&file, rules).unwrap();
    let options = || {
        GatewayOptions::new(hub, NAMESPACE)
            .flag(GATE)
            .flag(&format!("--cluster-gateway-proxy-config={}", file.display()))
            .flag(&format!(
                "--requestheader-client-ca-file={}",
                hub.folder().join("front-proxy-ca.crt").display()
            ))
            .flag("--requestheader-allowed-names=front-proxy-client")
    };
    for (options, seen) in [
        (options(), "t3-uid"),
        (options().flag("--requestheader-uid-headers=X-Remote-Uid"), "t3-uid-was-believed"),
    ] {
        let gateway = Gateway::start(hub, options).await.unwrap();
        let client = gateway.front_proxy("t3-uid", &[]).unwrap().header("X-Remote-Uid", "t3-uid-7").unwrap();
        assert_eq!(who(&client, "member-0", "").await.unwrap()["username"], seen);
    }
}

#[tokio::test]
async fn without_the_gate_members_see_the_credential_unless_the_caller_asks_to_be_impersonated() {
    let lab = shared().await;
    let gateway = shared_gateway().await;
    lab.hub().grant("t3-asks", user("t3-asks"), proxy(&["create"])).await.unwrap();
    let client = gateway.front_proxy("t3-asks", &[]).unwrap();
    for (query, name) in [("", "cluster-gateway"), ("?impersonate=true", "t3-asks")] {
        assert_eq!(who(&client, "member-0", query).await.unwrap()["username"], name, "{query}");
    }
    // Who may impersonate is, for the member, whom they act as.
    let (hub, gateway) = hub().await;
    hub.grant("t3-acts", user("t3-acts"), vec![rule("", "users", &["impersonate"])]).await.unwrap();
    let client = gateway.front_proxy("t3-acts", &[]).unwrap().header("Impersonate-User", "t3-acted").unwrap();
    assert_eq!(who(&client, "member-0", "").await.unwrap()["username"], "t3-acted");
}
