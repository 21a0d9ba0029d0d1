use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::tls::Identity;
use crate::upstream::{Host, KonnectivityIdentity, KonnectivityMode};

use super::{Error, check, values};

/// Konnectivity's proxy server, through which clusters of endpoint type ClusterProxy are reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Konnectivity")]
pub struct Tunnel {
    /// Host of Konnectivity's proxy server
    #[arg(long, value_name = "HOST", default_value = "", hide_default_value = true)]
    pub proxy_host: String,
    /// Port of Konnectivity's proxy server
    #[arg(long, value_name = "PORT", default_value_t = 8090)]
    pub proxy_port: u16,
    /// CA of Konnectivity's proxy server, PEM
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    pub proxy_ca_cert: Option<PathBuf>,
    /// Client certificate for Konnectivity's proxy server, PEM
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    pub proxy_cert: Option<PathBuf>,
    /// Private key of --proxy-cert, PEM
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    pub proxy_key: Option<PathBuf>,
    /// Unix socket of Konnectivity's proxy server, instead of --proxy-host and its certificates
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    pub proxy_uds: Option<PathBuf>,
    /// What Konnectivity's proxy server speaks: its own --mode
    #[arg(long, value_name = "MODE", default_value = "grpc")]
    proxy_mode: Mode,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    Grpc,
    HttpConnect,
}

/// Where Konnectivity's proxy server is.
#[derive(Debug, Clone)]
pub enum TunnelAddress {
    /// A host and port, by mutual TLS.
    Host(Host, u16),
    /// A socket of this machine.
    Socket(PathBuf),
}

impl Tunnel {
    /// Where it is, if there is one.
    pub fn address(&self) -> Result<Option<TunnelAddress>, Error> {
        if let Some(path) = &self.proxy_uds {
            return Ok(Some(TunnelAddress::Socket(path.clone())));
        }
        if self.proxy_host.is_empty() {
            return Ok(None);
        }
        // A bare IPv6 address has no brackets here.
        let host = self.proxy_host.parse().map(Host::Address).ok().or_else(|| Host::parse(&self.proxy_host));
        match host {
            Some(host) => Ok(Some(TunnelAddress::Host(host, self.proxy_port))),
            None => Err(Error::Value {
                flag: "--proxy-host".to_owned(),
                value: self.proxy_host.clone(),
                problem: "it is neither a DNS name nor an IP address".to_owned(),
                cure: "name the host alone; its port goes into --proxy-port".to_owned(),
            }),
        }
    }

    /// What it speaks.
    pub fn mode(&self) -> KonnectivityMode {
        match self.proxy_mode {
            Mode::Grpc => KonnectivityMode::Grpc,
            Mode::HttpConnect => KonnectivityMode::HttpConnect,
        }
    }

    /// Reads whom to believe to be it, and what to show it.
    pub fn identity(&self) -> Result<KonnectivityIdentity, Error> {
        let [ca, certificate, key] = self.required_files()?;
        let roots = check::authorities(ca.0, ca.1)?;
        let (chain, private) = (check::read(certificate.0, certificate.1)?, check::read(key.0, key.1)?);
        let identity =
            Identity::from_pem(&chain, &private).map_err(|error| Error::identity(certificate, key, error))?;
        Ok(KonnectivityIdentity { roots, identity })
    }

    /// The files, with the flags that name them. Mutual TLS takes all of them.
    pub fn required_files(&self) -> Result<[(&'static str, &Path); 3], Error> {
        Ok([
            required("--proxy-ca-cert", &self.proxy_ca_cert)?,
            required("--proxy-cert", &self.proxy_cert)?,
            required("--proxy-key", &self.proxy_key)?,
        ])
    }

    /// Whether a file is named that is of no use with `--proxy-uds`.
    pub(super) fn has_idle_files(&self) -> bool {
        let files = [&self.proxy_ca_cert, &self.proxy_cert, &self.proxy_key];
        self.proxy_uds.is_some() && files.into_iter().any(Option::is_some)
    }
}

fn required<'a>(flag: &'static str, path: &'a Option<PathBuf>) -> Result<(&'static str, &'a Path), Error> {
    path.as_deref().map(|path| (flag, path)).ok_or(Error::Incomplete {
        flag: "--proxy-host",
        other: flag,
        cure: "Konnectivity wants mutual TLS: name the file",
    })
}
