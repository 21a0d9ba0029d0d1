//! Who calls, and may they: front proxy, client certificate, token, anonymous; the hub's RBAC decides. Where the
//! hub itself has an answer to the same request, ours is compared with it byte for byte.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use e2e::client::{Answer, HttpsClient, bytes};
use e2e::lab::{
    Authority, CertificateRequest, ControlPlane, Gateway, GatewayOptions, Identity, Registration, group,
    rule, service_account, shared, shared_gateway, until, user,
};
use http::Request;
use k8s_openapi::api::rbac::v1::PolicyRule;

pub(crate) const GATEWAYS: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
const WHOAMI: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/member-0/proxy/api/v1/namespaces/default/configmaps/whoami";

/// The right to use `clustergateways/proxy` with these verbs.
pub(crate) fn proxy(verbs: &[&str]) -> Vec<PolicyRule> {
    vec![rule("cluster.core.oam.dev", "clustergateways/proxy", verbs)]
}

fn client(gateway: &Gateway, identity: Option<&Identity>) -> HttpsClient {
    HttpsClient::new(gateway.address(), "localhost", gateway.ca_pem(), identity).unwrap()
}

async fn get(client: &HttpsClient, path: &str) -> Answer {
    client.h1().await.unwrap().get(path).await.unwrap()
}

/// The same request to the hub itself.
fn hub_client(hub: &ControlPlane, identity: Option<&Identity>) -> HttpsClient {
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), hub.port());
    HttpsClient::new(address, "localhost", &hub.ca_pem(), identity).unwrap()
}

#[track_caller]
fn assert_same(ours: &Answer, hubs: &Answer) {
    assert_eq!((ours.status, ours.text()), (hubs.status, hubs.text()));
    assert_eq!(ours.header("content-type"), hubs.header("content-type"));
}

#[tokio::test]
async fn only_the_hub_s_front_proxy_speaks_for_others() {
    let hub = shared().await.hub();
    let gateway = shared_gateway().await;
    let proxy = &hub.front_proxy().unwrap().authority;
    let named = |name: &str| CertificateRequest::client(name, &[]);
    let mut serving = named("front-proxy-client");
    serving.usages = CertificateRequest::server(&[]).usages;
    let stranger = Authority::new("hub-front-proxy-ca").unwrap();
    let rows: [(&str, Option<Identity>, Result<&str, u16>); 8] = [
        ("the front proxy", Some(hub.front_proxy().unwrap().client.clone()), Ok("t3-behind-proxy")),
        ("another CA", Some(stranger.client("front-proxy-client", &[]).unwrap()), Err(401)),
        ("another name", Some(proxy.issue(&named("somebody-else")).unwrap()), Err(401)),
        ("expired", Some(proxy.issue(&named("front-proxy-client").expired()).unwrap()), Err(401)),
        ("for servers only", Some(proxy.issue(&serving).unwrap()), Err(401)),
        (
            "a user of the hub",
            Some(hub.issue("t3-with-certificate", &[]).unwrap()),
            Ok("t3-with-certificate"),
        ),
        (
            "a user of that name",
            Some(hub.issue("front-proxy-client", &[]).unwrap()),
            Ok("front-proxy-client"),
        ),
        ("nobody", None, Ok("system:anonymous")),
    ];
    let refused = get(&hub_client(hub, None).bearer("nonsense").unwrap(), "/api").await;
    for (who, identity, expected) in rows {
        let client = client(gateway, identity.as_ref())
            .header("X-Remote-User", "t3-behind-proxy")
            .unwrap()
            // Whoever believes this lets everything pass.
            .header("X-Remote-Group", if expected == Ok("t3-behind-proxy") { "t3" } else { "system:masters" })
            .unwrap();
        let answers = [get(&client, WHOAMI).await, client.h2().await.unwrap().get(WHOAMI).await.unwrap()];
        for answer in answers {
            match expected {
                Ok(name) => {
                    assert_eq!(answer.status, 403, "{who}: {}", answer.text());
                    let says = format!("User \\\"{name}\\\" cannot get resource");
                    assert!(answer.text().contains(&says), "{who}: {}", answer.text());
                }
                Err(_) => assert_same(&answer, &refused),
            }
        }
    }
}

