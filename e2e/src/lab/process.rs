//! A real process: its log in a file, its end known, and never outliving us ([`super::leash`]).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process, kill_process_group};

use super::leash::leash;
use super::usage::{self, Usage};
use super::wait::until;

/// How a process is started, and started again.
#[derive(Clone, Debug)]
pub struct Program {
    /// What messages and the log file call it.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Added to our own environment, less proxy settings.
    pub env: Vec<(String, String)>,
    /// Where it runs; its log is `NAME.log` there.
    pub folder: PathBuf,
}

/// A process that was started. It is killed when this is dropped.
pub struct Process {
    program: Mutex<Program>,
    log: PathBuf,
    state: Mutex<State>,
}

enum State {
    Running(Child),
    Ended(ExitStatus),
}

/// A proxy that the user's environment names must not be asked for servers on this machine.
const PROXY_VARIABLES: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

impl Process {
    /// Starts it; its output is appended to `FOLDER/NAME.log`.
    pub fn start(program: Program) -> Result<Self> {
        let log = program.folder.join(format!("{}.log", program.name));
        let child = spawn(&program, &log)?;
        Ok(Self { program: Mutex::new(program), log, state: Mutex::new(State::Running(child)) })
    }

    /// Starts it again with what it was started with. An error when it still runs.
    pub fn start_again(&self) -> Result<()> {
        let program = self.program();
        let mut state = self.lock();
        if reap(&mut state)?.is_none() {
            bail!("{} runs already", program.name);
        }
        *state = State::Running(spawn(&program, &self.log)?);
        Ok(())
    }

    /// What it was started with.
    pub fn program(&self) -> Program {
        self.program.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Other arguments or environment from the next start on.
    pub fn change_program(&self, change: impl FnOnce(&mut Program)) {
        change(&mut self.program.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Its number while it runs.
    pub fn pid(&self) -> Option<u32> {
        let mut state = self.lock();
        match (reap(&mut state), &*state) {
            (Ok(None), State::Running(child)) => Some(child.id()),
            _ => None,
        }
    }

    /// How it ended, `None` while it runs.
    pub fn exit(&self) -> Option<ExitStatus> {
        reap(&mut self.lock()).ok().flatten()
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // The lock is held: the number cannot become somebody else's meanwhile.
        let mut state = self.lock();
        if reap(&mut state)?.is_none()
            && let State::Running(child) = &*state
        {
            kill_process(Pid::from_child(child), signal)?;
        }
        Ok(())
    }

    /// SIGTERM; gives how it ended. After `limit` it is killed and that is an error.
    pub async fn stop(&self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let ended = self.wait_exit(limit).await;
        if ended.is_err() {
            self.kill()?;
        }
        ended
    }

    /// [`Self::stop`] for where nothing can be awaited: holds up the thread, and leaves it running after `limit`.
    pub fn stop_and_wait(&self, limit: Duration) -> Result<()> {
        self.signal(Signal::TERM)?;
        let begun = Instant::now();
        while self.exit().is_none() && begun.elapsed() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// SIGKILL, to its whole process group, and waits for the end.
    pub fn kill(&self) -> Result<()> {
        let mut state = self.lock();
        if let State::Running(child) = &mut *state {
            let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
            let status = child.wait()?;
            leash()?.free(child.id())?;
            *state = State::Ended(status);
        }
        Ok(())
    }

    /// SIGSTOP: it keeps its connections and answers nothing.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Waits for its end; an error with the end of its log after `limit`.
    pub async fn wait_exit(&self, limit: Duration) -> Result<ExitStatus> {
        let name = self.program().name;
        until(&format!("the end of {name}"), limit, || async {
            self.exit()
                .with_context(|| format!("{name} still runs; its log ends with:\n{}", self.log_tail(20)))
        })
        .await
    }

    /// Waits until `check` succeeds. When the process ends before, or `limit` passes, the error shows the end
    /// of its log.
    pub async fn wait_ready<F, Answer>(&self, limit: Duration, mut check: F) -> Result<()>
    where
        F: FnMut() -> Answer,
        Answer: Future<Output = Result<()>>,
    {
        let name = self.program().name;
        let ready = until(&format!("{name} ready"), limit, || {
            let answer = check();
            async {
                match self.exit() {
                    Some(status) => Ok(Err(anyhow!("it ended with {status}"))),
                    None => answer.await.map(Ok),
                }
            }
        })
        .await;
        ready.and_then(|result| result).map_err(|error| {
            let (log, tail) = (self.log.display(), self.log_tail(25));
            anyhow!("{name} did not start: {error:#}\n{log} ends with:\n{tail}")
        })
    }

    /// Everything that it wrote.
    pub fn logs(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The file of its log.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The last lines that it wrote.
    pub fn log_tail(&self, lines: usize) -> String {
        let logs = self.logs();
        let all: Vec<&str> = logs.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// What it uses now, from /proc.
    pub fn usage(&self) -> Result<Usage> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.program().name))?;
        Usage::of(pid)
    }

    /// Processor time of each of its threads whose name starts so, by its name.
    pub fn threads(&self, prefix: &str) -> Result<BTreeMap<String, Duration>> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.program().name))?;
        usage::threads(pid, prefix)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn spawn(program: &Program, log: &Path) -> Result<Child> {
    let output: File = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("opening {}", log.display()))?;
    let mut command = Command::new(&program.path);
    for variable in PROXY_VARIABLES {
        command.env_remove(variable);
    }
    let leash = leash()?;
    let mut child = command
        .args(&program.args)
        .envs(program.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&program.folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        // Ctrl-C is for us; children end by the leash, and their own children with them.
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {} ({})", program.name, program.path.display()))?;
    if let Err(error) = leash.hold(child.id()) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    Ok(child)
}

/// Whether it has ended; the leash forgets its number before anybody else can get it.
fn reap(state: &mut State) -> Result<Option<ExitStatus>> {
    let status = match state {
        State::Ended(status) => return Ok(Some(*status)),
        State::Running(child) => match child.try_wait()? {
            None => return Ok(None),
            Some(status) => {
                leash()?.free(child.id())?;
                status
            }
        },
    };
    *state = State::Ended(status);
    Ok(Some(status))
}
