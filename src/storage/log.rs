//! The log of one partition: appending, reading, offsets, and what it remembers of producers and
//! leader epochs.
//!
//! It owns the partition's directory. It refuses to know who leads, what is replicated (it is told
//! the high watermark) and when to clean up (the manager asks it to).
//!
//! One lock orders writers; readers take none but the index's of the segment they look into.
//! Nothing here awaits, but [`Log::flushed`].

mod append;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod faults;
mod flush;
#[cfg(test)]
mod golden;
mod load;
mod lookup;
#[cfg(test)]
mod races;
mod read;
mod recover;
mod replace;
mod retain;
#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pharos_base::{Clock, LeaderEpoch, Offset, TopicId, TopicPartition};

pub(crate) use append::read_marker;
pub use append::{AppendError, AppendInfo, AppendOptions, Conversion};
pub use load::{LoadReport, LogOptions};
pub use lookup::OffsetAtTimestamp;
pub use read::LogSlice;
pub use retain::RetentionReport;

use crate::append_times::AppendTimes;
use crate::checkpoint::{EpochEntry, write_epochs};
use crate::config::LogConfig;
use crate::disk::LogDir;
use crate::epochs::{EpochCache, EpochEnd};
use crate::error::{Context, StorageError};
use crate::files::FileCache;
use crate::index::AbortedTxn;
use crate::metrics::StorageMetrics;
use crate::names;
use crate::partition_metadata;
use crate::producer::{ProducerEntry, Producers};
use crate::segment::Segment;

/// Damaged places of one log that are told of.
const MAX_DAMAGE_TOLD: usize = 32;

/// The segments of a log by rising base offset; the last one is active. Never empty.
type Segments = Vec<Arc<Segment>>;

/// The log of one partition. Shared by `Arc`.
#[derive(Debug)]
pub struct Log {
    partition: TopicPartition,
    topic_id: ArcSwap<TopicId>,
    dir: Arc<PathBuf>,
    home: Arc<LogDir>,
    cache: Arc<FileCache>,
    clock: Clock,
    config: ArcSwap<LogConfig>,
    writer: Mutex<Writer>,
    segments: ArcSwap<Segments>,
    log_start: AtomicI64,
    log_end: AtomicI64,
    high_watermark: AtomicI64,
    has_transactions: AtomicBool,
    append_times: Mutex<AppendTimes>,
    opened_ms: i64,
    flusher: flush::Flusher,
    metrics: Option<Arc<StorageMetrics>>,
    closed: AtomicBool,
    /// Damage that was told of.
    told: Mutex<Vec<String>>,
}

/// What only the writer, under the lock, reads and changes.
#[derive(Debug)]
struct Writer {
    producers: Producers,
    epochs: EpochCache,
    /// A failed write may have left bytes beyond the published size.
    torn: bool,
    /// Offset of the newest producer snapshot on disk.
    last_snapshot: Option<i64>,
    /// How much earlier than `segment.ms` the active segment is rolled.
    jitter_ms: i64,
}

impl Log {
    /// Which partition it is of.
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// Identity of the topic, zero when its directory says none.
    pub fn topic_id(&self) -> TopicId {
        **self.topic_id.load()
    }

