//! Answers pass as they are, but for a cluster's 401.

use e2e::client::{Answer, HttpsClient, empty};
use e2e::echo::Received;
use http::Request;

use super::setup::{CLUSTERS, TOKEN, code, setup};

/// The same request by both protocols to both clusters.
async fn all(client: &HttpsClient, method: &str, rest: &str) -> Vec<(String, Answer)> {
    let mut answers = Vec::new();
    for cluster in ["h1", "h2"] {
        for downstream in ["h1", "h2"] {
            let request = Request::builder().method(method).uri(format!("{CLUSTERS}/{cluster}/proxy{rest}"));
            let request = request.body(empty()).unwrap();
            let answer = match downstream {
                "h1" => client.h1().await.unwrap().fetch(request).await,
                _ => client.h2().await.unwrap().fetch(request).await,
            };
            let case = format!("{method} {rest} of {cluster} over {downstream}");
            answers.push((case.clone(), answer.unwrap_or_else(|error| panic!("{case}: {error:#}"))));
        }
    }
    answers
}

#[tokio::test]
async fn codes_and_bodies_pass_as_they_are() {
    let client = setup().await.admin();
    for (rest, status, length, length_said) in [
        ("/?status=200&size=100000", 200, 100_000, true),
        ("/?status=200&size=100000&chunked=1", 200, 100_000, false),
        ("/?status=200&size=0", 200, 0, true),
        ("/?status=201&size=3", 201, 3, true),
        ("/?status=204", 204, 0, false),
        ("/?status=304", 304, 0, false),
        ("/?status=400&size=5", 400, 5, true),
        ("/?status=403&size=5", 403, 5, true),
        ("/?status=404&size=5&chunked=1", 404, 5, false),
        ("/?status=409&size=5", 409, 5, true),
        ("/?status=410&size=5", 410, 5, true),
        ("/?status=413&size=5", 413, 5, true),
        ("/?status=429&size=5", 429, 5, true),
        ("/?status=500&size=5", 500, 5, true),
        ("/?status=502&size=5", 502, 5, true),
        ("/?status=503&size=5", 503, 5, true),
        ("/?status=504&size=5", 504, 5, true),
        ("/?status=599&size=5", 599, 5, true),
    ] {
        for (case, answer) in all(&client, "GET", rest).await {
            assert_eq!((answer.status, answer.body.len()), (status, length), "{case}: {:?}", answer.headers);
            assert_eq!(
                answer.headers.contains_key("content-length"),
                length_said,
                "{case}: {:?}",
                answer.headers
            );
            let echo = if case.contains("of h1") { "h1" } else { "h2" };
            assert_eq!(answer.header("x-echo"), Some(echo), "{case}");
            let added: Vec<&str> = ["server", "via", "connection", "keep-alive"]
                .into_iter()
                .filter(|name| answer.headers.contains_key(*name))
                .filter(|name| *name != "connection" || !case.ends_with("h1"))
                .collect();
            assert!(added.is_empty(), "{case}: {:?}", answer.headers);
        }
    }
}

#[tokio::test]
async fn redirects_and_headers_of_answers_pass_unchanged() {
    let client = setup().await.admin();
    for status in [301, 302, 303, 307, 308] {
        for location in ["/elsewhere?x=y", "https%3A%2F%2Fexample.com%2Fa%2F..%2Fb"] {
            for (case, answer) in all(&client, "GET", &format!("/?status={status}&location={location}")).await
            {
                let location = location.replace("%3A", ":").replace("%2F", "/");
                assert_eq!((answer.status, answer.header("location")), (status, Some(&*location)), "{case}");
            }
        }
    }
    let headers = [
        ("content-type", "application/vnd.kubernetes.protobuf"),
        ("content-encoding", "gzip"),
        ("retry-after", "7"),
        ("warning", "299 - \"old\""),
        ("audit-id", "of-the-cluster"),
        ("x-kubernetes-pf-flowschema-uid", "a"),
        ("etag", "\"x\""),
        ("vary", "Accept"),
        ("cache-control", "no-cache, private"),
        ("www-authenticate", "Basic"),
    ];
    let query: String = headers
        .iter()
        .map(|(name, value)| format!("&header={name}:{}", value.replace(' ', "%20").replace('"', "%22")))
        .collect();
    for (case, answer) in
        all(&client, "GET", &format!("/?size=2{query}&header=set-cookie:a&header=set-cookie:b")).await
    {
        for (name, value) in headers {
            let found: Vec<_> = answer.headers.get_all(name).iter().collect();
            assert!(found.iter().any(|found| *found == value), "{case}: {name}: {found:?}");
        }
        let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a", "b"], "{case}");
    }
    let hop = "/?size=2&header=keep-alive:timeout%3D5&header=proxy-authenticate:Basic&header=x-kept:1";
    // HTTP/2 has none of those: whoever sends one breaks the protocol (RFC 9113 section 8.2.2).
    for (case, answer) in all(&client, "GET", hop).await {
        if case.contains("of h2") {
            assert!([200, 502].contains(&answer.status), "{case}: {}", answer.status);
            continue;
        }
        assert_eq!(answer.header("x-kept"), Some("1"), "{case}");
        for name in ["keep-alive", "proxy-authenticate"] {
            assert_eq!(answer.header(name), None, "{case}");
        }
    }
}

