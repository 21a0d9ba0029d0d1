use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use e2e::lab::leash::leash;
use e2e::lab::pki::write_file;
use e2e::lab::ports::free_port;
use e2e::lab::{Authority, ControlPlane, Identity};

use super::Upstream;

/// What each proxy gets: a folder, a port, a serving certificate that a hub would accept, the authority of the hub's
/// client certificate, and its own client certificate for the upstream.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) ca_pem: String,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// Certificate and key in one file, as HAProxy wants them.
    pub(crate) both: PathBuf,
    pub(crate) client_ca: PathBuf,
    pub(crate) upstream_ca: PathBuf,
    pub(crate) client_cert: PathBuf,
    pub(crate) client_key: PathBuf,
    pub(crate) client_both: PathBuf,
}

impl Place {
    /// For the proxy of this name.
    pub(crate) fn new(name: &str, hub: &ControlPlane, upstream: &Upstream) -> Result<Self> {
        let folder = folder(name)?;
        let authority = Authority::new(&format!("{name}-ca"))?;
        let serving = authority.server(&["localhost", "127.0.0.1"])?;
        let (cert, key) = serving.write(&folder, "serving")?;
        let client = upstream.client(name)?;
        let (client_cert, client_key) = client.write(&folder, "client")?;
        Ok(Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)),
            ca_pem: authority.pem().to_owned(),
            both: both(&folder, "serving", &serving)?,
            client_ca: file(&folder, "client-ca.crt", hub.front_proxy()?.authority.pem())?,
            upstream_ca: file(&folder, "upstream-ca.crt", upstream.ca_pem())?,
            client_both: both(&folder, "client", &client)?,
            cert,
            key,
            client_cert,
            client_key,
            folder,
        })
    }
}

/// A folder that ends with this process. Two of a name are two.
pub(super) fn folder(name: &str) -> Result<PathBuf> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = leash()?.folder().join(format!("bench-{name}-{number}"));
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

/// Writes a file there and gives its path.
pub(super) fn file(folder: &Path, name: &str, content: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    write_file(&path, content)?;
    Ok(path)
}

fn both(folder: &Path, name: &str, identity: &Identity) -> Result<PathBuf> {
    file(folder, &format!("{name}.pem"), &format!("{}{}", identity.cert, identity.key))
}
