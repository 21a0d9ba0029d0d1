use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::values;

/// Who calls. What is not given comes from the hub's ConfigMap `extension-apiserver-authentication`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Authentication")]
pub struct Authentication {
    /// CA of client certificates, PEM; without it the hub's ConfigMap says so
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    pub client_ca_file: Option<PathBuf>,
    /// The front proxy.
    #[command(flatten)]
    pub request_header: RequestHeader,
    /// Do not read the hub's ConfigMap
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = values::boolean)]
    pub authentication_skip_lookup: bool,
    /// Become ready although the hub's ConfigMap cannot be read: those it would vouch for are then anonymous
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = values::boolean)]
    pub authentication_tolerate_lookup_failure: bool,
    /// How long the answer of a TokenReview is good for
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::duration)]
    pub authentication_token_webhook_cache_ttl: Duration,
}

/// The front proxy (the hub's aggregator), when it is not to be learned from the hub. The header names are only
/// used together with `client_ca_file`, as in Kubernetes' delegated authentication.
#[derive(Debug, Clone, Args)]
pub struct RequestHeader {
    /// CA of the front proxy's client certificate, PEM; without it the hub's ConfigMap says so, headers and names too
    #[arg(id = "requestheader-client-ca-file", long, value_name = "FILE", value_parser = values::file)]
    pub client_ca_file: Option<PathBuf>,
    /// Headers with the user's name
    #[arg(id = "requestheader-username-headers", long, value_name = "NAMES", default_value = "x-remote-user", value_delimiter = ',', action = ArgAction::Append)]
    pub username_headers: Vec<String>,
    /// Headers with the user's UID; none unless given, because old hubs let a client's own pass
    #[arg(id = "requestheader-uid-headers", long, value_name = "NAMES", value_delimiter = ',', action = ArgAction::Append)]
    pub uid_headers: Vec<String>,
    /// Headers with the user's groups
    #[arg(id = "requestheader-group-headers", long, value_name = "NAMES", default_value = "x-remote-group", value_delimiter = ',', action = ArgAction::Append)]
    pub group_headers: Vec<String>,
    /// Prefixes of headers with more about the user
    #[arg(id = "requestheader-extra-headers-prefix", long, value_name = "PREFIXES", default_value = "x-remote-extra-", value_delimiter = ',', action = ArgAction::Append)]
    pub extra_headers_prefix: Vec<String>,
    /// Common names that the front proxy's certificate may have; any when empty
    #[arg(id = "requestheader-allowed-names", long, value_name = "NAMES", value_delimiter = ',', action = ArgAction::Append)]
    pub allowed_names: Vec<String>,
}
