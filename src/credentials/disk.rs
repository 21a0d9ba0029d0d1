use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// Threads that may hang on a disk at a time. The runtime has 512 for everybody, names that are resolved too.
const THREADS: usize = 16;

/// The threads that sources share for their disk. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Semaphore>);

/// What one source does on its disk, one thing at a time. A thread cannot be taken back from a disk that hangs: no
/// other one is sent after it.
pub(super) struct DiskWork<T> {
    disk: Disk,
    unfinished: Mutex<Option<JoinHandle<T>>>,
}

/// Why work gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undone {
    /// The disk hangs, or hangs for as many others as may.
    Late,
    /// It panicked, which is logged.
    Panicked,
}

impl Default for Disk {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(THREADS)))
    }
}

impl<T: Send + 'static> DiskWork<T> {
    pub(super) fn new(disk: Disk) -> Self {
        Self { disk, unfinished: Mutex::default() }
    }

    /// What this work gives within a time, or what the last one gives that was not done in its time. Cancel safe.
    pub(super) async fn done_within(
        &self,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let done = async {
            let mut unfinished = self.unfinished.lock().await;
            // What was true when nobody waited for it any more may be true no longer.
            let still = unfinished.take().filter(|work| !work.is_finished());
            let handle = match still {
                Some(handle) => handle,
                None => {
                    let permit = Arc::clone(&self.disk.0).acquire_owned().await.map_err(|_| Undone::Late)?;
                    spawn_blocking(move || {
                        let _permit = permit;
                        work()
                    })
                }
            };
            let result = unfinished.insert(handle).await;
            *unfinished = None;
            result.map_err(|_| Undone::Panicked)
        };
        timeout(limit, done).await.unwrap_or(Err(Undone::Late))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn no_second_thread_is_sent_to_a_disk_that_hangs() {
        let (disk, begun) = (Disk::default(), Arc::new(AtomicUsize::new(0)));
        let work = DiskWork::new(disk.clone());
        let (release, hang) = mpsc::channel::<()>();
        let mut hang = Some(hang);
        for _ in 0..5 {
            let (begun, hang) = (Arc::clone(&begun), hang.take());
            let late = work.done_within(SHORT, move || {
                begun.fetch_add(1, Ordering::SeqCst);
                hang.map(|hang| hang.recv())
            });
            assert_eq!(late.await.unwrap_err(), Undone::Late);
        }
        assert!(begun.load(Ordering::SeqCst) <= 1);
        assert_eq!(disk.0.available_permits(), THREADS - 1);
        drop(release);
        // What hung is given first, or was forgotten as it had ended.
        work.done_within(LONG, || None).await.unwrap();
        assert_eq!(work.done_within(LONG, || None).await, Ok(None));
        assert_eq!(disk.0.available_permits(), THREADS);
    }

    #[tokio::test]
    async fn many_disks_that_hang_hold_a_bounded_number_of_threads() {
        let (disk, begun) = (Disk::default(), Arc::new(AtomicUsize::new(0)));
        let (release, hang) = mpsc::channel::<()>();
        let hang = Arc::new(std::sync::Mutex::new(hang));
        let works: Vec<_> = (0..3 * THREADS).map(|_| DiskWork::new(disk.clone())).collect();
        let all = works.iter().map(|work| {
            let (begun, hang) = (Arc::clone(&begun), Arc::clone(&hang));
            work.done_within(SHORT, move || {
                begun.fetch_add(1, Ordering::SeqCst);
                let _ = hang.lock().unwrap().recv();
            })
        });
        let all = futures::future::join_all(all).await;
        assert!(all.iter().all(|one| *one == Err(Undone::Late)));
        assert!(begun.load(Ordering::SeqCst) <= THREADS);
        drop(release);
    }
}
