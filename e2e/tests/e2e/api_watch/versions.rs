//! What people do with kubectl, by the version that goes with the control planes and by one four minor versions older.

use std::time::Duration;

use anyhow::ensure;
use e2e::lab::{ControlPlane, Kubectl, Registration, until};
use kube::Client;
use serde_json::Value;

use super::kubectl::line;
use super::{NAMESPACE, behind_a_hub, nowhere};

const GROUP: &str = "cluster.core.oam.dev";
const SOON: Duration = Duration::from_secs(60);
const SCHEMAS: Duration = Duration::from_secs(90);
const NOT_ALLOWED: &str =
    "Error from server (MethodNotAllowed): the server does not allow this method on the requested resource";

#[tokio::test]
async fn kubectl_of_this_version_works_with_our_resources() {
    everything("kubectl-now", |hub| hub.admin_kubectl(), "v1.35").await;
}

#[tokio::test]
async fn kubectl_of_four_minor_versions_ago_works_with_our_resources() {
    everything("kubectl-old", |hub| hub.admin_kubectl().old(), "v1.31").await;
}

async fn everything(name: &str, kubectl: impl Fn(&ControlPlane) -> Kubectl, version: &str) {
    let (hub, _gateway) = behind_a_hub(name).await.unwrap();
    let client = hub.admin_client().await.unwrap();
    let kubectl = kubectl(&hub);
    let own: Value =
        serde_json::from_str(&kubectl.ok(&["version", "--client", "-o", "json"]).await.unwrap()).unwrap();
    let own = own["clientVersion"]["gitVersion"].as_str().unwrap().to_owned();
    assert!(own.starts_with(version), "{own}");
    let nothing = kubectl.run(&["get", "cg"]).await.unwrap();
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), ""), "{nothing:?}");
    assert!(nothing.messages().contains("No resources found"), "{nothing:?}");

    let alias = format!("{GROUP}/cluster-alias");
    let first = nowhere("first").label("env", "prod").annotation(&alias, "The first");
    let mut broken = Registration::token(NAMESPACE, "broken", "https://127.0.0.1:1", &hub.ca_pem(), "none");
    broken.data.remove("endpoint");
    for registration in [&first, &nowhere("second").label("env", "test"), &broken] {
        registration.apply(&client).await.unwrap();
    }
    until("all are listed", SOON, || async {
        let names = kubectl.ok(&["get", "clustergateways", "-o", "name"]).await?;
        ensure!(names.lines().count() == 3, "{names}");
        Ok(())
    })
    .await
    .unwrap();
    discovers(&kubectl).await;
    prints(&kubectl).await;
    selects(&kubectl).await;
    is_refused(&kubectl).await;
    watches(&kubectl, &client).await;
    waits(&kubectl, &client).await;
}

async fn discovers(kubectl: &Kubectl) {
    let group = format!("--api-group={GROUP}");
    let wide = ["api-resources", "--cached=false", "--no-headers", "-o", "wide", &group];
    let resources = kubectl.ok(&wide).await.unwrap();
    let lines: Vec<Vec<&str>> = resources.lines().map(|line| line.split_whitespace().collect()).collect();
    let version = format!("{GROUP}/v1alpha1");
    let short = "vc,vcluster,vclusters,virtual-cluster,virtual-clusters";
    assert_eq!(
        lines,
        [
            ["clustergateways", "cg", &version, "false", "ClusterGateway", "get,list,watch"],
            ["virtualclusters", short, &version, "false", "VirtualCluster", "get,list,watch"],
        ]
    );
    // By OpenAPI 3, and by version 2 as the hub has put it together.
    for output in ["plaintext", "plaintext-openapiv2"] {
        let output = format!("--output={output}");
        for (path, words) in [
            ("cg", &["proxy-url", "healthyReason", "lastTransitionTime", "ownerReferences"][..]),
            ("vc", &["alias", "accepted", "credential-type", "endpoint"]),
        ] {
            // The hub puts together what its parts say when it next looks.
            until("the hub knows our schemas", SCHEMAS, || async {
                let said = kubectl.ok(&["explain", path, "--recursive", &output]).await?;
                for word in words {
                    ensure!(said.contains(word), "{output} {path} {word}: {said}");
                }
                Ok(())
            })
            .await
            .unwrap();
        }
        let said = kubectl.ok(&["explain", "cg.status.conditions", &output]).await.unwrap();
        assert!(said.contains("Why, for people"), "{output}: {said}");
    }
    let allowed = kubectl.ok(&["auth", "can-i", "watch", "virtualclusters"]).await.unwrap();
    assert_eq!(allowed, "yes\n");
}

