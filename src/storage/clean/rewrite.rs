//! One cleaning of one log: collect the keys of the dirty part, write what stays, swap it in.
//! Decisions are `plan`'s and `filter`'s.

use std::collections::HashMap;
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pharos_base::Clock;
use pharos_protocol::batch::RecordBatch;

use super::filter::{Kept, MAX_BATCH_OUTPUT_BYTES, Rules, Standing, filter};
use super::keys::KeyOffsets;
use super::pace::Pace;
use super::plan::{self, Dirty};
use super::transactions::Transactions;
use super::{CleanError, CleanerOptions};
use crate::error::{Context, StorageError};
use crate::log::{Log, read_marker};
use crate::names;
use crate::producer::ProducerEntry;
use crate::scan::Scan;
use crate::segment::Segment;

/// What a cleaning did.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cleaned {
    /// Offset up to which the log is clean now.
    pub(crate) cleaned_to: i64,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
    pub(crate) buffer_utilization_percent: f64,
    pub(crate) elapsed: Duration,
    /// Files to remove later.
    pub(crate) files: Vec<PathBuf>,
}

struct Round<'a> {
    log: &'a Log,
    keys: KeyOffsets,
    producers: HashMap<i64, ProducerEntry>,
    now_ms: i64,
    /// Bytes collected before they are written.
    buffer_bytes: usize,
    pace: &'a Pace,
    done: Cleaned,
}

/// Cleans the dirty part of `log`, with one cleaner's share of the room and at the pace of all.
pub(crate) fn clean(
    log: &Log,
    dirty: &Dirty,
    options: &CleanerOptions,
    pace: &Pace,
    clock: &Clock,
) -> Result<Cleaned, CleanError> {
    let began = clock.monotonic();
    let mut round = Round {
        log,
        keys: KeyOffsets::new(options.dedupe_buffer_bytes, options.load_factor),
        producers: by_id(log.producer_states()),
        now_ms: clock.now_ms(),
        buffer_bytes: options.io_buffer_bytes,
        pace,
        done: Cleaned::default(),
    };
    let segments = log.segments_snapshot();
    let collected = round.collect_keys(&segments, dirty);
    let end = unless_changed(log, &segments, collected)?;
    if end <= dirty.first_dirty {
        return Err(CleanError::NoProgress { offset: end });
    }
    let facts: Vec<_> = segments.iter().map(|segment| segment.facts()).collect();
    let config = log.config();
    for range in plan::group(&facts, end, &config) {
        let group = segments.get(range).unwrap_or_default();
        round.clean_group(group, end)?;
    }
    round.done.cleaned_to = end;
    round.done.elapsed = clock.monotonic().saturating_sub(began);
    round.done.buffer_utilization_percent = round.keys.utilization_percent();
    Ok(round.done)
}

