//! Registering clusters: the Secrets of the hub that a gateway makes its table from.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams};
use kube::{Api, Client};

use super::control_plane::ControlPlane;
use super::pki::Identity;

/// The label that makes a Secret a cluster.
pub const CREDENTIAL_TYPE: &str = "cluster.core.oam.dev/cluster-credential-type";
/// The label that says how a cluster is reached.
pub const ENDPOINT_TYPE: &str = "cluster.core.oam.dev/cluster-endpoint-type";

/// The Secret of one cluster. Everything in it may be changed before it is applied.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The cluster's name.
    pub name: String,
    /// The gateway's `--secret-namespace`.
    pub namespace: String,
    /// Labels of the Secret.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Secret.
    pub annotations: BTreeMap<String, String>,
    /// Its data: `endpoint`, `ca.crt`, `tls.crt`, `tls.key`, `token`, …
    pub data: BTreeMap<String, Vec<u8>>,
}

impl Registration {
    /// A cluster at any endpoint, shown a client certificate.
    pub fn x509(namespace: &str, name: &str, endpoint: &str, ca_pem: &str, identity: &Identity) -> Self {
        Self::new(namespace, name, "X509Certificate")
            .data("endpoint", endpoint)
            .data("ca.crt", ca_pem)
            .data("tls.crt", &identity.cert)
            .data("tls.key", &identity.key)
    }

    /// A cluster at any endpoint, shown a token.
    pub fn token(namespace: &str, name: &str, endpoint: &str, ca_pem: &str, token: &str) -> Self {
        Self::new(namespace, name, "ServiceAccountToken")
            .data("endpoint", endpoint)
            .data("ca.crt", ca_pem)
            .data("token", token)
    }

    /// A cluster at any endpoint, shown what a command gives: an ExecConfig in JSON.
    pub fn dynamic(namespace: &str, name: &str, endpoint: &str, ca_pem: &str, exec: &str) -> Self {
        Self::new(namespace, name, "Dynamic")
            .data("endpoint", endpoint)
            .data("ca.crt", ca_pem)
            .data("exec", exec)
    }

    /// A cluster at any endpoint, shown the token in a file beside the gateway.
    pub fn token_file(namespace: &str, name: &str, endpoint: &str, ca_pem: &str, path: &str) -> Self {
        Self::new(namespace, name, "ServiceAccountToken")
            .data("endpoint", endpoint)
            .data("ca.crt", ca_pem)
            .data("token-file", path)
    }

    /// A cluster at any endpoint, shown the client certificate in two files beside the gateway.
    pub fn certificate_files(
        namespace: &str,
        name: &str,
        endpoint: &str,
        ca_pem: &str,
        (cert, key): (&str, &str),
    ) -> Self {
        Self::new(namespace, name, "X509Certificate")
            .data("endpoint", endpoint)
            .data("ca.crt", ca_pem)
            .data("tls.crt-file", cert)
            .data("tls.key-file", key)
    }

    /// A member of the lab, shown a fresh certificate of an admin there; called as the member is.
    pub fn member(namespace: &str, member: &ControlPlane) -> Result<Self> {
        let identity = member.issue("cluster-gateway", &["system:masters"])?;
        Ok(Self::x509(namespace, member.name(), &member.url(), &member.ca_pem(), &identity))
    }

    /// A member of the lab, shown a token of a service account that may do everything there.
    pub async fn member_by_token(namespace: &str, member: &ControlPlane) -> Result<Self> {
        use super::control_plane::access::service_account;
        let (place, account) = ("kube-system", format!("gateway-of-{namespace}"));
        let token = member.service_account_token(place, &account, None).await?;
        let grant = member.grant_all(&account, service_account(place, &account)).await;
        if !grant.as_ref().is_err_and(|error| error.to_string().contains("already exists")) {
            grant?;
        }
        Ok(Self::token(namespace, member.name(), &member.url(), &member.ca_pem(), &token))
    }

    /// Under another name.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Without a CA: the gateway does not verify the cluster.
    pub fn without_ca(mut self) -> Self {
        self.data.remove("ca.crt");
        self
    }

    /// With a key of the data set.
    pub fn data(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.data.insert(key.to_owned(), value.as_ref().to_vec());
        self
    }

    /// With a label.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With an annotation.
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The Secret.
    pub fn secret(&self) -> Secret {
        Secret {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                labels: Some(self.labels.clone()),
                annotations: Some(self.annotations.clone()),
                ..ObjectMeta::default()
            },
            data: Some(
                self.data.iter().map(|(key, value)| (key.clone(), ByteString(value.clone()))).collect(),
            ),
            ..Secret::default()
        }
    }

    /// Makes the Secret on the hub, or changes it to be as this says (what is gone here goes there).
    pub async fn apply(&self, hub: &Client) -> Result<()> {
        let parameters = PatchParams::apply("lab").force();
        self.api(hub)
            .patch(&self.name, &parameters, &Patch::Apply(&self.secret()))
            .await
            .with_context(|| format!("registering {}", self.name))?;
        Ok(())
    }

    /// Removes the Secret.
    pub async fn delete(&self, hub: &Client) -> Result<()> {
        self.api(hub)
            .delete(&self.name, &DeleteParams::default())
            .await
            .with_context(|| format!("removing {}", self.name))?;
        Ok(())
    }

    fn new(namespace: &str, name: &str, credential_type: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            labels: [(CREDENTIAL_TYPE.to_owned(), credential_type.to_owned())].into(),
            annotations: BTreeMap::new(),
            data: BTreeMap::new(),
        }
    }

    fn api(&self, hub: &Client) -> Api<Secret> {
        Api::namespaced(hub.clone(), &self.namespace)
    }
}
