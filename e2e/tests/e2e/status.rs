//! Why a cluster is not usable: told by its status and by kubectl's table, not by logs only.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::client::H2;
use e2e::lab::pki::CertificateRequest;
use e2e::lab::{ControlPlane, Exposure, Gateway, GatewayOptions, Kubectl, Registration, shared, until};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use time::OffsetDateTime;

use crate::identity::GATEWAYS;

const NAMESPACE: &str = "t4-status";
/// What time or requests have changed is seen every ten seconds.
const SOON: Duration = Duration::from_secs(60);

struct Place {
    hub: ControlPlane,
    gateway: Gateway,
    kubectl: Kubectl,
    secrets: kube::Client,
}

impl Place {
    async fn new(name: &str) -> Result<Self> {
        let hub = shared().await.start_hub(name).await?;
        let gateway = Gateway::start(&hub, GatewayOptions::new(&hub, NAMESPACE)).await?;
        gateway.expose(&hub, Exposure::ExternalName).await?;
        let (kubectl, secrets) = (hub.admin_kubectl(), hub.admin_client().await?);
        Ok(Self { hub, gateway, kubectl, secrets })
    }

    async fn connection(&self) -> Result<H2> {
        self.gateway.front_proxy("t4-status", &["system:masters"])?.h2().await
    }

    /// Waits until a condition of a cluster is this, in its status and in kubectl's table, and gives it.
    async fn says(&self, name: &str, kind: &str, status: &str, reason: &str, words: &[&str]) -> Value {
        until(&format!("{kind}={status} {reason} of {name}"), SOON, || async {
            let cluster = self.kubectl.ok(&["get", "cg", name, "-o", "json"]).await?;
            let cluster: Value = serde_json::from_str(&cluster)?;
            let conditions = &cluster["status"]["conditions"];
            let found = conditions.as_array().into_iter().flatten().find(|one| one["type"] == kind);
            let found = found.with_context(|| format!("no {kind} in {conditions}"))?.clone();
            ensure!(found["status"] == status && found["reason"] == reason, "{found}");
            let message = found["message"].as_str().unwrap_or_default();
            let table = self.kubectl.ok(&["get", "cg", name]).await?;
            let wide = self.kubectl.ok(&["get", "cg", name, "-o", "wide"]).await?;
            ensure!(table.split_whitespace().any(|word| word == reason), "{table}");
            for word in words {
                ensure!(
                    message.contains(word) && wide.contains(word),
                    "{word:?} is not in {message:?} or\n{wide}"
                );
            }
            Ok(found)
        })
        .await
        .unwrap()
    }

