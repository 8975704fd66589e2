//! The 61 bytes in front of a batch's records.

use std::ops::Range;

use super::BatchError;
use crate::compression::Codec;

/// Length of a batch's header, in bytes.
pub const HEADER_LEN: usize = 61;
/// Bytes in front of what the length field counts: base offset and the length itself.
pub const LOG_OVERHEAD: usize = 12;
/// The only supported magic.
pub const MAGIC_V2: i8 = 2;
/// Timestamp of a record that has none.
pub const NO_TIMESTAMP: i64 = -1;
/// Producer id of a batch that has none.
pub const NO_PRODUCER_ID: i64 = -1;
/// Producer epoch of a batch that has none.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// Base sequence of a batch that has none.
pub const NO_SEQUENCE: i32 = -1;

/// Where the base offset lies.
pub const BASE_OFFSET_RANGE: Range<usize> = 0..8;
/// Where the length lies.
pub const LENGTH_RANGE: Range<usize> = 8..12;
/// Where the partition leader epoch lies.
pub const PARTITION_LEADER_EPOCH_RANGE: Range<usize> = 12..16;
/// Where the byte of the magic lies.
pub const MAGIC_AT: usize = 16;
/// Where the checksum lies; it covers all that follows it.
pub const CRC_RANGE: Range<usize> = 17..21;
const ATTRIBUTES_RANGE: Range<usize> = 21..23;
const MAX_TIMESTAMP_RANGE: Range<usize> = 35..43;

const CODEC_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
const DELETE_HORIZON: i16 = 0x40;

/// Whose clock made a batch's timestamps (`message.timestamp.type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's: all records have the batch's maximum.
    LogAppendTime,
}

/// The header of a batch of magic 2, field by field in the order of the bytes (magic left out).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; survives compaction.
    pub base_offset: i64,
    /// Bytes that follow the length field.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; −1 from producers.
    pub partition_leader_epoch: i32,
    /// CRC-32C of everything behind it.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: i16,
    /// Offset of the last record less the base offset; survives compaction.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas count from, in ms; or the delete horizon.
    pub base_timestamp: i64,
    /// Greatest timestamp as the writer of the batch says, in ms.
    pub max_timestamp: i64,
    /// Producer id, −1 for none.
    pub producer_id: i64,
    /// Producer epoch, −1 for none.
    pub producer_epoch: i16,
    /// Sequence number of the first record, −1 for none.
    pub base_sequence: i32,
    /// Records that the batch claims to hold.
    pub count: i32,
}

impl BatchHeader {
    /// Reads the header at the front of `input`. Checks length and magic, nothing else.
    ///
    /// # Errors
    /// [`BatchError::InvalidLength`] and [`BatchError::UnsupportedMagic`] as soon as the bytes
    /// show them, [`BatchError::Truncated`] when they end inside the header.
    pub fn read(input: &[u8]) -> Result<Self, BatchError> {
        let available = input.len();
        if let (Some(length), Some(&magic)) = (input.get(LENGTH_RANGE), input.get(MAGIC_AT)) {
            let batch_length = i32::from_be_bytes(fixed(length));
            let magic = magic as i8;
            if magic != MAGIC_V2 {
                return Err(BatchError::UnsupportedMagic(magic));
            }
            if batch_length < (HEADER_LEN - LOG_OVERHEAD) as i32 {
                return Err(BatchError::InvalidLength(batch_length));
            }
        }
        let bytes = input
            .first_chunk::<HEADER_LEN>()
            .ok_or(BatchError::Truncated { needed: HEADER_LEN, available })?;
        Ok(Self::parse(bytes))
    }

