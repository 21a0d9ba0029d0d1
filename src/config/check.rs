//! What must be right before anything listens.

use std::path::Path;

use kube::config::Kubeconfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::exchange::Rules;
use crate::tls::ServingCertificate;

use super::{Config, Error, Tunnel, TunnelAddress};

/// Flags that only make sense together.
pub(super) fn combinations(config: &Config) -> Result<(), Error> {
    let serving = &config.serving;
    let pair = |flag, other| Error::Incomplete {
        flag,
        other,
        cure: "name both files, or neither and let --cert-dir be used",
    };
    match (&serving.tls_cert_file, &serving.tls_private_key_file) {
        (Some(_), None) => return Err(pair("--tls-cert-file", "--tls-private-key-file")),
        (None, Some(_)) => return Err(pair("--tls-private-key-file", "--tls-cert-file")),
        _ => {}
    }
    serving.tls()?;
    tunnel(&config.tunnel)
}

fn tunnel(tunnel: &Tunnel) -> Result<(), Error> {
    if !tunnel.proxy_host.is_empty()
        && let Some(path) = &tunnel.proxy_uds
    {
        return Err(Error::Value {
            flag: "--proxy-uds".to_owned(),
            value: path.display().to_string(),
            problem: "--proxy-host is given too".to_owned(),
            cure: "name the one of them by which Konnectivity is to be reached".to_owned(),
        });
    }
    if let Some(TunnelAddress::Host(_, port)) = tunnel.address()? {
        if port == 0 {
            return Err(Error::Value {
                flag: "--proxy-port".to_owned(),
                value: "0".to_owned(),
                problem: "it is no port".to_owned(),
                cure: "name the port of --proxy-host".to_owned(),
            });
        }
        tunnel.required_files()?;
    }
    Ok(())
}

/// Every file that is named.
pub(super) fn files(config: &Config) -> Result<(), Error> {
    for (flag, path) in config.hub.files() {
        read(flag, path)?;
        // Not with the parser's own words: they quote the file, which holds credentials.
        Kubeconfig::read_from(path).map_err(|_| {
            let problem = "it is no kubeconfig (YAML with clusters, users and contexts)";
            Error::file(flag, path, problem, "name a kubeconfig, or leave the flag out inside a pod")
        })?;
    }
    for (flag, path) in [
        ("--client-ca-file", &config.authentication.client_ca_file),
        ("--requestheader-client-ca-file", &config.authentication.request_header.client_ca_file),
    ] {
        if let Some(path) = path {
            authorities(flag, path)?;
        }
    }
    ServingCertificate::check(&config.serving.certificate_source())
        .map_err(|error| Error::serving_certificate(&config.serving, error))?;
    if let Some(path) = &config.clusters.cluster_gateway_proxy_config {
        rules("--cluster-gateway-proxy-config", path)?;
    }
    if let Some(TunnelAddress::Host(..)) = config.tunnel.address()? {
        config.tunnel.identity()?;
    }
    credentials(config)
}

/// A command that is missing when it is allowed would be missed when it is needed.
fn credentials(config: &Config) -> Result<(), Error> {
    for allowed in config.credentials.allowed() {
        if let Some(problem) = allowed.problem() {
            return Err(Error::Value {
                flag: "--exec-allowed".to_owned(),
                value: allowed.to_string(),
                problem: problem.to_owned(),
                cure: "name an executable of the gateway's own image, or leave the entry out".to_owned(),
            });
        }
    }
    if let Some(path) = &config.credentials.credential_dir {
        let flag = "--credential-dir";
        let folder = std::fs::metadata(path).map_err(|error| Error::unreadable(flag, path, &error))?;
        if !folder.is_dir() || !path.is_absolute() {
            return Err(Error::file(
                flag,
                path,
                "it is no absolute path of a folder",
                "name the folder below which credentials are mounted, from / on",
            ));
        }
    }
    Ok(())
}

fn rules(flag: &'static str, path: &Path) -> Result<(), Error> {
    let text = read(flag, path)?;
    let cure = "correct the file: a rule that cannot be read would leave its callers as they are";
    let text = str::from_utf8(&text).map_err(|error| Error::file(flag, path, error, cure))?;
    Rules::parse(text).map_err(|error| Error::file(flag, path, error, cure))?;
    Ok(())
}

/// The certificates of a file, each of which can be a trust anchor.
pub(super) fn authorities(flag: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(flag, path)?;
    let cure = "name a file with the CA's certificate in PEM";
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match parsed {
        Ok(certificates) if certificates.is_empty() => {
            Err(Error::file(flag, path, "there is no CERTIFICATE block in it", cure))
        }
        Ok(certificates) => {
            for certificate in &certificates {
                anchor(certificate).map_err(|problem| Error::file(flag, path, problem, cure))?;
            }
            Ok(certificates)
        }
        Err(error) => Err(Error::file(flag, path, format!("it is not valid PEM: {error}"), cure)),
    }
}

/// Whether a certificate can be a trust anchor.
fn anchor(certificate: &CertificateDer<'_>) -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(certificate.clone().into_owned())
        .map_err(|error| format!("a certificate in it cannot be read: {error}"))
}

pub(super) fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::unreadable(flag, path, &error))
}
