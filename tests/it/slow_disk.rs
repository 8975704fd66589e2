//! A disk that stands still holds up whoever needs it, and nobody else.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use pharos_protocol::Records;
use pharos_protocol::batch::BatchOptions;
use pharos_protocol::messages::*;
use pharos_storage::fs::{Entry, Fs, FsFile, LockGuard, Open, RealFs, Space};

use crate::start_process::HANG_GUARD;
use crate::start_wire::{Wire, batch, fetch};
use crate::truth::Inside;

/// Batches of the log: more than a broker keeps the places of in memory.
const BATCHES: i64 = 200;
/// The part of the log's file that only the disk has.
const COLD_BYTES: u64 = 4096;

/// Whether the disk stands still, and how many threads wait for it.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Gate {
    fn close(&self, closed: bool) {
        self.state.lock().unwrap().0 = closed;
        self.changed.notify_all();
    }

    fn is_closed(&self) -> bool {
        self.state.lock().unwrap().0
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |(closed, _)| *closed).unwrap();
        state.1 -= 1;
    }

    fn until_waiting(&self, threads: usize) {
        let state = self.state.lock().unwrap();
        let too_few = |state: &mut (bool, usize)| state.1 < threads;
        let waited = self.changed.wait_timeout_while(state, HANG_GUARD, too_few).unwrap();
        assert!(!waited.1.timed_out(), "{} threads wait for the disk, not {threads}", waited.0.1);
    }

    fn waiting(&self) -> usize {
        self.state.lock().unwrap().1
    }
}

/// Keeps the gate closed; a test that fails opens it, so that the node can stop.
struct Closed<'a>(&'a Gate);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.close(false);
    }
}

/// The disk, of which the first bytes of the log `t-0` can stand still.
#[derive(Debug)]
struct SlowFs(Arc<Gate>);

#[derive(Debug)]
struct SlowFile {
    file: Arc<dyn FsFile>,
    gate: Option<Arc<Gate>>,
}

impl SlowFile {
    fn cold_at(&self, position: u64) -> Option<&Gate> {
        self.gate.as_deref().filter(|gate| position < COLD_BYTES && gate.is_closed())
    }
}

impl Fs for SlowFs {
    fn open(&self, path: &Path, mode: Open) -> io::Result<Arc<dyn FsFile>> {
        let is_slow = path.ends_with("t-0/00000000000000000000.log");
        let gate = is_slow.then(|| self.0.clone());
        Ok(Arc::new(SlowFile { file: RealFs.open(path, mode)?, gate }))
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

impl FsFile for SlowFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        if let Some(gate) = self.cold_at(position) {
            gate.pass();
        }
        self.file.read_at(buf, position)
    }
    fn read_at_once(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        match self.cold_at(position) {
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
        self.file.sync()
    }
    fn raw(&self) -> Option<&Arc<File>> {
        self.file.raw()
    }
}

fn records_of(answer: &FetchResponse) -> usize {
    let data = &answer.responses[0].partitions[0];
    assert_eq!(data.error_code, 0);
    data.records.as_ref().and_then(Records::as_bytes).map_or(0, |bytes| bytes.len())
}

fn first_since(timestamp: i64) -> ListOffsetsRequest {
    let one = list_offsets_request::ListOffsetsPartition { timestamp, ..Default::default() };
    let topic =
        list_offsets_request::ListOffsetsTopic { name: "t".to_owned(), partitions: vec![one] };
    ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
}

#[test]
fn what_a_disk_holds_up_delays_no_produce_and_no_fetch_of_the_tail() {
    let gate = Arc::new(Gate::default());
    let mut inside = Inside::start_on(Arc::new(SlowFs(gate.clone())), 1, &[]);
    inside.create("t", &[]);
    let one = batch(BatchOptions::default(), &[("key", "value")]);
    for offset in 0..BATCHES {
        assert_eq!(inside.wire.produce("t", 0, &one).unwrap(), (0, offset, None));
    }
    gate.close(true);
    let closed = Closed(&gate);
    let mut cold = Wire::connect(inside.port).unwrap();
    cold.send(&fetch("t", 0, 0, 1 << 20), 12).unwrap();
    gate.until_waiting(1);
    let mut dated = Wire::connect(inside.port).unwrap();
    dated.send(&first_since(1), 7).unwrap();
    gate.until_waiting(2);

    // The only thread that serves connections goes on, also with the same log.
    assert_eq!(inside.wire.produce("t", 0, &one).unwrap(), (0, BATCHES, None));
    let tail: FetchResponse = inside.wire.call(&fetch("t", 0, BATCHES, 1 << 20), 12).unwrap();
    assert_eq!(records_of(&tail), one.len());
    assert_eq!(gate.waiting(), 2);

    drop(closed);
    let whole: FetchResponse = cold.receive(12).unwrap();
    assert_eq!(records_of(&whole), one.len() * usize::try_from(BATCHES).unwrap());
    let found: ListOffsetsResponse = dated.receive(7).unwrap();
    let found = &found.topics[0].partitions[0];
    assert_eq!((found.error_code, found.offset), (0, 0));
}
