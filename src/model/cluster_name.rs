use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// The name of a cluster: the name of its Secret on the hub, hence a DNS-1123 subdomain of at most 253 bytes.
///
/// Cheap to clone. Anything else (`..`, an encoded slash, an empty part) cannot be a name, so a path that holds
/// it can never reach a cluster.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterName(Arc<str>);

/// Why a text is not a cluster's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a cluster name: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit, at most 253"
)]
pub struct InvalidClusterName(String);

impl ClusterName {
    /// Takes a name after checking it (RFC 1123 subdomain, as Kubernetes' `ValidateDNS1123Subdomain`).
    pub fn parse(name: &str) -> Result<Self, InvalidClusterName> {
        if Self::is_valid(name) { Ok(Self(name.into())) } else { Err(InvalidClusterName(name.to_owned())) }
    }

    /// Whether a text could be a cluster's name.
    pub fn is_valid(name: &str) -> bool {
        let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        !name.is_empty()
            && name.len() <= 253
            && name.split('.').all(|label| {
                let label = label.as_bytes();
                label.first().is_some_and(alphanumeric)
                    && label.last().is_some_and(alphanumeric)
                    && label.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
            })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for ClusterName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl Borrow<str> for ClusterName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dns_1123_subdomains_are_names() {
        for good in ["a", "member-1", "prod.eu-west.example", "0"] {
            assert_eq!(ClusterName::parse(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(254);
        for bad in ["", ".", "..", "a..b", "-a", "a-", "A", "a/b", "a%2fb", "a_b", "ü", "a b", long.as_str()]
        {
            assert!(ClusterName::parse(bad).is_err(), "{bad:?} was taken for a name");
        }
    }
}
