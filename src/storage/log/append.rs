//! Appending: check, order, number, write once, remember.

mod check;

use std::cell::Cell;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pharos_base::{LeaderEpoch, Offset};
use pharos_protocol::batch::{BatchError, HEADER_LEN, KeySink, Origin, TimestampType, check_batch};
use pharos_protocol::compression::Codec;
use smallvec::SmallVec;

use super::{Log, Writer};
use crate::config::LogConfig;
use crate::error::{Context, StorageError};
use crate::names;
use crate::producer::ProducerError;
use crate::recompress;
use crate::segment::{NO_TIMESTAMP, RollFrom, Segment};
use crate::stamp::set_max_timestamp;
pub(crate) use check::read_marker;
use check::{Ready, ReadySet, check, check_options, uncompressed};

/// Bytes that one segment may hold: positions in indexes have 31 bits.
const MAX_SEGMENT_BYTES: u64 = i32::MAX as u64;

/// How batches come to the log.
#[derive(Clone, Copy, Debug)]
pub struct AppendOptions {
    /// Who made them. Batches of [`Origin::Replication`] keep offsets and epochs; those of a leader
    /// ([`Origin::Client`], [`Origin::Coordinator`], [`Origin::RaftLeader`]) get them here.
    pub origin: Origin,
    /// The epoch in which the leader writes; unused for replication.
    pub leader_epoch: LeaderEpoch,
}

/// Why nothing was appended. Each variant says which error code a broker answers with.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// As the variant of [`BatchError`] says.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// As the variant of [`ProducerError`] says.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// RECORD_LIST_TOO_LARGE: the batches do not fit into one segment.
    #[error("{size} bytes of batches do not fit into a segment of {segment_bytes}")]
    LargerThanSegment {
        /// Bytes of all batches.
        size: usize,
        /// `segment.bytes`
        segment_bytes: u32,
    },
    /// INVALID_RECORD: no batch at all, or several with producer state in one append.
    #[error("{0} batches where one is expected")]
    BatchCount(usize),
    /// Replication only: the batch does not continue the log.
    #[error("batch at offset {found} does not follow the log end {log_end}")]
    OffsetGap {
        /// Base offset of the batch.
        found: i64,
        /// Where the log ends.
        log_end: Offset,
    },
    /// FENCED_LEADER_EPOCH: the log has seen a later leader.
    #[error("leader epoch {epoch} is older than {latest}")]
    StaleLeader {
        /// What came.
        epoch: LeaderEpoch,
        /// What is known.
        latest: LeaderEpoch,
    },
    /// INVALID_RECORD: the batches could not be stored with the topic's codec.
    #[error("the batch cannot be compressed anew: {0}")]
    Recompress(String),
    /// KAFKA_STORAGE_ERROR: the volume is full, the directory offline, or the log closed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What checking a producer's batches took, as Kafka counts it (`RecordValidationStats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conversion {
    /// Bytes of compressed batches as they are without compression; of batches that were compressed
    /// anew, before and after. 0 for batches that came uncompressed and stay so.
    pub temporary_bytes: u64,
    /// Records that were compressed anew.
    pub records: u64,
    /// How long that took.
    pub took: Duration,
}

/// What an append did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendInfo {
    /// Offset of the first record.
    pub first_offset: Offset,
    /// Offset of the last record.
    pub last_offset: Offset,
    /// The broker's timestamp of all records with LogAppendTime, in ms.
    pub log_append_time: Option<i64>,
    /// Largest timestamp of the records, in ms; −1 without.
    pub max_timestamp: i64,
    /// Where the log starts.
    pub log_start_offset: Offset,
    /// Records appended; 0 for a duplicate.
    pub record_count: u64,
    /// Bytes written; 0 for a duplicate.
    pub bytes: u64,
    /// The batch was in the log already; offsets and time are those of the first time.
    pub duplicate: bool,
    /// `flush.messages` are waiting: [`Log::flushed`] must come before the answer.
    pub flush_due: bool,
    /// The active segment was full, and another one was begun: see
    /// [`Log::flush_sealed_in_background`].
    pub rolled: bool,
    /// What checking the batches took.
    pub conversion: Conversion,
}

