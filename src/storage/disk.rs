//! One log directory: whether it is online, and the threads that may wait for its disk.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{oneshot, watch};

use crate::error::StorageError;

/// Threads of a directory's pool when nothing else is said.
pub const DEFAULT_DISK_THREADS: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

/// A log directory. Once it is offline it stays so until the process starts again.
#[derive(Debug)]
pub struct LogDir {
    path: PathBuf,
    failed: AtomicBool,
    state: watch::Sender<bool>,
    pool: DiskPool,
}

impl LogDir {
    /// The directory `path`, with a pool of at most `threads` threads.
    pub fn new(path: impl Into<PathBuf>, threads: usize) -> Arc<Self> {
        let path = path.into();
        let pool = DiskPool::new(threads);
        Arc::new(Self { path, failed: AtomicBool::new(false), state: watch::channel(true).0, pool })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a failed read, write or sync has taken it out of service.
    pub fn is_offline(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// `true` while it is online; changes once.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.state.subscribe()
    }

    /// The threads that may wait for this disk: flushes, cold reads, opening, deleting.
    pub fn pool(&self) -> &DiskPool {
        &self.pool
    }

    /// Refuses when offline.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        if self.is_offline() {
            return Err(StorageError::Offline { dir: self.path.clone() });
        }
        Ok(())
    }

    /// Takes the directory offline for good, with one line of log.
    pub(crate) fn fail(&self, error: &StorageError) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            tracing::error!(dir = %self.path.display(), %error, "log directory taken offline");
            self.state.send_replace(false);
        }
    }
}

/// A few threads that run what may wait for a disk. They start with the first jobs, and end when
/// the pool is dropped and the queue is empty.
pub struct DiskPool {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    ready: Condvar,
    max_threads: usize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl DiskPool {
    fn new(max_threads: usize) -> Self {
        let max_threads = max_threads.max(1);
        let (queue, ready) = (Mutex::default(), Condvar::new());
        Self { shared: Arc::new(Shared { queue, ready, max_threads }) }
    }

    /// Runs `job` on one of the threads.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.shared.queue.lock();
        queue.jobs.push_back(Box::new(job));
        if queue.idle < queue.jobs.len() && queue.threads < self.shared.max_threads {
            let shared = self.shared.clone();
            match thread::Builder::new().name("disk".into()).spawn(move || shared.work()) {
                Ok(_) => queue.threads += 1,
                Err(error) if queue.threads == 0 => {
                    tracing::error!(%error, "cannot start a disk thread; waiting work is done here");
                    drop(queue);
                    return self.shared.drain();
                }
                Err(_) => {}
            }
        }
        drop(queue);
        self.shared.ready.notify_one();
    }

    /// Runs `job` on one of the threads and waits for what it returns; `None` if it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        self.spawn(move || {
            let _ = sender.send(job());
        });
        receiver.await.ok()
    }
}

impl Shared {
    fn work(&self) {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                // A panic in one job must not take the thread from the others.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                queue = self.queue.lock();
            } else if queue.closed {
                queue.threads -= 1;
                return;
            } else {
                queue.idle += 1;
                self.ready.wait(&mut queue);
                queue.idle -= 1;
            }
        }
    }

    fn drain(&self) {
        loop {
            let Some(job) = self.queue.lock().jobs.pop_front() else { return };
            job();
        }
    }
}

impl Drop for DiskPool {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.ready.notify_all();
    }
}

impl fmt::Debug for DiskPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.shared.queue.lock();
        write!(f, "DiskPool({} threads, {} waiting)", queue.threads, queue.jobs.len())
    }
}
