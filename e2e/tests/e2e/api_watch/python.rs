use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::lab::binaries::cache_folder;
use e2e::lab::{Process, Program, until};

use super::{NAMESPACE, behind_a_hub, nowhere};

/// Packages that are downloaded and unpacked, once: half a minute.
const INSTALL: Duration = Duration::from_secs(300);
const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_python_client_lists_gets_and_watches() {
    let (hub, _gateway) = behind_a_hub("aw-python").await.unwrap();
    let client = hub.admin_client().await.unwrap();
    nowhere("there").apply(&client).await.unwrap();
    let kubectl = hub.admin_kubectl();
    until("the cluster to be listed", SOON, || async {
        let names = kubectl.ok(&["get", "clustergateways", "-o", "name"]).await?;
        ensure!(names.contains("/there"), "{names}");
        Ok(())
    })
    .await
    .unwrap();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python/client.py");
    let folder = tempfile::tempdir().unwrap();
    let program = Program {
        name: "python-client".to_owned(),
        path: python().await.unwrap(),
        args: vec![
            script.display().to_string(),
            hub.admin_kubeconfig().display().to_string(),
            "cluster.core.oam.dev".to_owned(),
            "passing".to_owned(),
        ],
        env: vec![("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned())],
        folder: folder.path().to_owned(),
    };
    let process = Process::start(program).unwrap();
    says(&process, "ready").await;
    nowhere("passing").apply(&client).await.unwrap();
    says(&process, "event clustergateways ADDED passing").await;
    kubectl.ok(&["delete", "secret", "-n", NAMESPACE, "passing"]).await.unwrap();
    let status = process.wait_exit(SOON).await.unwrap();
    let logs = process.logs();
    assert!(status.success(), "{status}: {logs}");
    for line in [
        "list clustergateways there",
        "list virtualclusters local,there",
        "missing 404",
        "event clustergateways ADDED passing",
        "event clustergateways DELETED passing",
        "event virtualclusters ADDED passing",
        "event virtualclusters DELETED passing",
    ] {
        assert!(logs.lines().any(|said| said == line), "no {line:?} in:\n{logs}");
    }
}

async fn says(process: &Process, line: &str) {
    until(line, SOON, || async {
        let logs = process.logs();
        ensure!(logs.lines().any(|said| said == line), "{logs}");
        Ok(())
    })
    .await
    .unwrap();
}

/// A Python in which the pinned packages are, made in the cache when it is not there yet.
async fn python() -> Result<PathBuf> {
    let pins = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python/requirements.txt");
    let wanted = std::fs::read_to_string(&pins)?;
    let home = cache_folder()?.join("python");
    let python = home.join("bin/python");
    // Another run may be at it: the kernel drops the lock when its holder ends.
    let lock = File::create(home.with_extension("lock"))?;
    let _lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    // What was installed, once it is.
    let done = home.join("installed.txt");
    if std::fs::read_to_string(&done).ok().as_ref() != Some(&wanted) {
        let (home, pins) = (home.display().to_string(), pins.display().to_string());
        run("python3", &["-m", "venv", "--clear", &home])
            .await
            .context("install python3 with its module venv (Debian: python3-venv)")?;
        let install = ["-m", "pip", "install", "--quiet", "--no-input", "-r", &pins];
        run(&python.display().to_string(), &install).await.context("installing from PyPI")?;
        std::fs::write(&done, &wanted)?;
    }
    Ok(python)
}

async fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let running = tokio::process::Command::new(program).args(arguments).kill_on_drop(true).output();
    let output = tokio::time::timeout(INSTALL, running).await.context("it takes too long")??;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