impl Log {
    /// Appends batches with one write, in order, all or none.
    ///
    /// # Errors
    /// See [`AppendError`]. After [`StorageError::Full`] the log is as before and may be tried again;
    /// other failures of the disk take the directory offline.
    pub fn append(
        &self,
        records: &[u8],
        options: &AppendOptions,
    ) -> Result<AppendInfo, AppendError> {
        self.append_watched(records, options, None)
    }

    /// As [`Self::append`], and shows `keys` the keys that it wants, also those of batches that are
    /// refused in the end or were in the log already.
    ///
    /// # Errors
    /// As of [`Self::append`].
    pub fn append_watched(
        &self,
        records: &[u8],
        options: &AppendOptions,
        keys: Option<&mut dyn KeySink>,
    ) -> Result<AppendInfo, AppendError> {
        self.check_usable()?;
        let _span = tracing::debug_span!("log.append", log = %self.partition).entered();
        let began = self.clock.monotonic();
        let done = self.append_with(records, options, &self.config(), began, keys);
        if let Some(metrics) = &self.metrics {
            metrics.appended(self.clock.monotonic().saturating_sub(began));
        }
        done
    }

    fn append_with(
        &self,
        records: &[u8],
        options: &AppendOptions,
        config: &LogConfig,
        began: Duration,
        keys: Option<&mut dyn KeySink>,
    ) -> Result<AppendInfo, AppendError> {
        let now_ms = self.clock.now_ms();
        if options.origin == Origin::Client {
            let before = Cell::new(0);
            let stored = recompress::recompress(records, config, |batch| {
                let walk = check_batch(batch, &check_options(config, options.origin, now_ms))?;
                before.set(before.get() + walk.map_or(0, |walk| uncompressed(&walk)));
                Ok(())
            })?;
            if let Some(stored) = stored {
                // What became larger than `max.message.bytes` is refused, too (`UnifiedLog.append`).
                let ready = check(&stored, config, options, now_ms, keys)?;
                let after: u64 = ready.iter().map(|batch| batch.uncompressed_bytes).sum();
                let conversion = Conversion {
                    temporary_bytes: before.get() + after,
                    records: count_records(&ready),
                    took: self.clock.monotonic().saturating_sub(began),
                };
                return self.append_checked(ready, options, config, conversion);
            }
        }
        let ready = check(records, config, options, now_ms, keys)?;
        let compressed = ready.iter().filter(|batch| batch.header.codec() != Some(Codec::None));
        let temporary_bytes = compressed.map(|batch| batch.uncompressed_bytes).sum();
        let conversion = Conversion { temporary_bytes, ..Conversion::default() };
        self.append_checked(ready, options, config, conversion)
    }

    fn append_checked(
        &self,
        mut ready: ReadySet<'_>,
        options: &AppendOptions,
        config: &LogConfig,
        conversion: Conversion,
    ) -> Result<AppendInfo, AppendError> {
        let size: usize = ready.iter().map(|batch| batch.header.total_len()).sum();
        let segment_bytes = config.segment_bytes;
        if size as u64 > u64::from(segment_bytes) && options.origin != Origin::Replication {
            return Err(AppendError::LargerThanSegment { size, segment_bytes });
        }
        let mut writer = self.writer.lock();
        self.check_usable()?;
        if let Some(duplicate) = self.check_state(&writer, &ready, options)? {
            return Ok(AppendInfo { conversion, ..duplicate });
        }
        let stamped = config.message_timestamp_type == TimestampType::LogAppendTime;
        let now_ms = if stamped { self.clock.now_ms() } else { self.clock.coarse_ms() };
        let log_append_time = self.assign(&writer, &mut ready, options, config, now_ms)?;
        let first_offset = ready.first().map_or(0, |batch| batch.header.base_offset);
        self.note_epochs(&mut writer, &ready)?;
        let before = self.active().map(|active| active.base_offset);
        let segment = self.segment_for(&mut writer, &ready, size as u64, config, now_ms)?;
        self.write(&mut writer, &segment, &ready)?;
        self.publish(&mut writer, &segment, &ready, config, now_ms)?;
        let log_end = self.log_end_offset();
        let unflushed = log_end.since(self.recovery_point());
        Ok(AppendInfo {
            first_offset: Offset(first_offset),
            last_offset: log_end.plus(-1),
            log_append_time,
            max_timestamp: ready.iter().map(|b| b.header.max_timestamp).max().unwrap_or(-1),
            log_start_offset: self.log_start_offset(),
            record_count: count_records(&ready),
            bytes: size as u64,
            duplicate: false,
            flush_due: unflushed >= config.flush_messages,
            rolled: before.is_some_and(|before| before != segment.base_offset),
            conversion,
        })
    }

