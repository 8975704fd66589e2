//! One segment: a `.log` file of batches and its indexes.
//!
//! It knows bytes, positions and offsets, and nothing of producers, epochs or when to roll. One
//! writer at a time (the log's lock); readers at any time, up to the size that was last published.

mod find;
mod frames;
mod lookup;
mod mend;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;
use pharos_protocol::batch::BatchHeader;

use crate::clean::SegmentFacts;
use crate::config::LogConfig;
use crate::files::{CachedFile, FileCache};
use crate::fs::FsFile;
use crate::index::{AbortedTxn, Entry, Index, OffsetEntry, Place, TimeEntry};
use crate::names;
use crate::scan::Scan;

pub(crate) use find::Sought;

/// Batches at the end of an active segment whose places are kept in memory.
const RECENT_BATCHES: usize = 32;
/// Timestamp of a segment without records.
pub(crate) const NO_TIMESTAMP: i64 = -1;

/// A timestamp and where it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimestampAt {
    pub(crate) timestamp: i64,
    pub(crate) offset: i64,
}

/// One segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base_offset: i64,
    dir: Arc<PathBuf>,
    /// What follows the names of its files: nothing, or `.cleaned`.
    ending: &'static str,
    cache: Arc<FileCache>,
    file: CachedFile,
    /// Its files were renamed or removed: what now has their names is something else.
    retired: AtomicBool,
    /// Published bytes: readers never look beyond.
    size: AtomicU64,
    max_timestamp: AtomicI64,
    offset_of_max_timestamp: AtomicI64,
    /// Timestamp of the first batch; rolling by time counts from it.
    first_timestamp: AtomicI64,
    created_ms: AtomicI64,
    indexes: Mutex<Indexes>,
}

#[derive(Debug)]
struct Indexes {
    offset: Index<OffsetEntry>,
    time: Index<TimeEntry>,
    aborted: Index<AbortedTxn>,
    /// Whether a file of aborted transactions lay there when the segment was opened.
    had_aborted_file: bool,
    bytes_since_entry: u64,
    recent: VecDeque<Recent>,
}

#[derive(Clone, Copy, Debug)]
struct Recent {
    base_offset: i64,
    last_offset: i64,
    position: u64,
    len: u32,
}

/// Sizes of a segment's files as listed in its directory; `None`: absent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileSizes {
    pub(crate) log: u64,
    pub(crate) offset: Option<u64>,
    pub(crate) time: Option<u64>,
    pub(crate) aborted: Option<u64>,
}

impl Segment {
    /// Makes the files of a new, empty segment.
    pub(crate) fn create(
        dir: &Arc<PathBuf>,
        cache: &Arc<FileCache>,
        base_offset: i64,
        now_ms: i64,
    ) -> io::Result<Self> {
        Self::create_as(dir, cache, base_offset, "", now_ms)
    }

    /// As [`Self::create`], with `ending` behind the names of the files.
    pub(crate) fn create_as(
        dir: &Arc<PathBuf>,
        cache: &Arc<FileCache>,
        base_offset: i64,
        ending: &'static str,
        now_ms: i64,
    ) -> io::Result<Self> {
        let path = |suffix: &'static str| dir.join(names::segment(base_offset, suffix) + ending);
        let place = Place { cache, path: &path };
        let file = CachedFile::create(cache, &path(names::LOG))?;
        let indexes = Indexes {
            offset: Index::create(&place)?,
            time: Index::create(&place)?,
            aborted: Index::absent(),
            had_aborted_file: false,
            bytes_since_entry: 0,
            recent: VecDeque::new(),
        };
        let segment = Self::with(dir, cache, base_offset, file, 0, now_ms, indexes);
        Ok(Self { ending, ..segment })
    }

    fn with(
        dir: &Arc<PathBuf>,
        cache: &Arc<FileCache>,
        base_offset: i64,
        file: CachedFile,
        size: u64,
        now_ms: i64,
        indexes: Indexes,
    ) -> Self {
        Self {
            base_offset,
            dir: dir.clone(),
            ending: "",
            cache: cache.clone(),
            file,
            retired: AtomicBool::new(false),
            size: AtomicU64::new(size),
            max_timestamp: AtomicI64::new(NO_TIMESTAMP),
            offset_of_max_timestamp: AtomicI64::new(base_offset),
            first_timestamp: AtomicI64::new(NO_TIMESTAMP),
            created_ms: AtomicI64::new(now_ms),
            indexes: Mutex::new(indexes),
        }
    }