    /// What the table says of a cluster of which nothing is to be said.
    async fn is_well(&self, name: &str) {
        until(&format!("{name} is well"), SOON, || async {
            let table = self.kubectl.ok(&["get", "cg", name, "--no-headers", "-o", "wide"]).await?;
            ensure!(table.split_whitespace().last() == Some("True"), "{table}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

/// Goes to a cluster until it answers by this code: at first the gateway may not know its Secret.
async fn ask(connection: &H2, name: &str, code: u16) -> String {
    let path = format!("{GATEWAYS}/{name}/proxy/api/v1/namespaces/default");
    until(&format!("{code} of {name}"), SOON, || async {
        let answer = connection.get(&path).await?;
        ensure!(answer.status == code, "{} {}", answer.status, answer.text());
        Ok(answer.text())
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn why_a_cluster_is_not_usable_is_in_its_status_and_in_the_table() {
    let place = Place::new("t4-status").await.unwrap();
    let (member, secrets) = (shared().await.member(0), &place.secrets);
    let good = Registration::member(NAMESPACE, member).unwrap().named("good");

    // It does not parse.
    good.clone().named("broken").data("ca.crt", "nonsense").apply(secrets).await.unwrap();
    place.says("broken", "Usable", "False", "SecretRefused", &["data key ca.crt"]).await;

    // Nobody verifies it.
    good.clone().named("open").without_ca().apply(secrets).await.unwrap();
    place.says("open", "Verified", "False", "CertificateAuthorityMissing", &["has no ca.crt"]).await;

    // Its certificate expires soon, or has expired.
    let authority = e2e::lab::Authority::new("t4-status").unwrap();
    let now = OffsetDateTime::now_utc();
    let mut request =
        CertificateRequest::client("t4-status", &[]).valid_for(Duration::from_secs(5 * 86_400 + 3_600));
    request.not_before = now - time::Duration::days(300);
    let ending = authority.issue(&request).unwrap();
    let ended = authority.issue(&request.clone().expired()).unwrap();
    let certified = |name: &str, identity: &e2e::lab::Identity| {
        Registration::x509(NAMESPACE, name, &member.url(), &member.ca_pem(), identity)
    };
    certified("ending", &ending).apply(secrets).await.unwrap();
    let days = ["the client certificate expires at", "in 5 days"];
    place.says("ending", "CredentialReady", "True", "CredentialEndangered", &days).await;
    certified("ended", &ended).apply(secrets).await.unwrap();
    let expired = ["the client certificate expired at"];
    place.says("ended", "CredentialReady", "False", "CredentialUnavailable", &expired).await;

    // Nothing is to be said of one that is well, whoever went there.
    good.apply(secrets).await.unwrap();
    place.is_well("good").await;
    let connection = place.connection().await.unwrap();
    ask(&connection, "good", 200).await;
    let described = place.kubectl.ok(&["describe", "cg", "good"]).await.unwrap();
    assert!(!described.contains("Reachable"), "{described}");
}

#[tokio::test]
async fn a_refused_credential_is_told_until_it_is_another_one() {
    let place = Place::new("t4-refused").await.unwrap();
    let member = shared().await.member(0);
    let good = Registration::member_by_token(NAMESPACE, member).await.unwrap().named("by-token");
    let wrong = good.clone().data("token", "nobody-s-token");
    wrong.apply(&place.secrets).await.unwrap();
    let connection = place.connection().await.unwrap();
    ask(&connection, "by-token", 502).await;
    let words = ["refused by the cluster since 20", "it answered 401", "renew the credential"];
    let said = place.says("by-token", "CredentialReady", "False", "CredentialRefused", &words).await;
    assert!(!said.to_string().contains("nobody-s-token"), "{said}");
    good.apply(&place.secrets).await.unwrap();
    ask(&connection, "by-token", 200).await;
    place.is_well("by-token").await;

    // The same by a certificate that the cluster's authority did not issue, while nobody verifies the cluster:
    // what keeps requests from being answered comes first.
    let stranger = e2e::lab::Authority::new("t4-refused").unwrap().client("t4-refused", &[]).unwrap();
    let stranger = Registration::x509(NAMESPACE, "by-stranger", &member.url(), "", &stranger).without_ca();
    stranger.apply(&place.secrets).await.unwrap();
    ask(&connection, "by-stranger", 502).await;
    let words = ["refused by the cluster since 20"];
    place.says("by-stranger", "CredentialReady", "False", "CredentialRefused", &words).await;
}

#[tokio::test]
async fn since_when_a_cluster_is_unreachable_is_told_until_it_answers_again() {
    let place = Place::new("t4-unreachable").await.unwrap();
    let member = shared().await.start_member("t4-away").await.unwrap();
    Registration::member(NAMESPACE, &member).unwrap().apply(&place.secrets).await.unwrap();
    let connection = place.connection().await.unwrap();
    ask(&connection, "t4-away", 200).await;
    member.kill().unwrap();
    let before = OffsetDateTime::now_utc().unix_timestamp();
    ask(&connection, "t4-away", 503).await;
    let words = ["unreachable since 20", "cannot connect to"];
    let first = place.says("t4-away", "Reachable", "False", "Unreachable", &words).await;
    let since = first["lastTransitionTime"].as_str().unwrap();
    assert!(
        first["message"].as_str().unwrap().starts_with(&format!("unreachable since {since}: ")),
        "{first}"
    );
    assert!(since.parse::<Timestamp>().unwrap().as_second() >= before, "{first}");
    // Whoever waits for it sees it come back.
    let watch = ["wait", "--for=condition=Reachable", "cg/t4-away", "--timeout=90s"];
    let waiting = place.kubectl.start("wait-for-t4-away", &watch).await.unwrap();
    // The same as long as it lasts, in the same words.
    ask(&connection, "t4-away", 503).await;
    assert_eq!(place.says("t4-away", "Reachable", "False", "Unreachable", &words).await, first);

    member.start_again().await.unwrap();
    ask(&connection, "t4-away", 200).await;
    let status = waiting.wait_exit(Duration::from_secs(90)).await.unwrap();
    assert!(status.success(), "{}", waiting.logs());
    place.is_well("t4-away").await;
    assert!(place.hub.process().exit().is_none());
}

#[tokio::test]
async fn whoever_is_at_the_endpoint_and_is_not_trusted_is_told() {
    let place = Place::new("t4-untrusted").await.unwrap();
    let member = shared().await.member(0);
    let other = e2e::lab::Authority::new("t4-untrusted").unwrap();
    let wrong = Registration::member(NAMESPACE, member).unwrap().named("wrong").data("ca.crt", other.pem());
    wrong.apply(&place.secrets).await.unwrap();
    let connection = place.connection().await.unwrap();
    ask(&connection, "wrong", 502).await;
    let words = ["unreachable since 20", "is not trusted"];
    place.says("wrong", "Reachable", "False", "CertificateNotTrusted", &words).await;
}
