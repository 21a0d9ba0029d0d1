use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ExecConfig;
use super::group::Group;

/// A token or a certificate with its key and chain takes a few kilobytes.
pub(super) const STDOUT: usize = 1 << 20;
/// More than is shown of it, so that what must not be shown is recognised.
const STDERR: usize = 8 << 10;
/// For what is left in pipes when their writers have ended.
const DRAIN: Duration = Duration::from_secs(1);
/// For a killed process to be gone: only a hanging disk keeps it longer.
const GONE: Duration = Duration::from_secs(5);
/// Somebody is just writing the file (ETXTBSY), or a process that does not need it has it open for a moment.
const BUSY: Duration = Duration::from_millis(20);
const BUSY_TIMES: u32 = 10;

/// What came of a process.
pub(super) struct Output {
    pub(super) end: End,
    pub(super) stdout: Vec<u8>,
    /// The last of it.
    pub(super) stderr: Vec<u8>,
    /// There was more of it before.
    pub(super) stderr_cut: bool,
}

/// How it ended.
pub(super) enum End {
    Exited(ExitStatus),
    TimedOut,
    TooMuch,
    Stopped,
}

/// Runs a command to its end, or to ours. Nothing of its process group is left when this returns, or is dropped.
pub(super) async fn run(
    path: &Path,
    config: &ExecConfig,
    info: &str,
    limit: Duration,
    stop: &CancellationToken,
) -> io::Result<Output> {
    let mut command = Command::new(path);
    command
        .args(&config.args)
        .envs(config.env.iter().map(|(name, value)| (name, value)))
        .env("KUBERNETES_EXEC_INFO", info)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = spawn(&mut command).await?;
    let mut out = Captured { pipe: child.stdout.take(), bytes: Vec::new(), keep: STDOUT, cut: false };
    let mut err = Captured { pipe: child.stderr.take(), bytes: Vec::new(), keep: STDERR, cut: false };
    // After the child, so that it is dropped before it.
    let group = Group::of(child.id()).ok_or_else(|| io::Error::other("it has no process number"))?;
    let why = {
        let mut reading = pin!(async { tokio::try_join!(out.first(), err.last()).map(drop) });
        let mut is_read = false;
        let mut ended = pin!(group.ended());
        let mut late = pin!(sleep(limit));
        let mut why = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Why::Stopped,
                result = &mut reading, if !is_read => match result {
                    Ok(()) => is_read = true,
                    Err(TooMuch) => {
                        is_read = true;
                        break Why::TooMuch;
                    }
                },
                result = &mut ended => {
                    result?;
                    break Why::Ended;
                }
                () = &mut late => break Why::TimedOut,
            }
        };
        group.kill();
        // Whoever left the group may hold the pipes open for ever.
        if !is_read && let Ok(Err(TooMuch)) = timeout(DRAIN, &mut reading).await {
            why = Why::TooMuch;
        }
        why
    };
    let status = timeout(GONE, child.wait()).await;
    group.reap().await;
    let end = match why {
        Why::Ended => End::Exited(status.map_err(io::Error::other)??),
        Why::TimedOut => End::TimedOut,
        Why::TooMuch => End::TooMuch,
        Why::Stopped => End::Stopped,
    };
    Ok(Output { end, stdout: out.bytes, stderr: err.bytes, stderr_cut: err.cut })
}

enum Why {
    Ended,
    TimedOut,
    TooMuch,
    Stopped,
}

async fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TIMES => {
                tries += 1;
                sleep(BUSY).await;
            }
            result => return result,
        }
    }
}

/// More than is kept was written to stdout.
struct TooMuch;

struct Captured<P> {
    pipe: Option<P>,
    bytes: Vec<u8>,
    keep: usize,
    cut: bool,
}

impl<P: AsyncRead + Unpin> Captured<P> {
    /// All of it, if it is not too much.
    async fn first(&mut self) -> Result<(), TooMuch> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        // One that cannot be read any more has ended.
        while let Ok(1..) = pipe.read_buf(&mut self.bytes).await {
            if self.bytes.len() > self.keep {
                return Err(TooMuch);
            }
        }
        Ok(())
    }

    /// The end of it.
    async fn last(&mut self) -> Result<(), TooMuch> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        while let Ok(1..) = pipe.read_buf(&mut self.bytes).await {
            if self.bytes.len() > self.keep {
                self.cut = true;
                self.bytes.drain(..self.bytes.len() - self.keep);
            }
        }
        Ok(())
    }
}
