//! The metadata log on disk: one batch per entry, in segments with Kafka's names, fsynced before
//! anyone is told. It knows which bytes are sound and refuses the others.
//!
//! Recovery: what follows the last sound batch is the rest of a write that nobody was told of and is
//! cut off, unless a sound batch lies behind it or it was committed: then the log is damaged, and
//! refused rather than shortened.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use pharos_protocol::batch::RecordBatch;
use pharos_storage::StorageMetrics;
use pharos_storage::fs::{Fs, FsFile, Open, read_full};

use super::log_scan::{Scan, Slot};
use super::state_file::Beginning;
use super::{LogId, QuorumError};

/// A segment above this size is not written to any more.
const SEGMENT_BYTES: u64 = 8 << 20;
/// Longest segment that is read: far more than one entry beyond the size at which segments roll.
const MAX_SEGMENT_BYTES: u64 = 256 << 20;
const SUFFIX: &str = ".log";

struct Segment {
    base_offset: i64,
    path: PathBuf,
    file: Arc<dyn FsFile>,
    len: u64,
}

/// The open log.
pub(super) struct LogFile {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    segments: Vec<Segment>,
    slots: VecDeque<Slot>,
    beginning: Option<Beginning>,
    /// Bytes of a torn write that recovery cut off.
    pub cut_off_bytes: u64,
    /// Told how long each sync took.
    pub metrics: Option<Arc<StorageMetrics>>,
}

