//! Reads from a Secret how its cluster is reached: endpoint, proxy, Konnectivity, and the name in its certificate.

use rustls::pki_types::{CertificateDer, ServerName};

use crate::model::ClusterName;
use crate::upstream::{Endpoint, Host, Konnectivity, Proxy, Route, Scheme, Trust};

use super::compile::Options;
use super::secret::Data;
use super::{EndpointType, Pairs, Unusable};

/// Where a cluster is that is reached through Konnectivity, by its own name: as in the Go gateway.
const TUNNELLED_PORT: u16 = 443;

/// How a cluster is reached.
pub(super) struct Way<'a> {
    pub(super) endpoint: Endpoint,
    /// Asked for, and looked for in the cluster's certificate, instead of the endpoint's host.
    pub(super) server_name: Option<ServerName<'static>>,
    through: Through<'a>,
}

enum Through<'a> {
    Nothing,
    Proxy {
        proxy: Proxy,
        /// As it stands in the Secret, for the fingerprint.
        url: &'a [u8],
        /// The data key `proxy-ca.crt`.
        ca: Option<&'a [u8]>,
    },
    Konnectivity(Konnectivity),
}

impl<'a> Way<'a> {
    pub(super) fn read(
        name: &ClusterName,
        endpoint_type: EndpointType,
        data: Data<'a>,
        annotations: &Pairs,
        options: &Options,
    ) -> Result<Self, Unusable> {
        let (endpoint, through) = match endpoint_type {
            // Its keys `endpoint` and `proxy-url` mean nothing, as in the Go gateway.
            EndpointType::ClusterProxy => {
                let konnectivity = options.konnectivity.clone().ok_or(Unusable::NoKonnectivity)?;
                let host = Host::parse(name.as_str()).ok_or(Unusable::NoHostName)?;
                let endpoint = Endpoint::at(Scheme::Https, host, TUNNELLED_PORT);
                (endpoint, Through::Konnectivity(konnectivity))
            }
            EndpointType::Const | EndpointType::Unknown => (endpoint(data)?, proxy(data)?),
        };
        let server_name = server_name(&endpoint, data, annotations, options)?;
        Ok(Self { endpoint, server_name, through })
    }

    /// Whether the cluster proves who it is. Behind Konnectivity its name says nothing about its certificate, so that
    /// only an annotation that names it makes verification possible.
    pub(super) fn is_verified(&self, has_ca: bool) -> bool {
        has_ca && self.why_unverified().is_none()
    }

    /// Why nobody could verify the cluster even with a CA.
    pub(super) fn why_unverified(&self) -> Option<Unverified> {
        match (&self.through, self.endpoint.scheme(), &self.server_name) {
            (Through::Konnectivity(_), _, None) => Some(Unverified::NoServerName),
            (_, Scheme::Http, _) => Some(Unverified::NoTls),
            _ => None,
        }
    }

    /// Whether nothing is between us and the cluster.
    pub(super) fn is_direct(&self) -> bool {
        matches!(self.through, Through::Nothing)
    }

    /// Whether a proxy is, and proves who it is: by its own CA or, as [`Self::route`] has it, by the cluster's.
    pub(super) fn is_proxy_verified(&self, has_ca: bool) -> bool {
        match &self.through {
            Through::Proxy { proxy, ca, .. } => proxy.has_certificate() && (ca.is_some() || has_ca),
            Through::Nothing | Through::Konnectivity(_) => false,
        }
    }

    /// What it is made of, less the endpoint.
    pub(super) fn parts(&self) -> [Vec<u8>; 4] {
        let server_name =
            self.server_name.as_ref().map(|name| name.to_str().into_owned()).unwrap_or_default();
        let (kind, url, ca) = match &self.through {
            Through::Nothing => ("direct", &b""[..], &b""[..]),
            Through::Proxy { url, ca, .. } => ("proxy", url.trim_ascii(), ca.unwrap_or_default()),
            Through::Konnectivity(_) => ("konnectivity", &b""[..], &b""[..]),
        };
        [server_name.into_bytes(), kind.into(), url.into(), ca.into()]
    }

    /// The way, as it is set up. `ca` are the cluster's own authorities, `parse` reads a bundle of them.
    pub(super) fn route(
        self,
        ca: &Trust,
        parse: impl FnOnce(&[u8]) -> Result<Vec<CertificateDer<'static>>, String>,
    ) -> Result<Route, Unusable> {
        Ok(match self.through {
            Through::Nothing => Route::Direct,
            Through::Konnectivity(konnectivity) => Route::Konnectivity(konnectivity),
            Through::Proxy { proxy, ca: Some(pem), .. } => {
                let roots = parse(pem).map_err(|problem| Unusable::Ca { key: "proxy-ca.crt", problem })?;
                Route::Proxy(proxy, Trust::Roots(roots))
            }
            Through::Proxy { proxy, ca: None, .. } => {
                let trust = match ca {
                    Trust::Roots(roots) | Trust::RootsOrSystem(roots) => Trust::RootsOrSystem(roots.clone()),
                    // As in the Go gateway, where a missing CA means that nothing at all is verified.
                    Trust::Unverified => Trust::Unverified,
                };
                Route::Proxy(proxy, trust)
            }
        })
    }
}

/// Why a cluster cannot be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unverified {
    /// Its endpoint is not https.
    NoTls,
    /// It is behind Konnectivity, and nothing says what its certificate is to say.
    NoServerName,
}

fn endpoint(data: Data<'_>) -> Result<Endpoint, Unusable> {
    let endpoint = data.required("endpoint", "a URL like https://10.0.0.1:6443")?;
    let endpoint = str::from_utf8(endpoint).map_err(|_| Unusable::NotText("endpoint"))?;
    Endpoint::parse(endpoint).map_err(|error| match endpoint.contains('@') {
        true => Unusable::EndpointWithUser,
        false => Unusable::Endpoint(error),
    })
}

fn proxy(data: Data<'_>) -> Result<Through<'_>, Unusable> {
    let Some(url) = data.get("proxy-url") else {
        return Ok(Through::Nothing);
    };
    let text = str::from_utf8(url).map_err(|_| Unusable::NotText("proxy-url"))?;
    let proxy = Proxy::parse(text).map_err(Unusable::Proxy)?;
    // Of use for proxies with a certificate only.
    let ca = data.get("proxy-ca.crt").filter(|_| proxy.has_certificate());
    Ok(Through::Proxy { proxy, url, ca })
}

/// The annotation that says what the certificate is to say. Whoever sets it wants the cluster verified: what would
/// leave it unverified is refused.
fn server_name(
    endpoint: &Endpoint,
    data: Data<'_>,
    annotations: &Pairs,
    options: &Options,
) -> Result<Option<ServerName<'static>>, Unusable> {
    let annotation = options.server_name_annotation();
    let Some(name) = annotations.get(&annotation) else {
        return Ok(None);
    };
    if endpoint.scheme() == Scheme::Http {
        return Err(Unusable::ServerNameWithoutTls { annotation });
    }
    if data.ca().is_none() {
        return Err(Unusable::ServerNameWithoutCa { annotation });
    }
    match ServerName::try_from(name.trim().to_owned()) {
        Ok(name) => Ok(Some(name)),
        Err(_) => Err(Unusable::ServerName { annotation }),
    }
}

#[cfg(test)]
#[path = "way_tests.rs"]
mod tests;
