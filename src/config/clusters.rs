use std::path::PathBuf;

use clap::Args;

use crate::model::{ClusterName, GroupName};

use super::values;

/// Which clusters there are, and what is asked of them.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Clusters")]
pub struct Clusters {
    /// Namespace of the hub in which every Secret with the credential-type label is a cluster
    #[arg(long, value_name = "NAMESPACE", default_value = "vela-system", value_parser = namespace)]
    pub secret_namespace: String,
    /// API group to serve; labels and annotations have its name as their prefix
    #[arg(long, value_name = "GROUP", default_value = GroupName::DEFAULT)]
    pub group_name: GroupName,
    /// Refuse clusters without a CA, instead of talking to them unverified
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = values::boolean)]
    pub require_cluster_ca: bool,
    /// Show clusters' tokens and private keys to whoever may get or list clustergateways, as the Go gateway does
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = values::boolean)]
    pub expose_credentials: bool,
    /// Take endpoint and CA from the ManagedCluster of the same name (Open Cluster Management)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = values::boolean)]
    pub ocm_integration: bool,
    /// Show the hub itself as VirtualCluster local. The name is misspelt as existing manifests have it
    #[arg(long = "virtual-clutser-with-control-plane", alias = "virtual-cluster-with-control-plane", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", hide_default_value = true, value_parser = values::boolean)]
    pub virtual_cluster_with_control_plane: bool,
    /// File with the rules for whom callers become on clusters (ClusterGatewayProxyConfiguration)
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    pub cluster_gateway_proxy_config: Option<PathBuf>,
}

/// RFC 1123 label, as Kubernetes wants namespaces to be.
fn namespace(text: &str) -> Result<String, String> {
    match ClusterName::is_valid(text) && text.len() <= 63 && !text.contains('.') {
        true => Ok(text.to_owned()),
        false => Err("it is no namespace: lower-case letters, digits and '-', at most 63".to_owned()),
    }
}
