//! Makes batches: of producers, coordinators, the metadata log, and of the cleaner, which keeps
//! offsets, base and last delta of a batch that it thins out.

use bytes::Bytes;

use super::header::{
    self, BatchHeader, HEADER_LEN, LOG_OVERHEAD, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
    NO_TIMESTAMP, TimestampType,
};
use super::record::Record;
use crate::compression::{self, Codec, CompressionError};
use crate::varint;

/// Everything of a batch but its records.
#[derive(Clone, Copy, Debug)]
pub struct BatchOptions {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Epoch of the leader; −1 for a producer's batch.
    pub partition_leader_epoch: i32,
    /// How the records are compressed.
    pub codec: Codec,
    /// Level of the codec, `None` for its default.
    pub level: Option<i32>,
    /// Whose clock makes the timestamps.
    pub timestamp_type: TimestampType,
    /// The timestamp of all records with [`TimestampType::LogAppendTime`], in ms.
    pub log_append_time: i64,
    /// Producer id, −1 for none.
    pub producer_id: i64,
    /// Producer epoch, −1 for none.
    pub producer_epoch: i16,
    /// Sequence number of the first record, −1 for none.
    pub base_sequence: i32,
    /// Whether the batch belongs to a transaction.
    pub transactional: bool,
    /// Whether the records are control records.
    pub control: bool,
    /// From when on the cleaner may drop tombstones and markers, in ms (KIP-534).
    pub delete_horizon_ms: Option<i64>,
    /// Last offset delta to keep although the last record is gone.
    pub last_offset_delta: Option<i32>,
    /// Greatest timestamp to keep for a batch without records, in ms.
    pub max_timestamp: Option<i64>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            base_offset: 0,
            partition_leader_epoch: -1,
            codec: Codec::None,
            level: None,
            timestamp_type: TimestampType::CreateTime,
            log_append_time: NO_TIMESTAMP,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
            delete_horizon_ms: None,
            last_offset_delta: None,
            max_timestamp: None,
        }
    }
}

/// One record to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    /// Timestamp, in ms; −1 for none.
    pub timestamp: i64,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
    /// Headers, keys and values.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// Why a batch cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A record or the batch does not fit the format's 32-bit lengths.
    #[error("the batch would take {0} bytes, more than its length field holds")]
    TooLarge(usize),
    /// The records' offsets do not rise.
    #[error("the offset delta {delta} does not lie above {last}")]
    OffsetOrder {
        /// Delta of the new record.
        delta: i64,
        /// Delta of the last one.
        last: i64,
    },
    /// The codec failed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