#[tokio::test]
async fn a_client_certificate_of_the_hub_is_a_user_with_its_groups() {
    let hub = shared().await.hub();
    let gateway = shared_gateway().await;
    hub.grant("t3-x509", group("t3-x509-readers"), proxy(&["get"])).await.unwrap();
    let member = hub.issue("t3-x509-in", &["t3-x509-others", "t3-x509-readers"]).unwrap();
    let answer = get(&client(gateway, Some(&member)), WHOAMI).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json().unwrap()["data"]["name"], "member-0");

    let outsider = hub.issue("t3-x509-out<&>", &["t3-x509-others"]).unwrap();
    let ours = get(&client(gateway, Some(&outsider)), WHOAMI).await;
    assert_same(&ours, &get(&hub_client(hub, Some(&outsider)), WHOAMI).await);
    assert_eq!(ours.status, 403);

    let request = CertificateRequest::client("t3-x509-in", &["t3-x509-readers"]).expired();
    let expired = hub.authority().issue(&request).unwrap();
    let stranger = shared().await.member(0).issue("t3-x509-in", &["t3-x509-readers"]).unwrap();
    for identity in [expired, stranger] {
        let ours = get(&client(gateway, Some(&identity)), WHOAMI).await;
        assert_eq!(ours.status, 401, "{}", ours.text());
    }
}

#[tokio::test]
async fn a_token_of_the_hub_is_a_user_a_bad_one_is_refused_and_none_is_anonymous() {
    let hub = shared().await.hub();
    let gateway = shared_gateway().await;
    let token = hub.service_account_token("t3-tokens", "reader", None).await.unwrap();
    hub.grant("t3-tokens", service_account("t3-tokens", "reader"), proxy(&["get"])).await.unwrap();
    let answer = get(&client(gateway, None).bearer(&token).unwrap(), WHOAMI).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // A service account that was granted nothing is known by its name.
    let other = hub.service_account_token("t3-tokens", "other", None).await.unwrap();
    let with_other = |client: HttpsClient| client.bearer(&other).unwrap();
    let ours = get(&with_other(client(gateway, None)), WHOAMI).await;
    assert_same(&ours, &get(&with_other(hub_client(hub, None)), WHOAMI).await);
    assert!(ours.text().contains("system:serviceaccount:t3-tokens:other"), "{}", ours.text());
    // Of another cluster, changed by one letter, and none at all.
    let foreign = shared().await.member(0).service_account_token("t3-tokens", "reader", None).await.unwrap();
    let forged = token[..token.len() - 4].to_owned() + "AAAA";
    for bad in [foreign.as_str(), &forged, "nonsense"] {
        let ours = get(&client(gateway, None).bearer(bad).unwrap(), WHOAMI).await;
        assert_same(&ours, &get(&hub_client(hub, None).bearer(bad).unwrap(), WHOAMI).await);
        assert_eq!(ours.status, 401);
    }
    let ours = get(&client(gateway, None), WHOAMI).await;
    assert_same(&ours, &get(&hub_client(hub, None), WHOAMI).await);
    assert_eq!(ours.status, 403);
}

