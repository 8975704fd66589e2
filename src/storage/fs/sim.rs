//! A file system in memory that a test can kill, fill up and break.
//!
//! What is written stays "in the page cache" until the file is synced, and a directory's changes
//! until the directory is. [`SimFs::lose_power`] keeps a seeded part of what was not synced: for
//! each file and directory some number of the first changes, the last write perhaps torn.
//! Renaming between directories is not offered: the log never does it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{Entry, Fs, FsFile, LockGuard, Open, Space};

/// Kind of an operation, for fault rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Opening.
    Open,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Changing the length.
    SetLen,
    /// Syncing a file.
    Sync,
    /// Syncing a directory.
    SyncDir,
    /// Renaming.
    Rename,
    /// Removing a file or directory.
    Remove,
}

/// Operations of `op` on paths that contain `path` fail with `error`.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Kind of operation.
    pub op: Op,
    /// Part of the path.
    pub path: String,
    /// What they fail with.
    pub error: io::ErrorKind,
    /// How many matching operations still succeed.
    pub after: u32,
    /// How many fail then; afterwards the rule is spent.
    pub times: u32,
}

/// The simulated file system. Clones share it.
#[derive(Clone)]
pub struct SimFs(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    inodes: HashMap<u64, Inode>,
    next_inode: u64,
    dirs: BTreeMap<PathBuf, Dir>,
    faults: Vec<Fault>,
    free_bytes: Option<u64>,
    /// Changing operations until the process is killed.
    kill_after: Option<u64>,
    killed: bool,
    changes: u64,
    locks: HashMap<PathBuf, Arc<AtomicBool>>,
    /// Counts up with each restart; handles of an earlier life are dead.
    life: u64,
}

#[derive(Clone, Default)]
struct Inode {
    data: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

#[derive(Clone, Default)]
struct Dir {
    entries: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    pending: Vec<DirChange>,
}

#[derive(Clone)]
enum DirChange {
    Link(String, u64),
    Unlink(String),
    Rename(String, String),
}

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

fn apply(data: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(position, bytes) => {
            let start = usize::try_from(*position).unwrap_or(usize::MAX);
            let end = start.saturating_add(bytes.len());
            if data.len() < end {
                data.resize(end, 0);
            }
            if let Some(target) = data.get_mut(start..end) {
                target.copy_from_slice(bytes);
            }
        }
        Change::SetLen(len) => data.resize(usize::try_from(*len).unwrap_or(0), 0),
    }
}

fn apply_dir(entries: &mut BTreeMap<String, u64>, change: &DirChange) {
    match change {
        DirChange::Link(name, inode) => {
            entries.insert(name.clone(), *inode);
        }
        DirChange::Unlink(name) => {
            entries.remove(name);
        }
        DirChange::Rename(from, to) => {
            if let Some(inode) = entries.remove(from) {
                entries.insert(to.clone(), inode);
            }
        }
    }
}

/// A small generator (splitmix64), so that a crash needs only its seed.
fn next_random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number from 0 to `most`.
fn up_to(seed: &mut u64, most: usize) -> usize {
    usize::try_from(next_random(seed) % (most as u64 + 1)).unwrap_or(0)
}

fn killed() -> io::Error {
    io::Error::other("the simulated process was killed")
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
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
        let mut seed = seed;
        {
            let mut state = self.0.lock();
            let mut inodes: Vec<_> = state.inodes.iter_mut().collect();
            inodes.sort_by_key(|(id, _)| **id);
            for (_, inode) in inodes {
                crash_file(inode, &mut seed);
            }
            for dir in state.dirs.values_mut() {
                let keep = up_to(&mut seed, dir.pending.len());
                let pending = std::mem::take(&mut dir.pending);
                for change in pending.iter().take(keep) {
                    apply_dir(&mut dir.durable, change);
                }
                dir.entries = dir.durable.clone();
            }
        }
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

fn crash_file(inode: &mut Inode, seed: &mut u64) {
    let keep = up_to(seed, inode.pending.len());
    let pending = std::mem::take(&mut inode.pending);
    for (index, change) in pending.into_iter().enumerate() {
        if index < keep {
            apply(&mut inode.durable, &change);
        } else {
            if let Change::Write(position, mut bytes) = change {
                bytes.truncate(up_to(seed, bytes.len()));
                if next_random(seed) & 1 == 0 && !bytes.is_empty() {
                    apply(&mut inode.durable, &Change::Write(position, bytes));
                }
            }
            break;
        }
    }
    inode.data = inode.durable.clone();
}

impl State {
    fn check(&mut self, op: Op, path: &Path) -> io::Result<()> {
        if self.killed {
            return Err(killed());
        }
        let text = path.to_string_lossy();
        for fault in &mut self.faults {
            if fault.op != op || !text.contains(&fault.path) || fault.times == 0 {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
            } else {
                fault.times -= 1;
                return Err(fault.error.into());
            }
        }
        Ok(())
    }

    /// Counts a changing operation; `true`: the process dies in it.
    fn change(&mut self) -> bool {
        self.changes += 1;
        match &mut self.kill_after {
            Some(0) => {
                self.killed = true;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        let (parent, name) = split(path)?;
        let dir = self.dirs.get(&parent).ok_or_else(not_found)?;
        dir.entries.get(&name).copied().ok_or_else(not_found)
    }

    fn change_dir(&mut self, parent: &Path, change: DirChange) -> io::Result<()> {
        let dir = self.dirs.get_mut(parent).ok_or_else(not_found)?;
        apply_dir(&mut dir.entries, &change);
        dir.pending.push(change);
        Ok(())
    }

    fn write(&mut self, id: u64, position: u64, mut bytes: Vec<u8>) -> io::Result<()> {
        let len = self.inodes.get(&id).ok_or_else(not_found)?.data.len() as u64;
        let growth = (position + bytes.len() as u64).saturating_sub(len);
        let mut result = Ok(());
        if let Some(free) = &mut self.free_bytes {
            if growth > *free {
                let cut = usize::try_from(growth - *free).unwrap_or(usize::MAX);
                bytes.truncate(bytes.len().saturating_sub(cut));
                *free = 0;
                result = Err(io::ErrorKind::StorageFull.into());
            } else {
                *free -= growth;
            }
        }
        if self.change() {
            bytes.truncate(bytes.len() / 2);
            result = Err(killed());
        }
        if let Some(inode) = self.inodes.get_mut(&id) {
            let change = Change::Write(position, bytes);
            apply(&mut inode.data, &change);
            inode.pending.push(change);
        }
        result
    }
}

fn split(path: &Path) -> io::Result<(PathBuf, String)> {
    let parent = path.parent().ok_or_else(not_found)?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(not_found)?;
    Ok((parent.to_path_buf(), name.to_owned()))
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
