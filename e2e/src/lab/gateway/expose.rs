//! Putting a gateway behind a hub's aggregation layer.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Gateway;
use crate::lab::control_plane::ControlPlane;
use crate::lab::wait::until;

/// The name of the APIService; a hub has one, unless gateways serve other groups besides.
pub const API_SERVICE: &str = "v1alpha1.cluster.core.oam.dev";

/// A hub asks every 30 s, and at once when the APIService changes.
const AVAILABLE: Duration = Duration::from_secs(75);

/// An address of TEST-NET-2 (RFC 5737).
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

/// How the hub finds the gateway.
#[derive(Clone, Copy, Debug)]
pub enum Exposure {
    /// A Service of type ExternalName `localhost`: for a gateway on 127.0.0.1.
    ExternalName,
    /// An ordinary Service with this ClusterIP, which the gateway listens on itself (its `bind`): for a hub
    /// whose Service range is a loopback one.
    ClusterIp(IpAddr),
    /// An ordinary Service whose one endpoint is this address, not a loopback one: for a hub with
    /// `--enable-aggregator-routing=true`.
    Endpoint(IpAddr),
}

pub(super) async fn expose(
    hub: &ControlPlane,
    gateway: &Gateway,
    exposure: Exposure,
    port: u16,
) -> Result<()> {
    let options = gateway.options();
    hub.ensure_namespace(&options.namespace).await?;
    let client = hub.admin_client().await?;
    let spec = match exposure {
        Exposure::ExternalName => json!({
            "type": "ExternalName", "externalName": "localhost", "ports": [{"name": "https", "port": port}],
        }),
        Exposure::ClusterIp(address) => json!({
            "type": "ClusterIP", "clusterIP": address, "ports": [{"name": "https", "port": port}],
        }),
        Exposure::Endpoint(_) => json!({"type": "ClusterIP", "ports": [{"name": "https", "port": port}]}),
    };
    let services: Api<Service> = Api::namespaced(client.clone(), &options.namespace);
    let metadata = json!({"name": options.name, "namespace": options.namespace});
    apply(&services, &options.name, json!({"metadata": metadata, "spec": spec})).await?;
    match exposure {
        Exposure::ExternalName => {}
        Exposure::Endpoint(address) => add_endpoint(&client, gateway, address, port).await?,
        // The hub goes to the ClusterIP, but first wants to see an endpoint; any will do that is no loopback one.
        Exposure::ClusterIp(_) => add_endpoint(&client, gateway, NOBODY, port).await?,
    }
    let registrations: Api<APIService> = Api::all(client);
    let group = options.group();
    let name = format!("v1alpha1.{group}");
    let registration = json!({
        "metadata": {"name": name},
        "spec": {
            "group": group,
            "version": "v1alpha1",
            "groupPriorityMinimum": 1000,
            "versionPriority": 10,
            "caBundle": BASE64_STANDARD.encode(gateway.ca_pem()),
            "service": {"name": options.name, "namespace": options.namespace, "port": port},
        },
    });
    apply(&registrations, &name, registration).await?;
    until("the APIService Available", AVAILABLE, || async {
        let status = registrations.get(&name).await?.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let available = conditions.iter().find(|condition| condition.type_ == "Available");
        match available {
            Some(condition) if condition.status == "True" => Ok(()),
            Some(condition) => bail!("{}", condition.message.clone().unwrap_or_default()),
            None => bail!("the hub has said nothing about it"),
        }
    })
    .await
}

async fn add_endpoint(client: &Client, gateway: &Gateway, address: IpAddr, port: u16) -> Result<()> {
    let options = gateway.options();
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), &options.namespace);
    let slice = json!({
        "metadata": {
            "name": options.name,
            "namespace": options.namespace,
            "labels": {"kubernetes.io/service-name": options.name},
        },
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    });
    apply(&slices, &options.name, slice).await
}

async fn apply<K>(api: &Api<K>, name: &str, mut object: Value) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize,
{
    object["apiVersion"] = json!(K::api_version(&()));
    object["kind"] = json!(K::kind(&()));
    api.patch(name, &PatchParams::apply("lab").force(), &Patch::Apply(&object))
        .await
        .with_context(|| format!("making {} {name}", K::kind(&())))?;
    Ok(())
}
