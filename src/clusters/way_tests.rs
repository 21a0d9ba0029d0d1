use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;

use crate::clusters::compile::{Compiled, Options, compile};
use crate::clusters::fixtures::*;
use crate::upstream::{Konnectivity, KonnectivityMode};

const TYPE: &str = "cluster.core.oam.dev/cluster-endpoint-type";
const SERVER_NAME: &str = "cluster.core.oam.dev/tls-server-name";

fn compiled(secret: &Secret, options: &Options) -> Compiled {
    compile(secret, options, None, now()).unwrap()
}

fn next(before: &Compiled, secret: &Secret, options: &Options) -> Compiled {
    compile(secret, options, Some(before), now()).unwrap()
}

fn reason(secret: &Secret) -> String {
    compiled(secret, &options()).cluster.access.clone().unwrap_err()
}

fn with_konnectivity() -> Options {
    let options = options();
    let path = PathBuf::from("/nowhere/konnectivity.sock");
    let made = Konnectivity::by_socket(KonnectivityMode::Grpc, path, &options.network).unwrap();
    Options { konnectivity: Some(made), ..options }
}

/// Has no endpoint.
fn behind_konnectivity() -> Secret {
    without(label(token_secret("member-1"), TYPE, "ClusterProxy"), "endpoint")
}

#[test]
fn a_proxy_is_no_reason_not_to_verify() {
    for url in ["http://u:p@proxy:3128", "https://proxy", "socks5://10.0.0.9", "socks5h://u:p@proxy:1080\n"] {
        let cluster = compiled(&set(token_secret("a"), "proxy-url", url), &options()).cluster;
        let access = cluster.access.as_ref().unwrap();
        assert!(access.verified, "{url}");
    }
}

#[test]
fn what_is_wrong_with_a_proxy_is_named_and_not_repeated() {
    let proxied = |url: &str| set(token_secret("a"), "proxy-url", url);
    let https = proxied("https://proxy");
    for (secret, expected) in [
        (proxied("u:secret@proxy"), "data key proxy-url: it is no URL"),
        (proxied("ftp://u:secret@proxy"), "data key proxy-url: its scheme is none of"),
        (proxied("http://u:sec/ret@proxy"), "data key proxy-url: it has a path"),
        (set_bytes(token_secret("a"), "proxy-url", b"http://\xff"), "data key proxy-url is not text"),
        (set(https, "proxy-ca.crt", "secret"), "data key proxy-ca.crt: there is no CERTIFICATE block"),
    ] {
        let reason = reason(&secret);
        assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
        assert!(!reason.contains("sec"), "{reason:?} repeats data");
    }
}

#[test]
fn clusters_behind_konnectivity_need_no_endpoint_and_are_asked_by_their_name() {
    let cluster = compiled(&behind_konnectivity(), &with_konnectivity()).cluster;
    let access = cluster.access.as_ref().unwrap();
    assert_eq!(access.endpoint().authority(), "member-1");
    assert_eq!(access.endpoint().port(), 443);
    assert!(!access.verified, "its name is nothing that a certificate could say");
}

#[test]
fn without_konnectivity_the_flag_that_is_missing_is_named() {
    let reason = reason(&behind_konnectivity());
    assert!(reason.contains("--proxy-host or --proxy-uds"), "{reason}");
}

#[test]
fn the_annotation_makes_clusters_behind_konnectivity_verified() {
    let options = with_konnectivity();
    let named = annotate(behind_konnectivity(), SERVER_NAME, "kubernetes.default.svc");
    assert!(compiled(&named, &options).cluster.access.as_ref().unwrap().verified);
    let strict = Options { require_ca: true, ..options };
    assert!(compiled(&named, &strict).cluster.access.is_ok());
    let refused = compiled(&behind_konnectivity(), &strict).cluster.access.clone().unwrap_err();
    assert!(refused.contains(SERVER_NAME) && refused.contains("--require-cluster-ca"), "{refused}");
}

#[test]
fn whoever_names_a_certificate_is_never_left_unverified() {
    let named = |secret: Secret, name: &str| annotate(secret, SERVER_NAME, name);
    let without_ca = named(without(token_secret("a"), "ca.crt"), "x.example");
    for (secret, expected) in [
        (without_ca.clone(), "but data key ca.crt is missing"),
        (named(set(token_secret("a"), "endpoint", "http://h"), "x.example"), "but the endpoint is not https"),
        (named(token_secret("a"), "no name"), "is neither a DNS name nor an IP address"),
        (named(token_secret("a"), ""), "is neither a DNS name nor an IP address"),
    ] {
        let reason = reason(&secret);
        assert!(reason.contains(SERVER_NAME) && reason.contains(expected), "{reason}");
    }
    for name in ["x.example", "10.0.0.7\n"] {
        assert!(compiled(&named(token_secret("a"), name), &options()).cluster.access.is_ok(), "{name}");
    }
    let unverified = compiled(&without(token_secret("a"), "ca.crt"), &options());
    assert!(next(&unverified, &without_ca, &options()).cluster.access.is_err(), "went on unverified");
}