#[tokio::test]
async fn rbac_decides_by_verb_and_by_the_name_of_the_cluster() {
    let hub = shared().await.hub();
    let gateway = shared_gateway().await;
    let mut rules = proxy(&["create"]);
    rules[0].resource_names = Some(vec!["member-1".to_owned()]);
    hub.grant("t3-verbs", user("t3-verbs"), rules).await.unwrap();
    let client = gateway.front_proxy("t3-verbs", &[]).unwrap();
    let review = |cluster: &str, method: &str| {
        let path = format!("{GATEWAYS}/{cluster}/proxy/apis/authentication.k8s.io/v1/selfsubjectreviews");
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        request.body(bytes(SELF_SUBJECT_REVIEW)).unwrap()
    };
    for (cluster, method, verb) in [
        ("member-1", "POST", None),
        ("member-0", "POST", Some("create")),
        ("member-1", "GET", Some("get")),
        ("member-1", "PUT", Some("update")),
        ("member-1", "PATCH", Some("patch")),
        ("member-1", "DELETE", Some("delete")),
    ] {
        let answer = client.h1().await.unwrap().fetch(review(cluster, method)).await.unwrap();
        match verb {
            None => assert_eq!(answer.status, 201, "{}", answer.text()),
            Some(verb) => {
                assert_eq!(answer.status, 403, "{method}: {}", answer.text());
                let message = answer.json().unwrap()["message"].as_str().unwrap().to_owned();
                let says = format!(
                    "clustergateways.cluster.core.oam.dev \"{cluster}\" is forbidden: User \"t3-verbs\" cannot {verb} \
                     resource \"clustergateways/proxy\" in API group \"cluster.core.oam.dev\" at the cluster scope"
                );
                assert!(message.starts_with(&says), "{message}");
            }
        }
    }
}

#[tokio::test]
async fn a_hub_that_is_gone_is_believed_for_ten_seconds_and_then_nobody_is_let_in() {
    let lab = shared().await;
    let hub = lab.start_hub("t3-gone").await.unwrap();
    let gateway = Gateway::start(&hub, GatewayOptions::new(&hub, "t3-gone")).await.unwrap();
    let secrets = hub.admin_client().await.unwrap();
    Registration::member("t3-gone", lab.member(0)).unwrap().apply(&secrets).await.unwrap();
    hub.grant("t3-gone", user("t3-gone-yes"), proxy(&["get"])).await.unwrap();
    let token = hub.service_account_token("t3-gone", "account", None).await.unwrap();
    hub.grant("t3-gone-account", service_account("t3-gone", "account"), proxy(&["get"])).await.unwrap();
    let masters = gateway.front_proxy("t3-gone-admin", &["system:masters"]).unwrap().h2().await.unwrap();
    let known = || async {
        let answer = masters.get(WHOAMI).await?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(())
    };
    until("the cluster", Duration::from_secs(30), known).await.unwrap();
    let yes = gateway.front_proxy("t3-gone-yes", &[]).unwrap().h2().await.unwrap();
    let no = gateway.front_proxy("t3-gone-no", &[]).unwrap().h2().await.unwrap();
    let account = gateway.anonymous().unwrap().bearer(&token).unwrap().h2().await.unwrap();
    let first = Instant::now();
    for (connection, code) in [(&yes, 200), (&no, 403), (&account, 200)] {
        let answer = connection.get(WHOAMI).await.unwrap();
        assert_eq!(answer.status, code, "{}", answer.text());
    }
    let last = Instant::now();
    hub.kill().unwrap();

    let fresh = gateway.front_proxy("t3-gone-fresh", &[]).unwrap().h2().await.unwrap();
    let fresh = async { fresh.get(WHOAMI).await.unwrap() };
    let (yes, no, account, fresh) = tokio::join!(
        while_it_lasts(&yes, 200, first),
        while_it_lasts(&no, 403, first),
        while_it_lasts(&account, 200, first),
        fresh,
    );
    let left = last.elapsed();
    for answer in [yes, no, account, fresh] {
        assert_eq!(answer.status, 500, "{}", answer.text());
        let status = answer.json().unwrap();
        assert_eq!((&status["kind"], &status["reason"]), (&"Status".into(), &"InternalError".into()));
    }
    eprintln!("all refused {left:?} after the hub's last word");
    // Who needs no word of the hub is served on.
    known().await.unwrap();
}

