use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// How often watched files are read again. Kubernetes itself takes up to a minute to renew a mounted Secret, so a
/// second more is not felt, and reading works where inotify does not (network file systems, symlink swaps).
const INTERVAL: Duration = Duration::from_secs(1);

/// Tells when one of a few small files (certificates, keys, CAs, rules) has other contents than before.
///
/// Compares contents, not times: mounted Secrets are swapped by symbolic link, and a touched file is not a change.
#[derive(Debug)]
pub struct FileWatcher {
    paths: Vec<PathBuf>,
    seen: Vec<Option<Vec<u8>>>,
}

impl FileWatcher {
    /// Takes the files' contents as of now. A file that cannot be read counts as absent.
    pub async fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        let seen = read(&paths).await;
        Self { paths, seen }
    }

    /// Resolves when a file's contents differ from those last seen. Cancel safe.
    pub async fn changed(&mut self) {
        if self.paths.is_empty() {
            std::future::pending::<()>().await;
        }
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = read(&self.paths).await;
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
    }
}

async fn read(paths: &[PathBuf]) -> Vec<Option<Vec<u8>>> {
    let mut contents = Vec::with_capacity(paths.len());
    for path in paths {
        contents.push(tokio::fs::read(path).await.ok());
    }
    contents
}
