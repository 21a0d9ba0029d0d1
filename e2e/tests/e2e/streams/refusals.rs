//! A stream that a cluster refuses is refused through the gateway in the same words.

use e2e::client::{HttpsClient, empty};
use e2e::lab::{Protocol, Registration, SHARED_NAMESPACE, rule, shared, user};
use http::Request;

use super::place::{KWOK, NAMESPACE, STAND_IN, aimed, place, register};

const LIMITED: &str = "streams-limited";
const WEBSOCKET: &[(&str, &str)] = &[
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-protocol", "v5.channel.k8s.io"),
];
const SPDY: &[(&str, &str)] =
    &[("connection", "Upgrade"), ("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "v4.channel.k8s.io")];

#[tokio::test]
async fn kubectl_says_the_same_of_a_refusal_through_the_gateway_as_without_it() {
    let place = place().await;
    let member = &place.member;
    let pods = rule("", "pods", &["get"]);
    member.grant(LIMITED, user(LIMITED), vec![pods]).await.unwrap();
    let identity = member.issue(LIMITED, &[]).unwrap();
    let limited = Registration::x509(SHARED_NAMESPACE, LIMITED, &member.url(), &member.ca_pem(), &identity);
    let whole = place.registered(SHARED_NAMESPACE, "streams").unwrap();
    register(&limited).await.unwrap();
    register(&whole).await.unwrap();
    let masters = (place.direct(), aimed("streams").await.unwrap());
    let limited = (member.kubectl(LIMITED, &[]).unwrap(), aimed(LIMITED).await.unwrap());
    for protocol in [Protocol::WebSocket, Protocol::Spdy] {
        for ((direct, through), arguments, said) in [
            (&masters, &["exec", "nobody", "--", "true"][..], "pods \"nobody\" not found"),
            (&limited, &["exec", STAND_IN, "--", "true"], "cannot create resource \"pods/exec\""),
            (&limited, &["port-forward", "pod/kwok", ":80"], "cannot create resource \"pods/portforward\""),
            (&limited, &["attach", KWOK], "cannot create resource \"pods/attach\""),
            (&masters, &["exec", STAND_IN, "-c", "none", "--", "true"], "container none"),
            (&masters, &["exec", STAND_IN, "--", "/no/such/command"], "no such file or directory"),
        ] {
            let mut said_by = Vec::new();
            for kubectl in [direct, through] {
                let kubectl = kubectl.clone().protocol(protocol).flag(&format!("--namespace={NAMESPACE}"));
                let output = kubectl.run(arguments).await.unwrap();
                assert!(!output.success() && output.messages().contains(said), "{arguments:?}: {output:?}");
                said_by.push((output.code, output.stdout.clone(), output.messages()));
            }
            assert_eq!(said_by[0], said_by[1], "{protocol:?} {arguments:?}");
        }
    }
}

#[tokio::test]
async fn the_answer_to_an_upgrade_that_is_refused_is_the_member_s_own() {
    let place = place().await;
    register(&place.registered(SHARED_NAMESPACE, "streams").unwrap()).await.unwrap();
    let hub = shared().await.hub();
    let client = |plane: &e2e::lab::ControlPlane| {
        let address = ([127, 0, 0, 1], plane.port()).into();
        HttpsClient::new(address, "localhost", &plane.ca_pem(), Some(&plane.admin())).unwrap()
    };
    let (direct, through) = (client(&place.member), client(hub));
    let prefix = crate::through::path("streams", "");
    for (method, headers) in [("GET", WEBSOCKET), ("POST", SPDY)] {
        for (rest, code) in [
            ("pods/nobody/exec?command=true&stdout=true", 404),
            ("pods/stand-in/exec?command=true&stdout=true&container=none", 400),
            ("pods/nobody/portforward?ports=80", 404),
            ("pods/nobody/attach?stdout=true", 404),
        ] {
            let path = format!("/api/v1/namespaces/{NAMESPACE}/{rest}");
            let ask = async |client: &HttpsClient, path: &str| {
                let mut request = Request::builder().method(method).uri(path);
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                let mut connection = client.h1().await.unwrap();
                let answer = connection.fetch(request.body(empty()).unwrap()).await.unwrap();
                (answer.status, answer.header("content-type").map(str::to_owned), answer.text())
            };
            let own = ask(&direct, &path).await;
            assert_eq!(own.0, code, "{method} {rest}: {own:?}");
            assert_eq!(ask(&through, &format!("{prefix}{path}")).await, own, "{method} {rest}");
        }
    }
}
