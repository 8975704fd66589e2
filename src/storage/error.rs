//! What can go wrong with a log, as far as callers tell the cases apart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pharos_base::Offset;

/// Too many open files in the system.
const ENFILE: i32 = 23;
/// Too many open files in the process.
const EMFILE: i32 = 24;

/// What is damaged. Clients are told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A file, or a batch in it, cannot be taken apart (CORRUPT_MESSAGE).
    Batch,
    /// A record of a batch is not what it must be (INVALID_RECORD).
    Record,
}

/// A damaged batch in a file that is being read. It travels as the content of an [`io::Error`] to
/// where the path is known, which is [`StorageError::io`].
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what} at position {position}")]
pub(crate) struct DamagedAt {
    pub(crate) position: u64,
    pub(crate) what: String,
}

impl DamagedAt {
    /// As an error of the read.
    pub(crate) fn error(position: u64, what: impl Into<String>) -> io::Error {
        let found = Self { position, what: what.into() };
        io::Error::new(io::ErrorKind::InvalidData, found)
    }

    /// What was found, if `error` tells of damage.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// A failed operation on files.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// The volume has no room left. Reads go on; a later write may succeed.
    #[error("no room left to {action} {}", path.display())]
    Full {
        /// What was being done.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
    },
    /// The process, or the system, may open no further file. A later try may succeed.
    #[error("no file handle left to {action} {}: raise the limit of open files (ulimit -n)", path.display())]
    NoHandles {
        /// What was being done.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The log directory was taken offline by an earlier failure.
    #[error("log directory {} is offline", dir.display())]
    Offline {
        /// The log directory.
        dir: PathBuf,
    },
    /// The content of a file is not what it must be.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
        /// What it is.
        damage: Damage,
    },
    /// The log was closed or deleted.
    #[error("log {} is closed", dir.display())]
    Closed {
        /// Its directory.
        dir: PathBuf,
    },
    /// Another process, or another node in this one, uses the log directory.
    #[error("log directory {} is in use: its .lock file is held by another process", dir.display())]
    Locked {
        /// The log directory.
        dir: PathBuf,
    },
}

impl StorageError {
    /// Wraps what the operating system said about `path`.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        if let Some(found) = DamagedAt::of(&source) {
            return Self::damaged(path, found.to_string());
        }
        let path = path.to_path_buf();
        if matches!(source.raw_os_error(), Some(ENFILE | EMFILE)) {
            return Self::NoHandles { action, path };
        }
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { action, path }
            }
            _ => Self::Io { action, path, source: Arc::new(source) },
        }
    }

    /// A damaged file.
    pub fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::damaged_as(Damage::Batch, path, what)
    }

    pub(crate) fn damaged_as(damage: Damage, path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_path_buf(), what: what.into(), damage }
    }

    /// Whether the volume is merely full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether there was merely no file handle left, so that nothing was done to the file.
    pub fn lacks_handles(&self) -> bool {
        matches!(self, Self::NoHandles { .. })
    }

    /// Whether the operating system failed at its disk: a read that was not to wait is none of that.
    pub(crate) fn is_of_disk(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() != io::ErrorKind::WouldBlock)
    }
}

/// Adds what was done, and to what, to an I/O result.
pub(crate) trait Context<T> {
    /// Names the action and the path.
    fn context(self, action: &'static str, path: &Path) -> Result<T, StorageError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::io(action, path, source))
    }
}

/// Why nothing could be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is not in the log (OFFSET_OUT_OF_RANGE).
    #[error("offset {offset} is out of range: the log holds {start} to {end}")]
    OutOfRange {
        /// What was asked for.
        offset: Offset,
        /// First offset.
        start: Offset,
        /// Offset after the last.
        end: Offset,
    },
    /// A file could not be read, or holds something else than batches.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