/// Asks until the answer changes, and gives the one that is different. It must not come before the ten seconds are
/// over, and a question that is asked afterwards must not get the old answer.
async fn while_it_lasts(connection: &e2e::client::H2, code: u16, first: Instant) -> Answer {
    let changed = until("another answer", Duration::from_secs(40), || async {
        let asked = first.elapsed();
        let answer = connection.get(WHOAMI).await?;
        if answer.status == code {
            // The clock began before the hub was asked, so that a little more is right, and machines are busy.
            assert!(asked < Duration::from_secs(13), "still {code} {asked:?} after the hub's last word");
            return Err(anyhow!("still {code}"));
        }
        Ok(answer)
    });
    let answer = changed.await.unwrap();
    assert!(first.elapsed() >= Duration::from_secs(10), "{:?}: {}", first.elapsed(), answer.text());
    answer
}

#[tokio::test]
async fn who_may_impersonate_is_somebody_else_here_and_who_may_not_is_refused() {
    let hub = shared().await.hub();
    let gateway = shared_gateway().await;
    let mut rules = vec![rule("", "users", &["impersonate"]), rule("", "groups", &["impersonate"])];
    rules[0].resource_names = Some(vec!["t3-worker".to_owned()]);
    rules[1].resource_names = Some(vec!["t3-workers".to_owned()]);
    hub.grant("t3-boss", user("t3-boss"), rules).await.unwrap();
    hub.grant("t3-workers", group("t3-workers"), proxy(&["get"])).await.unwrap();
    let boss = |headers: &[(&str, &str)]| {
        let client = gateway.front_proxy("t3-boss", &[]).unwrap();
        headers.iter().fold(client, |client, (name, value)| client.header(name, value).unwrap())
    };
    let worker = ("Impersonate-User", "t3-worker");
    let both = boss(&[worker, ("iMpErSoNaTe-gRoUp", "t3-workers")]);
    let answer = get(&both, WHOAMI).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for (headers, says) in [
        (&[worker][..], "User \"t3-worker\" cannot get resource \"clustergateways/proxy\""),
        (&[("Impersonate-User", "t3-other")], "User \"t3-boss\" cannot impersonate resource \"users\""),
        (&[worker, ("Impersonate-Group", "t3-others")], "cannot impersonate resource \"groups\""),
        (&[worker, ("Impersonate-Uid", "7")], "cannot impersonate resource \"uids\""),
        (&[worker, ("Impersonate-Extra-Scopes", "x")], "cannot impersonate resource \"userextras/scopes\""),
        (
            &[("Impersonate-User", "system:serviceaccount:t3:a")],
            "cannot impersonate resource \"serviceaccounts\"",
        ),
    ] {
        let answer = get(&boss(headers), WHOAMI).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
        let message = answer.json().unwrap()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(says), "{message}");
    }
    // Who says something about a user and does not name one.
    let answer = get(&boss(&[("Impersonate-Group", "system:masters")]), WHOAMI).await;
    assert!(matches!(answer.status, 400 | 500), "{}", answer.text());
    assert_eq!(answer.json().unwrap()["kind"], "Status");
}

/// The body of a question to a cluster who one is there.
pub(crate) const SELF_SUBJECT_REVIEW: &str =
    r#"{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}"#;

/// Who one is on a cluster: the `userInfo` of a SelfSubjectReview.
pub(crate) async fn who(client: &HttpsClient, cluster: &str, query: &str) -> Result<serde_json::Value> {
    let path = format!("{GATEWAYS}/{cluster}/proxy/apis/authentication.k8s.io/v1/selfsubjectreviews{query}");
    let request = Request::post(path).header("content-type", "application/json");
    let answer = client.h1().await?.fetch(request.body(bytes(SELF_SUBJECT_REVIEW))?).await?;
    ensure!(answer.status == 201, "{}: {}", answer.status, answer.text());
    Ok(answer.json()?["status"]["userInfo"].clone())
}
