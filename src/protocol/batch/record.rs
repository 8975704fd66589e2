//! Single records and their headers, borrowed from an uncompressed batch.

use std::borrow::Cow;

use super::header::{BatchHeader, TimestampType};
use super::{BatchError, RecordFault};
use crate::varint::{self, VarintError};

/// One record of a batch (`org.apache.kafka.common.record.DefaultRecord`).
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Its timestamp, in ms; saturated when base and delta overflow.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none stands for a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Headers<'a>,
}

/// The headers of a record, read once when the record was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    count: usize,
    bytes: &'a [u8],
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its key; should be UTF-8, but neither Kafka's broker nor ours looks.
    pub key: &'a [u8],
    /// Its value.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// Its key as text, with U+FFFD for what is not UTF-8, as Kafka's client reads it.
    pub fn key_text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.key)
    }
}

impl<'a> Headers<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Their frames as they lie in the record.
    pub(super) fn raw(&self) -> &'a [u8] {
        self.bytes
    }

    /// The headers in order.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            read_header(&mut rest).ok()
        })
    }
}

/// The records of an uncompressed batch. Ends after the first error.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    header: BatchHeader,
    rest: &'a [u8],
    index: i32,
    failed: bool,
}

impl<'a> RecordIter<'a> {
    /// Reads `body`, the uncompressed frames of a batch with this header.
    pub fn new(header: &BatchHeader, body: &'a [u8]) -> Self {
        Self::from_index(header, body, 0)
    }

    /// Goes on at the record of that index, with which `rest` begins: for those who keep what
    /// [`Self::left`] told instead of the iterator.
    pub fn from_index(header: &BatchHeader, rest: &'a [u8], index: i32) -> Self {
        Self { header: *header, rest, index, failed: false }
    }

    /// The frames that have not been read, and the index of the first of them.
    pub fn left(&self) -> (&'a [u8], i32) {
        (self.rest, self.index)
    }

    fn read(&mut self) -> Result<Record<'a>, RecordFault> {
        let len = varint::read_i32(&mut self.rest)?;
        let len = usize::try_from(len).map_err(|_| RecordFault::NegativeLength)?;
        let (frame, rest) = self.rest.split_at_checked(len).ok_or(RecordFault::Truncated)?;
        self.rest = rest;
        read_record(&self.header, frame)
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        if self.index >= self.header.count {
            if self.rest.is_empty() {
                return None;
            }
            self.failed = true;
            return Some(Err(BatchError::TrailingBytes(self.header.count)));
        }
        if self.rest.is_empty() {
            self.failed = true;
            let (declared, found) = (self.header.count, self.index);
            return Some(Err(BatchError::MissingRecords { declared, found }));
        }
        let index = self.index;
        self.index += 1;
        let record = self.read();
        self.failed = record.is_err();
        Some(record.map_err(|reason| BatchError::MalformedRecord { index, reason }))
    }
}

fn read_record<'a>(header: &BatchHeader, frame: &'a [u8]) -> Result<Record<'a>, RecordFault> {
    // The attributes of a record have no meaning so far.
    let (_, mut rest) = frame.split_first().ok_or(RecordFault::Truncated)?;
    let timestamp_delta = varint::read_i64(&mut rest)?;
    let offset_delta = varint::read_i32(&mut rest)?;
    let key = read_bytes(&mut rest)?;
    let value = read_bytes(&mut rest)?;
    let count = varint::read_i32(&mut rest)?;
    let count = usize::try_from(count).map_err(|_| RecordFault::HeaderCount)?;
    let bytes = rest;
    for _ in 0..count {
        read_header(&mut rest)?;
    }
    if !rest.is_empty() {
        return Err(RecordFault::Length);
    }
    let timestamp = match header.timestamp_type() {
        TimestampType::CreateTime => header.base_timestamp.saturating_add(timestamp_delta),
        TimestampType::LogAppendTime => header.max_timestamp,
    };
    let offset = header.base_offset.saturating_add(i64::from(offset_delta));
    Ok(Record { offset, timestamp, key, value, headers: Headers { count, bytes } })
}

fn read_bytes<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordFault> {
    let Ok(len) = usize::try_from(varint::read_i32(rest)?) else {
        // Kafka reads every negative length as null.
        return Ok(None);
    };
    let (bytes, behind) = rest.split_at_checked(len).ok_or(RecordFault::Truncated)?;
    *rest = behind;
    Ok(Some(bytes))
}

fn read_header<'a>(rest: &mut &'a [u8]) -> Result<Header<'a>, RecordFault> {
    let key = read_bytes(rest)?.ok_or(RecordFault::NegativeLength)?;
    Ok(Header { key, value: read_bytes(rest)? })
}

impl From<VarintError> for RecordFault {
    fn from(error: VarintError) -> Self {
        match error {
            VarintError::Truncated => Self::Truncated,
            VarintError::TooLong { .. } => Self::LongNumber,
        }
    }
}