/// Collects records and makes a batch of them.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    options: BatchOptions,
    frames: Vec<u8>,
    count: i32,
    last_delta: i64,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new(options: BatchOptions) -> Self {
        Self {
            options,
            frames: Vec::new(),
            count: 0,
            last_delta: -1,
            base_timestamp: options.delete_horizon_ms.unwrap_or(NO_TIMESTAMP),
            max_timestamp: NO_TIMESTAMP,
        }
    }

    /// Appends a record at the next offset.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`].
    pub fn push(&mut self, record: &NewRecord<'_>) -> Result<(), BuildError> {
        let offset = self.options.base_offset.saturating_add(self.last_delta + 1);
        self.push_at(offset, record)
    }

    /// Appends a record at `offset`, which lies above all so far.
    ///
    /// # Errors
    /// [`BuildError::OffsetOrder`], [`BuildError::TooLarge`].
    pub fn push_at(&mut self, offset: i64, record: &NewRecord<'_>) -> Result<(), BuildError> {
        let headers = HeaderFrames { count: record.headers.len(), raw: &[] };
        self.push_frame(offset, record, headers)
    }

    fn push_frame(
        &mut self,
        offset: i64,
        record: &NewRecord<'_>,
        headers: HeaderFrames<'_>,
    ) -> Result<(), BuildError> {
        let delta = offset.saturating_sub(self.options.base_offset);
        let last = self.last_delta;
        let delta_32 = i32::try_from(delta).map_err(|_| BuildError::OffsetOrder { delta, last })?;
        if delta <= last {
            return Err(BuildError::OffsetOrder { delta, last });
        }
        if self.count == 0 && self.options.delete_horizon_ms.is_none() {
            self.base_timestamp = record.timestamp;
        }
        let timestamp_delta = record.timestamp.wrapping_sub(self.base_timestamp);
        let body_len = frame_len(timestamp_delta, delta_32, record, headers);
        let total = self.total_len() + body_len + varint::MAX_VARINT_LEN;
        let len = match (i32::try_from(body_len), i32::try_from(total)) {
            (Ok(len), Ok(_)) => len,
            _ => return Err(BuildError::TooLarge(total)),
        };
        varint::write_i32(&mut self.frames, len);
        write_frame(&mut self.frames, timestamp_delta, delta_32, record, headers);
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.last_delta = delta;
        self.count += 1;
        Ok(())
    }

    /// Appends a copy of a record at `offset`, which lies above all so far; its headers go over as
    /// they are, also when a key is not UTF-8.
    ///
    /// # Errors
    /// [`BuildError::OffsetOrder`], [`BuildError::TooLarge`].
    pub fn copy_at(&mut self, offset: i64, record: &Record<'_>) -> Result<(), BuildError> {
        let Record { timestamp, key, value, .. } = *record;
        let new = NewRecord { timestamp, key, value, headers: &[] };
        let headers = HeaderFrames { count: record.headers.len(), raw: record.headers.raw() };
        self.push_frame(offset, &new, headers)
    }

    /// Bytes that the batch would take without compression.
    pub fn total_len(&self) -> usize {
        HEADER_LEN + self.frames.len()
    }

    /// Records so far.
    pub fn len(&self) -> i32 {
        self.count
    }

    /// Whether there are no records yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes that `record` would add at most, before compression.
    pub fn upper_bound(record: &NewRecord<'_>) -> usize {
        frame_len(
            i64::MIN,
            i32::MAX,
            record,
            HeaderFrames { count: record.headers.len(), raw: &[] },
        ) + varint::MAX_VARINT_LEN
    }

    /// The finished batch.
    ///
    /// # Errors
    /// [`BuildError::Compression`], [`BuildError::TooLarge`].
    pub fn build(self) -> Result<Bytes, BuildError> {
        let mut out = vec![0; HEADER_LEN];
        compression::compress(self.options.codec, self.options.level, &self.frames, &mut out)?;
        let batch_length =
            i32::try_from(out.len() - LOG_OVERHEAD).map_err(|_| BuildError::TooLarge(out.len()))?;
        let mut header = self.header(batch_length);
        header.crc = header.compute_crc(out.get(HEADER_LEN..).unwrap_or_default());
        if let Some(front) = out.get_mut(..HEADER_LEN) {
            front.copy_from_slice(&header.to_bytes());
        }
        Ok(Bytes::from(out))
    }

    fn header(&self, batch_length: i32) -> BatchHeader {
        let options = &self.options;
        let max_timestamp = match options.timestamp_type {
            TimestampType::LogAppendTime => options.log_append_time,
            TimestampType::CreateTime => options.max_timestamp.unwrap_or(self.max_timestamp),
        };
        BatchHeader {
            base_offset: options.base_offset,
            batch_length,
            partition_leader_epoch: options.partition_leader_epoch,
            crc: 0,
            attributes: header::attributes(
                options.codec,
                options.timestamp_type,
                options.transactional,
                options.control,
                options.delete_horizon_ms.is_some(),
            ),
            // push_frame keeps the delta within 32 bits.
            last_offset_delta: options.last_offset_delta.unwrap_or(self.last_delta.max(0) as i32),
            base_timestamp: self.base_timestamp,
            max_timestamp,
            producer_id: options.producer_id,
            producer_epoch: options.producer_epoch,
            base_sequence: options.base_sequence,
            count: self.count,
        }
    }
}

/// The headers of a record besides those that stand in a [`NewRecord`]: frames to be copied.
#[derive(Clone, Copy)]
struct HeaderFrames<'a> {
    /// Headers in all.
    count: usize,
    /// Frames of those to be copied.
    raw: &'a [u8],
}

fn frame_len(
    timestamp_delta: i64,
    offset_delta: i32,
    record: &NewRecord<'_>,
    headers: HeaderFrames<'_>,
) -> usize {
    let new: usize = record
        .headers
        .iter()
        .map(|(key, value)| bytes_len(Some(key.as_bytes())) + bytes_len(*value))
        .sum();
    1 + varint::len_i64(timestamp_delta)
        + varint::len_i32(offset_delta)
        + bytes_len(record.key)
        + bytes_len(record.value)
        + varint::len_i32(headers.count as i32)
        + headers.raw.len()
        + new
}

fn bytes_len(bytes: Option<&[u8]>) -> usize {
    // A length beyond 32 bits makes the whole frame too large, which push_frame refuses.
    bytes.map_or(1, |bytes| varint::len_i32(bytes.len() as i32) + bytes.len())
}

fn write_frame(
    out: &mut Vec<u8>,
    timestamp_delta: i64,
    offset_delta: i32,
    record: &NewRecord<'_>,
    headers: HeaderFrames<'_>,
) {
    out.push(0);
    varint::write_i64(out, timestamp_delta);
    varint::write_i32(out, offset_delta);
    write_bytes(out, record.key);
    write_bytes(out, record.value);
    varint::write_i32(out, headers.count as i32);
    out.extend_from_slice(headers.raw);
    for (key, value) in record.headers {
        write_bytes(out, Some(key.as_bytes()));
        write_bytes(out, *value);
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::write_i32(out, -1),
        Some(bytes) => {
            varint::write_i32(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}
