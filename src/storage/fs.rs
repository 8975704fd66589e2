//! The file system as the log sees it, and nothing of what is in the files.
//!
//! Two implementations: [`RealFs`] and [`SimFs`], which keeps unsynced writes apart so that a test
//! can lose them, and fails where a rule says so. All calls block.

#[cfg(test)]
mod eventful;
mod patience;
mod real;
mod sim;

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

#[cfg(test)]
pub(crate) use eventful::Eventful;
pub use patience::without_waiting;
pub(crate) use patience::{may_wait, would_wait};
pub use real::RealFs;
pub use sim::{Fault, Op, SimFs, Slow};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// An existing file, to read only.
    Read,
    /// An existing file, to read and write.
    Write,
    /// To read and write; made when it does not exist.
    Create,
    /// To read and write; made when it does not exist, emptied when it does.
    Truncate,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name without the directory. Names that are not UTF-8 are left out of listings.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Size in bytes; 0 for a directory.
    pub len: u64,
}

/// Room on the volume of a directory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Size of the volume.
    pub total: u64,
    /// What an unprivileged process may still use.
    pub usable: u64,
}

/// Held while a lock file is locked; dropping it unlocks.
pub type LockGuard = Box<dyn Any + Send + Sync>;

/// A file system: real, or simulated with faults.
pub trait Fs: Send + Sync + fmt::Debug {
    /// Opens a file.
    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn FsFile>>;
    /// Renames a file or directory, replacing a file of the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Makes a directory and its parents.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and what it holds.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Lists a directory, sorted by name.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Makes the directory's entries durable: creations, renames and removals in it.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Takes an exclusive lock without waiting; `WouldBlock` when another holds it.
    fn lock(&self, path: &Path) -> io::Result<LockGuard>;
    /// Room on the volume that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// An open file. Reads and writes carry their position, so that it can be shared.
pub trait FsFile: Send + Sync + fmt::Debug {
    /// Reads up to `buf.len()` bytes; 0 at or beyond the end.
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;
    /// As [`Self::read_at`], but `WouldBlock` when that would wait for the disk. Where the file
    /// system cannot tell, it waits.
    fn read_at_once(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.read_at(buf, position)
    }
    /// Writes all of `parts` one after the other from `position`. On an error an unknown part of
    /// them may have been written.
    fn write_at(&self, parts: &mut [IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Cuts or extends (with zeros) to `len` bytes.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Size in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it holds no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Makes content and size durable (fdatasync).
    fn sync(&self) -> io::Result<()>;
    /// The file of the operating system, for sendfile; `None` when simulated.
    fn raw(&self) -> Option<&Arc<File>>;
}

/// Reads until `buf` is full or the file ends; returns the bytes read. Does not wait for the disk
/// inside of [`without_waiting`].
pub fn read_full(file: &dyn FsFile, buf: &mut [u8], position: u64) -> io::Result<usize> {
    let mut done = 0;
    let waits = may_wait();
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let at = position.saturating_add(done as u64);
        match if waits { file.read_at(rest, at) } else { file.read_at_once(rest, at) } {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !waits => {
                return Err(would_wait());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Reads a small file whole; refuses one above `limit` bytes (`InvalidData`).
pub fn read_file(fs: &dyn Fs, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = fs.open(path, Open::Read)?;
    let len = file.len()?;
    if len > limit {
        let text = format!("{len} bytes where at most {limit} are expected");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut buf = vec![0; usize::try_from(len).unwrap_or(0)];
    let read = read_full(file.as_ref(), &mut buf, 0)?;
    buf.truncate(read);
    Ok(buf)
}

/// Replaces a small file: writes `name.tmp`, syncs it, renames it over the old one and syncs the
/// directory. After a crash either the old or the new content is there, whole.
pub fn replace_file(fs: &dyn Fs, path: &Path, content: &[u8]) -> io::Result<()> {
    replace(fs, path, content, true)?;
    match path.parent() {
        Some(parent) => fs.sync_dir(parent),
        None => Ok(()),
    }
}

/// As [`replace_file`], but nothing is synced: the end of the process does no harm, after a power
/// failure the old content, the new, a part of it or none may be there.
pub fn replace_file_unsynced(fs: &dyn Fs, path: &Path, content: &[u8]) -> io::Result<()> {
    replace(fs, path, content, false)
}

fn replace(fs: &dyn Fs, path: &Path, content: &[u8], sync: bool) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let file = fs.open(&temporary, Open::Truncate)?;
    file.write_at(&mut [IoSlice::new(content)], 0)?;
    if sync {
        file.sync()?;
    }
    fs.rename(&temporary, path)
}
