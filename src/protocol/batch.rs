//! Record batches of magic 2 (KIP-98): views, walks, checks, and a builder.
//!
//! The layout is that of `org.apache.kafka.common.record.DefaultRecordBatch`. Batches of magic 0
//! and 1 are recognised and refused. A view borrows its bytes, the walk over its records
//! allocates nothing, and what a header declares is believed only as far as bytes bear it out.

mod builder;
mod control;
mod header;
mod keys;
mod record;
mod validate;
mod walk;

use std::borrow::Cow;

pub use self::builder::{BatchBuilder, BatchOptions, BuildError, NewRecord};
pub use self::control::{ControlError, ControlRecord};
pub use self::header::{
    BASE_OFFSET_RANGE, BatchHeader, CRC_RANGE, HEADER_LEN, LENGTH_RANGE, LOG_OVERHEAD, MAGIC_AT,
    MAGIC_V2, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP,
    PARTITION_LEADER_EPOCH_RANGE, TimestampType, sequence_plus,
};
pub use self::keys::{KeySink, MAX_WATCHED_KEY_BYTES};
pub use self::record::{Header, Headers, Record, RecordIter};
pub use self::validate::{CheckOptions, Origin, TimestampBounds, check_batch, check_watched_batch};
pub use self::walk::Walk;
use crate::compression::{self, Codec, CompressionError};