async fn prints(kubectl: &Kubectl) {
    let table = kubectl.ok(&["get", "cg"]).await.unwrap();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines,
        [
            &["NAME", "PROVIDER", "CREDENTIAL-TYPE", "ENDPOINT-TYPE", "HEALTHY", "USABLE", "REASON"][..],
            &["broken", "ServiceAccountToken", "Const", "false", "False", "SecretRefused"],
            &["first", "ServiceAccountToken", "Const", "false", "True", "CertificateAuthorityMissing"],
            &["second", "ServiceAccountToken", "Const", "false", "True", "CertificateAuthorityMissing"],
        ]
    );
    let wide = kubectl.ok(&["get", "cg", "broken", "-o", "wide"]).await.unwrap();
    assert!(wide.contains("MESSAGE") && wide.contains("data key endpoint is missing"), "{wide}");
    let table = kubectl.ok(&["get", "vc", "--show-labels"]).await.unwrap();
    let mut lines = table.lines();
    assert!(lines.next().unwrap_or_default().starts_with("NAME"), "{table}");
    assert!(lines.next().unwrap_or_default().starts_with("local "), "{table}");
    let row = lines.find(|line| line.starts_with("first ")).unwrap();
    assert!(row.contains("The first") && row.contains("env=prod"), "{table}");
    let wide = kubectl.ok(&["get", "vc", "-o", "wide"]).await.unwrap();
    assert!(wide.contains("CREATION_TIMESTAMP"), "{wide}");

    for (arguments, said) in [
        (&["cg", "-o", "custom-columns=N:.metadata.name,H:.status.healthy", "--no-headers"][..], COLUMNS),
        (&["cg/first", "-o", "jsonpath={.spec.access.endpoint.const.address}"], "https://127.0.0.1:1"),
        (&["vc/first", "-o", "go-template={{.spec.alias}}"], "The first"),
        (
            &["cg", "first", "second", "-o", "name"],
            "clustergateway.cluster.core.oam.dev/first\nclustergateway.cluster.core.oam.dev/second\n",
        ),
        (
            &["cg", "--sort-by=.metadata.labels.env", "-l", "env", "-o", "name"],
            "clustergateway.cluster.core.oam.dev/first\nclustergateway.cluster.core.oam.dev/second\n",
        ),
    ] {
        assert_eq!(kubectl.ok(&[&["get"], arguments].concat()).await.unwrap(), said, "{arguments:?}");
    }
    let json: Value =
        serde_json::from_str(&kubectl.ok(&["get", "cg,vc", "-o", "json"]).await.unwrap()).unwrap();
    let kinds: Vec<&str> =
        json["items"].as_array().unwrap().iter().filter_map(|item| item["kind"].as_str()).collect();
    // Without an endpoint there is no VirtualCluster.
    assert_eq!(kinds, [["ClusterGateway"; 3], ["VirtualCluster"; 3]].concat());
    let yaml = kubectl.ok(&["get", "cg", "first", "-o", "yaml"]).await.unwrap();
    for words in ["kind: ClusterGateway", "type: ServiceAccountToken", "insecure: true", "healthy: false"] {
        assert!(yaml.contains(words), "{words}: {yaml}");
    }
    let described = kubectl.ok(&["describe", "cg", "broken"]).await.unwrap();
    assert!(described.contains("data key endpoint") && described.contains("SecretRefused"), "{described}");
    let described = kubectl.ok(&["describe", "vc", "first"]).await.unwrap();
    assert!(described.contains("The first") && described.contains("env=prod"), "{described}");
}

const COLUMNS: &str = "broken   false\nfirst    false\nsecond   false\n";

async fn selects(kubectl: &Kubectl) {
    for (arguments, names) in [
        (&["cg", "-l", "env=prod"][..], "first"),
        (&["cg", "-l", "env in (prod,test)"], "first second"),
        (&["cg", "-l", "!env"], "broken"),
        (&["cg", "-l", "env=none"], ""),
        (&["cg", "--field-selector=metadata.name=second"], "second"),
        (&["cg", "--field-selector=metadata.name!=second"], "broken first"),
        (&["cg", "--chunk-size=1"], "broken first second"),
        (&["cg", "--chunk-size=2", "-l", "env"], "first second"),
        (&["vc", "-l", "cluster.core.oam.dev/control-plane=true"], "local"),
        (&["vc", "-l", "env=test"], "second"),
        (&["vc", "--field-selector=metadata.name=local"], "local"),
    ] {
        let all = [&["get"], arguments, &["-o", "jsonpath={.items[*].metadata.name}"]].concat();
        assert_eq!(kubectl.ok(&all).await.unwrap(), names, "{arguments:?}");
    }
    let all = kubectl.ok(&["get", "vc", "-o", "name"]).await.unwrap();
    assert_eq!(kubectl.ok(&["get", "vc", "--chunk-size=1", "-o", "name"]).await.unwrap(), all);
    let wrong = kubectl.run(&["get", "cg", "--field-selector=spec.provider=x"]).await.unwrap();
    let words = "\"spec.provider\" is not a known field selector: only \"metadata.name\"";
    assert!(!wrong.success() && wrong.messages().contains(words), "{wrong:?}");
}