impl LogFile {
    /// Opens the log and checks every byte of it. `beginning` says which entry the first one
    /// follows, `committed` how far entries are known to be committed.
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        beginning: Option<Beginning>,
        committed: Option<LogId>,
    ) -> Result<Self, QuorumError> {
        let mut log = Self {
            fs,
            dir: dir.to_owned(),
            segments: Vec::new(),
            slots: VecDeque::new(),
            beginning,
            cut_off_bytes: 0,
            metrics: None,
        };
        log.load_segments()?;
        log.drop_stale_segments()?;
        if log.segments.is_empty() {
            log.roll().map_err(QuorumError::io(dir))?;
        }
        log.check_committed(committed)?;
        Ok(log)
    }

    fn load_segments(&mut self) -> Result<(), QuorumError> {
        let listing = self.fs.list(&self.dir).map_err(QuorumError::io(&self.dir))?;
        let mut bases: Vec<i64> = listing.iter().filter_map(|it| segment_base(&it.name)).collect();
        bases.sort_unstable();
        let last = bases.last().copied();
        // (expected offset, term so far); unknown before the first batch.
        let mut expected: Option<(i64, Option<u64>)> = None;
        for base in bases {
            let path = self.dir.join(segment_name(base));
            let file = self.fs.open(&path, Open::Write).map_err(QuorumError::io(&path))?;
            let bytes = read_segment(&*file, &path)?;
            if let Some((next, _)) = expected
                && next != base
            {
                let reason = format!("it should begin at offset {next}");
                return Err(QuorumError::DamagedLog { path, position: 0, reason });
            }
            let term = expected.and_then(|(_, term)| term);
            let mut scan = Scan { next_offset: base, term, position: 0, slots: Vec::new() };
            let stop = scan.run(&bytes, base);
            let len = scan.position;
            if let Err(reason) = stop {
                let torn = Some(base) == last && !scan.sound_batch_behind(&bytes);
                if !torn {
                    return Err(QuorumError::DamagedLog { path, position: len, reason });
                }
                self.cut_off_bytes = bytes.len() as u64 - len;
                file.set_len(len).and_then(|()| file.sync()).map_err(QuorumError::io(&path))?;
            }
            expected = Some((scan.next_offset, scan.term));
            self.slots.extend(scan.slots);
            self.segments.push(Segment { base_offset: base, path, file, len });
        }
        self.number_entries()
    }

    /// Gives the entries their indexes, counted from the beginning that the state file knows.
    fn number_entries(&mut self) -> Result<(), QuorumError> {
        let (first_index, first_offset) =
            self.beginning.map_or((0, 0), |it| (it.index + 1, it.next_offset));
        let end = self.slots.back().map(|slot| slot.next_offset);
        while self.slots.front().is_some_and(|slot| slot.base_offset < first_offset) {
            self.slots.pop_front();
        }
        let start = self.slots.front().map(|slot| slot.base_offset);
        let meets = match (start, end) {
            (Some(start), _) => start == first_offset,
            // All of it lies before the beginning, or there is nothing.
            (None, Some(end)) => end <= first_offset,
            (None, None) => true,
        };
        if !meets {
            return Err(QuorumError::Gap {
                path: self.dir.clone(),
                log_start: start.or(end).unwrap_or(0),
                snapshot_end: first_offset,
            });
        }
        for (index, slot) in (first_index..).zip(self.slots.iter_mut()) {
            slot.log_id.index = index;
        }
        Ok(())
    }

    /// Removes segments that hold nothing from the beginning on: a purge that a crash interrupted.
    fn drop_stale_segments(&mut self) -> Result<(), QuorumError> {
        let next_offset = self.next_offset();
        let first_needed = self.slots.front().map(|slot| slot.segment);
        let stale = |segment: &Segment| match first_needed {
            Some(first) => segment.base_offset < first,
            None => segment.base_offset != next_offset || segment.len > 0,
        };
        let (gone, kept) = std::mem::take(&mut self.segments).into_iter().partition(stale);
        self.segments = kept;
        for segment in gone {
            self.fs.remove_file(&segment.path).map_err(QuorumError::io(&segment.path))?;
        }
        Ok(())
    }

    fn check_committed(&self, committed: Option<LogId>) -> Result<(), QuorumError> {
        let last = self.last_log_id().map(|log_id| log_id.index);
        match (committed, self.segments.last()) {
            (Some(committed), Some(segment)) if last < Some(committed.index) => {
                Err(QuorumError::LostCommitted {
                    path: segment.path.clone(),
                    position: segment.len,
                    committed: committed.index,
                })
            }
            _ => Ok(()),
        }
    }

    /// Offset at which the next entry will stand.
    pub fn next_offset(&self) -> i64 {
        let begin = self.beginning.map_or(0, |it| it.next_offset);
        self.slots.back().map_or(begin, |slot| slot.next_offset)
    }

    /// First offset that is still there.
    pub fn start_offset(&self) -> i64 {
        self.slots.front().map_or_else(|| self.next_offset(), |slot| slot.base_offset)
    }

    /// The last entry, or the last one that was purged.
    pub fn last_log_id(&self) -> Option<LogId> {
        let purged = self.beginning.map(Beginning::log_id);
        self.slots.back().map(|slot| slot.log_id).or(purged)
    }

    /// The last entry that was purged.
    pub fn purged(&self) -> Option<LogId> {
        self.beginning.map(Beginning::log_id)
    }

    /// Bytes on disk.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// Number of segments.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The entry with this index.
    pub fn slot(&self, index: u64) -> Option<&Slot> {
        let first = self.slots.front()?.log_id.index;
        self.slots.get(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    /// The bytes of an entry.
    pub fn read(&self, slot: &Slot) -> io::Result<Bytes> {
        let segment = self
            .segments
            .iter()
            .find(|segment| segment.base_offset == slot.segment)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let mut bytes = vec![0; slot.len as usize];
        let read = read_full(&*segment.file, &mut bytes, slot.position)?;
        if read != bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let view = RecordBatch::split(&bytes).and_then(|(batch, _)| batch.check_crc());
        view.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(bytes.into())
    }

    /// Appends batches, each with its entry's id, in one write, and makes them durable. On an error
    /// nothing was appended: what was written of them is cut off again.
    pub fn append(&mut self, entries: &[(LogId, Bytes)]) -> io::Result<()> {
        if self.segments.last().is_none_or(|segment| segment.len >= SEGMENT_BYTES) {
            self.roll()?;
        }
        let mut offset = self.next_offset();
        let Some(segment) = self.segments.last_mut() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut slots = Vec::with_capacity(entries.len());
        let mut position = segment.len;
        for (log_id, bytes) in entries {
            let (batch, _) = RecordBatch::split(bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let next_offset = batch.header().next_offset();
            slots.push(Slot {
                log_id: *log_id,
                base_offset: offset,
                next_offset,
                segment: segment.base_offset,
                position,
                len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            });
            position += bytes.len() as u64;
            offset = next_offset;
        }
        let mut parts: Vec<IoSlice<'_>> =
            entries.iter().map(|(_, bytes)| IoSlice::new(bytes)).collect();
        let synced = || {
            let began = Instant::now();
            segment.file.sync()?;
            if let Some(metrics) = &self.metrics {
                metrics.metadata_flushed(began.elapsed());
            }
            Ok(())
        };
        let written = segment.file.write_at(&mut parts, segment.len).and_then(|()| synced());
        if let Err(error) = written {
            // The error matters; a failure to cut off only leaves a torn tail for recovery.
            let _ = segment.file.set_len(segment.len);
            return Err(error);
        }
        segment.len = position;
        self.slots.extend(slots);
        Ok(())
    }

    fn roll(&mut self) -> io::Result<()> {
        let base_offset = self.next_offset();
        let path = self.dir.join(segment_name(base_offset));
        let file = self.fs.open(&path, Open::Create)?;
        self.fs.sync_dir(&self.dir)?;
        self.segments.push(Segment { base_offset, path, file, len: 0 });
        Ok(())
    }

    /// Removes the entry `index` and all behind it; durable on return.
    pub fn truncate(&mut self, index: u64) -> io::Result<()> {
        let Some(cut) = self.slot(index).copied() else {
            return Ok(());
        };
        while let Some(segment) = self.segments.pop_if(|it| it.base_offset > cut.segment) {
            self.fs.remove_file(&segment.path)?;
            self.fs.sync_dir(&self.dir)?;
        }
        if let Some(segment) = self.segments.last_mut() {
            segment.file.set_len(cut.position)?;
            segment.file.sync()?;
            segment.len = cut.position;
        }
        while self.slots.pop_back_if(|slot| slot.log_id.index >= index).is_some() {}
        Ok(())
    }

    /// Where the log will begin once everything up to `log_id` is purged; `offset` says where the
    /// records of an entry end that this log does not hold.
    pub fn beginning_after(&self, log_id: LogId, offset: i64) -> Beginning {
        let next_offset = self.slot(log_id.index).map_or(offset, |slot| slot.next_offset);
        Beginning { term: log_id.leader_id.term, index: log_id.index, next_offset }
    }

    /// Forgets what lies before `beginning`, which must be durable already, and removes segments
    /// that hold nothing else.
    pub fn purge(&mut self, beginning: Beginning) -> io::Result<()> {
        self.beginning = Some(beginning);
        while self.slots.pop_front_if(|slot| slot.log_id.index <= beginning.index).is_some() {}
        if self.slots.is_empty() {
            // The next entry stands at the new offset: no old segment can take it.
            if self.segments.last().is_none_or(|it| it.base_offset != beginning.next_offset) {
                for segment in std::mem::take(&mut self.segments) {
                    self.fs.remove_file(&segment.path)?;
                }
                self.roll()?;
            }
            return Ok(());
        }
        let first = self.slots.front().map_or(i64::MIN, |slot| slot.segment);
        while self.segments.first().is_some_and(|segment| segment.base_offset < first) {
            let segment = self.segments.remove(0);
            self.fs.remove_file(&segment.path)?;
        }
        Ok(())
    }
}

/// `00000000000000000042.log`, as Kafka names segments by their first offset.
fn segment_name(base_offset: i64) -> String {
    format!("{base_offset:020}{SUFFIX}")
}

fn segment_base(name: &str) -> Option<i64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten().filter(|base| *base >= 0)
}

fn read_segment(file: &dyn FsFile, path: &Path) -> Result<Vec<u8>, QuorumError> {
    let len = file.len().map_err(QuorumError::io(path))?;
    if len > MAX_SEGMENT_BYTES {
        let reason = format!("it has {len} bytes, at most {MAX_SEGMENT_BYTES} are written");
        return Err(QuorumError::DamagedLog { path: path.to_owned(), position: 0, reason });
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let read = read_full(file, &mut bytes, 0).map_err(QuorumError::io(path))?;
    bytes.truncate(read);
    Ok(bytes)
}