    /// Takes the bytes for a header, whatever they say: nothing is checked, not even the magic.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Self {
        Self {
            base_offset: i64::from_be_bytes(at(bytes, BASE_OFFSET_RANGE.start)),
            batch_length: i32::from_be_bytes(at(bytes, LENGTH_RANGE.start)),
            partition_leader_epoch: i32::from_be_bytes(at(
                bytes,
                PARTITION_LEADER_EPOCH_RANGE.start,
            )),
            crc: u32::from_be_bytes(at(bytes, CRC_RANGE.start)),
            attributes: i16::from_be_bytes(at(bytes, ATTRIBUTES_RANGE.start)),
            last_offset_delta: i32::from_be_bytes(at(bytes, 23)),
            base_timestamp: i64::from_be_bytes(at(bytes, 27)),
            max_timestamp: i64::from_be_bytes(at(bytes, MAX_TIMESTAMP_RANGE.start)),
            producer_id: i64::from_be_bytes(at(bytes, 43)),
            producer_epoch: i16::from_be_bytes(at(bytes, 51)),
            base_sequence: i32::from_be_bytes(at(bytes, 53)),
            count: i32::from_be_bytes(at(bytes, 57)),
        }
    }

    /// The 61 bytes of this header, the checksum as it stands in [`Self::crc`].
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        put(&mut out, BASE_OFFSET_RANGE.start, self.base_offset.to_be_bytes());
        put(&mut out, LENGTH_RANGE.start, self.batch_length.to_be_bytes());
        let epoch = self.partition_leader_epoch.to_be_bytes();
        put(&mut out, PARTITION_LEADER_EPOCH_RANGE.start, epoch);
        put(&mut out, MAGIC_AT, MAGIC_V2.to_be_bytes());
        put(&mut out, CRC_RANGE.start, self.crc.to_be_bytes());
        put(&mut out, ATTRIBUTES_RANGE.start, self.attributes.to_be_bytes());
        put(&mut out, 23, self.last_offset_delta.to_be_bytes());
        put(&mut out, 27, self.base_timestamp.to_be_bytes());
        put(&mut out, MAX_TIMESTAMP_RANGE.start, self.max_timestamp.to_be_bytes());
        put(&mut out, 43, self.producer_id.to_be_bytes());
        put(&mut out, 51, self.producer_epoch.to_be_bytes());
        put(&mut out, 53, self.base_sequence.to_be_bytes());
        put(&mut out, 57, self.count.to_be_bytes());
        out
    }

    /// The CRC-32C that a batch of this header and `body` must carry.
    pub fn compute_crc(&self, body: &[u8]) -> u32 {
        let header = self.to_bytes();
        let covered = header.get(CRC_RANGE.end..).unwrap_or_default();
        crc32c::crc32c_append(crc32c::crc32c(covered), body)
    }

    /// Gives the batch its place in a log. Both fields lie outside the checksum.
    pub fn assign(&mut self, base_offset: i64, partition_leader_epoch: i32) {
        self.base_offset = base_offset;
        self.partition_leader_epoch = partition_leader_epoch;
    }

    /// Makes `now_ms` the timestamp of all records (LogAppendTime) and computes the checksum anew
    /// over the header and `body`.
    pub fn set_log_append_time(&mut self, now_ms: i64, body: &[u8]) {
        self.attributes |= LOG_APPEND_TIME;
        self.max_timestamp = now_ms;
        self.crc = self.compute_crc(body);
    }

    /// Length of the whole batch, in bytes.
    pub fn total_len(&self) -> usize {
        LOG_OVERHEAD + usize::try_from(self.batch_length).unwrap_or(0)
    }

    /// Offset of the last record, also when compaction took it away; saturates.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset that follows the batch; saturates.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Sequence number of the last record, −1 for none; wraps to 0 after 2³¹−1 as Kafka's do.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        sequence_plus(self.base_sequence, self.last_offset_delta)
    }

    /// The codec, `None` when the attributes name an unknown one.
    pub fn codec(&self) -> Option<Codec> {
        Codec::from_id((self.attributes & CODEC_MASK) as u8)
    }

    /// The codec of the records.
    ///
    /// # Errors
    /// [`BatchError::UnknownCodec`].
    pub fn known_codec(&self) -> Result<Codec, BatchError> {
        self.codec().ok_or(BatchError::UnknownCodec((self.attributes & CODEC_MASK) as u8))
    }

    /// Whose clock made the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the records are control records (markers, leader changes, snapshot frames).
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether a producer id is set.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// From when on the cleaner may drop tombstones and markers of the batch, in ms (KIP-534).
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }
}

/// The flags of a batch as an attributes field.
pub(super) fn attributes(
    codec: Codec,
    timestamp_type: TimestampType,
    transactional: bool,
    control: bool,
    delete_horizon: bool,
) -> i16 {
    let mut attributes = i16::from(codec.id());
    let flags = [
        (timestamp_type == TimestampType::LogAppendTime, LOG_APPEND_TIME),
        (transactional, TRANSACTIONAL),
        (control, CONTROL),
        (delete_horizon, DELETE_HORIZON),
    ];
    for (set, flag) in flags {
        if set {
            attributes |= flag;
        }
    }
    attributes
}

/// The sequence number `count` records after `sequence`: 0 follows 2³¹−1
/// (`DefaultRecordBatch.incrementSequence`).
pub fn sequence_plus(sequence: i32, count: i32) -> i32 {
    // Both lie in 0..2^31 in a lawful batch, then the sum modulo 2^31 is Kafka's rule.
    ((i64::from(sequence) + i64::from(count)) & i64::from(i32::MAX)) as i32
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk::<N>().copied().unwrap_or([0; N])
}

fn at<const N: usize>(bytes: &[u8; HEADER_LEN], start: usize) -> [u8; N] {
    fixed(bytes.get(start..).unwrap_or_default())
}

fn put<const N: usize>(out: &mut [u8; HEADER_LEN], start: usize, value: [u8; N]) {
    if let Some(to) = out.get_mut(start..start + N) {
        to.copy_from_slice(&value);
    }
}
