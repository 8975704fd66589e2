//! A file system on which tests let something happen at a chosen moment.

use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

use parking_lot::Mutex;

use super::{Entry, Fs, FsFile, LockGuard, Open, Space};

type Event = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// A file system on which something happens just before a file, or a directory to be synced, is
/// opened, once.
#[derive(Clone)]
pub(crate) struct Eventful {
    fs: Arc<dyn Fs>,
    next: Arc<Mutex<Option<(String, Event)>>>,
}

impl Eventful {
    pub(crate) fn new(fs: Arc<dyn Fs>) -> Self {
        Self { fs, next: Arc::default() }
    }

    /// `event` happens when a file of this name is opened, and may forbid it.
    pub(crate) fn before_opening(
        &self,
        name: &str,
        event: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) {
        *self.next.lock() = Some((name.to_owned(), Box::new(event)));
    }

    pub(crate) fn has_happened(&self) -> bool {
        self.next.lock().is_none()
    }

    fn opens(&self, path: &Path) -> io::Result<()> {
        let due = self.next.lock().take_if(|(name, _)| path.ends_with(name.as_str()));
        due.map_or(Ok(()), |(_, event)| event())
    }
}

impl fmt::Debug for Eventful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fs.fmt(f)
    }
}

impl Fs for Eventful {
    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn FsFile>> {
        self.opens(path)?;
        self.fs.open(path, mode)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.fs.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.fs.remove_file(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.fs.create_dir_all(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.fs.remove_dir_all(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.fs.list(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.opens(path)?;
        self.fs.sync_dir(path)
    }
    fn lock(&self, path: &Path) -> io::Result<LockGuard> {
        self.opens(path)?;
        self.fs.lock(path)
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        self.fs.space(path)
    }
}
