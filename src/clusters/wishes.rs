use super::compile::Options;
use super::secret::Data;
use super::{EndpointType, Metadata, Spec};

/// What a Secret wants of the way to its cluster, as far as it can be read, be the rest right or wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes {
    /// Something is to stand between us and the cluster.
    through: bool,
    /// The cluster is to prove who it is.
    verified: bool,
    /// So is the proxy.
    proxy_verified: bool,
}

impl Wishes {
    /// When in doubt, it is wanted.
    pub(super) fn of(spec: &Spec, data: Data<'_>, metadata: &Metadata, options: &Options) -> Self {
        let is_const = spec.endpoint_type != EndpointType::ClusterProxy;
        let begins = |url: &str, scheme: &str| url.to_ascii_lowercase().starts_with(scheme);
        let has_ca = data.ca().is_some();
        let https_proxy = spec.proxy_url.as_ref().is_some_and(|url| begins(url, "https://"));
        Self {
            through: spec.proxy_url.is_some() || !is_const,
            verified: metadata.annotations.contains_key(&options.server_name_annotation())
                || (has_ca && is_const && !begins(&spec.address, "http://")),
            proxy_verified: is_const && https_proxy && (has_ca || data.get("proxy-ca.crt").is_some()),
        }
    }

    /// Whether a way that is there does all that is wanted.
    pub(super) fn are_met(self, direct: bool, verified: bool, proxy_verified: bool) -> bool {
        !(self.through && direct) && (verified || !self.verified) && (proxy_verified || !self.proxy_verified)
    }
}
