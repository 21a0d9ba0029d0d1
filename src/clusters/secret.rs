//! Reads a Secret: its labels, annotations and data keys, as the reference system defined them.
//!
//! Nothing here is compiled; [`super::compile`] does that with what is found here.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::fmt::strtime;

use crate::credentials::exec::{ClusterInfo, ExecConfig, PluginSpec};
use crate::credentials::files::{self, FilesKind, FilesSpec};
use crate::model::ClusterName;
use crate::upstream::Scheme;

use super::compile::Options;
use super::fingerprint::Fingerprint;
use super::way::Way;
use super::wishes::Wishes;
use super::{CredentialType, EndpointType, Exposed, Health, Metadata, Pairs, Spec, Unusable};

/// Holds all of the Secret's data, base64, so that showing it would give the credential away.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What a Secret says about a cluster.
pub(super) struct Reading<'a> {
    pub(super) name: ClusterName,
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
    pub(super) exposed: Option<Exposed>,
    pub(super) health: Health,
    pub(super) wishes: Wishes,
    pub(super) recipe: Result<Recipe<'a>, Unusable>,
}

/// What the access to a cluster is made of.
pub(super) struct Recipe<'a> {
    pub(super) way: Way<'a>,
    /// The data key and what it holds.
    pub(super) ca: Option<(&'static str, &'a [u8])>,
    pub(super) credential: Credential<'a>,
    /// The data key of that name, for a credential of type Dynamic.
    exec: Option<&'a [u8]>,
}

/// A credential as it stands in the Secret, or where it comes from.
pub(super) enum Credential<'a> {
    Certificate { chain: &'a [u8], key: &'a [u8] },
    Token(&'a [u8]),
    Exec(PluginSpec),
    Files(FilesSpec),
}

impl<'a> Reading<'a> {
    /// None for a Secret that is no cluster: without the credential-type label, or with a name that no path can hold.
    pub(super) fn of(secret: &'a Secret, options: &Options) -> Option<Self> {
        let name = ClusterName::parse(secret.metadata.name.as_deref()?).ok()?;
        let labels = secret.metadata.labels.as_ref()?;
        let credential_label = labels.get(&options.credential_type_label())?;
        let endpoint_label = labels.get(&options.endpoint_type_label());
        let data = Data(secret.data.as_ref());
        let spec = Spec {
            endpoint_type: endpoint_type(endpoint_label),
            address: data.lossy_text("endpoint").map(shown_url).unwrap_or_default(),
            ca_bundle: data.ca().map(|(_, pem)| shown_bundle(pem)),
            proxy_url: data.lossy_text("proxy-url").map(shown_url),
            credential_type: credential_type(credential_label),
        };
        let metadata = metadata(&secret.metadata);
        let wishes = Wishes::of(&spec, data, &metadata, options);
        let recipe = recipe(&name, &spec, credential_label, endpoint_label, data, &metadata, options);
        let health = options.health_keys().read(&metadata.annotations);
        let exposed = options.expose_credentials.then(|| exposed(spec.credential_type, data)).flatten();
        Some(Self { name, metadata, spec, exposed, health, wishes, recipe })
    }
}

impl Recipe<'_> {
    /// Equal for two Secrets exactly when the same access would be made of them.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let endpoint = &self.way.endpoint;
        let [server_name, through, proxy, proxy_ca] = self.way.parts();
        let scheme = match endpoint.scheme() {
            Scheme::Https => "https",
            Scheme::Http => "http",
        };
        let (kind, first, second) = match &self.credential {
            Credential::Certificate { chain, key } => ("certificate", *chain, *key),
            Credential::Token(token) => ("token", token.trim_ascii(), &b""[..]),
            // What it is told of the cluster stands in the other parts, but for the name that it is verified by.
            Credential::Exec(spec) => (
                "exec",
                self.exec.unwrap_or_default(),
                spec.cluster.tls_server_name.as_deref().unwrap_or_default().as_bytes(),
            ),
            Credential::Files(spec) => match &spec.kind {
                FilesKind::Token(path) => ("token-file", path.as_os_str().as_bytes(), &b""[..]),
                FilesKind::Certificate { chain, key } => {
                    ("certificate-files", chain.as_os_str().as_bytes(), key.as_os_str().as_bytes())
                }
            },
        };
        Fingerprint::of([
            scheme.as_bytes(),
            endpoint.host().to_string().as_bytes(),
            &endpoint.port().to_be_bytes(),
            endpoint.path_prefix().as_bytes(),
            self.ca.map_or(&b""[..], |(_, pem)| pem),
            kind.as_bytes(),
            first,
            second,
            &server_name,
            &through,
            &proxy,
            &proxy_ca,
        ])
    }
}

