//! Paths and queries go out as they came.

use e2e::client::{HttpsClient, bytes, empty};
use e2e::echo::{Echo, EchoOptions, Received};
use e2e::lab::{Registration, SHARED_NAMESPACE, shared, shared_gateway, until};
use http::Request;

use super::setup::{CLUSTERS, TOKEN, get, setup};

/// What follows `/proxy`, and what the cluster sees.
const CASES: &[(&str, &str)] = &[
    ("", "/"),
    ("/", "/"),
    ("?limit=0", "/?limit=0"),
    ("/?x=1", "/?x=1"),
    ("/api", "/api"),
    ("/api/", "/api/"),
    ("/api//", "/api//"),
    ("//api", "//api"),
    ("//", "//"),
    ("/a//b", "/a//b"),
    ("/a%2Fb", "/a%2Fb"),
    ("/a%2fb", "/a%2fb"),
    ("/%2F", "/%2F"),
    ("/a+b", "/a+b"),
    ("/a%2Bb", "/a%2Bb"),
    ("/a%20b", "/a%20b"),
    ("/a%25b", "/a%25b"),
    ("/a%252e%252e/b", "/a%252e%252e/b"),
    ("/%61pi", "/%61pi"),
    ("/caf%C3%A9/%e2%82%ac/%F0%9F%A6%80", "/caf%C3%A9/%e2%82%ac/%F0%9F%A6%80"),
    ("/a%0D%0AHost:%20x", "/a%0D%0AHost:%20x"),
    ("/a%00b", "/a%00b"),
    ("/a;b=c/d:e@f,g$h&i=j!k~l*m'n(o)p", "/a;b=c/d:e@f,g$h&i=j!k~l*m'n(o)p"),
    ("/.../a..b/.hidden/..a/b..", "/.../a..b/.hidden/..a/b.."),
    ("/a%5Cb", "/a%5Cb"),
    ("/api?", "/api?"),
    ("/api?a=1&a=2&&b=%2F+%20&=x&empty=&flag", "/api?a=1&a=2&&b=%2F+%20&=x&empty=&flag"),
    ("/api?path=/../../x&q=a?b?c", "/api?path=/../../x&q=a?b?c"),
    ("/api?b=1&a=2&%61=caf%C3%A9", "/api?b=1&a=2&%61=caf%C3%A9"),
    ("/api?dryRun=All&fieldManager=x", "/api?dryRun=All&fieldManager=x"),
    (
        "/api/v1/namespaces/a/services/https:b:1/proxy/c//d/",
        "/api/v1/namespaces/a/services/https:b:1/proxy/c//d/",
    ),
    (
        "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/h1/proxy/x",
        "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/h1/proxy/x",
    ),
    ("/proxy", "/proxy"),
];

#[tokio::test]
async fn paths_and_queries_reach_a_cluster_as_they_came() {
    let setup = setup().await;
    let client = setup.admin();
    let h2 = client.h2().await.unwrap();
    let long = format!("/api?command={}", "x%20".repeat(12_000));
    let deep = format!("/api{}", "/segment".repeat(2_000));
    let mut cases: Vec<(&str, &str)> = CASES.to_vec();
    cases.extend([(long.as_str(), long.as_str()), (deep.as_str(), deep.as_str())]);
    for (rest, expected) in cases {
        for cluster in ["h1", "h2", "prefix-h1", "prefix-h2"] {
            let prefix = if cluster.starts_with("prefix") { "/k8s/clusters/c-1" } else { "" };
            for downstream in ["h1", "h2"] {
                let path = format!("{CLUSTERS}/{cluster}/proxy{rest}");
                let case = format!("{rest:.80} to {cluster} over {downstream}");
                let answer = get(&client, &h2, downstream, &path).await;
                let answer = answer.unwrap_or_else(|error| panic!("{case}: {error:#}"));
                assert_eq!(answer.status, 200, "{case}: {}", answer.text());
                let received = Received::parse(&answer.body).unwrap();
                // Nothing after a prefix: the prefix itself, as the endpoint says it.
                let nothing = !prefix.is_empty() && (rest.is_empty() || rest.starts_with('?'));
                let expected = if nothing { expected.trim_start_matches('/') } else { expected };
                assert_eq!(received.target, format!("{prefix}{expected}"), "{case}");
                let echo = if cluster.ends_with("h1") { &setup.h1 } else { &setup.h2 };
                assert_eq!(received.authority, echo.address().to_string(), "{case}");
                let hosts = received.header("host").len();
                assert_eq!(hosts, usize::from(cluster.ends_with("h1")), "{case}: {:?}", received.headers);
            }
        }
    }
}

