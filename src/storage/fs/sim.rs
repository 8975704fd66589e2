//! A file system in memory that a test can kill, fill up and break.
//!
//! What is written stays "in the page cache" until the file is synced, and a directory's changes
//! until the directory is. [`SimFs::lose_power`] keeps a seeded part of what was not synced: for
//! each file and directory some number of the first changes, the last write perhaps torn.
//! Renaming between directories is not offered: the log never does it.

mod state;

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{Entry, Fs, FsFile, LockGuard, Open, Space};
use state::{Change, DirChange, Inode, State, apply, killed, not_found, split};
pub use state::{Fault, Op, Slow};

/// The simulated file system. Clones share it.
#[derive(Clone)]
pub struct SimFs(Arc<Mutex<State>>);

#[derive(Debug)]
struct SimFile {
    fs: SimFs,
    inode: u64,
    path: PathBuf,
    life: u64,
}

struct SimLock(Arc<AtomicBool>);

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Default for SimFs {
    fn default() -> Self {
        Self::new()
    }
}

impl SimFs {
    /// An empty file system.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State::default())))
    }

    /// Adds a fault rule.
    pub fn fail(&self, fault: Fault) {
        self.0.lock().faults.push(fault);
    }

    /// Lets operations take time on a simulated clock.
    pub fn slow(&self, slow: Slow) {
        self.0.lock().slow.push(slow);
    }

    /// Takes all fault rules away.
    pub fn heal(&self) {
        self.0.lock().faults.clear();
    }

    /// Sets the room that is left; `None`: without end. A write that does not fit is cut.
    pub fn set_free_bytes(&self, bytes: Option<u64>) {
        self.0.lock().free_bytes = bytes;
    }

    /// Kills the process at the changing operation after `changes` more of them: it happens in
    /// part, and every later operation fails.
    pub fn kill_after(&self, changes: u64) {
        self.0.lock().kill_after = Some(changes);
    }

    /// Whether the kill point has been reached.
    pub fn was_killed(&self) -> bool {
        self.0.lock().killed
    }

    /// Changing operations so far.
    pub fn changes(&self) -> u64 {
        self.0.lock().changes
    }

    /// Starts again after a kill: all that was written is there, handles and locks are gone.
    pub fn restart(&self) {
        let mut state = self.0.lock();
        state.life += 1;
        state.killed = false;
        state.kill_after = None;
        state.locks.clear();
    }

    /// Starts again after the power failed: of what was not synced, a part chosen by `seed` is
    /// there.
    pub fn lose_power(&self, seed: u64) {
        self.0.lock().lose_power(seed);
        self.restart();
    }

    /// Inverts one bit of a file, in the page cache and on the medium.
    pub fn flip(&self, path: &Path, byte: u64, bit: u8) -> io::Result<()> {
        let mut state = self.0.lock();
        let id = state.find(path)?;
        let inode = state.inodes.get_mut(&id).ok_or_else(not_found)?;
        let index = usize::try_from(byte).unwrap_or(usize::MAX);
        for data in [&mut inode.data, &mut inode.durable] {
            if let Some(target) = data.get_mut(index) {
                *target ^= 1 << (bit % 8);
            }
        }
        Ok(())
    }

    fn file(&self, inode: u64, path: &Path, life: u64) -> Arc<dyn FsFile> {
        Arc::new(SimFile { fs: self.clone(), inode, path: path.to_path_buf(), life })
    }
}

