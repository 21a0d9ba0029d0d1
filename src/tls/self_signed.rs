//! A serving certificate for those who bring none, as Kubernetes' generic apiserver makes one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use super::Identity;

/// Nobody checks it who does not hold it already (the hub skips verification then), so that it only has to outlive
/// the pod. A pod that runs for ten years has other sorrows.
const VALIDITY: Duration = Duration::days(3650);

/// Makes a pair for localhost, this host and the address, and keeps it in the directory where that is possible.
pub(super) fn make(address: IpAddr, directory: Option<&Path>) -> Result<Identity, String> {
    let host = hostname::get().ok().and_then(|name| name.into_string().ok());
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let certificate = parameters(address, host.as_deref())
        .and_then(|parameters| parameters.self_signed(&key))
        .map_err(|error| error.to_string())?;
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    if let Some(directory) = directory {
        match keep(directory, &certificate, &key) {
            Ok(()) => {
                tracing::info!(directory = %directory.display(), "self-signed serving certificate written")
            }
            Err(error) => {
                tracing::info!(directory = %directory.display(), %error, "self-signed serving certificate stays in memory");
            }
        }
    }
    Identity::from_pem(certificate.as_bytes(), key.as_bytes()).map_err(|error| error.to_string())
}

fn parameters(address: IpAddr, host: Option<&str>) -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()])?;
    let mut addresses = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
    if !address.is_unspecified() && !addresses.contains(&address) {
        addresses.push(address);
    }
    parameters.subject_alt_names.extend(addresses.into_iter().map(SanType::IpAddress));
    // A host's name that is no DNS name is no reason to have no certificate.
    if let Some(name) = host.filter(|host| *host != "localhost").and_then(|host| host.try_into().ok()) {
        parameters.subject_alt_names.push(SanType::DnsName(name));
    }
    let now = OffsetDateTime::now_utc();
    // Clocks differ.
    parameters.not_before = now - Duration::hours(1);
    parameters.not_after = now + VALIDITY;
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, format!("{}@{}", host.unwrap_or("localhost"), now.unix_timestamp()));
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(parameters)
}

/// The key first: a certificate without a key would be an error at the next start.
fn keep(directory: &Path, certificate: &str, key: &str) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let path = directory.join("apiserver.key");
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(key.as_bytes())?;
    fs::write(directory.join("apiserver.crt"), certificate).inspect_err(|_| drop(fs::remove_file(&path)))
}
