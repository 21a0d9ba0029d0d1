//! A hub with the resources that are compared with, and a gateway behind it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::client::{Answer, HttpsClient, bytes, empty};
use e2e::lab::{ControlPlane, Exposure, Gateway, GatewayOptions, Registration, shared, until};
use http::Request;
use serde_json::{Value, json};

use super::row::{CUSTOM_GROUP, GROUP, Peer, Row, Side, collection};

const SOON: Duration = Duration::from_secs(30);
/// The clusters; `large` makes answers that are worth compressing.
const CLUSTERS: [&str; 4] = ["large", "one", "three", "two"];

pub(super) struct Setup {
    hub: ControlPlane,
    gateway: Gateway,
}

impl Setup {
    /// `name`: of the hub, and of the namespace of the clusters.
    pub(super) async fn start(name: &str) -> Result<Self> {
        let hub = shared().await.start_hub(name).await?;
        let options = GatewayOptions::new(&hub, name).flag("--feature-gates=HealthinessCheck=true");
        let gateway = Gateway::start(&hub, options).await?;
        let admin = hub.admin_client().await?;
        for cluster_name in CLUSTERS {
            let mut cluster =
                Registration::token(name, cluster_name, "https://127.0.0.1:1", &hub.ca_pem(), "token")
                    .label("env", cluster_name);
            if cluster_name == "large" {
                cluster = cluster.annotation("cluster.core.oam.dev/large", &"<x>&".repeat(36_000));
            }
            cluster.apply(&admin).await?;
        }
        gateway.expose(&hub, Exposure::ExternalName).await?;
        let setup = Self { hub, gateway };
        let table = until("all clusters in the table", SOON, || async {
            let list = setup.gateway_client()?.h1().await?.get(&collection(GROUP)).await?.json()?;
            ensure!(list["items"].as_array().is_some_and(|items| items.len() == CLUSTERS.len()), "{list}");
            Ok(list)
        })
        .await?;
        setup.define().await?;
        for item in table["items"].as_array().into_iter().flatten() {
            setup.copy(item).await?;
        }
        for name in ["one", "two"] {
            let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
            setup.make("POST", "/api/v1/nodes", &node).await?;
        }
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "one"}});
        setup.make("POST", "/api/v1/namespaces", &namespace).await?;
        Ok(setup)
    }

    /// As the hub speaks to the gateway, for somebody who may do everything.
    pub(super) fn gateway_client(&self) -> Result<HttpsClient> {
        self.gateway.front_proxy("differential", &["system:masters"])
    }

    pub(super) fn hub_client(&self) -> Result<HttpsClient> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.hub.port()));
        HttpsClient::new(address, "127.0.0.1", &self.hub.ca_pem(), Some(&self.hub.admin()))
    }

    /// Sends a row's request.
    pub(super) async fn ask(&self, row: &Row, side: Side) -> Result<Answer> {
        let client = match side {
            Side::Ours => self.gateway_client()?,
            Side::Theirs | Side::ThroughHub => self.hub_client()?,
        };
        let mut request = Request::builder().method(row.method).uri(row.target_of(side));
        for (name, value) in &row.headers {
            request = request.header(*name, value);
        }
        let body = match &row.body {
            Some(body) => bytes(self.filled(body, row.peer, side).await?),
            None => empty(),
        };
        client.h1().await?.fetch(request.body(body)?).await
    }

    /// A body with what is known only now.
    async fn filled(&self, body: &str, peer: Peer, side: Side) -> Result<String> {
        let (api_version, kind, path) = match (side, peer) {
            (Side::Theirs, Peer::Nodes) => ("v1".to_owned(), "Node", "/api/v1/nodes".to_owned()),
            (Side::Theirs, Peer::Namespaces) => {
                ("v1".to_owned(), "Namespace", "/api/v1/namespaces".to_owned())
            }
            (Side::Theirs, _) => {
                (format!("{CUSTOM_GROUP}/v1alpha1"), "ClusterGateway", collection(CUSTOM_GROUP))
            }
            _ => (format!("{GROUP}/v1alpha1"), "ClusterGateway", collection(GROUP)),
        };
        let mut filled = body.replace("{apiVersion}", &api_version).replace("{kind}", kind);
        if filled.contains("{rv}") || filled.contains("{uid}") {
            let one = self.hub_client()?.h1().await?.get(&format!("{path}/one")).await?.json()?;
            for (mark, field) in [("{rv}", "resourceVersion"), ("{uid}", "uid")] {
                filled = filled.replace(mark, one["metadata"][field].as_str().context("no metadata")?);
            }
        }
        Ok(filled)
    }

    async fn make(&self, method: &str, path: &str, object: &Value) -> Result<Value> {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let answer = self.hub_client()?.h1().await?.fetch(request.body(bytes(object.to_string()))?).await?;
        ensure!(answer.status < 300, "{method} {path}: {}", answer.text());
        answer.json()
    }

    /// The custom resource: the same names and fields in another group.
    async fn define(&self) -> Result<()> {
        let column = |name: &str, path: &str| json!({"name": name, "type": "string", "jsonPath": path});
        let free = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let status = json!({"type": "object", "properties": {
            "healthy": {"type": "boolean"}, "healthyReason": {"type": "string"},
            "conditions": {"type": "array", "items": free},
        }});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("clustergateways.{CUSTOM_GROUP}")},
            "spec": {
                "group": CUSTOM_GROUP,
                "scope": "Cluster",
                "names": {"plural": "clustergateways", "singular": "clustergateway", "kind": "ClusterGateway", "shortNames": ["cg"]},
                "versions": [{
                    "name": "v1alpha1", "served": true, "storage": true,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column("Provider", ".spec.provider")],
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": free, "status": status}}},
                }],
            },
        });
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        self.make("POST", path, &definition).await?;
        until("the custom resource", SOON, || async {
            let answer = self.hub_client()?.h1().await?.get(&collection(CUSTOM_GROUP)).await?;
            ensure!(answer.status == 200, "{}", answer.text());
            Ok(())
        })
        .await
    }

    /// The same object in the other group.
    async fn copy(&self, gateway: &Value) -> Result<()> {
        let metadata = &gateway["metadata"];
        let mut object = json!({
            "apiVersion": format!("{CUSTOM_GROUP}/v1alpha1"),
            "kind": "ClusterGateway",
            "metadata": {"name": metadata["name"], "labels": metadata["labels"], "annotations": metadata["annotations"]},
            "spec": gateway["spec"],
            "status": gateway["status"],
        });
        let made = self.make("POST", &collection(CUSTOM_GROUP), &object).await?;
        object["metadata"] = made["metadata"].clone();
        let name = metadata["name"].as_str().context("no name")?;
        self.make("PUT", &format!("{}/{name}/status", collection(CUSTOM_GROUP)), &object).await?;
        Ok(())
    }
}
