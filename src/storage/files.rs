//! Open files of segments, no more than a limit at a time over all logs.
//!
//! A [`CachedFile`] opens its file when it is first used; when the limit is passed, one that was
//! not used lately is closed (second chance). Who reads meanwhile keeps the handle until done.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::fs::{Fs, FsFile, Open, may_wait, would_wait};

/// The pool of open files of one node.
#[derive(Debug)]
pub struct FileCache {
    fs: Arc<dyn Fs>,
    capacity: usize,
    open: Mutex<VecDeque<Weak<Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    handle: Mutex<Option<Arc<dyn FsFile>>>,
    used: AtomicBool,
}

/// A file of the cache. It does not know its path: whoever owns it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct CachedFile(Arc<Slot>);

impl FileCache {
    /// A cache over `fs` that keeps about `capacity` files open.
    pub fn new(fs: Arc<dyn Fs>, capacity: usize) -> Arc<Self> {
        Arc::new(Self { fs, capacity: capacity.max(1), open: Mutex::default() })
    }

    /// The file system below.
    pub fn fs(&self) -> &Arc<dyn Fs> {
        &self.fs
    }

    /// Files that are, or lately were, open.
    pub fn open_count(&self) -> usize {
        self.open.lock().len()
    }

    fn admit(&self, slot: &Arc<Slot>) {
        let mut open = self.open.lock();
        open.push_back(Arc::downgrade(slot));
        // Each entry is looked at once at most: everything in use is left open, over the limit.
        for _ in 0..open.len() {
            if open.len() <= self.capacity {
                break;
            }
            let Some(oldest) = open.pop_front() else { break };
            let Some(found) = oldest.upgrade() else { continue };
            if found.used.swap(false, Ordering::Relaxed) {
                open.push_back(oldest);
            } else if let Some(mut handle) = found.handle.try_lock() {
                *handle = None;
            } else {
                open.push_back(oldest);
            }
        }
    }
}

impl CachedFile {
    /// The open file; opened for reading and writing at `path()` when it is not.
    pub(crate) fn get(
        &self,
        cache: &FileCache,
        path: impl FnOnce() -> std::path::PathBuf,
    ) -> io::Result<Arc<dyn FsFile>> {
        self.0.used.store(true, Ordering::Relaxed);
        if let Some(file) = self.0.handle.lock().as_ref() {
            return Ok(file.clone());
        }
        if !may_wait() {
            return Err(would_wait());
        }
        // Nobody else has to wait for this disk: two may open the file at a time, the first is kept.
        let opened = cache.fs.open(&path(), Open::Write)?;
        let file = self.0.handle.lock().get_or_insert(opened).clone();
        cache.admit(&self.0);
        Ok(file)
    }

    /// Makes the file (emptying one that exists) and keeps it open.
    pub(crate) fn create(cache: &FileCache, path: &Path) -> io::Result<Self> {
        let file = cache.fs.open(path, Open::Truncate)?;
        let cached = Self::default();
        *cached.0.handle.lock() = Some(file);
        cache.admit(&cached.0);
        Ok(cached)
    }

    /// Closes it here; readers that hold the handle keep it.
    pub(crate) fn close(&self) {
        *self.0.handle.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{SimFs, without_waiting};
    use std::path::PathBuf;

    #[test]
    fn the_least_used_file_is_closed_first() {
        let fs = SimFs::new();
        fs.create_dir_all(Path::new("/d")).unwrap();
        let cache = FileCache::new(Arc::new(fs), 2);
        let path = |index: usize| PathBuf::from(format!("/d/{index}"));
        let files: Vec<_> =
            (0..4).map(|index| CachedFile::create(&cache, &path(index)).unwrap()).collect();
        assert_eq!(cache.open_count(), 2);
        for _ in 0..3 {
            for (index, file) in files.iter().enumerate() {
                file.get(&cache, || path(index)).unwrap();
                assert!(cache.open_count() <= 3);
            }
        }
    }

    #[test]
    fn no_file_is_opened_where_nothing_may_wait() {
        let fs = SimFs::new();
        fs.create_dir_all(Path::new("/d")).unwrap();
        let cache = FileCache::new(Arc::new(fs), 2);
        let file = CachedFile::create(&cache, Path::new("/d/0")).unwrap();
        let get = || file.get(&cache, || PathBuf::from("/d/0")).is_ok();
        assert_eq!(without_waiting(get), Some(true));
        file.close();
        assert_eq!(without_waiting(get), None);
        assert!(get(), "waiting is allowed again");
        assert_eq!(without_waiting(get), Some(true));
    }
}