fn recipe<'a>(
    name: &ClusterName,
    spec: &Spec,
    credential_label: &str,
    endpoint_label: Option<&String>,
    data: Data<'a>,
    metadata: &Metadata,
    options: &Options,
) -> Result<Recipe<'a>, Unusable> {
    if spec.endpoint_type == EndpointType::Unknown {
        return Err(Unusable::UnknownType {
            label: options.endpoint_type_label(),
            value: endpoint_label.cloned().unwrap_or_default(),
            accepted: "Const and ClusterProxy",
        });
    }
    let way = Way::read(name, spec.endpoint_type, data, &metadata.annotations, options)?;
    let credential = match spec.credential_type {
        CredentialType::X509Certificate if data.has_any([files::CHAIN, files::KEY]) => {
            data.instead_of(files::CHAIN, ["tls.crt", "tls.key"])?;
            let chain = data.file(files::CHAIN, "a client certificate in PEM", options)?;
            let key = data.file(files::KEY, "the client certificate's private key in PEM", options)?;
            Credential::Files(files_spec(FilesKind::Certificate { chain, key }, options)?)
        }
        CredentialType::X509Certificate => Credential::Certificate {
            chain: data.required("tls.crt", "a client certificate in PEM")?,
            key: data.required("tls.key", "the client certificate's private key in PEM")?,
        },
        CredentialType::ServiceAccountToken if data.has_any([files::TOKEN]) => {
            data.instead_of(files::TOKEN, ["token"])?;
            let path = data.file(files::TOKEN, "a bearer token", options)?;
            Credential::Files(files_spec(FilesKind::Token(path), options)?)
        }
        CredentialType::ServiceAccountToken => Credential::Token(data.required("token", "a bearer token")?),
        CredentialType::Dynamic => {
            let json =
                data.required("exec", "the command that gives the credential: an ExecConfig in JSON")?;
            let config = ExecConfig::parse(json).map_err(Unusable::Exec)?;
            let cluster = cluster_info(&way, data, spec);
            Credential::Exec(PluginSpec { config, cluster })
        }
        CredentialType::Unknown => {
            return Err(Unusable::UnknownType {
                label: options.credential_type_label(),
                value: credential_label.to_owned(),
                accepted: "X509Certificate, ServiceAccountToken and Dynamic",
            });
        }
    };
    Ok(Recipe { way, ca: data.ca(), credential, exec: data.get("exec") })
}

fn files_spec(kind: FilesKind, options: &Options) -> Result<FilesSpec, Unusable> {
    let directory = options.credentials.directory().ok_or(Unusable::NoCredentialDir)?;
    Ok(FilesSpec { directory: directory.into(), kind })
}

/// What a command is told of the cluster, if it wants to be told.
fn cluster_info(way: &Way<'_>, data: Data<'_>, spec: &Spec) -> ClusterInfo {
    let verified = way.is_verified(data.ca().is_some());
    ClusterInfo {
        server: match spec.endpoint_type {
            EndpointType::ClusterProxy => format!("https://{}", way.endpoint.authority()),
            EndpointType::Const | EndpointType::Unknown => spec.address.clone(),
        },
        tls_server_name: way.server_name.as_ref().map(|name| name.to_str().into_owned()),
        insecure_skip_tls_verify: !verified,
        certificate_authority: data.ca().filter(|_| verified).map(|(_, pem)| pem.to_owned()),
        proxy_url: data.lossy_text("proxy-url").filter(|_| spec.endpoint_type == EndpointType::Const),
    }
}