#[test]
fn another_way_is_another_access() {
    let options = with_konnectivity();
    let proxied = |url: &str| set(token_secret("a"), "proxy-url", url);
    let same = |one: &Compiled, other: &Compiled| {
        Arc::ptr_eq(one.cluster.access.as_ref().unwrap(), other.cluster.access.as_ref().unwrap())
    };
    let secrets = [
        token_secret("a"),
        proxied("https://proxy"),
        proxied("https://u:p@proxy"),
        set(proxied("https://proxy"), "proxy-ca.crt", &new_pair().0),
        annotate(token_secret("a"), SERVER_NAME, "x.example"),
        label(token_secret("a"), TYPE, "ClusterProxy"),
    ];
    for (index, secret) in secrets.iter().enumerate() {
        let before = compiled(secret, &options);
        for (other, secret) in secrets.iter().enumerate() {
            assert_eq!(same(&before, &next(&before, secret, &options)), index == other, "{index} {other}");
        }
    }
}

#[test]
fn what_should_go_through_a_proxy_never_goes_on_without_it() {
    let options = options();
    let (direct, broken) = (token_secret("a"), set(token_secret("a"), "proxy-url", "http://"));
    assert!(next(&compiled(&direct, &options), &broken, &options).cluster.access.is_err());
    let both = set(set(direct.clone(), "proxy-url", "http://proxy"), "token", "no token");
    assert!(next(&compiled(&direct, &options), &both, &options).cluster.access.is_err());
    let behind = label(direct.clone(), TYPE, "ClusterProxy");
    assert!(next(&compiled(&direct, &options), &behind, &options).cluster.access.is_err());
    // One proxy that worked stays in force while the next one is misspelt.
    let before = compiled(&set(direct, "proxy-url", "http://proxy"), &options);
    let after = next(&before, &broken, &options).cluster;
    assert!(after.access.is_ok() && after.problem.as_ref().unwrap().contains("proxy-url"));
}

#[test]
fn what_should_be_verified_never_goes_on_unverified() {
    let options = with_konnectivity();
    let (verified, unverified) = (token_secret("a"), without(token_secret("a"), "ca.crt"));
    let clear = set(verified.clone(), "endpoint", "http://10.0.0.1:8080");
    let behind = label(verified.clone(), TYPE, "ClusterProxy");
    let proxied = set(unverified.clone(), "proxy-url", "https://proxy");
    let named = annotate(behind.clone(), SERVER_NAME, "x.example");
    let proxy_named = set(proxied.clone(), "proxy-ca.crt", &pair().0);
    for (before, after) in [
        (&unverified, set(verified.clone(), "ca.crt", "no certificate")),
        (&unverified, set(verified.clone(), "token", "")),
        (&unverified, set(verified.clone(), "endpoint", "10.0.0.1")),
        (&behind, set(named.clone(), "token", "")),
        (&behind, set(named.clone(), "ca.crt", "no certificate")),
        (&clear, set(verified.clone(), "ca.crt", "no certificate")),
        (&proxied, set(proxied.clone(), "proxy-ca.crt", "no certificate")),
        (&proxied, set(proxy_named.clone(), "token", "")),
        (&set(unverified.clone(), "proxy-url", "http://proxy"), set(proxy_named.clone(), "token", "")),
    ] {
        let before = compiled(before, &options);
        assert!(before.cluster.access.is_ok(), "{before:?}");
        let next = next(&before, &after, &options).cluster;
        assert!(next.access.is_err(), "went on unverified: {next:?}");
    }
    // What asks for no more than there was, or had it already, goes on through a mistake.
    for (before, after) in [
        (&unverified, set(unverified.clone(), "token", "")),
        (&clear, set(clear.clone(), "token", "")),
        (&behind, set(behind.clone(), "token", "")),
        (&verified, set(verified.clone(), "ca.crt", "no certificate")),
        (&named, set(named.clone(), "ca.crt", "no certificate")),
        (&proxy_named, set(proxied.clone(), "proxy-ca.crt", "no certificate")),
    ] {
        let before = compiled(before, &options);
        assert!(next(&before, &after, &options).cluster.access.is_ok(), "{after:?}");
    }
}