    /// Gives the topic's identity to a log whose directory says none.
    pub(crate) fn assign_topic_id(&self, id: TopicId) -> Result<(), StorageError> {
        let settled = partition_metadata::settle(self.fs(), &self.dir, Some(id), false);
        self.topic_id.store(Arc::new(self.guard(settled)?));
        // The next flush makes the file durable.
        self.flusher.epochs_changed.store(true, Ordering::Release);
        Ok(())
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The log directory that holds it.
    pub fn home(&self) -> &Arc<LogDir> {
        &self.home
    }

    /// Its settings.
    pub fn config(&self) -> Arc<LogConfig> {
        self.config.load_full()
    }

    /// Replaces its settings; they take effect with the next operation.
    pub fn set_config(&self, config: LogConfig) {
        self.config.store(Arc::new(config));
    }

    /// First offset that is kept.
    pub fn log_start_offset(&self) -> Offset {
        Offset(self.log_start.load(Ordering::Acquire))
    }

    /// Offset that the next record gets.
    pub fn log_end_offset(&self) -> Offset {
        Offset(self.log_end.load(Ordering::Acquire))
    }

    /// Offset up to which records are durable on disk.
    pub fn recovery_point(&self) -> Offset {
        self.flusher.flushed()
    }

    /// The high watermark that replication told, at least the log start. Retention and cleaning stop
    /// there; it is what `replication-offset-checkpoint` keeps.
    pub fn high_watermark(&self) -> Offset {
        Offset(self.high_watermark.load(Ordering::Acquire)).max(self.log_start_offset())
    }

    /// Tells the high watermark; never above the log end.
    pub fn set_high_watermark(&self, offset: Offset) {
        let offset = offset.min(self.log_end_offset());
        self.high_watermark.store(offset.0, Ordering::Release);
    }

    /// Raises the high watermark to `offset`, the log end at most; true when that moved it.
    pub fn advance_high_watermark(&self, offset: Offset) -> bool {
        let offset = offset.min(self.log_end_offset());
        self.high_watermark.fetch_max(offset.0, Ordering::AcqRel) < offset.0
    }

    /// The offset before which every transaction is decided and replicated: readers with
    /// read_committed stop there.
    pub fn last_stable_offset(&self) -> Offset {
        let high_watermark = self.high_watermark();
        if !self.has_transactions.load(Ordering::Acquire) {
            return high_watermark;
        }
        let mut writer = self.writer.lock();
        let unstable = writer.producers.first_unstable_offset(high_watermark.0);
        self.has_transactions.store(writer.producers.has_transactions(), Ordering::Release);
        unstable.map_or(high_watermark, |first| Offset(first).min(high_watermark))
    }

    /// Bytes of all `.log` files.
    pub fn size_bytes(&self) -> u64 {
        self.segments.load().iter().map(|segment| segment.size()).sum()
    }

    /// Number of segments.
    pub fn segment_count(&self) -> usize {
        self.segments.load().len()
    }

    /// State of all idempotent producers, by id.
    pub fn producer_states(&self) -> Vec<ProducerEntry> {
        self.writer.lock().producers.entries()
    }

    /// Number of idempotent producers that are remembered.
    pub fn producer_count(&self) -> usize {
        self.writer.lock().producers.len()
    }

    /// Forgets producers that were silent for `expiration_ms`; returns how many.
    pub fn expire_producers(&self, expiration_ms: i64) -> usize {
        let before = self.clock.now_ms().saturating_sub(expiration_ms);
        self.writer.lock().producers.expire(before)
    }

    /// The latest leader epoch that wrote here.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.writer.lock().epochs.latest()
    }

    /// All known epochs with their first offsets.
    pub fn epochs(&self) -> Vec<EpochEntry> {
        self.writer.lock().epochs.entries().to_vec()
    }