    /// What producers and leaders that were here before forbid; or the answer of the first time,
    /// when the batch is a duplicate.
    fn check_state(
        &self,
        writer: &Writer,
        ready: &ReadySet<'_>,
        options: &AppendOptions,
    ) -> Result<Option<AppendInfo>, AppendError> {
        if options.origin == Origin::Replication {
            return Ok(None);
        }
        if let Some(latest) = writer.epochs.latest() {
            let epoch = options.leader_epoch;
            if epoch < latest {
                return Err(AppendError::StaleLeader { epoch, latest });
            }
        }
        let with_producer = ready.iter().filter(|batch| batch.header.has_producer_id());
        for batch in with_producer {
            let header = &batch.header;
            if let Some(marker) = batch.marker {
                writer.producers.check_marker(header, marker)?;
            } else if !header.is_control() {
                if ready.len() > 1 {
                    return Err(AppendError::BatchCount(ready.len()));
                }
                if let Some(first) = writer.producers.duplicate_of(header) {
                    return Ok(Some(self.duplicate(&first)));
                }
                writer.producers.check(header)?;
            }
        }
        Ok(None)
    }

    fn duplicate(&self, first: &crate::producer::RememberedBatch) -> AppendInfo {
        let append_time = self.config.load().message_timestamp_type == TimestampType::LogAppendTime;
        AppendInfo {
            first_offset: Offset(first.first_offset()),
            last_offset: Offset(first.last_offset),
            log_append_time: append_time.then_some(first.timestamp),
            max_timestamp: first.timestamp,
            log_start_offset: self.log_start_offset(),
            record_count: 0,
            bytes: 0,
            duplicate: true,
            flush_due: false,
            rolled: false,
            conversion: Conversion::default(),
        }
    }

