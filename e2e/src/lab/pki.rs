//! Certificates of the lab: authorities, and what they issue. ECDSA P-256, made with rcgen on ring.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SerialNumber,
};
use time::OffsetDateTime;

/// A certificate authority.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    /// CN: the user, for a client.
    pub common_name: String,
    /// O, one for each group of a client.
    pub organizations: Vec<String>,
    /// DNS names and IP addresses of a server.
    pub names: Vec<String>,
    /// Its serial number; a random one when there is none.
    pub serial: Option<u64>,
    /// What it may be used for.
    pub usages: Vec<ExtendedKeyUsagePurpose>,
    /// From when; an hour ago unless changed.
    pub not_before: OffsetDateTime,
    /// Until when; in a year unless changed.
    pub not_after: OffsetDateTime,
}

/// A certificate and its key, as PEM. `Debug` does not show the key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub cert: String,
    /// The private key, PKCS#8.
    pub key: String,
}

impl Authority {
    /// A new self-signed authority; two of the same name still have keys of their own.
    pub fn new(common_name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        params.not_before = OffsetDateTime::now_utc() - time::Duration::hours(1);
        params.not_after = OffsetDateTime::now_utc() + time::Duration::days(3650);
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    /// Its certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues what is asked for.
    pub fn issue(&self, request: &CertificateRequest) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(request.names.clone())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, request.common_name.as_str());
        for organization in &request.organizations {
            params.distinguished_name.push(DnType::OrganizationName, organization.as_str());
        }
        params.serial_number = request.serial.map(SerialNumber::from);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = request.usages.clone();
        params.not_before = request.not_before;
        params.not_after = request.not_after;
        let cert = params
            .signed_by(&key, &self.issuer)
            .with_context(|| format!("issuing a certificate for {}", request.common_name))?;
        Ok(Identity { cert: cert.pem(), key: key.serialize_pem() })
    }

    /// A serving certificate for these DNS names and IP addresses.
    pub fn server(&self, names: &[&str]) -> Result<Identity> {
        self.issue(&CertificateRequest::server(names))
    }

    /// A client certificate of a user in these groups.
    pub fn client(&self, user: &str, groups: &[&str]) -> Result<Identity> {
        self.issue(&CertificateRequest::client(user, groups))
    }
}

impl CertificateRequest {
    /// A server's.
    pub fn server(names: &[&str]) -> Self {
        Self {
            common_name: names.first().copied().unwrap_or("server").to_owned(),
            organizations: Vec::new(),
            names: names.iter().map(|&name| name.to_owned()).collect(),
            serial: None,
            usages: vec![ExtendedKeyUsagePurpose::ServerAuth],
            not_before: OffsetDateTime::now_utc() - time::Duration::hours(1),
            not_after: OffsetDateTime::now_utc() + time::Duration::days(365),
        }
    }

    /// A client's: CN is the user, each O a group.
    pub fn client(user: &str, groups: &[&str]) -> Self {
        Self {
            common_name: user.to_owned(),
            organizations: groups.iter().map(|&group| group.to_owned()).collect(),
            names: Vec::new(),
            usages: vec![ExtendedKeyUsagePurpose::ClientAuth],
            ..Self::server(&[])
        }
    }

    /// Valid from now on (less an hour, for clocks that differ) for so long.
    pub fn valid_for(mut self, lifetime: Duration) -> Self {
        self.not_after = OffsetDateTime::now_utc() + lifetime;
        self
    }

    /// With this serial number.
    pub fn serial(mut self, serial: u64) -> Self {
        self.serial = Some(serial);
        self
    }

    /// Ended an hour ago.
    pub fn expired(mut self) -> Self {
        self.not_before = OffsetDateTime::now_utc() - time::Duration::hours(2);
        self.not_after = OffsetDateTime::now_utc() - time::Duration::hours(1);
        self
    }
}

impl Identity {
    /// Writes `NAME.crt` and `NAME.key` into a folder, each at once (a reader never sees half a file), and
    /// gives their paths.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(PathBuf, PathBuf)> {
        let (cert, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        write_file(&key, &self.key)?;
        write_file(&cert, &self.cert)?;
        Ok((cert, key))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("cert", &self.cert).finish_non_exhaustive()
    }
}

/// Replaces a file at once: a reader sees the old content or the new one.
pub fn write_file(path: &Path, content: &str) -> Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, content)
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| format!("writing {}", path.display()))
}
