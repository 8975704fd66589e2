//! What a simulated file system holds, in the page cache and on the medium, and what a power failure
//! leaves of it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use pharos_base::ClockHand;

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

/// Operations of `op` on paths that contain `path` take `took` on the clock of `hand`.
#[derive(Clone)]
pub struct Slow {
    /// Kind of operation.
    pub op: Op,
    /// Part of the path.
    pub path: String,
    /// How long each takes.
    pub took: Duration,
    /// Moves the clock.
    pub hand: ClockHand,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) inodes: HashMap<u64, Inode>,
    pub(super) next_inode: u64,
    pub(super) dirs: BTreeMap<PathBuf, Dir>,
    pub(super) faults: Vec<Fault>,
    pub(super) slow: Vec<Slow>,
    pub(super) free_bytes: Option<u64>,
    /// Changing operations until the process is killed.
    pub(super) kill_after: Option<u64>,
    pub(super) killed: bool,
    pub(super) changes: u64,
    pub(super) locks: HashMap<PathBuf, Arc<AtomicBool>>,
    /// Counts up with each restart; handles of an earlier life are dead.
    pub(super) life: u64,
}

#[derive(Clone, Default)]
pub(super) struct Inode {
    pub(super) data: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Change>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

#[derive(Clone, Default)]
pub(super) struct Dir {
    pub(super) entries: BTreeMap<String, u64>,
    pub(super) durable: BTreeMap<String, u64>,
    pub(super) pending: Vec<DirChange>,
}

#[derive(Clone)]
pub(super) enum DirChange {
    Link(String, u64),
    Unlink(String),
    Rename(String, String),
}

pub(super) fn apply(data: &mut Vec<u8>, change: &Change) {
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

pub(super) fn killed() -> io::Error {
    io::Error::other("the simulated process was killed")
}

pub(super) fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
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
    /// Keeps of what was not synced a part chosen by `seed`.
    pub(super) fn lose_power(&mut self, mut seed: u64) {
        let mut inodes: Vec<_> = self.inodes.iter_mut().collect();
        inodes.sort_by_key(|(id, _)| **id);
        for (_, inode) in inodes {
            crash_file(inode, &mut seed);
        }
        for dir in self.dirs.values_mut() {
            let keep = up_to(&mut seed, dir.pending.len());
            let pending = std::mem::take(&mut dir.pending);
            for change in pending.iter().take(keep) {
                apply_dir(&mut dir.durable, change);
            }
            dir.entries = dir.durable.clone();
        }
    }

    pub(super) fn check(&mut self, op: Op, path: &Path) -> io::Result<()> {
        if self.killed {
            return Err(killed());
        }
        let text = path.to_string_lossy();
        let slow = self.slow.iter().filter(|slow| slow.op == op && text.contains(&slow.path));
        slow.for_each(|slow| slow.hand.advance(slow.took));
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
    pub(super) fn change(&mut self) -> bool {
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

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        let (parent, name) = split(path)?;
        let dir = self.dirs.get(&parent).ok_or_else(not_found)?;
        dir.entries.get(&name).copied().ok_or_else(not_found)
    }

    pub(super) fn change_dir(&mut self, parent: &Path, change: DirChange) -> io::Result<()> {
        let dir = self.dirs.get_mut(parent).ok_or_else(not_found)?;
        apply_dir(&mut dir.entries, &change);
        dir.pending.push(change);
        Ok(())
    }

    pub(super) fn write(&mut self, id: u64, position: u64, mut bytes: Vec<u8>) -> io::Result<()> {
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

pub(super) fn split(path: &Path) -> io::Result<(PathBuf, String)> {
    let parent = path.parent().ok_or_else(not_found)?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(not_found)?;
    Ok((parent.to_path_buf(), name.to_owned()))
}
