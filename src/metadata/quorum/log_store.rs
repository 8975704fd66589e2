//! The log as openraft drives it: entries become batches on the way in and entries again on the way
//! out. Writes are one after the other and durable before the callback.
//!
//! A full disk is waited out. Any other failure of a write stops the quorum for good: a failed
//! fsync must not be tried again into success.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::time::Duration;

use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend, RaftLogReader, StorageIOError};
use parking_lot::Mutex;
use pharos_base::{Clock, TopicId};
use pharos_protocol::batch::RecordBatch;

use super::entry::{from_batch, to_batch};
use super::log_file::LogFile;
use super::{Entry, EntryError, LogId, StateFile, StorageError, TypeConfig, Vote};
use crate::record::{MetadataRecord, decode_batch};

/// How long to wait before a write is tried again on a full disk.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(200);
/// Bytes of entries after which replication takes a break, so that a follower that lags far behind
/// does not make the leader hold its whole log in memory.
const MAX_READ_BYTES: usize = 4 << 20;

/// The log and the vote; clones share them.
#[derive(Clone)]
pub(crate) struct LogStore {
    inner: Arc<Mutex<Inner>>,
    clock: Clock,
}

struct Inner {
    log: LogFile,
    state: StateFile,
    /// Offset behind the last record of the snapshot that is held, with the entry it ends with.
    snapshot_end: Option<(LogId, i64)>,
}

/// Figures of the log for metrics and DescribeQuorum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogFigures {
    pub start_offset: i64,
    pub end_offset: i64,
    pub size_bytes: u64,
    pub segments: usize,
}

impl LogStore {
    pub(super) fn new(log: LogFile, state: StateFile, clock: Clock) -> Self {
        let inner = Inner { log, state, snapshot_end: None };
        Self { inner: Arc::new(Mutex::new(inner)), clock }
    }

    pub fn figures(&self) -> LogFigures {
        let inner = self.inner.lock();
        LogFigures {
            start_offset: inner.log.start_offset(),
            end_offset: inner.log.next_offset(),
            size_bytes: inner.log.size_bytes(),
            segments: inner.log.segment_count(),
        }
    }

    /// Tells where the newest snapshot ends, so that the log can begin there.
    pub fn set_snapshot_end(&self, last: LogId, next_offset: i64) {
        self.inner.lock().snapshot_end = Some((last, next_offset));
    }

    /// Term of the last entry; 0 before the first.
    pub fn last_term(&self) -> u64 {
        self.inner.lock().log.last_log_id().map_or(0, |log_id| log_id.leader_id.term)
    }

    /// The node that this voter voted for last, with the term.
    pub fn voted_for(&self) -> Option<(u64, u64)> {
        self.inner.lock().state.state().vote
    }

    /// Ids of the topics that the entries in the log up to index `upto` remove. Blocks on the disk.
    ///
    /// # Errors
    /// When an entry cannot be read.
    pub fn removed_topics(&self, upto: u64) -> io::Result<BTreeSet<TopicId>> {
        let inner = self.inner.lock();
        let first = inner.log.purged().map_or(0, |log_id| log_id.index + 1);
        let mut removed = BTreeSet::new();
        for entry in inner.read(first..=upto, usize::MAX)? {
            let EntryPayload::Normal(proposal) = entry.payload else { continue };
            let split = RecordBatch::split(&proposal.batch);
            let (batch, _) = split.map_err(|error| invalid(error.into()))?;
            for record in decode_batch(&batch).map_err(|error| invalid(error.into()))? {
                if let MetadataRecord::RemoveTopic(record) = record {
                    removed.insert(record.topic_id);
                }
            }
        }
        Ok(removed)
    }

