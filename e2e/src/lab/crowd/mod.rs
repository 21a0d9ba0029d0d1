//! Clusters by the thousand that nobody ever goes to, each with an authority, a client certificate and a key of its
//! own, and what they cost a gateway ([`cost`]).

pub mod cost;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};

use super::clusters::Registration;
use super::control_plane::ControlPlane;
use super::pki::Authority;

pub use cost::Cost;

/// Secrets that are written at one time: a hub's etcd answers them together.
const AT_ONCE: usize = 32;
/// The port of nobody.
const ENDPOINT: &str = "https://127.0.0.1:1";

/// Clusters of one namespace, by number.
#[derive(Clone, Debug)]
pub struct Crowd {
    namespace: String,
    count: usize,
}

impl Crowd {
    /// So many clusters.
    pub fn new(namespace: &str, count: usize) -> Self {
        Self { namespace: namespace.to_owned(), count }
    }

    /// Where their Secrets are.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The name of one of them.
    pub fn name(number: usize) -> String {
        format!("crowd-{number:05}")
    }

    /// One of them. No two share anything but the endpoint.
    pub fn registration(&self, number: usize) -> Result<Registration> {
        let name = Self::name(number);
        let authority = Authority::new(&format!("{name}-ca"))?;
        let identity = authority.client("cluster-gateway", &["system:masters"])?;
        Ok(Registration::x509(&self.namespace, &name, ENDPOINT, authority.pem(), &identity))
    }

    /// Writes all of them to a hub that has none of them.
    pub async fn register(&self, hub: &ControlPlane) -> Result<()> {
        hub.ensure_namespace(&self.namespace).await?;
        let secrets = Api::<Secret>::namespaced(hub.admin_client().await?, &self.namespace);
        let writes = stream::iter(0..self.count).map(|number| {
            let (crowd, secrets) = (self.clone(), secrets.clone());
            async move {
                // Two keys and two signatures each: all cores are of use.
                let made = tokio::task::spawn_blocking(move || crowd.registration(number)).await??;
                let written = secrets.create(&PostParams::default(), &made.secret()).await;
                written.map(drop).with_context(|| format!("registering {}", made.name))
            }
        });
        writes.buffer_unordered(AT_ONCE).try_collect().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_clusters_share_an_authority_a_certificate_or_a_key() {
        let crowd = Crowd::new("clusters", 2);
        let (one, other) = (crowd.registration(0).unwrap(), crowd.registration(1).unwrap());
        for key in ["ca.crt", "tls.crt", "tls.key"] {
            assert!(!one.data[key].is_empty());
            assert_ne!(one.data[key], other.data[key], "{key}");
        }
        assert_ne!(one.name, other.name);
    }
}