    /// Opens the files of a segment and believes their sizes. The flag tells whether the indexes
    /// are usable; when not, [`Self::rebuild`] must follow.
    pub(crate) fn open(
        dir: &Arc<PathBuf>,
        cache: &Arc<FileCache>,
        base_offset: i64,
        sizes: FileSizes,
        now_ms: i64,
    ) -> io::Result<(Self, bool)> {
        let path = |suffix: &'static str| dir.join(names::segment(base_offset, suffix));
        let place = Place { cache, path: &path };
        // Entries are for batches behind the first: one at position 0 was never written.
        let in_log = |last: &OffsetEntry| (1..sizes.log).contains(&u64::from(last.position));
        let open_offset = |len| Index::open(&place, len, in_log);
        let offset = sizes.offset.map_or(Ok(None), open_offset)?;
        let time =
            sizes.time.map_or(Ok(None), |len| Index::open(&place, len, TimeEntry::is_credible))?;
        let aborted = match sizes.aborted {
            Some(len) => Index::open(&place, len, |last: &AbortedTxn| {
                last.first_offset <= last.last_offset && last.last_offset >= base_offset
            })?,
            None => Some(Index::absent()),
        };
        // A segment with batches ends its time index with their largest timestamp when it is sealed;
        // without an entry, the last ones were lost with the power.
        let timed = sizes.log == 0 || time.as_ref().is_some_and(|time| time.last().is_some());
        let usable = offset.is_some() && timed && aborted.is_some();
        let indexes = Indexes {
            offset: offset.unwrap_or_else(Index::absent),
            time: time.unwrap_or_else(Index::absent),
            aborted: aborted.unwrap_or_else(Index::absent),
            had_aborted_file: sizes.aborted.is_some(),
            bytes_since_entry: 0,
            recent: VecDeque::new(),
        };
        let file = CachedFile::default();
        let segment = Self::with(dir, cache, base_offset, file, sizes.log, now_ms, indexes);
        let last = segment.indexes.lock().time.last();
        segment.remember(last);
        Ok((segment, usable))
    }

    /// Published bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Published bytes, and the last offset in them if it was appended lately; both of one moment.
    pub(crate) fn published(&self) -> (u64, Option<i64>) {
        let indexes = self.indexes.lock();
        (self.size(), indexes.recent.back().map(|batch| batch.last_offset))
    }

    /// Largest timestamp and its batch's last offset; −1 without records.
    pub(crate) fn max_timestamp(&self) -> TimestampAt {
        TimestampAt {
            timestamp: self.max_timestamp.load(Ordering::Acquire),
            offset: self.offset_of_max_timestamp.load(Ordering::Acquire),
        }
    }

    /// What retention by time counts from: the largest timestamp, or else the time of creation.
    pub(crate) fn age_from_ms(&self) -> i64 {
        match self.max_timestamp.load(Ordering::Acquire) {
            NO_TIMESTAMP => self.created_ms.load(Ordering::Acquire),
            timestamp => timestamp,
        }
    }

    /// What rolling by time counts from: the first batch's timestamp when it has one.
    pub(crate) fn roll_from(&self) -> RollFrom {
        match self.first_timestamp() {
            Ok(Some(timestamp)) => RollFrom::FirstTimestamp(timestamp),
            _ => RollFrom::Created(self.created_ms.load(Ordering::Acquire)),
        }
    }

    /// Timestamp of the first batch, if it has one.
    pub(crate) fn first_timestamp(&self) -> io::Result<Option<i64>> {
        let known = self.first_timestamp.load(Ordering::Acquire);
        if known != NO_TIMESTAMP {
            return Ok(Some(known));
        }
        if self.size() == 0 {
            return Ok(None);
        }
        let file = self.file()?;
        let first = Scan::headers(file.as_ref(), 0, self.size()).next()?;
        let timestamp = first.map_or(NO_TIMESTAMP, |found| found.header.max_timestamp);
        self.first_timestamp.store(timestamp, Ordering::Release);
        Ok((timestamp != NO_TIMESTAMP).then_some(timestamp))
    }