#[tokio::test]
async fn every_method_reaches_a_cluster_with_its_body() {
    let setup = setup().await;
    let client = setup.admin();
    let h2 = client.h2().await.unwrap();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        for cluster in ["h1", "h2"] {
            for downstream in ["h1", "h2"] {
                let path = format!("{CLUSTERS}/{cluster}/proxy/{method}-{downstream}");
                let request = Request::builder().method(method).uri(path).body(bytes("some body")).unwrap();
                let answer = match downstream {
                    "h1" => client.h1().await.unwrap().fetch(request).await,
                    _ => h2.fetch(request).await,
                };
                let received = Received::parse(&answer.unwrap().body).unwrap();
                assert_eq!(
                    (received.method.as_str(), received.body_length),
                    (method, 9),
                    "{cluster} {downstream}"
                );
            }
        }
    }
}

/// The hub decodes a path and encodes it anew, and sorts the query: what it makes of these.
#[tokio::test]
async fn through_a_hub_paths_keep_their_meaning() {
    shared_gateway().await;
    let hub = shared().await.hub();
    let admin = hub.admin_client().await.unwrap();
    let echo = Echo::start(EchoOptions::default()).unwrap();
    let registration = Registration::token(SHARED_NAMESPACE, "paths-hub", &echo.url(), echo.ca_pem(), TOKEN);
    registration.apply(&admin).await.unwrap();
    let identity = hub.issue("paths-hub", &["system:masters"]).unwrap();
    let client =
        HttpsClient::new(([127, 0, 0, 1], hub.port()).into(), "localhost", &hub.ca_pem(), Some(&identity));
    let client = client.unwrap().h2().await.unwrap();
    let base = format!("{CLUSTERS}/paths-hub/proxy");
    until("the cluster", std::time::Duration::from_secs(20), || async {
        anyhow::ensure!(client.get(&base).await?.status == 200);
        Ok(())
    })
    .await
    .unwrap();
    let long = format!("/api?q={}", "y".repeat(40_000));
    for (rest, expected) in [
        ("", "/"),
        ("/", "/"),
        ("/api/", "/api/"),
        ("/a+b%20c", "/a+b%20c"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%252Fb", "/a%252Fb"),
        ("/a%2Fb", "/a/b"),
        ("/api?b=2&a=1", "/api?a=1&b=2"),
        (
            "/api/v1/namespaces/a/services/https:b:1/proxy/c/",
            "/api/v1/namespaces/a/services/https:b:1/proxy/c/",
        ),
        (&long, &long),
    ] {
        let answer = client.get(&format!("{base}{rest}")).await.unwrap();
        assert_eq!(answer.status, 200, "{rest:.80}: {}", answer.text());
        assert_eq!(Received::parse(&answer.body).unwrap().target, expected, "{rest:.80}");
    }
    // What the hub adds to every request, and what a caller cannot slip past the two.
    let request = Request::get(format!("{base}/headers"))
        .header("authorization", "Bearer not-a-token-of-the-hub")
        .header("x-remote-user", "system:admin")
        .header("x-remote-group", "system:masters")
        .header("x-remote-extra-a", "b")
        .header("accept", "application/vnd.kubernetes.protobuf,application/json")
        .header("user-agent", "lab/1")
        .body(empty())
        .unwrap();
    let received = Received::parse(&client.fetch(request).await.unwrap().body).unwrap();
    assert_eq!(received.header("authorization"), [format!("Bearer {TOKEN}")]);
    assert!(!received.has_header_starting("x-remote-"), "{:?}", received.headers);
    assert_eq!(received.header("accept"), ["application/vnd.kubernetes.protobuf,application/json"]);
    assert_eq!(received.header("user-agent"), ["lab/1"]);
    // The caller as the hub saw it, and the hub as the gateway did.
    assert_eq!(received.header("x-forwarded-for"), ["127.0.0.1, 127.0.0.1"]);
    assert_eq!(received.header("audit-id").len(), 1);
    registration.delete(&admin).await.unwrap();
}