#[tokio::test]
async fn a_head_has_the_headers_of_a_get_and_no_body() {
    let client = setup().await.admin();
    for (case, answer) in all(&client, "HEAD", "/head?size=1234").await {
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{case}");
        assert_eq!(answer.header("content-length"), Some("1234"), "{case}: {:?}", answer.headers);
    }
    for (case, answer) in all(&client, "HEAD", "/head?size=1234&chunked=1").await {
        assert_eq!(
            (answer.status, answer.body.len(), answer.header("content-length")),
            (200, 0, None),
            "{case}"
        );
    }
    // The connection can be used for another one.
    let mut h1 = client.h1().await.unwrap();
    for _ in 0..3 {
        let request = Request::head(format!("{CLUSTERS}/h1/proxy/head?size=99")).body(empty()).unwrap();
        assert_eq!(h1.fetch(request).await.unwrap().status, 200);
        let answer = h1.get(&format!("{CLUSTERS}/h1/proxy/after-head?status=304")).await.unwrap();
        assert_eq!(answer.status, 304);
    }
}

#[tokio::test]
async fn trailers_pass_over_http_2() {
    let client = setup().await.admin();
    for (case, answer) in all(&client, "GET", "/?size=10&trailers=1").await {
        assert_eq!((answer.status, answer.body.len()), (200, 10), "{case}");
        if case.ends_with("over h2") {
            let trailers = answer.trailers.unwrap_or_default();
            assert_eq!(
                trailers.get("x-echo-trailer").map(|value| value.as_bytes()),
                Some(&b"done"[..]),
                "{case}"
            );
        }
    }
}

#[tokio::test]
async fn early_hints_pass_before_the_answer() {
    let setup = setup().await;
    for cluster in ["h1", "h2"] {
        let line = format!("GET {CLUSTERS}/{cluster}/proxy/hints?hints=2&size=3");
        let answer = setup.raw(&line, "Connection: close\r\n", "").await;
        let codes: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        assert_eq!(codes, ["103", "103", "200"], "{cluster}: {answer}");
        assert!(answer.to_ascii_lowercase().contains("link: </x>; rel=preload"), "{cluster}: {answer}");
    }
    for (case, answer) in all(&setup.admin(), "GET", "/?hints=2&size=3").await {
        assert_eq!((answer.status, answer.body.len()), (200, 3), "{case}");
    }
}

#[tokio::test]
async fn who_waits_for_a_100_is_told_to_go_on() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let setup = setup().await;
    let client = setup.admin();
    for cluster in ["h1", "h2"] {
        let mut stream = client.tls(&["http/1.1"]).await.unwrap();
        let head = format!(
            "POST {CLUSTERS}/{cluster}/proxy/expect HTTP/1.1\r\n{}Expect: 100-continue\r\nContent-Length: 4\r\n\
             Connection: close\r\n\r\n",
            client.header_lines()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 25];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 100 Continue\r\n\r\n", "{cluster}");
        stream.write_all(b"body").await.unwrap();
        answer.clear();
        // An end without close_notify is an end too.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(code(&answer), 200, "{cluster}: {answer}");
        assert_eq!(setup.reached("/expect").last().map(|received| received.body_length), Some(4));
    }
}

#[tokio::test]
async fn a_clusters_401_becomes_a_502_that_names_it_and_no_secret() {
    let client = setup().await.admin();
    let rest = "/?status=401&size=9&header=www-authenticate:Bearer";
    for (case, answer) in all(&client, "GET", rest).await {
        assert_eq!(answer.status, 502, "{case}");
        assert_eq!(answer.header("www-authenticate"), None, "{case}");
        let status = answer.json().unwrap();
        assert_eq!(
            (status["kind"].as_str(), status["code"].as_u64()),
            (Some("Status"), Some(502)),
            "{case}: {status}"
        );
        let message = status["message"].as_str().unwrap();
        let cluster = if case.contains("of h1") { "\"h1\"" } else { "\"h2\"" };
        assert!(message.contains(cluster) && message.contains("credential"), "{case}: {message}");
        assert!(!answer.text().contains(TOKEN), "{case}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_complete() {
    let client = setup().await.admin();
    for cluster in ["h1", "h2"] {
        for rest in
            ["/?size=100000&cut=70000", "/?size=100000&chunked=1&cut=70000", "/?size=10&chunked=1&cut=3"]
        {
            let path = format!("{CLUSTERS}/{cluster}/proxy{rest}");
            let over_h1 = client.h1().await.unwrap().get(&path).await;
            assert!(
                over_h1.as_ref().is_err() || over_h1.as_ref().is_ok_and(|answer| answer.status == 502),
                "{path}: {over_h1:?}"
            );
            let over_h2 = client.h2().await.unwrap().get(&path).await;
            assert!(
                over_h2.as_ref().is_err() || over_h2.as_ref().is_ok_and(|answer| answer.status == 502),
                "{path}: {over_h2:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_s_body_is_read() {
    let client = setup().await.admin();
    for cluster in ["h1", "h2"] {
        let path = format!("{CLUSTERS}/{cluster}/proxy/early?early=1&status=413&size=7");
        let body = e2e::client::bytes(vec![b'x'; 8 << 20]);
        let request = Request::post(path.as_str()).body(body).unwrap();
        let answer = client.h2().await.unwrap().fetch(request).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (413, 7), "{cluster}: {}", answer.text());
    }
    // What was refused early is not what the next request meets.
    let answer = client.h2().await.unwrap().get(&format!("{CLUSTERS}/h1/proxy/after-early")).await.unwrap();
    assert_eq!(Received::parse(&answer.body).unwrap().target, "/after-early");
}

#[tokio::test]
async fn a_401_of_what_stands_behind_a_cluster_passes_and_repeats_nothing() {
    let setup = setup().await;
    let path = "/api/v1/namespaces/default/services/web/proxy/login";
    let rest = format!("{path}?status=401&header=www-authenticate:Basic");
    let answers = all(&setup.admin(), "POST", &rest).await;
    for (case, answer) in &answers {
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Basic")), "{case}");
    }
    assert_eq!(setup.reached(path).len(), answers.len());
}
