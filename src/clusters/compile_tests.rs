use futures::FutureExt;

use super::*;
use crate::clusters::fixtures::*;
use crate::clusters::{CredentialState, CredentialType, EndpointType};

fn compiled(secret: &Secret) -> Compiled {
    compile(secret, &options(), None, now()).unwrap()
}

fn grant(access: &Access) -> Arc<Grant> {
    access.grant().now_or_never().expect("a fixed credential is there at once").unwrap()
}

fn reason(secret: &Secret) -> String {
    let cluster = compiled(secret).cluster;
    assert!(cluster.access.is_err(), "usable: {cluster:?}");
    assert_eq!(cluster.problem.as_ref(), cluster.access.as_ref().err());
    cluster.problem.clone().unwrap()
}

#[test]
fn a_token_and_a_ca_make_a_verified_cluster() {
    let cluster = compiled(&token_secret("a")).cluster;
    let access = cluster.access.as_ref().unwrap();
    assert!(access.verified);
    assert_eq!(grant(access).authorization.as_ref().unwrap(), "Bearer hunter2-the-token");
    assert_eq!(access.endpoint().authority(), "10.0.0.1:6443");
    assert_eq!(cluster.problem, None);
    assert_eq!(cluster.spec.address, "https://10.0.0.1:6443");
    assert_eq!(cluster.spec.credential_type, CredentialType::ServiceAccountToken);
    assert_eq!(cluster.spec.endpoint_type, EndpointType::Const);
}

#[test]
fn a_certificate_is_a_credential_and_no_header() {
    let cluster = compiled(&certificate_secret("a")).cluster;
    let access = cluster.access.as_ref().unwrap();
    assert!(access.verified && grant(access).authorization.is_none());
    assert_eq!(cluster.spec.ca_bundle.as_deref(), Some(pair().0.as_bytes()));
}

#[test]
fn without_a_ca_a_cluster_is_usable_but_not_verified() {
    for secret in [without(token_secret("a"), "ca.crt"), set(token_secret("a"), "ca.crt", "")] {
        let cluster = compiled(&secret).cluster;
        assert!(!cluster.access.as_ref().unwrap().verified);
        assert_eq!((&cluster.problem, &cluster.spec.ca_bundle), (&None, &None));
    }
    let http = set(token_secret("a"), "endpoint", "http://10.0.0.1:8080");
    assert!(!compiled(&http).cluster.access.as_ref().unwrap().verified);
}

#[test]
fn an_empty_ca_crt_gives_way_to_ca() {
    let secret = set(set(token_secret("a"), "ca.crt", ""), "ca", &pair().0);
    assert!(compiled(&secret).cluster.access.as_ref().unwrap().verified);
}

#[test]
fn require_cluster_ca_refuses_what_nobody_verifies() {
    let strict = Options { require_ca: true, ..options() };
    for secret in
        [without(token_secret("a"), "ca.crt"), set(token_secret("a"), "endpoint", "http://10.0.0.1:8080")]
    {
        let cluster = compile(&secret, &strict, None, now()).unwrap().cluster;
        assert!(cluster.access.as_ref().unwrap_err().contains("--require-cluster-ca"), "{cluster:?}");
    }
    assert!(compile(&token_secret("a"), &strict, None, now()).unwrap().cluster.access.is_ok());
}

