use http::{Request, Response};
use kube::client::Body;
use serde_json::Value;
use tower::service_fn;

use super::*;
use crate::clusters::fixtures::options;

/// A hub that answers with this, and the request that it was sent.
async fn asked(code: u16, answer: Value) -> (Result<HealthWritten, NotWritten>, String, Value) {
    let (tell, told) = tokio::sync::oneshot::channel();
    let mut tell = Some(tell);
    let service = service_fn(move |request: Request<Body>| {
        let (tell, answer) = (tell.take().unwrap(), answer.to_string());
        async move {
            let target = format!("{} {}", request.method(), request.uri());
            let body = request.into_body().collect_bytes().await.unwrap();
            tell.send((target, serde_json::from_slice(&body).unwrap())).unwrap();
            let answer = Response::builder().status(code).body(Body::from(answer.into_bytes())).unwrap();
            Ok::<_, std::io::Error>(answer)
        }
    });
    let options = Options { healthiness_check: true, ..options() };
    let client = Client::new(service, "default");
    let writer =
        HealthWriter::new(client, "vela-system", &options, Handle::current(), &Registry::new()).unwrap();
    let update = HealthUpdate {
        name: ClusterName::parse("one").unwrap(),
        resource_version: "7".to_owned(),
        health: Health { healthy: true, reason: "fine".to_owned() },
        dry_run: true,
        field_manager: Some("me".to_owned()),
    };
    let written = writer.write(update).await;
    let (target, body) = told.await.unwrap();
    (written, target, body)
}

#[tokio::test]
async fn two_annotations_are_written_and_only_to_the_version_that_was_seen() {
    let answer = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {
        "name": "one", "resourceVersion": "8",
        "annotations": {"status.cluster.core.oam.dev/healthy": "true", "status.cluster.core.oam.dev/healthy-reason": "fine"},
    }});
    let (written, target, body) = asked(200, answer).await;
    let written = written.unwrap();
    assert_eq!((written.metadata.resource_version.as_str(), written.health.healthy), ("8", true));
    assert!(target.starts_with("PATCH /api/v1/namespaces/vela-system/secrets/one?"), "{target}");
    assert!(target.contains("dryRun=All") && target.contains("fieldManager=me"), "{target}");
    assert_eq!(
        body,
        json!({"metadata": {"resourceVersion": "7", "annotations": {
            "status.cluster.core.oam.dev/healthy": "true",
            "status.cluster.core.oam.dev/healthy-reason": "fine",
        }}})
    );
}

#[tokio::test]
async fn what_the_hub_has_against_it_is_told_apart() {
    let status =
        |code: u16| json!({"kind": "Status", "status": "Failure", "message": "because", "code": code});
    for (code, expected) in [
        (409, "the Secret was changed in between"),
        (404, "the Secret is gone"),
        (403, "the hub does not allow the gateway to write it"),
        (422, "the hub refused it: because"),
    ] {
        let (written, ..) = asked(code, status(code)).await;
        let error = written.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{code}: {error}");
    }
}
