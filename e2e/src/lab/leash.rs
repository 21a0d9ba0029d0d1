//! Children that end with their owner, however it ends.
//!
//! A destructor does not run on SIGKILL, on Ctrl-C or in a static, so each process of ours that starts servers
//! keeps one `sh` beside it, in a process group of its own, which reads the numbers of our children from a pipe.
//! The kernel closes the pipe when we end, for whatever reason; `sh` then kills what is still on its list, by
//! number and with its process group (a fake kubelet's `exec` has children too), and removes the folder.
//! The write end is close-on-exec, so no child can hold it open.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result};

/// Set to anything to keep the lab's folder (logs, certificates, kubeconfigs) after the process has ended.
pub const KEEP: &str = "LAB_KEEP";

const SCRIPT: &str = r#"
live=
while read -r word pid; do
  case $word in
    hold) live="$live $pid" ;;
    free) rest=; for p in $live; do [ "$p" = "$pid" ] || rest="$rest $p"; done; live=$rest ;;
  esac
done
for p in $live; do kill -KILL "-$p" 2>/dev/null || kill -KILL "$p" 2>/dev/null; done
[ -n "$1" ] || exit 0
for i in 1 2 3 4 5; do rm -rf "$1" 2>/dev/null && exit 0; sleep 0.2; done
"#;

/// The leash of this process and the folder that goes with it.
pub struct Leash {
    folder: PathBuf,
    pipe: Mutex<ChildStdin>,
}

/// This process's leash, made when it is first asked for.
pub fn leash() -> Result<&'static Leash> {
    static LEASH: OnceLock<Result<Leash, String>> = OnceLock::new();
    LEASH
        .get_or_init(|| Leash::start().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))
}

impl Leash {
    /// The folder of this process: everything that its labs write is below it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// From now on `pid`, the leader of a process group, dies with us.
    pub fn hold(&self, pid: u32) -> Result<()> {
        self.say("hold", pid)
    }

    /// `pid` has ended and its number may be somebody else's soon.
    pub fn free(&self, pid: u32) -> Result<()> {
        self.say("free", pid)
    }

    fn start() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("cluster-gateway-lab-")
            .tempdir()
            .context("making the lab's folder")?
            .keep();
        let removed = if std::env::var_os(KEEP).is_some() { PathBuf::new() } else { folder.clone() };
        let mut child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "lab-leash"])
            .arg(removed)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .context("starting /bin/sh, which ends the lab's processes when their owner ends")?;
        let pipe = child.stdin.take().context("the leash has no stdin")?;
        Ok(Self { folder, pipe: Mutex::new(pipe) })
    }

    fn say(&self, word: &str, pid: u32) -> Result<()> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        // One write per line: it is shorter than PIPE_BUF, so that the reader never sees half of it.
        pipe.write_all(format!("{word} {pid}\n").as_bytes()).context("telling the leash of a process")
    }
}