    /// Whether an index has no room for another batch.
    pub(crate) fn is_index_full(&self, max_bytes: u32) -> bool {
        let indexes = self.indexes.lock();
        let max = u64::from(max_bytes);
        indexes.offset.len() >= max / OffsetEntry::LEN as u64
            || indexes.time.len() + 1 >= max / TimeEntry::LEN as u64
    }

    /// The open `.log` file.
    pub(crate) fn file(&self) -> io::Result<Arc<dyn FsFile>> {
        let file = self.file.get(&self.cache, || self.path(names::LOG))?;
        if self.is_retired() {
            // It may have been opened just now, and be the file that took the place of this one.
            self.file.close();
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(file)
    }

    /// Takes the full size of a segment on disk at once, if `preallocate` asks for it.
    pub(crate) fn preallocate(&self, config: &LogConfig) -> io::Result<()> {
        if !config.preallocate {
            return Ok(());
        }
        self.file()?.set_len(u64::from(config.segment_bytes))
    }

    /// Gives back what was taken on disk and not filled, whatever `preallocate` says by now.
    pub(crate) fn trim(&self) -> io::Result<()> {
        let file = self.file()?;
        if file.len()? > self.size() { file.set_len(self.size()) } else { Ok(()) }
    }

    /// Whether its files are no longer its own. Readers look for the log's segments again.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Says that its files are about to be renamed or removed.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.close_files();
    }

    /// Path of the file with this suffix.
    pub(crate) fn path(&self, suffix: &str) -> PathBuf {
        self.dir.join(names::segment(self.base_offset, suffix) + self.ending)
    }

    /// What planning a cleaning must know.
    pub(crate) fn facts(&self) -> SegmentFacts {
        SegmentFacts {
            base_offset: self.base_offset,
            size: self.size(),
            newest_ms: self.age_from_ms(),
            first_ms: self.first_timestamp().ok().flatten(),
        }
    }

    /// The same segment after its files, to which nothing waits to be written, were given their final
    /// names. Opens none of them: there is no way back from here.
    pub(crate) fn renamed(&self, now_ms: i64) -> Self {
        let indexes = self.indexes.lock();
        let indexes = Indexes {
            offset: indexes.offset.clone(),
            time: indexes.time.clone(),
            aborted: indexes.aborted.clone(),
            had_aborted_file: indexes.aborted.len() > 0,
            bytes_since_entry: 0,
            recent: VecDeque::new(),
        };
        let last = indexes.time.last();
        let file = CachedFile::default();
        let size = self.size();
        let segment =
            Self::with(&self.dir, &self.cache, self.base_offset, file, size, now_ms, indexes);
        segment.remember(last);
        segment
    }

    /// Takes the largest timestamp from the last entry of the time index.
    fn remember(&self, last: Option<TimeEntry>) {
        let Some(last) = last else { return };
        self.max_timestamp.store(last.timestamp, Ordering::Relaxed);
        let offset = self.base_offset + i64::from(last.relative_offset);
        self.offset_of_max_timestamp.store(offset, Ordering::Relaxed);
    }

    /// Writes `parts` at the end, without publishing them.
    pub(crate) fn write(&self, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.file()?.write_at(parts, self.size())
    }

    /// Publishes `bytes` more, which hold `batches` with their lengths before them in order.
    pub(crate) fn publish(
        &self,
        batches: impl Iterator<Item = BatchHeader>,
        index_interval_bytes: u32,
    ) -> io::Result<()> {
        let mut indexes = self.indexes.lock();
        let mut position = self.size();
        let mut result = Ok(());
        for header in batches {
            let noted = self.note(&mut indexes, position, &header, index_interval_bytes);
            result = result.and(noted);
            position += header.total_len() as u64;
        }
        self.size.store(position, Ordering::Release);
        result
    }

