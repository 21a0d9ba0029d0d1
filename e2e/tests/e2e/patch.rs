//! The subcommand `patch`, against a hub's APIService.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use e2e::lab::{Authority, ControlPlane, gateway_binary, shared};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

const API_SERVICE: &str = "v1alpha1.t4-patch.example.com";

async fn run(program: &Path, hub: &ControlPlane, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).arg(format!("--kubeconfig={}", hub.admin_kubeconfig().display()));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn an_api_service_gets_the_ca_of_a_secret_once() {
    let hub = shared().await.hub();
    let admin = hub.admin_client().await.unwrap();
    hub.ensure_namespace("t4-patch").await.unwrap();
    let authority = Authority::new("t4-patch").unwrap();
    let secrets: Api<Secret> = Api::namespaced(admin.clone(), "t4-patch");
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "tls"},
        "stringData": {"ca": authority.pem(), "other": "nonsense", "both": format!("{}-----BEGIN PRIVATE KEY-----", authority.pem())},
    }))
    .unwrap();
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    let services: Api<APIService> = Api::all(admin);
    let service: APIService = serde_json::from_value(json!({
        "metadata": {"name": API_SERVICE},
        "spec": {
            "group": "t4-patch.example.com", "version": "v1alpha1",
            "groupPriorityMinimum": 1, "versionPriority": 1, "insecureSkipTLSVerify": true,
            "service": {"name": "nobody", "namespace": "t4-patch"},
        },
    }))
    .unwrap();
    services.create(&PostParams::default(), &service).await.unwrap();

    let binary = gateway_binary().unwrap();
    let target = ["--target-APIService", API_SERVICE];
    let base = ["patch", "--secret-namespace=t4-patch", "--secret-name=tls"];
    let wrong: [(&[&str], i32, &str); 5] = [
        (&["--secret-name=none"], 1, "Secret t4-patch/none is not there"),
        (&["--secret-ca-bundle-key=none"], 1, "has no data key \"none\", only both, ca, other"),
        (&["--secret-ca-bundle-key=other"], 1, "holds no certificate in PEM"),
        (&["--secret-ca-bundle-key=both"], 1, "holds a private key"),
        (&["--target-APIService=v1.none"], 1, "APIService v1.none is not there"),
    ];
    for (arguments, code, words) in wrong {
        let output = run(&binary, hub, &[&base[..], &target, arguments].concat()).await;
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(words) && said(&output).lines().count() == 1, "{}", said(&output));
    }
    let local = run(&binary, hub, &[&base[..], &["--target-APIService=v1."]].concat()).await;
    assert!(said(&local).contains("the hub serves it itself"), "{}", said(&local));
    let incomplete = run(&binary, hub, &["patch", "--secret-name=tls"]).await;
    assert_eq!(incomplete.status.code(), Some(2), "{}", said(&incomplete));

    // As the Go gateway's image has it.
    let folder = tempfile::tempdir().unwrap();
    let other_name = folder.path().join("patch");
    symlink(&binary, &other_name).unwrap();
    let mut versions = Vec::new();
    for (program, arguments, words) in [
        (&other_name, [&base[1..], &target].concat(), "now trusts the CA"),
        (&binary, [&base[..], &target].concat(), "already trusts the CA"),
    ] {
        let output = run(program, hub, &arguments).await;
        assert!(output.status.success() && said(&output).contains(words), "{}", said(&output));
        let patched = services.get(API_SERVICE).await.unwrap();
        let spec = patched.spec.unwrap();
        assert_eq!(spec.ca_bundle.unwrap().0, authority.pem().as_bytes());
        assert_ne!(spec.insecure_skip_tls_verify, Some(true));
        versions.push(patched.metadata.generation);
    }
    assert_eq!(versions[0], versions[1], "the second one changed something");
}