    /// Gives batches of a leader their offsets, epoch and time; checks that replicated ones continue
    /// the log.
    fn assign(
        &self,
        _writer: &Writer,
        ready: &mut ReadySet<'_>,
        options: &AppendOptions,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<Option<i64>, AppendError> {
        let mut next = self.log_end_offset().0;
        if options.origin == Origin::Replication {
            for batch in ready.iter() {
                let header = &batch.header;
                // Compaction leaves gaps, so a batch may begin beyond the end, never before it.
                if header.base_offset < next || !crate::stamp::is_sane(header) {
                    let log_end = self.log_end_offset();
                    return Err(AppendError::OffsetGap { found: header.base_offset, log_end });
                }
                next = header.next_offset();
            }
            return Ok(None);
        }
        let stamped = config.message_timestamp_type == TimestampType::LogAppendTime;
        for batch in ready.iter_mut() {
            batch.header.assign(next, options.leader_epoch.0);
            if stamped {
                set_max_timestamp(&mut batch.header, TimestampType::LogAppendTime, now_ms);
            }
            next = batch.header.next_offset();
        }
        Ok(stamped.then_some(now_ms))
    }

    fn note_epochs(&self, writer: &mut Writer, ready: &ReadySet<'_>) -> Result<(), StorageError> {
        for batch in ready {
            let epoch = LeaderEpoch(batch.header.partition_leader_epoch);
            if writer.epochs.latest().is_none_or(|latest| epoch > latest) {
                self.assign_epoch(writer, epoch, Offset(batch.header.base_offset))?;
            }
        }
        Ok(())
    }

    /// The active segment, or a new one when the batches must not go into it
    /// (`LogSegment.shouldRoll`).
    fn segment_for(
        &self,
        writer: &mut Writer,
        ready: &ReadySet<'_>,
        size: u64,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<Arc<Segment>, StorageError> {
        let Some(active) = self.active() else {
            return Err(StorageError::Closed { dir: self.dir.to_path_buf() });
        };
        let last_offset = ready.last().map_or(0, |batch| batch.header.last_offset());
        let max_timestamp = ready.iter().map(|b| b.header.max_timestamp).max().unwrap_or(-1);
        let held = active.size();
        let limit = u64::from(config.segment_bytes).min(MAX_SEGMENT_BYTES);
        let full = held > limit.saturating_sub(size)
            || active.is_index_full(config.segment_index_bytes)
            || waited_ms(&active, max_timestamp, now_ms)
                > config.max_segment_ms() - writer.jitter_ms
            || last_offset.saturating_sub(active.base_offset) > i64::from(i32::MAX);
        if held == 0 && last_offset.saturating_sub(active.base_offset) <= i64::from(i32::MAX) {
            return Ok(active);
        }
        if full { self.roll_to(writer, self.log_end_offset().0) } else { Ok(active) }
    }

    /// One write. A failed one leaves nothing behind, or a mark that the rest must go first.
    fn write(
        &self,
        writer: &mut Writer,
        segment: &Segment,
        ready: &ReadySet<'_>,
    ) -> Result<(), StorageError> {
        let path = || segment.path(names::LOG);
        let io = |action, error| StorageError::io(action, &path(), error);
        if writer.torn {
            let cut = segment.file().and_then(|file| file.set_len(segment.size()));
            self.guard(cut.map_err(|error| io("truncate", error)))?;
            writer.torn = false;
        }
        let headers: SmallVec<[[u8; HEADER_LEN]; 2]> =
            ready.iter().map(|batch| batch.header.to_bytes()).collect();
        let mut parts: SmallVec<[IoSlice<'_>; 4]> = SmallVec::new();
        for (header, batch) in headers.iter().zip(ready) {
            parts.push(IoSlice::new(header));
            parts.push(IoSlice::new(batch.body));
        }
        let Err(error) = segment.write(&mut parts) else { return Ok(()) };
        let error = io("append to", error);
        writer.torn = segment.file().and_then(|file| file.set_len(segment.size())).is_err();
        self.guard(Err(error))
    }

    /// Makes what was written visible, and remembers it.
    fn publish(
        &self,
        writer: &mut Writer,
        segment: &Segment,
        ready: &ReadySet<'_>,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        let interval = config.index_interval_bytes;
        let mut indexed = segment.publish(ready.iter().map(|batch| batch.header), interval);
        for batch in ready {
            let Some(done) = note_producer(writer, batch) else { continue };
            let next = batch.header.next_offset();
            let stable = writer.producers.first_open_offset().unwrap_or(next);
            if let Some(entry) = done.aborted_entry(stable) {
                indexed = indexed.and(segment.note_aborted(entry));
            }
        }
        if writer.producers.has_transactions() {
            self.has_transactions.store(true, Ordering::Release);
        }
        if let (Some(first), Some(last)) = (ready.first(), ready.last()) {
            self.append_times.lock().note(first.header.base_offset, now_ms);
            self.log_end.store(last.header.next_offset(), Ordering::Release);
        }
        // The batches are in. An index that is short of room, or of file handles, keeps its entries
        // in memory and catches up later.
        if self
            .guard(indexed.context("complete the indexes of", &segment.path(names::LOG)))
            .is_err()
        {
            self.check_usable()?;
        }
        Ok(())
    }
}

fn count_records(ready: &ReadySet<'_>) -> u64 {
    ready.iter().map(|batch| u64::from(batch.header.count.unsigned_abs())).sum()
}

fn note_producer(writer: &mut Writer, batch: &Ready<'_>) -> Option<crate::producer::CompletedTxn> {
    match batch.marker {
        Some(marker) => writer.producers.note_marker(&batch.header, marker),
        None => {
            writer.producers.note(&batch.header);
            None
        }
    }
}

/// How long the segment has been growing: by the batches' time when they have one.
fn waited_ms(segment: &Segment, max_timestamp: i64, now_ms: i64) -> i64 {
    match segment.roll_from() {
        RollFrom::FirstTimestamp(first) if max_timestamp != NO_TIMESTAMP => {
            max_timestamp.saturating_sub(first)
        }
        RollFrom::FirstTimestamp(_) => 0,
        RollFrom::Created(created) => now_ms.saturating_sub(created),
    }
}
