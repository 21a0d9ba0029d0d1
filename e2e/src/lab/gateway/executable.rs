//! Which executable is the gateway under test.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};

/// Names the executable; otherwise cargo builds it with the profile that this program was built with.
const VARIABLE: &str = "CLUSTER_GATEWAY_BIN";

/// The gateway's executable, built once per process when `CLUSTER_GATEWAY_BIN` does not name one.
pub fn gateway_binary() -> Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}"))).clone().map_err(|error| anyhow!(error))
}

fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        return PathBuf::from(&path).canonicalize().with_context(|| format!("{VARIABLE}={}", path.display()));
    }
    let own = std::env::current_exe()?;
    // TARGET/PROFILE/deps/TEST-HASH or TARGET/PROFILE/PROGRAM.
    let profile = own
        .ancestors()
        .skip(1)
        .find(|folder| folder.file_name().is_some_and(|name| name != "deps"))
        .context("where is this program?")?;
    let target = profile.parent().context("this program is not below a target folder")?;
    let name = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => bail!("{} is no cargo profile's folder; set {VARIABLE}", profile.display()),
    };
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        // The whole workspace's choice of features, or everything would be built a second time.
        .args([
            "build",
            "--locked",
            "--workspace",
            "--bin",
            "cluster-gateway",
            "--profile",
            name,
            "--target-dir",
        ])
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stdin(Stdio::null())
        .status()
        .context("starting cargo to build the gateway")?;
    if !status.success() {
        bail!("cargo could not build the gateway ({status}); set {VARIABLE} to use one that is built");
    }
    Ok(profile.join("cluster-gateway"))
}
