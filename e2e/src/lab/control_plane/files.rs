//! Keys and certificates of a control plane, and the files that its kube-apiserver reads them from.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use super::{ControlPlaneOptions, Role};
use crate::lab::pki::{Authority, Identity, write_file};

/// What a hub shows to the extension servers behind it.
pub struct FrontProxy {
    /// The authority that the hub publishes in `kube-system/extension-apiserver-authentication`.
    pub authority: Authority,
    /// The aggregator's client certificate, CN `front-proxy-client`.
    pub client: Identity,
}

/// What can be replaced while the server runs.
pub(super) struct Trust {
    pub(super) authority: Arc<Authority>,
    pub(super) admin: Identity,
}

impl Trust {
    /// Writes the serving certificate, the client CA and the admin's certificate of this authority.
    pub(super) fn write(
        authority: Arc<Authority>,
        options: &ControlPlaneOptions,
        folder: &Path,
    ) -> Result<Self> {
        let service_ip = first_address(&options.service_cidr)?;
        let names = [
            "localhost",
            "127.0.0.1",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            &service_ip,
        ];
        authority.server(&names)?.write(folder, "server")?;
        write_file(&folder.join("ca.crt"), authority.pem())?;
        let admin = authority.client("lab-admin", &["system:masters"])?;
        Ok(Self { authority, admin })
    }
}

/// Writes what never changes: the service accounts' key and, for a hub, the front proxy's.
pub(super) fn write_fixed(options: &ControlPlaneOptions, folder: &Path) -> Result<Option<FrontProxy>> {
    let key = rcgen::KeyPair::generate()?;
    write_file(&folder.join("service-account.key"), &key.serialize_pem())?;
    write_file(&folder.join("service-account.pub"), &key.public_key_pem())?;
    if options.role != Role::Hub {
        return Ok(None);
    }
    let authority = Authority::new(&format!("{}-front-proxy-ca", options.name))?;
    let client = authority.client("front-proxy-client", &[])?;
    write_file(&folder.join("front-proxy-ca.crt"), authority.pem())?;
    client.write(folder, "front-proxy-client")?;
    Ok(Some(FrontProxy { authority, client }))
}

/// The ClusterIP of the Service `kubernetes`: the first address of the range.
fn first_address(cidr: &str) -> Result<String> {
    let network = cidr.split('/').next().unwrap_or_default();
    let network: IpAddr = network.parse().with_context(|| format!("service range {cidr}"))?;
    Ok(match network {
        IpAddr::V4(network) => Ipv4Addr::from(u32::from(network) + 1).to_string(),
        IpAddr::V6(network) => std::net::Ipv6Addr::from(u128::from(network) + 1).to_string(),
    })
}
