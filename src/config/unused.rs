use std::fmt;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{Config, values};

/// A flag that was accepted although it does not do here what its name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    flag: String,
    meaning: String,
}

impl Warning {
    pub(super) fn new(flag: impl Into<String>, meaning: impl Into<String>) -> Self {
        Self { flag: flag.into(), meaning: meaning.into() }
    }

    /// As it was given, with its dashes. Values are left out where they could hold a secret.
    pub fn flag(&self) -> &str {
        &self.flag
    }

    /// What the flag means here.
    pub fn meaning(&self) -> &str {
        &self.meaning
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.flag, self.meaning)
    }
}

/// What a flag takes.
#[derive(Clone, Copy)]
enum Takes {
    /// `--flag`, `--flag=true`.
    Bool,
    /// `--flag=value`, `--flag value`.
    Value,
}
use Takes::{Bool, Value};

/// Flags of Kubernetes' generic apiserver, of apiserver-runtime and of klog that deployments of the Go
/// cluster-gateway may pass (k8s.io/apiserver pkg/server/options, k8s.io/klog), and what becomes of them.
const UNUSED: &[(&str, &[(&str, Takes)])] = &[
    (
        "there is no debug mode: authentication and authorization are always on; outside of a cluster name the hub with --kubeconfig",
        &[("standalone-debug-mode", Bool)],
    ),
    (
        "nothing is stored here, so there is no etcd to talk to",
        &[
            ("etcd-servers", Value),
            ("etcd-servers-overrides", Value),
            ("etcd-prefix", Value),
            ("etcd-cafile", Value),
            ("etcd-certfile", Value),
            ("etcd-keyfile", Value),
            ("etcd-compaction-interval", Value),
            ("etcd-count-metric-poll-period", Value),
            ("etcd-db-metric-poll-interval", Value),
            ("etcd-healthcheck-timeout", Value),
            ("etcd-readycheck-timeout", Value),
            ("storage-backend", Value),
            ("storage-media-type", Value),
            ("storage-initialization-timeout", Value),
            ("lease-reuse-duration-seconds", Value),
            ("encryption-provider-config", Value),
            ("encryption-provider-config-automatic-reload", Bool),
            ("enable-garbage-collector", Bool),
            ("delete-collection-workers", Value),
            ("watch-cache", Bool),
            ("watch-cache-sizes", Value),
            ("default-watch-cache-size", Value),
        ],
    ),
    (
        "nothing is admitted here: what goes to a cluster is admitted by that cluster",
        &[
            ("admission-control", Value),
            ("admission-control-config-file", Value),
            ("enable-admission-plugins", Value),
            ("disable-admission-plugins", Value),
        ],
    ),
    (
        "no audit log is written yet; every request has its Audit-ID in the access log, see --access-log",
        &[
            ("audit-policy-file", Value),
            ("audit-log-path", Value),
            ("audit-log-format", Value),
            ("audit-log-version", Value),
            ("audit-log-mode", Value),
            ("audit-log-compress", Bool),
            ("audit-log-maxage", Value),
            ("audit-log-maxbackup", Value),
            ("audit-log-maxsize", Value),
            ("audit-log-batch-buffer-size", Value),
            ("audit-log-batch-max-size", Value),
            ("audit-log-batch-max-wait", Value),
            ("audit-log-batch-throttle-burst", Value),
            ("audit-log-batch-throttle-enable", Bool),
            ("audit-log-batch-throttle-qps", Value),
            ("audit-log-truncate-enabled", Bool),
            ("audit-log-truncate-max-batch-size", Value),
            ("audit-log-truncate-max-event-size", Value),
            ("audit-webhook-config-file", Value),
            ("audit-webhook-mode", Value),
            ("audit-webhook-version", Value),
            ("audit-webhook-initial-backoff", Value),
            ("audit-webhook-batch-initial-backoff", Value),
            ("audit-webhook-batch-buffer-size", Value),
            ("audit-webhook-batch-max-size", Value),
            ("audit-webhook-batch-max-wait", Value),
            ("audit-webhook-batch-throttle-burst", Value),
            ("audit-webhook-batch-throttle-enable", Bool),
            ("audit-webhook-batch-throttle-qps", Value),
            ("audit-webhook-truncate-enabled", Bool),
            ("audit-webhook-truncate-max-batch-size", Value),
            ("audit-webhook-truncate-max-event-size", Value),
        ],
    ),
    (
        "there is no Go runtime to profile",
        &[("profiling", Bool), ("contention-profiling", Bool), ("debug-socket-path", Value)],
    ),
    (
        "the hub is reached directly, and clusters as their own endpoints say",
        &[("egress-selector-config-file", Value)],
    ),
    (
        "the socket is always opened so that a restart can take the address over at once, and is not shared",
        &[("permit-address-sharing", Bool), ("permit-port-sharing", Bool)],
    ),
    (
        "one serving certificate is shown to everybody: name it with --tls-cert-file",
        &[("tls-sni-cert-key", Value)],
    ),
    (
        "requests in flight are not limited by number here; clusters apply their own priority and fairness",
        &[
            ("enable-priority-and-fairness", Bool),
            ("max-requests-inflight", Value),
            ("max-mutating-requests-inflight", Value),
        ],
    ),
    (
        "callers are told to open another connection by its age and not by chance: see --max-connection-age",
        &[("goaway-chance", Value)],
    ),
    (
        "draining is a matter of --shutdown-delay-duration and --drain-timeout here",
        &[("shutdown-send-retry-after", Bool), ("shutdown-watch-termination-grace-period", Value)],
    ),
    ("/livez says ok as soon as the process serves", &[("livez-grace-period", Value)]),
    ("watches end when the cluster or the client ends them", &[("min-request-timeout", Value)]),
    (
        "no browser is expected here, so there are no headers for one",
        &[("cors-allowed-origins", Value), ("strict-transport-security-directives", Value)],
    ),
    (
        "no address is published here: the hub finds this program by its Service",
        &[("advertise-address", Value), ("external-hostname", Value)],
    ),
    (
        "every API of this program is always served",
        &[
            ("runtime-config", Value),
            ("runtime-config-emulation-forward-compatible", Bool),
            ("emulation-forward-compatible", Bool),
            ("emulated-version", Value),
            ("min-compatibility-version", Value),
        ],
    ),
    ("no traces are exported yet", &[("tracing-config-file", Value)]),
    (
        "every metric is always shown",
        &[
            ("allow-metric-labels", Value),
            ("allow-metric-labels-manifest", Value),
            ("disabled-metrics", Value),
            ("show-hidden-metrics-for-version", Value),
        ],
    ),
    (
        "the log goes to standard error; see --log-format and --log-level",
        &[
            ("logtostderr", Bool),
            ("alsologtostderr", Bool),
            ("log-dir", Value),
            ("log-file", Value),
            ("log-file-max-size", Value),
            ("log-flush-frequency", Value),
            ("log-backtrace-at", Value),
            ("log-json-split-stream", Bool),
            ("log-json-info-buffer-size", Value),
            ("log-text-split-stream", Bool),
            ("log-text-info-buffer-size", Value),
            ("add-dir-header", Bool),
            ("skip-headers", Bool),
            ("skip-log-headers", Bool),
            ("one-output", Bool),
            ("stderrthreshold", Value),
            ("legacy-stderr-threshold-behavior", Bool),
            ("vmodule", Value),
        ],
    ),
];