impl Round<'_> {
    /// Notes the last offset of each key of the dirty part; returns where that ended: at the first
    /// uncleanable offset, or where the room for keys did.
    fn collect_keys(
        &mut self,
        segments: &[Arc<Segment>],
        dirty: &Dirty,
    ) -> Result<i64, CleanError> {
        let (from, to) = (dirty.first_dirty, dirty.first_uncleanable);
        let mut transactions = self.transactions(from, to)?;
        for segment in touching(segments, from, to) {
            let path = segment.path(names::LOG);
            let damaged = |what: String| StorageError::damaged(&path, what);
            let file = segment.file().context("open", &path)?;
            let size = segment.size();
            let start = segment.locate(from, size).context("read", &path)?;
            let Some(start) = start else { continue };
            let mut scan = Scan::batches(file.as_ref(), start.position, size);
            while let Some(found) = scan.next().context("read", &path)? {
                let header = found.header;
                if header.base_offset >= to {
                    break;
                }
                self.read(header.total_len() as u64);
                let bytes = scan.read(&found).context("read", &path)?.unwrap_or_default();
                let batch = RecordBatch::split(bytes).map_err(|e| damaged(e.to_string()))?.0;
                batch.check_crc().map_err(|e| damaged(e.to_string()))?;
                if header.is_control() {
                    let marker = read_marker(&batch).map_err(|e| damaged(e.to_string()))?;
                    transactions.end(&header, marker);
                } else if !transactions.is_aborted(&header) {
                    let count = usize::try_from(header.count).unwrap_or(0);
                    if !self.keys.has_room_for(count) {
                        return Ok(self.keys.latest_offset() + 1);
                    }
                    let open = batch.open(MAX_BATCH_OUTPUT_BYTES);
                    for record in open.map_err(|e| damaged(e.to_string()))?.records() {
                        let record = record.map_err(|e| damaged(e.to_string()))?;
                        if let Some(key) = record.key.filter(|_| record.offset >= from) {
                            self.keys.put(key, record.offset);
                        }
                    }
                }
                self.keys.seen_to(header.last_offset());
            }
        }
        self.keys.seen_to(to - 1);
        Ok(to)
    }

    fn read(&mut self, bytes: u64) {
        self.done.bytes_read += bytes;
        self.pace.moved(bytes);
    }

    fn transactions(&self, from: i64, to: i64) -> Result<Transactions, StorageError> {
        let (from, to) = (pharos_base::Offset(from), pharos_base::Offset(to));
        Ok(Transactions::new(self.log.aborted_transactions(from, to)?))
    }

    /// Writes what stays of a group into one new segment and puts that in its place.
    fn clean_group(&mut self, group: &[Arc<Segment>], end: i64) -> Result<(), CleanError> {
        let Some(first) = group.first() else { return Ok(()) };
        let last_end = self.log.end_of_segment(group.last());
        let mut transactions = self.transactions(first.base_offset, last_end)?;
        let target = self.log.create_cleaned(first.base_offset, self.now_ms)?;
        let written = self.write_group(group, end, &target, &mut transactions);
        let written = unless_changed(self.log, group, written);
        let finished = written.and_then(|()| Ok(self.finish(&target, group)?));
        if finished.is_err() && !self.log.home().is_offline() {
            self.log.discard_cleaned(&target);
        }
        finished
    }

    fn finish(&mut self, target: &Segment, group: &[Arc<Segment>]) -> Result<(), StorageError> {
        let path = target.path(names::LOG);
        target.seal().context("complete the indexes of", &path)?;
        self.log.sync_cleaned(target)?;
        self.done.files.extend(self.log.replace_segments(target, group)?);
        Ok(())
    }

    fn write_group(
        &mut self,
        group: &[Arc<Segment>],
        end: i64,
        target: &Segment,
        transactions: &mut Transactions,
    ) -> Result<(), CleanError> {
        let interval = self.log.config().index_interval_bytes;
        let mut output = Output {
            target,
            interval,
            pace: self.pace,
            buffer_bytes: self.buffer_bytes,
            bytes: Vec::new(),
            headers: Vec::new(),
        };
        for segment in group {
            let path = segment.path(names::LOG);
            let damaged = |what: String| StorageError::damaged(&path, what);
            let file = segment.file().context("open", &path)?;
            let size = segment.size();
            let mut scan = Scan::batches(file.as_ref(), 0, size);
            while let Some(found) = scan.next().context("read", &path)? {
                self.read(found.header.total_len() as u64);
                let bytes = scan.read(&found).context("read", &path)?.unwrap_or_default();
                let batch = RecordBatch::split(bytes).map_err(|e| damaged(e.to_string()))?.0;
                batch.check_crc().map_err(|e| damaged(e.to_string()))?;
                let aborted = self.write_batch(&batch, end, &mut output, transactions)?;
                if let Some(entry) = aborted {
                    output.flush().context("write", &target.path(names::LOG))?;
                    target.note_aborted(entry).context("write", &target.path(names::TXN_INDEX))?;
                }
            }
            // A walk that ended early would drop what follows.
            if scan.is_torn() {
                return Err(damaged("it holds a batch that cannot be read".into()).into());
            }
        }
        output.flush().context("write", &target.path(names::LOG))?;
        self.done.bytes_written += target.size();
        Ok(())
    }

    /// Writes what stays of one batch; the aborted transaction whose marker stayed with it.
    fn write_batch(
        &self,
        batch: &RecordBatch<'_>,
        end: i64,
        output: &mut Output<'_>,
        transactions: &mut Transactions,
    ) -> Result<Option<crate::index::AbortedTxn>, CleanError> {
        let header = batch.header();
        let log_start = self.log.log_start_offset().0;
        let damaged = |what: String| CleanError::Batch { offset: header.base_offset, what };
        let (is_void, aborted) = if header.is_control() {
            let marker = read_marker(batch).map_err(|e| damaged(e.to_string()))?;
            let verdict = transactions.end(header, marker);
            (verdict.is_empty, verdict.aborted)
        } else {
            (transactions.is_aborted(header), None)
        };
        let producer = self.producers.get(&header.producer_id);
        let rules = Rules {
            keys: &self.keys,
            now_ms: self.now_ms,
            delete_retention_ms: self.log.config().delete_retention_ms,
            round_end: end,
        };
        if header.last_offset() < log_start {
            return Ok(None);
        }
        let standing = Standing { is_void, producer };
        let kept = filter(batch, &rules, standing).map_err(|e| damaged(e.to_string()))?;
        let path = output.target.path(names::LOG);
        match kept {
            Kept::Nothing => return Ok(None),
            Kept::Same => output.push(batch.bytes()),
            Kept::Rewritten(bytes) => output.push(&bytes),
        }
        .context("write", &path)?;
        Ok(aborted)
    }
}

/// Collects batches and appends them in large writes.
struct Output<'a> {
    target: &'a Segment,
    interval: u32,
    pace: &'a Pace,
    buffer_bytes: usize,
    bytes: Vec<u8>,
    headers: Vec<pharos_protocol::batch::BatchHeader>,
}

impl Output<'_> {
    fn push(&mut self, batch: &[u8]) -> std::io::Result<()> {
        if let Ok((view, _)) = RecordBatch::split(batch) {
            self.headers.push(*view.header());
            self.bytes.extend_from_slice(batch);
        }
        if self.bytes.len() >= self.buffer_bytes { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        self.target.write(&mut [IoSlice::new(&self.bytes)])?;
        self.target.publish(self.headers.drain(..), self.interval)?;
        self.pace.moved(self.bytes.len() as u64);
        self.bytes.clear();
        Ok(())
    }
}

/// Retention may delete a segment that is being read: the next round begins with those of then.
fn unless_changed<T>(
    log: &Log,
    segments: &[Arc<Segment>],
    result: Result<T, CleanError>,
) -> Result<T, CleanError> {
    match result {
        Err(_) if segments.iter().any(|segment| segment.is_retired()) => {
            Err(StorageError::Closed { dir: log.dir().to_path_buf() }.into())
        }
        other => other,
    }
}

fn by_id(entries: Vec<ProducerEntry>) -> HashMap<i64, ProducerEntry> {
    entries.into_iter().map(|entry| (entry.producer_id, entry)).collect()
}

/// Segments that may hold offsets from `from` up to `to`.
fn touching(segments: &[Arc<Segment>], from: i64, to: i64) -> &[Arc<Segment>] {
    let first = segments.partition_point(|segment| segment.base_offset <= from).saturating_sub(1);
    let last = segments.partition_point(|segment| segment.base_offset < to);
    segments.get(first..last.max(first)).unwrap_or_default()
}
