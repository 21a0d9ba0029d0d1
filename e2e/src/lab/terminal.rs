//! A terminal with a program on it, for `kubectl exec -it`: somebody types, looks and changes the window's size.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::leash::leash;
use super::process::Program;
use super::wait::until;

/// A program on a terminal of its own. It is killed when this is dropped.
pub struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    child: Child,
}

impl Terminal {
    /// Starts a program whose stdin, stdout and stderr are a terminal of this size.
    pub fn start(program: &Program, columns: u16, rows: u16) -> Result<Self> {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&keyboard)?;
        unlockpt(&keyboard)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let terminal = File::from(ioctl_tiocgptpeer(&keyboard, flags)?);
        tcsetwinsize(&keyboard, size(columns, rows))?;
        let child = Command::new(&program.path)
            .args(&program.args)
            .envs(program.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&program.folder)
            .stdin(Stdio::from(terminal.try_clone()?))
            .stdout(Stdio::from(terminal.try_clone()?))
            .stderr(Stdio::from(terminal))
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", program.path.display()))?;
        leash()?.hold(child.id())?;
        let keyboard = File::from(keyboard);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut output, shown) = (keyboard.try_clone()?, Arc::clone(&screen));
        // Ends when the last process has closed the terminal, which reading says by EIO.
        std::thread::Builder::new().name("terminal".to_owned()).spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                shown.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..read]);
            }
        })?;
        Ok(Self { keyboard, screen, child })
    }

    /// Types.
    pub fn input(&mut self, text: &str) -> Result<()> {
        self.keyboard.write_all(text.as_bytes()).context("typing")
    }

    /// Changes the window's size.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        tcsetwinsize(&self.keyboard, size(columns, rows))?;
        // The kernel tells only those whose controlling terminal it is; this one is nobody's.
        Ok(kill_process(Pid::from_child(&self.child), Signal::WINCH)?)
    }

    /// Everything that was ever on the screen.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until there is this text on the screen.
    pub async fn shows(&self, text: &str, limit: Duration) -> Result<()> {
        until(&format!("{text:?} on the screen"), limit, || async {
            let screen = self.screen();
            ensure!(screen.contains(text), "there is {screen:?}");
            Ok(())
        })
        .await
    }

    /// Waits for the program's end.
    pub async fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        let status = until("the program's end", limit, || {
            let status = self.child.try_wait();
            let screen = self.screen();
            async move { status?.with_context(|| format!("it runs; there is {screen:?}")) }
        })
        .await?;
        leash()?.free(self.child.id())?;
        Ok(status)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
            let _ = leash().and_then(|leash| leash.free(self.child.id()));
        }
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