/// The credential as the Go gateway shows it.
fn exposed(kind: CredentialType, data: Data<'_>) -> Option<Exposed> {
    match kind {
        CredentialType::ServiceAccountToken => data.lossy_text("token").map(Exposed::Token),
        CredentialType::X509Certificate => Some(Exposed::Certificate {
            certificate: data.get("tls.crt")?.to_owned(),
            key: data.get("tls.key")?.to_owned(),
        }),
        CredentialType::Dynamic | CredentialType::Unknown => None,
    }
}

fn endpoint_type(label: Option<&String>) -> EndpointType {
    match label.map(String::as_str) {
        None | Some("Const") => EndpointType::Const,
        Some("ClusterProxy") => EndpointType::ClusterProxy,
        Some(_) => EndpointType::Unknown,
    }
}

fn credential_type(label: &str) -> CredentialType {
    match label {
        "X509Certificate" => CredentialType::X509Certificate,
        "ServiceAccountToken" => CredentialType::ServiceAccountToken,
        "Dynamic" => CredentialType::Dynamic,
        _ => CredentialType::Unknown,
    }
}

pub(super) fn metadata(metadata: &ObjectMeta) -> Metadata {
    let pairs = |pairs: &Option<BTreeMap<String, String>>| -> Pairs {
        let pairs = pairs.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()));
        pairs.filter(|(key, _)| *key != LAST_APPLIED).collect()
    };
    Metadata {
        uid: metadata.uid.clone().unwrap_or_default(),
        resource_version: metadata.resource_version.clone().unwrap_or_default(),
        creation_timestamp: metadata
            .creation_timestamp
            .as_ref()
            .and_then(|time| strtime::format("%Y-%m-%dT%H:%M:%SZ", time.0).ok()),
        labels: pairs(&metadata.labels),
        annotations: pairs(&metadata.annotations),
    }
}

/// The annotations that hold a cluster's health.
#[derive(Debug, Clone)]
pub(super) struct HealthKeys {
    pub(super) healthy: String,
    pub(super) reason: String,
    /// The gate HealthinessCheck: without it nothing is known of any cluster's health.
    pub(super) is_shown: bool,
}

impl HealthKeys {
    pub(super) fn read(&self, annotations: &Pairs) -> Health {
        if !self.is_shown {
            return Health::default();
        }
        Health {
            healthy: annotations.get(&self.healthy) == Some("true"),
            reason: annotations.get(&self.reason).unwrap_or_default().to_owned(),
        }
    }
}

impl Options {
    pub(super) fn health_keys(&self) -> HealthKeys {
        HealthKeys {
            healthy: self.healthy_annotation(),
            reason: self.healthy_reason_annotation(),
            is_shown: self.healthiness_check,
        }
    }
}

/// A URL as it may be shown to whoever may read clusters. What does not look like one is not shown at all: it may
/// be a token or a key that stands there by mistake.
fn shown_url(url: String) -> String {
    match url.contains("://") && !url.contains(char::is_whitespace) {
        true => without_password(url),
        false => String::new(),
    }
}

/// The certificates of a bundle. All of it when it holds nothing but text and certificates; a private key beside
/// them (`cat ca.crt ca.key`) is for nobody's eyes.
fn shown_bundle(pem: &[u8]) -> Vec<u8> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(pem);
    if text.contains(BEGIN) && !text.contains("PRIVATE KEY") {
        return pem.to_owned();
    }
    let blocks = text.match_indices(BEGIN).filter_map(|(start, _)| {
        let length = text[start..].find(END)? + END.len();
        Some(format!("{}\n", &text[start..start + length]))
    });
    // A block that does not end would take the next one along, and what stands between.
    blocks.filter(|block| block.matches("-----BEGIN").count() == 1).collect::<String>().into_bytes()
}