    /// Runs a blocking write off the runtime's workers.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inner) -> T + Send + 'static,
    ) -> Result<T, io::Error> {
        let inner = self.inner.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut inner.lock())).await;
        done.map_err(io::Error::other)
    }

    /// Appends entries; waits while the disk is full.
    async fn append_all(&self, entries: Vec<Entry>) -> io::Result<()> {
        let now_ms = self.clock.now_ms();
        let entries = Arc::new(entries);
        let mut warned = false;
        loop {
            let mine = entries.clone();
            let done = self.blocking(move |inner| inner.append(&mine, now_ms)).await?;
            match done {
                Err(error) if is_full(&error) => {
                    if !warned {
                        tracing::warn!("no room for the metadata log, waiting: {error}");
                        warned = true;
                    }
                    tokio::time::sleep(FULL_DISK_PAUSE).await;
                }
                done => return done,
            }
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn invalid(error: EntryError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

impl Inner {
    fn append(&mut self, entries: &[Entry], now_ms: i64) -> io::Result<()> {
        let leader = self.state.state().vote.map_or(0, |(_, node)| node);
        let mut offset = self.log.next_offset();
        let mut batches = Vec::with_capacity(entries.len());
        for entry in entries {
            let batch = to_batch(entry, offset, leader, now_ms).map_err(invalid)?;
            let (view, _) = RecordBatch::split(&batch).map_err(|error| invalid(error.into()))?;
            offset = view.header().next_offset();
            batches.push((entry.log_id, batch));
        }
        self.log.append(&batches)
    }

    /// The entries of a range that are there, up to about `max_bytes` but at least one.
    fn read(&self, range: impl RangeBounds<u64>, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start + 1,
            Bound::Unbounded => 0,
        };
        let beyond = |index: u64| match range.end_bound() {
            Bound::Included(end) => index > *end,
            Bound::Excluded(end) => index >= *end,
            Bound::Unbounded => false,
        };
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut index = start;
        while let Some(slot) = self.log.slot(index).filter(|_| !beyond(index)) {
            let batch = self.log.read(slot)?;
            bytes += batch.len();
            entries.push(from_batch(&batch, index).map_err(invalid)?);
            index += 1;
            if bytes > max_bytes {
                break;
            }
        }
        Ok(entries)
    }

    fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let snapshot_end = self.snapshot_end.filter(|(last, _)| *last == upto);
        let offset = snapshot_end.map_or_else(|| self.log.next_offset(), |(_, offset)| offset);
        let beginning = self.log.beginning_after(upto, offset);
        // Durable first: a log that lacks its beginning without saying so would be refused.
        self.state.save_beginning(beginning).map_err(io::Error::other)?;
        self.log.purge(beginning)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        // All of the range: openraft applies what it asks for in one go. What lies behind the last
        // snapshot is bounded by the snapshot policy, and was written lately, so it is in memory.
        let entries = self.inner.lock().read(range, usize::MAX);
        entries.map_err(|error| StorageIOError::read_logs(&error).into())
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        let entries = self.inner.lock().read(start..end, MAX_READ_BYTES);
        entries.map_err(|error| StorageIOError::read_logs(&error).into())
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let inner = self.inner.lock();
        Ok(LogState {
            last_purged_log_id: inner.log.purged(),
            last_log_id: inner.log.last_log_id(),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let vote = *vote;
        let saved = self.blocking(move |inner| inner.state.save_vote(&vote)).await;
        let saved = saved.and_then(|saved| saved.map_err(io::Error::other));
        saved.map_err(|error| StorageIOError::write_vote(&error).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.inner.lock().state.vote())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        // A hint: losing it costs nothing but the distinction between damage and a torn write.
        if let Err(error) = self.inner.lock().state.hint_committed(committed) {
            tracing::debug!("the commit hint could not be written: {error}");
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        let inner = self.inner.lock();
        Ok(inner
            .state
            .committed()
            .filter(|id| Some(id.index) <= inner.log.last_log_id().map(|it| it.index)))
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<TypeConfig>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let done = self.append_all(entries).await;
        let told = match &done {
            Ok(()) => Ok(()),
            Err(error) => Err(io::Error::from(error.kind())),
        };
        callback.log_io_completed(told);
        done.map_err(|error| StorageIOError::write_logs(&error).into())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let done = self.blocking(move |inner| inner.log.truncate(log_id.index)).await;
        done.and_then(|done| done).map_err(|error| StorageIOError::write_logs(&error).into())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let done = self.blocking(move |inner| inner.purge(log_id)).await;
        done.and_then(|done| done).map_err(|error| StorageIOError::write_logs(&error).into())
    }
}
