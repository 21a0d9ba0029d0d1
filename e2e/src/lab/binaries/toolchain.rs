//! The Go toolchain: there, and new enough, or one message that says what to type.

use std::process::Command;

use anyhow::{Result, bail};

/// What the modules' `go` lines ask for.
const NEEDED: (u32, u32) = (1, 25);

/// Fails with the cure when `go` is missing or too old.
pub(super) fn check() -> Result<()> {
    // GOTOOLCHAIN=local: the version that is installed, not one that would be downloaded.
    let output =
        Command::new("go").args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").current_dir("/").output();
    let found = match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(_) => String::new(),
    };
    if version(&found).is_some_and(|version| version >= NEEDED) {
        return Ok(());
    }
    let what = if found.is_empty() { "is not installed".to_owned() } else { format!("is {found}, too old") };
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    bail!(
        "Go {}.{} or newer builds the lab's kube-apiserver, and Go {what}. Type:\n  \
         rm -rf /usr/local/go && curl -fsSL https://go.dev/dl/go1.26.0.{os}-{arch}.tar.gz | tar -C /usr/local -xz && export PATH=/usr/local/go/bin:$PATH",
        NEEDED.0,
        NEEDED.1
    )
}

/// `go1.26.8` or `go1.27rc1` as (major, minor).
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix("go")?.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_go_writes_them() {
        assert_eq!(version("go1.26.8"), Some((1, 26)));
        assert_eq!(version("go1.27rc1"), Some((1, 27)));
        assert_eq!(version("devel +abc"), None);
        assert_eq!(version(""), None);
    }
}