#[test]
fn what_is_wrong_is_named() {
    let token = || token_secret("a");
    let certificate = || certificate_secret("a");
    let dynamic = || set(bare("a", "Dynamic"), "endpoint", "https://10.0.0.1:6443");
    let type_label = "cluster.core.oam.dev/cluster-credential-type";
    let endpoint_label = "cluster.core.oam.dev/cluster-endpoint-type";
    let (other_certificate, _) = new_pair();
    let half_ca = format!("{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", pair().0);
    let rows: &[(Secret, &str)] = &[
        (without(token(), "endpoint"), "data key endpoint is missing or empty"),
        (set(token(), "endpoint", ""), "data key endpoint is missing or empty"),
        (set(token(), "endpoint", "10.0.0.1"), "data key endpoint: it is no URL"),
        (set_bytes(token(), "endpoint", b"https://\xff"), "data key endpoint is not text"),
        (set(token(), "endpoint", "https://u:secret@h"), "data key endpoint holds user information"),
        (set(token(), "endpoint", "u:secret@h"), "data key endpoint holds user information"),
        (without(token(), "token"), "data key token is missing or empty"),
        (set(token(), "token", "\n"), "data key token holds something other"),
        (set(token(), "token", "two words"), "data key token holds something other"),
        (set_bytes(token(), "token", b"\xff\xfe"), "data key token holds something other"),
        (set(token(), "ca.crt", "nonsense"), "data key ca.crt: there is no CERTIFICATE block"),
        (set(token(), "ca.crt", "\n"), "data key ca.crt: there is no CERTIFICATE block"),
        (set(token(), "ca.crt", &half_ca), "data key ca.crt: certificate 2 in it cannot be used"),
        (set(token(), "ca.crt", "-----BEGIN CERTIFICATE-----\n"), "data key ca.crt: it is not valid PEM"),
        (set_bytes(certificate(), "ca", b"\xff"), "data key ca: there is no CERTIFICATE block"),
        (without(certificate(), "tls.crt"), "data key tls.crt is missing or empty"),
        (without(certificate(), "tls.key"), "data key tls.key is missing or empty"),
        (set(certificate(), "tls.crt", "secret"), "data key tls.crt: there is no CERTIFICATE block"),
        (set(certificate(), "tls.crt", "-----BEGIN secret"), "data key tls.crt: it is not valid PEM"),
        (set(certificate(), "tls.key", "secret"), "data key tls.key: the private key is no"),
        (set(certificate(), "tls.crt", &other_certificate), "data key tls.key: it does not match"),
        (
            label(token(), endpoint_label, "const"),
            "label cluster.core.oam.dev/cluster-endpoint-type is \"const\"; it may be Const and ClusterProxy",
        ),
        (dynamic(), "data key exec is missing or empty"),
        (
            set(dynamic(), "exec", r#"{"secret"}"#),
            "data key exec: it is no ExecConfig in JSON (line 1, column 10)",
        ),
        (set(token(), "token-file", "secret"), "data keys token-file and token are both given"),
        (
            set(without(token(), "token"), "token-file", "secret"),
            "below the folder of --credential-dir, which is not given",
        ),
        (set(certificate(), "tls.key-file", "secret"), "data keys tls.crt-file and tls.crt are both given"),
        (
            set(without(without(certificate(), "tls.crt"), "tls.key"), "tls.key-file", "secret"),
            "data key tls.crt-file is missing or empty",
        ),
        (
            label(token(), type_label, "Token"),
            "type is \"Token\"; it may be X509Certificate, ServiceAccountToken and Dynamic",
        ),
    ];
    for (secret, expected) in rows {
        let reason = reason(secret);
        assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
        assert!(!reason.contains("secret"), "{reason:?} repeats data");
    }
}

#[test]
fn the_types_of_labels_that_mean_nothing_are_unknown() {
    let secret = label(bare("a", ""), "cluster.core.oam.dev/cluster-endpoint-type", "x");
    let spec = &compiled(&secret).cluster.spec;
    assert_eq!((spec.credential_type, spec.endpoint_type), (CredentialType::Unknown, EndpointType::Unknown));
}

#[test]
fn a_secret_without_the_label_is_no_cluster() {
    let mut secret = token_secret("a");
    secret.metadata.labels = None;
    assert!(compile(&secret, &options(), None, now()).is_none());
    let elsewhere = Options { group: "example.com".to_owned(), ..options() };
    assert!(compile(&token_secret("a"), &elsewhere, None, now()).is_none());
    let there = label(token_secret("a"), "example.com/cluster-credential-type", "ServiceAccountToken");
    assert!(compile(&there, &elsewhere, None, now()).unwrap().cluster.access.is_ok());
}

#[test]
fn an_expired_certificate_stays_in_use_and_says_so() {
    let (certificate, key) = expired_pair();
    let secret = set(set(certificate_secret("a"), "tls.crt", &certificate), "tls.key", &key);
    let made = compiled(&secret);
    assert!(made.cluster.access.is_ok() && !made.failed);
    assert_eq!(
        made.cluster.problem.as_deref(),
        Some("the client certificate expired at 2002-01-01T00:00:00Z")
    );
}

#[test]
fn a_certificate_that_ends_soon_is_said_to_as_of_the_time_of_asking() {
    let (certificate, key) = expired_pair();
    let secret = set(set(certificate_secret("a"), "tls.crt", &certificate), "tls.key", &key);
    let made = compiled(&secret);
    let access = made.cluster.access.as_ref().unwrap();
    let state = |days: u64| {
        let year_2001 = std::time::Duration::from_secs(978_307_200 + days * 86_400);
        access.credential_state(std::time::UNIX_EPOCH + year_2001)
    };
    assert_eq!(state(100), CredentialState::Ready);
    let soon = "the client certificate expires at 2002-01-01T00:00:00Z, in 5 days";
    assert_eq!(state(360), CredentialState::Endangered(soon.to_owned()));
}

#[test]
fn time_alone_makes_a_certificate_expire() {
    let (certificate, key) = expired_pair();
    let secret = set(set(certificate_secret("a"), "tls.crt", &certificate), "tls.key", &key);
    let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(993_945_600);
    let made = compile(&secret, &options(), None, then).unwrap();
    assert_eq!(made.cluster.problem, None);
    assert!(made.as_of(then, 9, "g").is_none());
    let later = made.as_of(now(), 9, "g").unwrap();
    assert!(later.cluster.problem.as_ref().unwrap().contains("expired"));
    assert_eq!((made.cluster.version, later.cluster.version), (0, 9), "it is shown as another version");
    let credential = later.cluster.conditions.iter().find(|condition| condition.kind == "CredentialReady");
    assert_eq!(credential.unwrap().status, "False");
    assert!(later.as_of(now(), 9, "g").is_none());
    assert!(same_access(&made, &later));
}

#[test]
fn metadata_and_health_are_the_secrets_own() {
    let secret = annotate(token_secret("a"), "status.cluster.core.oam.dev/healthy", "true");
    let secret = annotate(secret, "status.cluster.core.oam.dev/healthy-reason", "fine");
    let mut secret = annotate(secret, "kubectl.kubernetes.io/last-applied-configuration", "{\"data\":{}}");
    let created = "2024-05-06T07:08:09Z".parse().unwrap();
    secret.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created));
    let cluster = compiled(&version(secret, 7)).cluster;
    assert!(cluster.health.healthy);
    assert_eq!(cluster.health.reason, "fine");
    assert_eq!(cluster.metadata.creation_timestamp.as_deref(), Some("2024-05-06T07:08:09Z"));
    assert_eq!((&*cluster.metadata.uid, &*cluster.metadata.resource_version), ("uid-a", "7"));
    assert_eq!(cluster.metadata.annotations.len(), 2, "the last applied configuration holds the credential");
    assert_eq!(cluster.metadata.labels.len(), 1);
}