async fn is_refused(kubectl: &Kubectl) {
    let none = kubectl.run(&["get", "vc", "none"]).await.unwrap();
    let words = "Error from server (NotFound): virtualclusters.cluster.core.oam.dev \"none\" not found\n";
    assert_eq!((none.code, none.messages().as_str()), (Some(1), words));
    let ignored = kubectl.run(&["get", "cg", "none", "--ignore-not-found"]).await.unwrap();
    assert_eq!((ignored.code, ignored.stdout.as_str()), (Some(0), ""), "{ignored:?}");
    for arguments in [
        &["delete", "cg", "first"][..],
        &["label", "cg", "first", "a=b"],
        &["patch", "vc", "first", "--type=merge", "--patch={}"],
    ] {
        let refused = kubectl.run(arguments).await.unwrap();
        assert!(!refused.success() && refused.messages().contains(NOT_ALLOWED), "{arguments:?} {refused:?}");
    }
    let one =
        r#"{"apiVersion":"cluster.core.oam.dev/v1alpha1","kind":"ClusterGateway","metadata":{"name":"x"}}"#;
    let refused = kubectl.run_with_input(&["create", "--validate=false", "-f", "-"], one).await.unwrap();
    let words = "the server does not allow this method on the requested resource";
    assert!(!refused.success() && refused.messages().contains(words), "{refused:?}");
}

async fn watches(kubectl: &Kubectl, client: &Client) {
    let watch = ["--watch", "--output-watch-events"];
    let all = kubectl.start("watch-all", &[&["get", "cg"], &watch[..]].concat()).await.unwrap();
    let one = kubectl.start("watch-one", &[&["get", "vc", "second"], &watch[..]].concat()).await.unwrap();
    let only = ["get", "cg", "-l", "env=prod", "--watch-only", "--output-watch-events"];
    let only = kubectl.start("watch-only", &only).await.unwrap();
    for (process, name) in [(&all, "first"), (&all, "second"), (&one, "second")] {
        line(process, "ADDED", name).await.unwrap();
    }
    nowhere("third").label("env", "prod").apply(client).await.unwrap();
    line(&all, "ADDED", "third").await.unwrap();
    nowhere("second").label("env", "prod").apply(client).await.unwrap();
    line(&all, "MODIFIED", "second").await.unwrap();
    line(&one, "MODIFIED", "second").await.unwrap();
    // When it began is known to nobody but itself: what was changed last it has surely not listed.
    until("a watch without a list", SOON, || async {
        nowhere("second").label("env", "test").apply(client).await?;
        nowhere("second").label("env", "prod").apply(client).await?;
        ensure!(only.logs().contains("ADDED"), "{}", only.logs());
        Ok(())
    })
    .await
    .unwrap();
    nowhere("third").delete(client).await.unwrap();
    line(&all, "DELETED", "third").await.unwrap();
    line(&only, "DELETED", "third").await.unwrap();
    assert!(!one.logs().contains("third") && !one.logs().contains("first"), "{}", one.logs());
}

async fn waits(kubectl: &Kubectl, client: &Client) {
    kubectl.ok(&["wait", "--for=condition=Usable", "cg/first", "--timeout=30s"]).await.unwrap();
    kubectl.ok(&["wait", "--for=condition=Usable=False", "cg/broken", "--timeout=30s"]).await.unwrap();
    let accepted = ["wait", "--for=jsonpath={.spec.accepted}=true", "vc", "--all", "--timeout=30s"];
    let said = kubectl.ok(&accepted).await.unwrap();
    assert_eq!(said.lines().count(), 3, "{said}");
    let gone = kubectl.start("wait", &["wait", "--for=delete", "cg/second", "--timeout=60s"]).await.unwrap();
    nowhere("second").delete(client).await.unwrap();
    let status = gone.wait_exit(SOON).await.unwrap();
    assert!(status.success(), "{}", gone.logs());
}