impl Fs for SimFs {
    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn FsFile>> {
        let mut state = self.0.lock();
        state.check(Op::Open, path)?;
        let life = state.life;
        let (parent, name) = split(path)?;
        if let Ok(id) = state.find(path) {
            if mode == Open::Truncate {
                if state.change() {
                    return Err(killed());
                }
                if let Some(inode) = state.inodes.get_mut(&id) {
                    inode.data.clear();
                    inode.pending.push(Change::SetLen(0));
                }
            }
            return Ok(self.file(id, path, life));
        }
        if matches!(mode, Open::Read | Open::Write) || !state.dirs.contains_key(&parent) {
            return Err(not_found());
        }
        if state.change() {
            return Err(killed());
        }
        let id = state.next_inode;
        state.next_inode += 1;
        state.inodes.insert(id, Inode::default());
        state.change_dir(&parent, DirChange::Link(name, id))?;
        Ok(self.file(id, path, life))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.check(Op::Rename, from)?;
        if state.change() {
            return Err(killed());
        }
        let ((parent, old), (_, new)) = (split(from)?, split(to)?);
        if state.dirs.contains_key(from) {
            let moved: Vec<_> =
                state.dirs.keys().filter(|path| path.starts_with(from)).cloned().collect();
            for path in moved {
                let rest = path.strip_prefix(from).map_err(io::Error::other)?.to_path_buf();
                if let Some(dir) = state.dirs.remove(&path) {
                    state.dirs.insert(
                        if rest.as_os_str().is_empty() { to.into() } else { to.join(rest) },
                        dir,
                    );
                }
            }
            return Ok(());
        }
        state.find(from)?;
        state.change_dir(&parent, DirChange::Rename(old, new))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.check(Op::Remove, path)?;
        state.find(path)?;
        if state.change() {
            return Err(killed());
        }
        let (parent, name) = split(path)?;
        state.change_dir(&parent, DirChange::Unlink(name))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.check(Op::Open, path)?;
        for ancestor in path.ancestors() {
            state.dirs.entry(ancestor.to_path_buf()).or_default();
        }
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.check(Op::Remove, path)?;
        if state.change() {
            return Err(killed());
        }
        state.dirs.retain(|dir, _| !dir.starts_with(path));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut state = self.0.lock();
        state.check(Op::Read, path)?;
        let dir = state.dirs.get(path).ok_or_else(not_found)?;
        let mut entries: Vec<Entry> = dir
            .entries
            .iter()
            .map(|(name, id)| {
                let len = state.inodes.get(id).map_or(0, |inode| inode.data.len() as u64);
                Entry { name: name.clone(), is_dir: false, len }
            })
            .collect();
        for child in state.dirs.keys().filter(|child| child.parent() == Some(path)) {
            if let Some(name) = child.file_name().and_then(|name| name.to_str()) {
                entries.push(Entry { name: name.to_owned(), is_dir: true, len: 0 });
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.check(Op::SyncDir, path)?;
        if state.change() {
            return Err(killed());
        }
        let dir = state.dirs.get_mut(path).ok_or_else(not_found)?;
        dir.durable = dir.entries.clone();
        dir.pending.clear();
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<LockGuard> {
        drop(self.open(path, Open::Create)?);
        let flag = self.0.lock().locks.entry(path.to_path_buf()).or_default().clone();
        if flag.swap(true, Ordering::AcqRel) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock(flag)))
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let total = 1 << 40;
        Ok(Space { total, usable: self.0.lock().free_bytes.unwrap_or(total) })
    }
}

impl SimFile {
    fn with<T>(&self, op: Op, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.fs.0.lock();
        if state.life != self.life {
            return Err(killed());
        }
        state.check(op, &self.path)?;
        act(&mut state)
    }
}

impl FsFile for SimFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.with(Op::Read, |state| {
            let data = &state.inodes.get(&self.inode).ok_or_else(not_found)?.data;
            let start = usize::try_from(position).unwrap_or(usize::MAX);
            let rest = data.get(start..).unwrap_or_default();
            let count = rest.len().min(buf.len());
            if let (Some(target), Some(source)) = (buf.get_mut(..count), rest.get(..count)) {
                target.copy_from_slice(source);
            }
            Ok(count)
        })
    }

    fn write_at(&self, parts: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        let bytes = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.with(Op::Write, |state| state.write(self.inode, position, bytes))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(Op::SetLen, |state| {
            if state.change() {
                return Err(killed());
            }
            let inode = state.inodes.get_mut(&self.inode).ok_or_else(not_found)?;
            apply(&mut inode.data, &Change::SetLen(len));
            inode.pending.push(Change::SetLen(len));
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(Op::Read, |state| {
            Ok(state.inodes.get(&self.inode).ok_or_else(not_found)?.data.len() as u64)
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(Op::Sync, |state| {
            if state.change() {
                return Err(killed());
            }
            let inode = state.inodes.get_mut(&self.inode).ok_or_else(not_found)?;
            for change in inode.pending.split_off(0) {
                apply(&mut inode.durable, &change);
            }
            Ok(())
        })
    }

    fn raw(&self) -> Option<&Arc<File>> {
        None
    }
}

impl fmt::Debug for SimFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimFs")
    }
}
