use std::time::Duration;

use clap::{ArgAction, Args};

use super::values;

/// Whether callers may. The hub decides, by SubjectAccessReview.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Authorization")]
pub struct Authorization {
    /// Paths that need no permission, exactly as written, or with * at the end for all below
    #[arg(long, value_name = "PATHS", default_value = "/healthz,/readyz,/livez", value_delimiter = ',', action = ArgAction::Append)]
    pub authorization_always_allow_paths: Vec<String>,
    /// How long a yes of the hub is good for
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::duration)]
    pub authorization_webhook_cache_authorized_ttl: Duration,
    /// How long a no of the hub is good for
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::duration)]
    pub authorization_webhook_cache_unauthorized_ttl: Duration,
    /// The caller must also be allowed, by the hub, what the path after /proxy asks of the cluster
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = values::boolean)]
    pub authorize_proxy_subpath: bool,
}