/// Adds the unused flags to a command, hidden from its help.
pub(super) fn augment(command: Command) -> Command {
    let flags = UNUSED.iter().flat_map(|(_, flags)| *flags);
    command.args(flags.map(|(name, takes)| {
        let flag = Arg::new(*name).long(*name).hide(true).action(ArgAction::Append);
        match takes {
            Value => flag,
            Bool => flag
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_parser(|text: &str| values::boolean(text).map(|value| value.to_string())),
        }
    }))
}

/// What has to be said about the flags that were given.
pub(super) fn warn(matches: &ArgMatches, config: &Config, warnings: &mut Vec<Warning>) {
    for (meaning, flags) in UNUSED {
        for (name, _) in *flags {
            if matches.value_source(name) == Some(ValueSource::CommandLine) {
                warnings.push(Warning::new(format!("--{name}"), *meaning));
            }
        }
    }
    let not_yet = [
        (
            config.clusters.ocm_integration,
            "--ocm-integration",
            "ManagedClusters are not read yet: endpoint and CA come from the Secrets alone",
        ),
        (
            config.tunnel.has_idle_files(),
            "--proxy-uds",
            "there is no TLS on a Unix socket: --proxy-ca-cert, --proxy-cert and --proxy-key are not used with it",
        ),
    ];
    for (_, flag, meaning) in not_yet.into_iter().filter(|(given, ..)| *given) {
        warnings.push(Warning::new(flag, meaning));
    }
}
