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
/// Most bytes of a control batch, which holds one marker of a few bytes.
const MAX_CONTROL_BATCH_BYTES: u64 = 64 * 1024;

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
    /// The batch whose records come next.
    open: Option<OpenBatch>,
    /// Aborted transactions by first offset; None with read_uncommitted.
    aborted: Option<VecDeque<(i64, i64)>>,
    aborting: HashSet<i64>,
    check_crcs: bool,
}

/// A batch whose records are read one by one: as records they take many times their bytes.
struct OpenBatch {
    header: BatchHeader,
    /// The frames that have not been read, uncompressed.
    rest: Bytes,
    /// Index of the next record.
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
        let aborting = HashSet::new();
        Self { partition, bytes, position, open: None, aborted, aborting, check_crcs }
    }

    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// Whether not even one batch is whole: nothing can ever be read from here.
    pub fn is_stuck(&self) -> bool {
        matches!(RecordBatch::split(&self.bytes), Err(BatchError::Truncated { .. }))
    }

    /// The next record, or none at the end. `position` moves past what is skipped, too. After an
    /// error it stays where it is, and the same error comes again.
    pub fn next(&mut self) -> Result<Option<ConsumerRecord>, BatchError> {
        loop {
            while let Some(open) = &mut self.open {
                let Some(record) = open.next(&self.partition)? else {
                    // Compaction and control batches leave offsets without records.
                    self.position = self.position.max(Offset(open.header.next_offset()));
                    self.open = None;
                    break;
                };
                if record.offset >= self.position {
                    self.position = record.offset.plus(1);
                    return Ok(Some(record));
                }
            }
            if !self.open_next()? {
                return Ok(None);
            }
        }
    }

    /// Decodes the next batch; false at the end. A batch that is cut off ends the fetch: brokers may
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
        if self.wanted(&batch)? {
            self.open = Some(OpenBatch::new(&bytes, &batch)?);
        } else {
            self.position = self.position.max(Offset(batch.header().next_offset()));
        }
        self.bytes = bytes.slice_ref(rest);
        Ok(true)
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
}

impl OpenBatch {
    fn new(frame: &Bytes, batch: &RecordBatch<'_>) -> Result<Self, BatchError> {
        let header = *batch.header();
        let rest = match header.codec() {
            Some(Codec::None) => frame.slice_ref(batch.body()),
            Some(codec) => Bytes::from(compression::decompress(
                codec,
                batch.body(),
                MAX_UNCOMPRESSED_BATCH_BYTES,
            )?),
            None => return Err(BatchError::UnknownCodec(7)),
        };
        Ok(Self { header, rest, index: 0 })
    }

    fn next(&mut self, of: &TopicPartition) -> Result<Option<ConsumerRecord>, BatchError> {
        let (header, body) = (&self.header, self.rest.clone());
        let mut records = RecordIter::from_index(header, &body, self.index);
        let Some(record) = records.next().transpose()? else { return Ok(None) };
        let headers = record.headers.iter().map(|header| {
            (header.key_text().into_owned(), header.value.map(|value| body.slice_ref(value)))
        });
        let read = ConsumerRecord {
            topic: of.topic.clone(),
            partition: of.partition,
            offset: Offset(record.offset),
            leader_epoch: header.partition_leader_epoch,
            timestamp_ms: record.timestamp,
            timestamp_type: header.timestamp_type(),
            key: record.key.map(|key| body.slice_ref(key)),
            value: record.value.map(|value| body.slice_ref(value)),
            headers: headers.collect(),
        };
        let (rest, index) = records.left();
        (self.rest, self.index) = (body.slice_ref(rest), index);
        Ok(Some(read))
    }
}

fn is_abort(batch: &RecordBatch<'_>) -> Result<bool, BatchError> {
    let open = batch.open(MAX_CONTROL_BATCH_BYTES)?;
    let first = open.records().next().transpose()?;
    let control = first.and_then(|record| ControlRecord::read(record.key, record.value).ok());
    Ok(matches!(control, Some(ControlRecord::Abort { .. })))
}