/// Takes the password out of a URL. Everything up to the last `@` counts as user information: passwords hold
/// unescaped `/` and `@` often enough, and too much gone is better than too little.
fn without_password(url: String) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let Some(end) = url.rfind('@').filter(|end| *end >= start) else { return url };
    let user = url[start..end].split(':').next().unwrap_or_default();
    format!("{}{user}{}", &url[..start], &url[end..])
}

/// The Secret's data; an empty value counts as absent.
#[derive(Clone, Copy)]
pub(super) struct Data<'a>(Option<&'a BTreeMap<String, ByteString>>);

impl<'a> Data<'a> {
    pub(super) fn get(self, key: &str) -> Option<&'a [u8]> {
        self.0?.get(key).map(|value| value.0.as_slice()).filter(|value| !value.is_empty())
    }

    fn has_any<const N: usize>(self, keys: [&str; N]) -> bool {
        keys.iter().any(|key| self.get(key).is_some())
    }

    /// That what a file is to hold does not stand in the Secret as well: nobody could say which one counts.
    fn instead_of<const N: usize>(self, file: &'static str, keys: [&'static str; N]) -> Result<(), Unusable> {
        match keys.into_iter().find(|key| self.get(key).is_some()) {
            Some(key) => Err(Unusable::Both { file, key }),
            None => Ok(()),
        }
    }

    /// The path below `--credential-dir` of a file that the Secret names.
    fn file(self, key: &'static str, what: &'static str, options: &Options) -> Result<PathBuf, Unusable> {
        let named = self.get(key).ok_or(Unusable::MissingFile { key, what })?;
        let directory = options.credentials.directory().ok_or(Unusable::NoCredentialDir)?;
        files::below(directory, named).map_err(|problem| Unusable::File { key, problem })
    }

    pub(super) fn required(self, key: &'static str, what: &'static str) -> Result<&'a [u8], Unusable> {
        self.get(key).ok_or(Unusable::Missing { key, what })
    }

    /// For showing only.
    fn lossy_text(self, key: &str) -> Option<String> {
        self.get(key).map(|value| String::from_utf8_lossy(value.trim_ascii()).into_owned())
    }

    pub(super) fn ca(self) -> Option<(&'static str, &'a [u8])> {
        ["ca.crt", "ca"].into_iter().find_map(|key| self.get(key).map(|pem| (key, pem)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_wrong_place_is_not_shown() {
        let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
        let certificate = format!("{begin}\nAAAA\n{end}\n");
        let key = "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n";
        let with_text = format!("Issuer: x\n{certificate}{certificate}");
        for (pem, shown) in [
            (certificate.clone(), certificate.clone()),
            (with_text.clone(), with_text),
            (format!("{certificate}{key}{certificate}"), format!("{certificate}{certificate}")),
            (format!("{begin}\nAAAA\n{key}{certificate}"), certificate.clone()),
            (key.to_owned(), String::new()),
            ("a-token".to_owned(), String::new()),
        ] {
            assert_eq!(String::from_utf8(shown_bundle(pem.as_bytes())).unwrap(), shown);
        }
        assert_eq!(shown_url(key.to_owned()), "");
        assert_eq!(shown_url("a-token".to_owned()), "");
        assert_eq!(shown_url("https://x:1/y".to_owned()), "https://x:1/y");
    }

    #[test]
    fn urls_lose_their_password_and_nothing_else() {
        for (url, shown) in [
            ("https://10.0.0.1:6443/x", "https://10.0.0.1:6443/x"),
            ("http://user:hunter2@proxy:3128", "http://user@proxy:3128"),
            ("http://user:hun@ter/2@proxy:3128", "http://user@proxy:3128"),
            ("user:hunter2@proxy", "user@proxy"),
            ("http://user@proxy", "http://user@proxy"),
            ("", ""),
            ("@", "@"),
            ("a@b://c", "a@b://c"),
        ] {
            assert_eq!(without_password(url.to_owned()), shown);
        }
    }
}
