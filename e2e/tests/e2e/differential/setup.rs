//! A hub with the resources that are compared with, and a gateway behind it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::client::{Answer, Body, H1, HttpsClient, bytes, empty};
use e2e::lab::{ControlPlane, Exposure, Gateway, GatewayOptions, Registration, shared, until};
use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::peer::{PEERS, Peer, Place};
use super::row::{CUSTOM_GROUP, GROUP, Row, Side, collection};

const SOON: Duration = Duration::from_secs(30);
/// A cluster in a namespace.
fn registration(namespace: &str, hub: &ControlPlane, name: &str) -> Registration {
    Registration::token(namespace, name, "https://127.0.0.1:1", &hub.ca_pem(), "token").label("env", name)
}

/// The clusters; `large` makes answers that are worth compressing.
const CLUSTERS: [&str; 4] = ["large", "one", "three", "two"];

pub(super) struct Setup {
    /// Of the clusters' Secrets.
    namespace: String,
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
            let mut cluster = registration(name, &hub, cluster_name);
            if cluster_name == "large" {
                cluster = cluster.annotation("cluster.core.oam.dev/large", &"<x>&".repeat(36_000));
            }
            cluster.apply(&admin).await?;
        }
        gateway.expose(&hub, Exposure::ExternalName).await?;
        let setup = Self { namespace: name.to_owned(), hub, gateway };
        let table = until("all clusters in the table", SOON, || async {
            let list = setup.gateway_client()?.h1().await?.get(&collection(GROUP)).await?.json()?;
            ensure!(list["items"].as_array().is_some_and(|items| items.len() == CLUSTERS.len()), "{list}");
            Ok(list)
        })
        .await?;
        for (peer, names) in [(Peer::Nodes, &["one", "two"][..]), (Peer::Namespaces, &["one", PEERS])] {
            for name in names {
                setup.make_peer(peer, &json!({"name": name})).await?;
            }
        }
        setup.define().await?;
        for item in table["items"].as_array().into_iter().flatten() {
            setup.copy(item).await?;
            let metadata = &item["metadata"];
            let named = json!({"name": metadata["name"], "labels": metadata["labels"], "annotations": metadata["annotations"]});
            setup.make_peer(Peer::Secrets, &named).await?;
        }
        Ok(setup)
    }

    /// The same change to the Secret of a cluster and to the one that is compared with.
    pub(super) async fn patch(&self, name: &str, patch: &Value) -> Result<()> {
        for namespace in [PEERS, &self.namespace] {
            let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
            self.send("PATCH", &path, Some(patch)).await?;
        }
        Ok(())
    }

    /// A new cluster, and what is compared with it.
    pub(super) async fn register(&self, name: &str) -> Result<()> {
        let cluster = registration(&self.namespace, &self.hub, name);
        self.make_peer(Peer::Secrets, &json!({"name": name, "labels": cluster.labels})).await?;
        cluster.apply(&self.hub.admin_client().await?).await
    }

    /// Removes both.
    pub(super) async fn unregister(&self, name: &str) -> Result<()> {
        for namespace in [PEERS, &self.namespace] {
            self.send("DELETE", &format!("/api/v1/namespaces/{namespace}/secrets/{name}"), None).await?;
        }
        Ok(())
    }

    /// As the hub speaks to the gateway, for somebody who may do everything.
    pub(super) fn gateway_client(&self) -> Result<HttpsClient> {
        self.gateway.front_proxy("differential", &["system:masters"])
    }

    pub(super) fn hub_client(&self) -> Result<HttpsClient> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.hub.port()));
        HttpsClient::new(address, "127.0.0.1", &self.hub.ca_pem(), Some(&self.hub.admin()))
    }

    pub(super) fn client(&self, side: Side) -> Result<HttpsClient> {
        match side {
            Side::Ours => self.gateway_client(),
            Side::Theirs | Side::ThroughHub => self.hub_client(),
        }
    }

    /// Sends a row's request.
    pub(super) async fn ask(&self, row: &Row, side: Side) -> Result<Answer> {
        self.client(side)?.h1().await?.fetch(self.request(row, side).await?).await
    }

    /// Sends a row's request, and leaves its answer to be read as it comes.
    pub(super) async fn begin(&self, row: &Row, side: Side) -> Result<(H1, Response<Incoming>)> {
        let mut connection = self.client(side)?.h1().await?;
        let response = connection.send(self.request(row, side).await?).await?;
        Ok((connection, response))
    }

    /// A row's request.
    pub(super) async fn request(&self, row: &Row, side: Side) -> Result<Request<Body>> {
        let mut request = Request::builder().method(row.method).uri(self.target(row, side).await?);
        for (name, value) in &row.headers {
            request = request.header(*name, value);
        }
        let body = match &row.body {
            Some(body) => bytes(self.filled(body, row, side).await?),
            None => empty(),
        };
        Ok(request.body(body)?)
    }

    /// A row's target with what is known only now.
    async fn target(&self, row: &Row, side: Side) -> Result<String> {
        let mut target = row.target_of(side);
        if ["{now}", "{next}", "{rest}"].iter().any(|mark| target.contains(mark)) {
            let path = format!("{}?limit=1", row.place(side).collection);
            let list = self.client(side)?.h1().await?.get(&path).await?.json()?;
            let now = list["metadata"]["resourceVersion"].as_str().context("no version")?;
            let next = list["metadata"]["continue"].as_str().context("no token")?;
            let mut token: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(next)?)?;
            token["rv"] = (-1).into();
            let rest = URL_SAFE_NO_PAD.encode(token.to_string());
            for (mark, value) in [("{now}", now), ("{next}", next), ("{rest}", &rest)] {
                target = target.replace(mark, value);
            }
        }
        Ok(target)
    }

    /// A body with what is known only now.
    async fn filled(&self, body: &str, row: &Row, side: Side) -> Result<String> {
        let Place { api_version, kind, collection, .. } = row.place(side);
        let mut filled = body.replace("{apiVersion}", &api_version).replace("{kind}", kind);
        if filled.contains("{rv}") || filled.contains("{uid}") {
            let one = self.hub_client()?.h1().await?.get(&format!("{collection}/one")).await?.json()?;
            for (mark, field) in [("{rv}", "resourceVersion"), ("{uid}", "uid")] {
                filled = filled.replace(mark, one["metadata"][field].as_str().context("no metadata")?);
            }
        }
        Ok(filled)
    }

    /// An object that has only metadata.
    pub(super) async fn make_peer(&self, peer: Peer, metadata: &Value) -> Result<Value> {
        let Place { collection, kind, api_version, .. } = peer.place();
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        self.send("POST", &collection, Some(&object)).await
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder().method(method).uri(path).header("content-type", kind);
        let body = body.map_or_else(empty, |body| bytes(body.to_string()));
        let answer = self.hub_client()?.h1().await?.fetch(request.body(body)?).await?;
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
        self.send("POST", path, Some(&definition)).await?;
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
        let made = self.send("POST", &collection(CUSTOM_GROUP), Some(&object)).await?;
        object["metadata"] = made["metadata"].clone();
        let name = metadata["name"].as_str().context("no name")?;
        self.send("PUT", &format!("{}/{name}/status", collection(CUSTOM_GROUP)), Some(&object)).await?;
        Ok(())
    }
}
