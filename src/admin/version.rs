use std::env::consts::{ARCH, OS};

use serde_json::json;

/// `version.Info` (k8s.io/apimachinery, pkg/version/types.go). All of its fields are there, because clients decode
/// them without asking; commit and date are those that the build was told.
pub(super) fn json() -> Vec<u8> {
    let architecture = match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let info = json!({
        "major": env!("CARGO_PKG_VERSION_MAJOR"),
        "minor": env!("CARGO_PKG_VERSION_MINOR"),
        "gitVersion": concat!("v", env!("CARGO_PKG_VERSION")),
        "gitCommit": option_env!("CLUSTER_GATEWAY_COMMIT").unwrap_or_default(),
        "gitTreeState": "",
        "buildDate": option_env!("CLUSTER_GATEWAY_BUILD_DATE").unwrap_or_default(),
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{OS}/{architecture}"),
    });
    // Indented, as kube-apiserver's.
    let mut body = format!("{info:#}");
    body.push('\n');
    body.into_bytes()
}
