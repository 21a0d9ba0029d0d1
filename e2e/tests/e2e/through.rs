//! What tests say of requests that go through a gateway to a cluster.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::client::{Answer, H2, HttpsClient};
use e2e::echo::{Echo, Received};
use e2e::lab::{Gateway, GatewayOptions, Identity, Registration, shared, until};

/// A change is in force at once; machines are busy.
const IN_FORCE: Duration = Duration::from_secs(30);

/// A gateway of the shared hub with clusters of its own, not behind the hub.
pub(crate) async fn own_gateway(prefix: &str, flags: &[&str]) -> Gateway {
    let hub = shared().await.hub();
    let options = flags.iter().fold(GatewayOptions::new(hub, prefix), |options, flag| options.flag(flag));
    Gateway::start(hub, GatewayOptions { name: prefix.to_owned(), ..options }).await.unwrap()
}

/// Who may do everything, as a hub says it.
pub(crate) fn master(gateway: &Gateway) -> HttpsClient {
    gateway.front_proxy("t2-master", &["system:masters"]).unwrap()
}

/// The path of `rest` on a cluster.
pub(crate) fn path(cluster: &str, rest: &str) -> String {
    format!("/apis/cluster.core.oam.dev/v1alpha1/clustergateways/{cluster}/proxy{rest}")
}

/// An echo as a cluster.
pub(crate) fn echo_cluster(namespace: &str, name: &str, echo: &Echo, identity: &Identity) -> Registration {
    Registration::x509(namespace, name, &echo.url(), echo.ca_pem(), identity)
}

/// Registers clusters with the shared hub.
pub(crate) async fn register(clusters: impl IntoIterator<Item = &Registration>) {
    let hub = shared().await.hub().admin_client().await.unwrap();
    for cluster in clusters {
        cluster.apply(&hub).await.unwrap();
    }
}

/// Waits until a request is answered with this code, and gives the answer.
pub(crate) async fn until_code(connection: &H2, path: &str, code: u16) -> Answer {
    until(&format!("{code} for {path}"), IN_FORCE, || async {
        let answer = connection.get(path).await?;
        ensure!(answer.status == code, "{} {}", answer.status, answer.text());
        Ok(answer)
    })
    .await
    .unwrap()
}

/// What reached the echo, by its answer.
#[track_caller]
pub(crate) fn received(answer: &Answer) -> Received {
    assert_eq!(answer.status, 200, "{}", answer.text());
    Received::parse(&answer.body).unwrap()
}

/// Asserts a Kubernetes Status with this code, whose message has all these words.
#[track_caller]
pub(crate) fn assert_failure(answer: &Answer, code: u16, words: &[&str]) {
    assert_eq!(answer.status, code, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.text());
    let status = answer.json().unwrap();
    assert_eq!((&status["kind"], &status["apiVersion"]), (&"Status".into(), &"v1".into()), "{status}");
    assert_eq!((&status["status"], &status["code"]), (&"Failure".into(), &code.into()), "{status}");
    // Kubernetes has no reason for 502.
    assert_eq!(status["reason"].as_str().is_some_and(|reason| !reason.is_empty()), code != 502, "{status}");
    let message = status["message"].as_str().unwrap_or_default();
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
}

/// The part of many durations that none of `percent` percent of them is above.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100).clamp(1, sorted.len()) - 1]
}

/// The next piece of a watch, waited for.
pub(crate) async fn first_event(body: &mut hyper::body::Incoming) -> Result<String> {
    use http_body_util::BodyExt as _;
    let frame = tokio::time::timeout(IN_FORCE, body.frame()).await.context("no event in time")?;
    let frame = frame.context("the watch ended without an event")??;
    let data = frame.into_data().ok().context("no data")?;
    Ok(String::from_utf8_lossy(&data).into_owned())
}
