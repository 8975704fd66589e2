//! Fetched bytes become records: batch by batch, transactions filtered, never a panic.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use pharos_base::{Offset, PartitionId, TopicPartition};
use pharos_protocol::batch::{BatchError, BatchHeader, ControlRecord, RecordBatch, RecordIter};
use pharos_protocol::compression::{self, Codec};

pub use pharos_protocol::batch::TimestampType;

/// Most bytes that one compressed batch may grow to: brokers take batches of 1 MiB unless told
/// otherwise, which zeros fill two hundredfold.
pub const MAX_UNCOMPRESSED_BATCH_BYTES: u64 = 256 * 1024 * 1024;
/// Records that are decoded at a time: a batch may hold millions of nothing but their frames.
const RECORDS_AT_ONCE: usize = 1000;

/// A record as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerRecord {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: PartitionId,
    /// Offset.
    pub offset: Offset,
    /// Epoch of the leader that stored it; -1 when unknown.
    pub leader_epoch: i32,
    /// Milliseconds since 1970; -1 for none.
    pub timestamp_ms: i64,
    /// Who set the timestamp.
    pub timestamp_type: TimestampType,
    /// Key.
    pub key: Option<Bytes>,
    /// Value; none is a tombstone.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// The records of one partition in one fetch, decoded as they are asked for.
pub(crate) struct Fetched {
    partition: TopicPartition,
    bytes: Bytes,
    /// The next offset to hand out.
    pub position: Offset,
    ready: VecDeque<ConsumerRecord>,
    open: Option<Open>,
    /// Aborted transactions by first offset; None with read_uncommitted.
    aborted: Option<VecDeque<(i64, i64)>>,
    aborting: HashSet<i64>,
    check_crcs: bool,
}

/// A batch that is being read.
struct Open {
    header: BatchHeader,
    /// Frames that have not been read, uncompressed.
    frames: Bytes,
    /// Index of the first of them.
    index: i32,
}

impl Fetched {
    /// `aborted` holds (producer id, first offset) of aborted transactions for read_committed.
    pub fn new(
        partition: TopicPartition,
        bytes: Bytes,
        position: Offset,
        aborted: Option<Vec<(i64, i64)>>,
        check_crcs: bool,
    ) -> Self {
        let aborted = aborted.map(|mut list| {
            list.sort_by_key(|(_, first)| *first);
            list.into()
        });
        Self {
            partition,
            bytes,
            position,
            ready: VecDeque::new(),
            open: None,
            aborted,
            aborting: HashSet::new(),
            check_crcs,
        }
    }

    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The next record, or none at the end. `position` moves past what is skipped, too.
    pub fn next(&mut self) -> Result<Option<ConsumerRecord>, BatchError> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                self.position = record.offset.plus(1);
                return Ok(Some(record));
            }
            match self.open.take() {
                Some(open) => self.read_some(open)?,
                None if self.open_next()? => {}
                None => return Ok(None),
            }
        }
    }

    /// Records that are decoded and not handed out.
    #[cfg(test)]
    pub fn decoded(&self) -> usize {
        self.ready.len()
    }

    /// Opens the next batch; false at the end. A batch that is cut off ends the fetch: brokers may
    /// send the beginning of one.
    fn open_next(&mut self) -> Result<bool, BatchError> {
        let bytes = self.bytes.clone();
        if bytes.is_empty() {
            return Ok(false);
        }
        let (batch, rest) = match RecordBatch::split(&bytes) {
            Ok(split) => split,
            Err(BatchError::Truncated { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        if self.check_crcs {
            batch.check_crc()?;
        }
        self.bytes = bytes.slice_ref(rest);
        let header = *batch.header();
        if self.wanted(&batch)? {
            self.open = Some(Open { header, frames: frames(&bytes, &batch)?, index: 0 });
        } else {
            self.leave(&header);
        }
        Ok(true)
    }

    /// Moves behind a batch. Compaction and control batches leave offsets without records.
    fn leave(&mut self, header: &BatchHeader) {
        self.position = self.position.max(Offset(header.next_offset()));
    }

    fn wanted(&mut self, batch: &RecordBatch<'_>) -> Result<bool, BatchError> {
        let header = batch.header();
        if let Some(aborted) = &mut self.aborted {
            while let Some((producer, _)) =
                aborted.front().copied().filter(|(_, first)| *first <= header.last_offset())
            {
                aborted.pop_front();
                self.aborting.insert(producer);
            }
            if header.is_control() && is_abort(batch)? {
                self.aborting.remove(&header.producer_id);
            }
            if header.is_transactional() && self.aborting.contains(&header.producer_id) {
                return Ok(false);
            }
        }
        Ok(!header.is_control())
    }

    /// Decodes some records of an open batch, and keeps it while it has more: records take more room
    /// than their frames.
    fn read_some(&mut self, open: Open) -> Result<(), BatchError> {
        let Open { header, frames, index: first } = open;
        let mut records = RecordIter::from_index(&header, &frames, first);
        for record in records.by_ref().take(RECORDS_AT_ONCE) {
            let record = record?;
            if record.offset < self.position.0 {
                continue;
            }
            let headers = record.headers.iter().map(|header| {
                (header.key_text().into_owned(), header.value.map(|value| frames.slice_ref(value)))
            });
            self.ready.push_back(ConsumerRecord {
                topic: self.partition.topic.clone(),
                partition: self.partition.partition,
                offset: Offset(record.offset),
                leader_epoch: header.partition_leader_epoch,
                timestamp_ms: record.timestamp,
                timestamp_type: header.timestamp_type(),
                key: record.key.map(|key| frames.slice_ref(key)),
                value: record.value.map(|value| frames.slice_ref(value)),
                headers: headers.collect(),
            });
        }
        let (left, index) = records.left();
        if index > first {
            let frames = frames.slice_ref(left);
            self.open = Some(Open { header, frames, index });
        } else {
            self.leave(&header);
        }
        Ok(())
    }
}

/// The frames of a batch, uncompressed.
fn frames(bytes: &Bytes, batch: &RecordBatch<'_>) -> Result<Bytes, BatchError> {
    match batch.header().known_codec()? {
        Codec::None => Ok(bytes.slice_ref(batch.body())),
        codec => {
            let limit = MAX_UNCOMPRESSED_BATCH_BYTES;
            Ok(compression::decompress(codec, batch.body(), limit)?.into())
        }
    }
}

fn is_abort(batch: &RecordBatch<'_>) -> Result<bool, BatchError> {
    let open = batch.open(MAX_UNCOMPRESSED_BATCH_BYTES)?;
    let first = open.records().next().transpose()?;
    let control = first.and_then(|record| ControlRecord::read(record.key, record.value).ok());
    Ok(matches!(control, Some(ControlRecord::Abort { .. })))
}
