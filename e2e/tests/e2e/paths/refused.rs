//! What is no path of a cluster's API reaches no cluster.

use std::time::Duration;

use e2e::client::HttpsClient;
use e2e::lab::{rule, shared, user};
use k8s_openapi::api::rbac::v1::PolicyRule;

use super::setup::{CLUSTERS, code, get, setup};

/// Behind `/proxy`: each could leave the cluster's API, or the prefix of its endpoint.
const DOTS: &[&str] = &[
    "/..",
    "/.",
    "/../",
    "/a/../b",
    "/a/./b",
    "/%2e%2e/b",
    "/%2E%2E",
    "/.%2e/b",
    "/%2e./b",
    "/a/%2e",
    "/a/..?x=y",
    "/..%2Fb",
    // Servers that take a backslash for a slash are out there.
    "/a%5C..%5Cb",
    "/a%2F..%2Fb",
    "/a%2f%2e%2e%2fb",
    "//..//",
    "/../../h1/proxy/x",
];

/// Instead of `NAME/proxy/…`: no cluster has such a name.
const NAMES: &[&str] = &[
    "../proxy/MARK",
    "./proxy/MARK",
    "..%2Fh1/proxy/MARK",
    "%2e%2e/proxy/MARK",
    "%2E/proxy/MARK",
    "h1%2Fproxy/proxy/MARK",
    "h1%2F..%2Fh2/proxy/MARK",
    "h1/../h2/proxy/MARK",
    "h1%00/proxy/MARK",
    "h1%20/proxy/MARK",
    "h1./proxy/MARK",
    "H1/proxy/MARK",
    "h1;h2/proxy/MARK",
    "h1%0D%0A/proxy/MARK",
    "/proxy/MARK",
    "/h1/proxy/MARK",
    "h1//proxy/MARK",
    "h1/proxy%2FMARK",
    "h1/PROXY/MARK",
    "h1/proxyMARK",
    "%C3%A9/proxy/MARK",
    "%FF/proxy/MARK",
];