/// Why bytes are no batch that may be stored or read. Each variant says in its first line which
/// error code a broker answers with.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// CORRUPT_MESSAGE: the bytes end inside the batch.
    #[error("the batch is cut off: {needed} bytes needed, {available} there")]
    Truncated {
        /// Bytes that the batch needs.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// CORRUPT_MESSAGE: the length field is smaller than a header or negative.
    #[error("the batch length {0} is less than a header's")]
    InvalidLength(i32),
    /// UNSUPPORTED_FOR_MESSAGE_FORMAT for 0 and 1, CORRUPT_MESSAGE for others: not magic 2.
    #[error("the batch has magic {0}, only 2 is supported")]
    UnsupportedMagic(i8),
    /// CORRUPT_MESSAGE: the checksum does not fit the bytes.
    #[error("the batch says CRC {stored:08x}, its bytes have {computed:08x}")]
    WrongCrc {
        /// CRC-32C in the header.
        stored: u32,
        /// CRC-32C of the bytes.
        computed: u32,
    },
    /// MESSAGE_TOO_LARGE: the batch is longer than `max.message.bytes`.
    #[error("the batch takes {size} bytes, at most {max} are allowed")]
    TooLarge {
        /// Bytes of the batch with its 12 bytes of offset and length.
        size: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// UNSUPPORTED_COMPRESSION_TYPE: the attributes name no codec.
    #[error("the batch has the unknown compression {0}")]
    UnknownCodec(u8),
    /// INVALID_RECORD: the count of records is negative, or zero from a client.
    #[error("the batch declares {0} records")]
    InvalidCount(i32),
    /// INVALID_RECORD: count and last offset delta of a client's batch disagree.
    #[error("the batch declares {count} records and a last offset delta of {last_offset_delta}")]
    CountMismatch {
        /// Records declared.
        count: i32,
        /// Last offset delta declared.
        last_offset_delta: i32,
    },
    /// INVALID_RECORD: fewer records than declared.
    #[error("the batch declares {declared} records and holds {found}")]
    MissingRecords {
        /// Records declared.
        declared: i32,
        /// Records found.
        found: i32,
    },
    /// INVALID_RECORD: bytes after the last declared record.
    #[error("the batch holds bytes after its {0} records")]
    TrailingBytes(i32),
    /// INVALID_RECORD: a record's frame breaks the format.
    #[error("record {index} of the batch is malformed: {reason}")]
    MalformedRecord {
        /// Position of the record in the batch, from 0.
        index: i32,
        /// What is wrong with it.
        reason: RecordFault,
    },
    /// INVALID_RECORD: the offset delta is not the next one.
    #[error("record {index} of the batch has offset delta {delta}")]
    OffsetDelta {
        /// Position of the record in the batch, from 0.
        index: i32,
        /// The delta that it has.
        delta: i32,
    },
    /// INVALID_RECORD: no key, for a compacted topic.
    #[error("record {index} of the batch has no key, which a compacted topic needs")]
    MissingKey {
        /// Position of the record in the batch, from 0.
        index: i32,
    },
    /// INVALID_RECORD: a control batch from a client.
    #[error("clients may not write control batches")]
    ControlFromClient,
    /// INVALID_RECORD: a client's batch does not start at offset 0.
    #[error("the batch of a client starts at offset {0}, not 0")]
    BaseOffset(i64),
    /// INVALID_RECORD: a producer id without a sequence, or an epoch without an id.
    #[error("the batch of producer {producer_id} has epoch {epoch} and base sequence {sequence}")]
    ProducerState {
        /// Producer id.
        producer_id: i64,
        /// Producer epoch.
        epoch: i16,
        /// Base sequence.
        sequence: i32,
    },
    /// INVALID_TIMESTAMP: outside `message.timestamp.before.max.ms` and `.after.max.ms`, or
    /// below −1.
    #[error("record {index} of the batch has timestamp {timestamp} ms, allowed are {min} to {max}")]
    Timestamp {
        /// Position of the record in the batch, from 0.
        index: i32,
        /// Its timestamp, in ms; saturated when base and delta overflow.
        timestamp: i64,
        /// Least timestamp allowed, in ms.
        min: i64,
        /// Greatest timestamp allowed, in ms.
        max: i64,
    },
    /// INVALID_TIMESTAMP: the producer claims LogAppendTime.
    #[error("clients may not set the timestamp type to LogAppendTime")]
    LogAppendTimeFromClient,
    /// CORRUPT_MESSAGE: the compressed records cannot be decompressed.
    #[error("the records cannot be decompressed")]
    Compression(#[source] CompressionError),
    /// MESSAGE_TOO_LARGE: the compressed records grow beyond the limit.
    #[error("the records decompress to more than {limit} bytes")]
    OutputLimit {
        /// The limit, in bytes.
        limit: u64,
    },
}

impl From<CompressionError> for BatchError {
    fn from(error: CompressionError) -> Self {
        match error {
            CompressionError::OutputLimit { limit, .. } => Self::OutputLimit { limit },
            other => Self::Compression(other),
        }
    }
}

/// What can be wrong with the frame of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// The record's bytes end early, or the batch's do.
    #[error("its bytes end early")]
    Truncated,
    /// A varint is longer than its width allows.
    #[error("a number is too long")]
    LongNumber,
    /// A length is negative where none may be.
    #[error("a length is negative")]
    NegativeLength,
    /// The length at its front and the sum of its parts disagree.
    #[error("its length and its parts disagree")]
    Length,
    /// The count of headers is negative.
    #[error("the count of headers is negative")]
    HeaderCount,
}

/// One batch of magic 2 in a slice: its header, and its records as they lie there.
#[derive(Clone, Copy, Debug)]
pub struct RecordBatch<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> RecordBatch<'a> {
    /// The batch at the front of `input`, and what follows it. Looks at length and magic only.
    ///
    /// # Errors
    /// [`BatchError::Truncated`], [`BatchError::InvalidLength`], [`BatchError::UnsupportedMagic`].
    pub fn split(input: &'a [u8]) -> Result<(Self, &'a [u8]), BatchError> {
        let header = BatchHeader::read(input)?;
        let len = header.total_len();
        let cut = BatchError::Truncated { needed: len, available: input.len() };
        let (bytes, rest) = input.split_at_checked(len).ok_or(cut)?;
        Ok((Self { header, bytes }, rest))
    }

    /// The header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What follows the header: the records, possibly compressed.
    pub fn body(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    /// Length of the whole batch, in bytes.
    pub fn total_len(&self) -> usize {
        self.bytes.len()
    }

    /// Compares the checksum in the header with the bytes.
    ///
    /// # Errors
    /// [`BatchError::WrongCrc`].
    pub fn check_crc(&self) -> Result<(), BatchError> {
        let stored = self.header.crc;
        let computed = crc32c::crc32c(self.bytes.get(CRC_RANGE.end..).unwrap_or_default());
        if stored == computed { Ok(()) } else { Err(BatchError::WrongCrc { stored, computed }) }
    }

    /// Makes the records readable: as they lie there, or decompressed to at most `limit` bytes.
    ///
    /// # Errors
    /// [`BatchError::UnknownCodec`], [`BatchError::Compression`], [`BatchError::OutputLimit`].
    pub fn open(&self, limit: u64) -> Result<OpenBatch<'a>, BatchError> {
        let codec = self.header.known_codec()?;
        let body = match codec {
            Codec::None => Cow::Borrowed(self.body()),
            codec => Cow::Owned(compression::decompress(codec, self.body(), limit)?),
        };
        Ok(OpenBatch { header: self.header, body })
    }
}

/// A batch whose records lie uncompressed in memory.
#[derive(Clone, Debug)]
pub struct OpenBatch<'a> {
    header: BatchHeader,
    body: Cow<'a, [u8]>,
}

impl OpenBatch<'_> {
    /// The header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The frames of the records, uncompressed.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The records in order; ends after the first error.
    pub fn records(&self) -> RecordIter<'_> {
        RecordIter::new(&self.header, &self.body)
    }
}

/// The batches that lie one after the other in a slice. Ends after the first error.
///
/// A reader of fetched data ignores a last [`BatchError::Truncated`]: brokers may cut it off.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

/// Iterates over the batches in `input`.
pub fn batches(input: &[u8]) -> Batches<'_> {
    Batches { rest: input }
}

impl<'a> Batches<'a> {
    /// What has not been read yet; nothing after an error.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<RecordBatch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match RecordBatch::split(self.rest) {
            Ok((batch, rest)) => {
                self.rest = rest;
                Some(Ok(batch))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests;
