use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::ClusterName;

/// The API group, for instance `cluster.core.oam.dev`: a DNS-1123 subdomain with a dot. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct GroupName(Arc<str>);

/// Why a text is no group's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("it is no DNS name with at least one dot, like cluster.core.oam.dev")]
pub struct InvalidGroupName;

impl GroupName {
    /// The group of the Go cluster-gateway.
    pub const DEFAULT: &str = "cluster.core.oam.dev";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for GroupName {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl FromStr for GroupName {
    type Err = InvalidGroupName;

    fn from_str(text: &str) -> Result<Self, InvalidGroupName> {
        match ClusterName::is_valid(text) && text.contains('.') {
            true => Ok(Self(text.into())),
            false => Err(InvalidGroupName),
        }
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for GroupName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}
