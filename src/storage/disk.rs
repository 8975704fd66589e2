//! One log directory: whether it is online, and the threads that may wait for its disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pharos_base::{DISK_QUEUE_LIMIT, DiskPool};
use tokio::sync::watch;

use crate::error::StorageError;

/// A log directory. Once it is offline it stays so until the process starts again.
#[derive(Debug)]
pub struct LogDir {
    path: PathBuf,
    failed: AtomicBool,
    state: watch::Sender<bool>,
    pool: Arc<DiskPool>,
}

impl LogDir {
    /// The directory `path`, with a pool of at most `threads` threads.
    pub fn new(path: impl Into<PathBuf>, threads: usize) -> Arc<Self> {
        let path = path.into();
        let pool = Arc::new(DiskPool::new(threads, DISK_QUEUE_LIMIT));
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
    pub fn pool(&self) -> &Arc<DiskPool> {
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