    /// Takes one batch up into timestamps, indexes and the memory of recent ones. An index entry is
    /// due when the bytes since the last one exceed the interval (`LogSegment.append`).
    fn note(
        &self,
        indexes: &mut Indexes,
        position: u64,
        header: &BatchHeader,
        index_interval_bytes: u32,
    ) -> io::Result<()> {
        let last_offset = header.last_offset();
        if header.max_timestamp > self.max_timestamp.load(Ordering::Relaxed) {
            self.max_timestamp.store(header.max_timestamp, Ordering::Release);
            self.offset_of_max_timestamp.store(last_offset, Ordering::Release);
        }
        if position == 0 {
            self.first_timestamp.store(header.max_timestamp, Ordering::Release);
        }
        if indexes.recent.len() >= RECENT_BATCHES {
            indexes.recent.pop_front();
        }
        let len = u32::try_from(header.total_len()).unwrap_or(u32::MAX);
        let base_offset = header.base_offset;
        indexes.recent.push_back(Recent { base_offset, last_offset, position, len });
        let mut result = Ok(());
        if indexes.bytes_since_entry > u64::from(index_interval_bytes) {
            let entry = OffsetEntry {
                relative_offset: self.relative(last_offset),
                position: u32::try_from(position).unwrap_or(u32::MAX),
            };
            result = self.with_place(|place| indexes.offset.push(place, entry));
            result = result.and(self.note_time(indexes));
            indexes.bytes_since_entry = 0;
        }
        indexes.bytes_since_entry += header.total_len() as u64;
        result
    }

    /// Adds the largest timestamp so far to the time index when it is news.
    fn note_time(&self, indexes: &mut Indexes) -> io::Result<()> {
        let TimestampAt { timestamp, offset } = self.max_timestamp();
        let last = indexes.time.last().map_or(NO_TIMESTAMP, |last| last.timestamp);
        if timestamp <= last {
            return Ok(());
        }
        let entry = TimeEntry { timestamp, relative_offset: self.relative(offset) };
        self.with_place(|place| indexes.time.push(place, entry))
    }

    fn relative(&self, offset: i64) -> u32 {
        u32::try_from(offset.saturating_sub(self.base_offset)).unwrap_or(0)
    }

    fn with_place<T>(&self, act: impl FnOnce(&Place<'_>) -> T) -> T {
        let path = |suffix: &'static str| self.path(suffix);
        act(&Place { cache: &self.cache, path: &path })
    }

    /// Adds an aborted transaction.
    pub(crate) fn note_aborted(&self, entry: AbortedTxn) -> io::Result<()> {
        let mut indexes = self.indexes.lock();
        self.with_place(|place| {
            indexes.aborted.push(place, entry)?;
            // Never left to memory: a reader of committed records depends on it.
            indexes.aborted.write(place)
        })
    }

    /// The aborted transactions that end in this segment.
    pub(crate) fn aborted(&self) -> io::Result<Vec<AbortedTxn>> {
        let indexes = self.indexes.lock();
        self.with_place(|place| indexes.aborted.all(place))
    }

    /// Completes the indexes of a segment that will not grow any more: the time index ends with the
    /// largest timestamp, so that opening needs no scan.
    pub(crate) fn seal(&self) -> io::Result<()> {
        let mut indexes = self.indexes.lock();
        self.note_time(&mut indexes)?;
        indexes.recent = VecDeque::new();
        self.with_place(|place| {
            indexes.offset.write(place)?;
            indexes.time.write(place)?;
            indexes.aborted.write(place)
        })
    }

    /// Makes the batches durable.
    pub(crate) fn sync_log(&self) -> io::Result<()> {
        self.file()?.sync()
    }

    /// Makes the indexes durable.
    pub(crate) fn sync_indexes(&self) -> io::Result<()> {
        let mut indexes = self.indexes.lock();
        self.with_place(|place| {
            indexes.offset.sync(place)?;
            indexes.time.sync(place)?;
            indexes.aborted.sync(place)
        })
    }

    /// Closes the files until they are needed again.
    pub(crate) fn close_files(&self) {
        self.file.close();
        let indexes = self.indexes.lock();
        indexes.offset.close();
        indexes.time.close();
        indexes.aborted.close();
    }
}

/// What rolling by time counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RollFrom {
    /// The first batch's timestamp; compared with the timestamps that come.
    FirstTimestamp(i64),
    /// The segment's creation; compared with the clock.
    Created(i64),
}
