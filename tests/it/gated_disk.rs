//! The disk behind a gate: what a test chooses waits there while the gate is closed, and the test
//! sees how many threads do.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use pharos_storage::fs::{Entry, Fs, FsFile, LockGuard, Open, RealFs, Space};

use crate::start_process::HANG_GUARD;

/// Whether the disk stands still, and how many threads wait for it.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    waiting: usize,
}

impl Gate {
    /// Closes the gate until what is returned drops: also when the test fails, so that a node can
    /// stop.
    pub fn close(&self) -> Closed<'_> {
        self.set(true);
        Closed(self)
    }

    fn set(&self, closed: bool) {
        self.state.lock().unwrap().closed = closed;
        self.changed.notify_all();
    }

    fn is_closed(&self) -> bool {
        self.state.lock().unwrap().closed
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |state| state.closed).unwrap();
        state.waiting -= 1;
    }

    /// Waits until so many threads wait.
    pub fn until_waiting(&self, threads: usize) {
        let state = self.state.lock().unwrap();
        let too_few = |state: &mut State| state.waiting < threads;
        let waited = self.changed.wait_timeout_while(state, HANG_GUARD, too_few).unwrap();
        let waiting = waited.0.waiting;
        assert!(!waited.1.timed_out(), "{waiting} threads wait for the disk, not {threads}");
    }

    /// How many threads wait.
    pub fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting
    }
}

/// Keeps the gate closed.
pub struct Closed<'a>(&'a Gate);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Open,
    /// With the position.
    Read(u64),
    Sync,
}

/// The disk with a gate before some of it.
#[derive(Debug)]
pub struct GatedFs {
    /// The gate.
    pub gate: Arc<Gate>,
    /// Whether it stands before this.
    pub is_behind: fn(Act, &Path) -> bool,
}

#[derive(Debug)]
struct GatedFile {
    file: Arc<dyn FsFile>,
    path: PathBuf,
    gate: Arc<Gate>,
    is_behind: fn(Act, &Path) -> bool,
}

impl GatedFile {
    fn closed_for(&self, act: Act) -> Option<&Gate> {
        Some(&*self.gate).filter(|gate| (self.is_behind)(act, &self.path) && gate.is_closed())
    }
}

impl Fs for GatedFs {
    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn FsFile>> {
        if (self.is_behind)(Act::Open, path) && self.gate.is_closed() {
            self.gate.pass();
        }
        let file = RealFs.open(path, mode)?;
        let (path, gate) = (path.to_path_buf(), self.gate.clone());
        Ok(Arc::new(GatedFile { file, path, gate, is_behind: self.is_behind }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_file(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        RealFs.create_dir_all(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_dir_all(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        RealFs.list(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealFs.sync_dir(path)
    }
    fn lock(&self, path: &Path) -> io::Result<LockGuard> {
        RealFs.lock(path)
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        RealFs.space(path)
    }
}

impl FsFile for GatedFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        if let Some(gate) = self.closed_for(Act::Read(position)) {
            gate.pass();
        }
        self.file.read_at(buf, position)
    }
    fn read_at_once(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        match self.closed_for(Act::Read(position)) {
            Some(_) => Err(io::ErrorKind::WouldBlock.into()),
            None => self.file.read_at_once(buf, position),
        }
    }
    fn write_at(&self, parts: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        self.file.write_at(parts, position)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn sync(&self) -> io::Result<()> {
        if let Some(gate) = self.closed_for(Act::Sync) {
            gate.pass();
        }
        self.file.sync()
    }
    fn raw(&self) -> Option<&Arc<File>> {
        self.file.raw()
    }
}