fn same_access(one: &Compiled, other: &Compiled) -> bool {
    Arc::ptr_eq(one.cluster.access.as_ref().unwrap(), other.cluster.access.as_ref().unwrap())
}

#[test]
fn only_what_matters_for_connections_makes_a_new_access() {
    let before = compiled(&token_secret("a"));
    let next = |secret: Secret| compile(&secret, &options(), Some(&before), now()).unwrap();
    assert!(same_access(&before, &next(annotate(token_secret("a"), "status.x/healthy", "true"))));
    assert!(same_access(&before, &next(set(token_secret("a"), "token", TOKEN))), "only a newline less");
    assert!(same_access(&before, &next(set(token_secret("a"), "endpoint", "https://10.0.0.1:6443/"))));
    for (key, value) in
        [("token", "other"), ("endpoint", "https://10.0.0.2:6443"), ("endpoint", "http://10.0.0.1:6443")]
    {
        assert!(!same_access(&before, &next(set(token_secret("a"), key, value))), "{key} {value}");
    }
    assert!(!same_access(&before, &next(set(token_secret("a"), "ca.crt", &new_pair().0))));
    assert!(!same_access(&before, &next(without(token_secret("a"), "ca.crt"))));
    assert!(!same_access(&before, &next(certificate_secret("a"))));
}

#[test]
fn a_mistake_keeps_the_last_good_access_and_says_why() {
    let good = compiled(&token_secret("a"));
    let broken = compile(&without(token_secret("a"), "token"), &options(), Some(&good), now()).unwrap();
    assert!(same_access(&good, &broken) && broken.failed);
    assert!(broken.cluster.problem.as_ref().unwrap().contains("data key token"));
    let worse = compile(&set(token_secret("a"), "endpoint", "?"), &options(), Some(&broken), now()).unwrap();
    assert!(same_access(&good, &worse));
    let mended = compile(&token_secret("a"), &options(), Some(&worse), now()).unwrap();
    assert!(same_access(&good, &mended));
    assert_eq!(mended.cluster.problem, None);
}

#[test]
fn what_a_secret_clearly_says_is_no_mistake() {
    let good = compiled(&token_secret("a"));
    for secret in [
        label(token_secret("a"), "cluster.core.oam.dev/cluster-endpoint-type", "ClusterProxy"),
        set(without(token_secret("a"), "token"), "token-file", "a"),
    ] {
        let next = compile(&secret, &options(), Some(&good), now()).unwrap();
        assert!(next.cluster.access.is_err(), "{:?}", next.cluster);
    }
}

#[test]
fn another_object_of_the_same_name_inherits_nothing() {
    let good = compiled(&token_secret("a"));
    let mut broken = without(token_secret("a"), "token");
    broken.metadata.uid = Some("another".to_owned());
    assert!(compile(&broken, &options(), Some(&good), now()).unwrap().cluster.access.is_err());
}

#[test]
fn no_output_shows_a_secret() {
    let key_line = pair().1.lines().nth(1).unwrap().to_owned();
    let endpoint = set(token_secret("a"), "endpoint", &format!("https://u:{TOKEN}@host"));
    let proxied = set(token_secret("a"), "proxy-url", &format!("http://u:{TOKEN}@proxy:1"));
    for secret in [token_secret("a"), certificate_secret("a"), endpoint, proxied] {
        let made = compiled(&secret);
        let shown = format!("{made:?} {made:#?} {:?}", made.cluster.problem);
        assert!(shown.contains("uid-a"), "nothing is shown at all");
        assert!(!shown.contains(TOKEN) && !shown.contains("hunter2"), "{shown}");
        assert!(!shown.contains(&key_line), "{shown}");
    }
}
