use std::io;
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, waitid, waitpgid,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// For those that were killed to be gone. What takes longer hangs in the kernel.
const GONE: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A process that leads a group of its own, and whatever it has started in that group. All of it is killed when this
/// is dropped.
///
/// The group is killed before anybody waits for its leader: as long as the leader was not waited for, its number is
/// nobody else's.
pub(super) struct Group {
    leader: Pid,
    is_reaped: bool,
}

impl Group {
    /// Of a process that was started in a new group.
    pub(super) fn of(leader: Option<u32>) -> Option<Self> {
        let leader = Pid::from_raw(i32::try_from(leader?).ok()?)?;
        Some(Self { leader, is_reaped: false })
    }

    /// Resolves when the leader has ended. Leaves it to be waited for. Cancel safe.
    pub(super) async fn ended(&self) -> io::Result<()> {
        let mut children = signal(SignalKind::child())?;
        loop {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
            if waitid(WaitId::Pid(self.leader), look)?.is_some() {
                return Ok(());
            }
            if children.recv().await.is_none() {
                return Err(io::Error::other("signals cannot be received any more"));
            }
        }
    }

    /// Kills all of it. That none of it is left is fine.
    pub(super) fn kill(&self) {
        if !self.is_reaped {
            let _ = kill_process_group(self.leader, Signal::KILL);
        }
    }

    /// After the leader was waited for: waits for those of the group who have become our children, as all orphans do
    /// when the gateway is the first process of its container.
    pub(super) async fn reap(mut self) {
        self.is_reaped = true;
        let mut left = GONE.as_millis() / LOOK_AGAIN.as_millis();
        loop {
            match waitpgid(self.leader, WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) if left > 0 => {
                    left -= 1;
                    sleep(LOOK_AGAIN).await;
                }
                // No children of ours in it, or they hang.
                Ok(None) | Err(_) => return,
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