    /// The end of the largest epoch not above `epoch`; `None` when nothing is known of it
    /// (OffsetForLeaderEpoch then answers −1).
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let writer = self.writer.lock();
        writer.epochs.end_of(epoch, self.log_end_offset())
    }

    /// The epoch that wrote the record at `offset`.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.writer.lock().epochs.epoch_of(offset)
    }

    /// Notes that `epoch` begins at the log's end: a leader does so before it appends. Durable with
    /// the next flush, before any batch of it is.
    ///
    /// # Errors
    /// When the checkpoint cannot be written; the directory goes offline unless it is only full.
    pub fn begin_epoch(&self, epoch: LeaderEpoch) -> Result<(), StorageError> {
        let mut writer = self.writer.lock();
        self.assign_epoch(&mut writer, epoch, self.log_end_offset())
    }

    fn assign_epoch(
        &self,
        writer: &mut Writer,
        epoch: LeaderEpoch,
        start: Offset,
    ) -> Result<(), StorageError> {
        let before = writer.epochs.clone();
        if !writer.epochs.assign(epoch, start) {
            return Ok(());
        }
        let written = self.write_epochs(writer);
        if written.is_err() {
            writer.epochs = before;
        }
        written
    }

    fn write_epochs(&self, writer: &Writer) -> Result<(), StorageError> {
        let path = self.dir.join(names::EPOCHS);
        self.flusher.epochs_changed.store(true, Ordering::Release);
        self.guard(write_epochs(self.fs(), &path, writer.epochs.entries()))
    }

    /// Aborted transactions that touch offsets from `from` up to, not including, `upto`.
    ///
    /// # Errors
    /// When an index cannot be read.
    pub fn aborted_transactions(
        &self,
        from: Offset,
        upto: Offset,
    ) -> Result<Vec<AbortedTxn>, StorageError> {
        self.in_segments(|segments| {
            let mut found = Vec::new();
            for segment in segments {
                let path = segment.path(names::TXN_INDEX);
                for entry in segment.aborted().context("read", &path)? {
                    if entry.last_offset >= from.0 && entry.first_offset < upto.0 {
                        found.push(entry);
                    }
                    if entry.last_stable_offset >= upto.0 && entry.first_offset >= upto.0 {
                        return Ok(found);
                    }
                }
            }
            Ok(found)
        })
    }

    /// When the record at `offset` was appended, in ms since 1970 by the broker's clock, to within a
    /// second while it is recent. `None` when the log was opened after that: [`Self::opened_ms`] is
    /// an upper bound then.
    pub fn append_time_at(&self, offset: Offset) -> Option<i64> {
        self.append_times.lock().at(offset.0)
    }

    /// When the log was opened, in ms since 1970.
    pub fn opened_ms(&self) -> i64 {
        self.opened_ms
    }

    /// Base offset of the first segment.
    pub fn first_base_offset(&self) -> Offset {
        Offset(self.segments.load().first().map_or(0, |segment| segment.base_offset))
    }

    fn fs(&self) -> &dyn crate::fs::Fs {
        self.cache.fs().as_ref()
    }

    fn active(&self) -> Option<Arc<Segment>> {
        self.segments.load().last().cloned()
    }

    /// Refuses what can no longer be done: closed, deleted or offline.
    fn check_usable(&self) -> Result<(), StorageError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed { dir: self.dir.to_path_buf() });
        }
        self.home.check()
    }

    /// What `look` finds in the segments of now. It looks again when one of them was deleted or
    /// cleaned meanwhile: files were missing then, or those of another segment.
    fn in_segments<T>(
        &self,
        look: impl Fn(&Segments) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        loop {
            self.check_usable()?;
            let segments = self.segments.load_full();
            let found = look(&segments);
            if !segments.iter().any(|segment| segment.is_retired()) {
                return self.guard(found);
            }
        }
    }

    /// Takes the log directory offline when the operating system failed at its disk; a full volume is
    /// none of that.
    fn guard<T>(&self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        let result = self.unless_deleted(result);
        match result.as_ref() {
            Err(error @ StorageError::Damaged { .. }) => self.tell(error),
            Err(error) if error.is_of_disk() => self.home.fail(error),
            _ => {}
        }
        result
    }

    /// Tells of damage, once for each place: clients ask again and again.
    fn tell(&self, error: &StorageError) {
        let text = error.to_string();
        let mut told = self.told.lock();
        if told.len() < MAX_DAMAGE_TOLD && !told.contains(&text) {
            tracing::error!(log = %self.partition, error = %text, "what the log holds cannot be read");
            told.push(text);
        }
    }

    /// A deletion closes the log and then renames its directory: whoever was at work there misses
    /// files, which says nothing of the disk.
    fn unless_deleted<T>(&self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        match result {
            Err(StorageError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound
                    && self.closed.load(Ordering::Acquire) =>
            {
                Err(StorageError::Closed { dir: self.dir.to_path_buf() })
            }
            other => other,
        }
    }
}
