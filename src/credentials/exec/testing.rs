//! Commands for tests: shell scripts in a folder of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::ExecConfig;

pub(super) const V1: &str = "client.authentication.k8s.io/v1";

/// A folder with one script, which runs there.
pub(super) struct Script {
    folder: TempDir,
    path: PathBuf,
}

impl Script {
    pub(super) fn new(body: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("plugin");
        let script = Self { folder, path };
        script.replace(body);
        script
    }

    pub(super) fn replace(&self, body: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, format!("#!/bin/sh\ncd '{}'\n{body}\n", self.folder.path().display())).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, &self.path).unwrap();
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Lines of a file that the script writes.
    pub(super) fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The configuration that runs it, with further fields.
    pub(super) fn config(&self, further: Value) -> ExecConfig {
        let mut config = json!({"apiVersion": V1, "command": self.path});
        config.as_object_mut().unwrap().extend(further.as_object().cloned().unwrap());
        ExecConfig::parse(config.to_string().as_bytes()).unwrap()
    }
}

/// A line of shell that writes a credential.
pub(super) fn gives(status: Value) -> String {
    let credential = json!({"apiVersion": V1, "kind": "ExecCredential", "status": status});
    format!("cat <<'END'\n{credential}\nEND")
}

/// Asks until it holds.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process runs. One that is dead and that nobody has waited for does not.
pub(super) fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}