#[tokio::test]
async fn dot_segments_behind_proxy_are_refused() {
    let setup = setup().await;
    let client = setup.admin();
    let h2 = client.h2().await.unwrap();
    for (number, rest) in DOTS.iter().enumerate() {
        for cluster in ["h1", "prefix-h2"] {
            for downstream in ["h1", "h2"] {
                let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
                let mark = format!("refused-dots-{number}");
                let path = format!("{CLUSTERS}/{cluster}/proxy{path}?{query}&{mark}");
                let answer = get(&client, &h2, downstream, &path).await.unwrap();
                assert_eq!(answer.status, 400, "{path}: {}", answer.text());
                let status = answer.json().unwrap();
                assert_eq!(
                    (status["kind"].as_str(), status["reason"].as_str()),
                    (Some("Status"), Some("BadRequest"))
                );
                assert!(setup.reached(&mark).is_empty(), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn names_that_no_cluster_has_reach_none() {
    let setup = setup().await;
    let client = setup.admin();
    let h2 = client.h2().await.unwrap();
    for (number, name) in NAMES.iter().enumerate() {
        for downstream in ["h1", "h2"] {
            let mark = format!("refused-name-{number}");
            let path = format!("{CLUSTERS}/{}", name.replace("MARK", &mark));
            let answer = get(&client, &h2, downstream, &path).await.unwrap();
            assert!([400, 404].contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
            assert_eq!(answer.json().unwrap()["kind"], "Status", "{path}");
            assert!(setup.reached(&mark).is_empty(), "{path}");
        }
    }
    // Spellings before NAME: of another resource, or of the same one, which then is authorized as the same.
    for path in [
        "//apis/cluster.core.oam.dev/v1alpha1/clustergateways/h1/proxy/refused-spelling",
        "/apis/cluster.core.oam.dev/v1alpha1//clustergateways/h1/proxy/refused-spelling",
        "/apis/cluster.core.oam.dev/v1alpha1/x/../clustergateways/h1/proxy/refused-spelling",
        "/apis/cluster.core.oam.dev/v1alpha1%2Fclustergateways/h1/proxy/refused-spelling",
        "/apis/cluster.core.oam.dev/v1alpha2/clustergateways/h1/proxy/refused-spelling",
        "/apis/cluster.core.oam.dev/v1alpha1/namespaces/x/clustergateways/h1/proxy/refused-spelling",
        "/APIS/cluster.core.oam.dev/v1alpha1/clustergateways/h1/proxy/refused-spelling",
    ] {
        let answer = h2.get(path).await.unwrap();
        assert!([400, 404].contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
    }
    assert!(setup.reached("refused-spelling").is_empty());
}

#[tokio::test]
async fn whoever_may_use_one_cluster_reaches_no_other_by_any_spelling() {
    let setup = setup().await;
    let hub = shared().await.hub();
    let named = PolicyRule {
        resource_names: Some(vec!["h1".to_owned()]),
        ..rule("cluster.core.oam.dev", "clustergateways/proxy", &["get"])
    };
    hub.grant("paths-one", user("paths-one"), vec![named]).await.unwrap();
    let client = setup.gateway.front_proxy("paths-one", &["system:authenticated"]).unwrap();
    let h2 = client.h2().await.unwrap();
    let own = h2.get(&format!("{CLUSTERS}/h1/proxy/allowed-one")).await.unwrap();
    assert_eq!(own.status, 200, "{}", own.text());
    for rest in [
        "h2/proxy/refused-other",
        "%68%32/proxy/refused-other",
        "h2/%70roxy/refused-other",
        "h1/proxy/../../h2/proxy/refused-other",
        "h1%2Fproxy%2F..%2F..%2Fh2/proxy/refused-other",
        "h1/../h2/proxy/refused-other",
        "h2%2F..%2Fh1/proxy/refused-other",
        "h2/proxy/refused-other/../../../h1/proxy/x",
        "namespaces/h1/clustergateways/h2/proxy/refused-other",
    ] {
        for downstream in ["h1", "h2"] {
            let path = format!("{CLUSTERS}/{rest}");
            let answer = get(&client, &h2, downstream, &path).await.unwrap();
            assert!([400, 403, 404].contains(&answer.status), "{path}: {}", answer.status);
        }
    }
    assert!(setup.reached("refused-other").is_empty());
}

#[tokio::test]
async fn absolute_and_other_forms_of_a_target_choose_no_other_cluster() {
    let setup = setup().await;
    let host = setup.admin();
    // RFC 9112 section 3.2.2 wants the form understood; the cluster is by the path alone, and a host that is not
    // the Host header's is refused.
    let own = format!("localhost:{}", setup.gateway.address().port());
    for (host, expected) in [(setup.h2.address().to_string(), 400), (own, 200)] {
        let target = format!("https://{host}{CLUSTERS}/h1/proxy/absolute-form");
        let answer = setup.raw(&format!("GET {target}"), "Connection: close\r\n", "").await;
        assert_eq!(code(&answer), expected, "{answer}");
    }
    let reached = setup.reached("absolute-form");
    assert_eq!(reached.len(), 1);
    assert_eq!((reached[0].echo.as_str(), reached[0].target.as_str()), ("h1", "/absolute-form"));
    assert_eq!(reached[0].authority, setup.h1.address().to_string());
    for line in ["OPTIONS *", "CONNECT 127.0.0.1:1"] {
        let answer = raw_line(&host, line).await;
        assert!((400..500).contains(&code(&answer)), "{line}: {answer}");
    }
    for line in ["GET h1/proxy/odd-form", "GET ?odd-form", "GET proxy/odd-form"] {
        assert!(code(&raw_line(&host, line).await) >= 200, "{line}: no answer");
    }
    assert!(setup.reached("odd-form").is_empty());
}

async fn raw_line(client: &HttpsClient, line: &str) -> String {
    let request = format!("{line} HTTP/1.1\r\n{}Connection: close\r\n\r\n", client.header_lines());
    let answer = client.raw(request.as_bytes(), Duration::from_secs(10)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
