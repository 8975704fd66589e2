//! Finding offsets by timestamp (ListOffsets).

use pharos_base::{LeaderEpoch, Offset};
use pharos_protocol::batch::{BatchError, MAGIC_AT, MAGIC_V2, RecordBatch};

use super::{Log, Segments};
use crate::error::{Context, Damage, StorageError};
use crate::fs::read_full;
use crate::names;
use crate::scan::Found;
use crate::segment::{NO_TIMESTAMP, Segment, Sought};

/// Largest batch that is opened to find one record in it.
const MAX_LOOKUP_BATCH_BYTES: usize = 256 << 20;

/// A record found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAtTimestamp {
    /// Its timestamp, in ms.
    pub timestamp: i64,
    /// Its offset.
    pub offset: Offset,
    /// The epoch that wrote it; −1 unknown.
    pub leader_epoch: LeaderEpoch,
}

impl Log {
    /// The first record whose timestamp is at least `timestamp` (in ms) and which is not before the
    /// log start; `None` when there is none. It may lie above the high watermark.
    ///
    /// # Errors
    /// When a file cannot be read or a batch in it not be opened.
    pub fn offset_for_timestamp(
        &self,
        timestamp: i64,
    ) -> Result<Option<OffsetAtTimestamp>, StorageError> {
        self.in_segments(|segments| {
            let start = self.log_start_offset().0;
            for segment in segments {
                if segment.max_timestamp().timestamp < timestamp {
                    continue;
                }
                let mut position = 0;
                loop {
                    let found = match find_timestamp(segment, timestamp, start, position)? {
                        Sought::Batch(found) => found,
                        Sought::Nothing => break,
                        // As Kafka, which does not look into later segments.
                        Sought::Cut => return Ok(None),
                    };
                    let first = record_in(segment, &found, |record_time, offset| {
                        record_time >= timestamp && offset >= start
                    })?;
                    if first.is_some() {
                        return Ok(first);
                    }
                    // Only its records before the log start are that late.
                    position = found.end();
                }
            }
            Ok(None)
        })
    }

    /// The first record with the largest timestamp; `None` when the log is empty or no record has a
    /// timestamp.
    ///
    /// # Errors
    /// As [`Self::offset_for_timestamp`].
    pub fn offset_of_max_timestamp(&self) -> Result<Option<OffsetAtTimestamp>, StorageError> {
        self.in_segments(|segments| latest_record(segments, self.log_start_offset().0))
    }
}

/// The first record with the largest timestamp at or after `start`.
fn latest_record(
    segments: &Segments,
    start: i64,
) -> Result<Option<OffsetAtTimestamp>, StorageError> {
    let Some((max, segment)) = latest_segment(segments, start)? else { return Ok(None) };
    let (max, segment, found) = match find_timestamp(segment, max, start, 0)? {
        Sought::Batch(found) => (max, segment, found),
        // A time index told of a batch that is not there: look again without it.
        Sought::Nothing | Sought::Cut => {
            for segment in segments {
                let again = segment.recompute_max_timestamp();
                again.context("read", &segment.path(names::LOG))?;
            }
            let Some((max, segment)) = latest_segment(segments, start)? else { return Ok(None) };
            match find_timestamp(segment, max, start, 0)? {
                Sought::Batch(found) => (max, segment, found),
                Sought::Nothing | Sought::Cut => return Ok(None),
            }
        }
    };
    // A batch that begins before the log start may have its latest record there.
    match record_in(segment, &found, |time, offset| time >= max && offset >= start)? {
        None => record_in(segment, &found, |_, offset| offset >= start),
        latest => Ok(latest),
    }
}

/// The segment with the largest timestamp at or after `start`, and that timestamp.
fn latest_segment(
    segments: &Segments,
    start: i64,
) -> Result<Option<(i64, &Segment)>, StorageError> {
    let mut latest: Option<(i64, &Segment)> = None;
    for segment in segments {
        let max = segment.max_timestamp_from(start);
        let max = max.context("read", &segment.path(names::LOG))?;
        if max.timestamp > latest.map_or(NO_TIMESTAMP, |(known, _)| known) {
            latest = Some((max.timestamp, segment));
        }
    }
    Ok(latest)
}

fn find_timestamp(
    segment: &Segment,
    timestamp: i64,
    from: i64,
    position: u64,
) -> Result<Sought, StorageError> {
    let found = segment.find_timestamp(timestamp, from, position);
    found.context("read", &segment.path(names::LOG))
}

/// The first record of a batch that `wanted` accepts by timestamp and offset.
fn record_in(
    segment: &Segment,
    found: &Found,
    wanted: impl Fn(i64, i64) -> bool,
) -> Result<Option<OffsetAtTimestamp>, StorageError> {
    let path = segment.path(names::LOG);
    let total = found.header.total_len();
    if total > MAX_LOOKUP_BATCH_BYTES {
        let what = format!("a batch of {total} bytes at {}", found.position);
        return Err(StorageError::damaged_as(Damage::Batch, &path, what));
    }
    let mut bytes = vec![0; total];
    let read = segment.file().and_then(|file| read_full(file.as_ref(), &mut bytes, found.position));
    bytes.truncate(read.context("read", &path)?);
    // Later magics are read as if they were of this one, as by Kafka.
    bytes.iter_mut().skip(MAGIC_AT).take(1).for_each(|magic| *magic = MAGIC_V2.to_be_bytes()[0]);
    let damaged = |error: BatchError| {
        let what = format!("batch at {}: {error}", found.position);
        StorageError::damaged_as(kind_of(&error), &path, what)
    };
    let (batch, _) = RecordBatch::split(&bytes).map_err(damaged)?;
    let open = batch.open(MAX_LOOKUP_BATCH_BYTES as u64).map_err(damaged)?;
    for record in open.records() {
        let record = record.map_err(damaged)?;
        if wanted(record.timestamp, record.offset) {
            return Ok(Some(OffsetAtTimestamp {
                timestamp: record.timestamp,
                offset: Offset(record.offset),
                leader_epoch: LeaderEpoch(found.header.partition_leader_epoch),
            }));
        }
    }
    Ok(None)
}

/// Whether a batch cannot be taken apart or one of its records is wrong.
fn kind_of(error: &BatchError) -> Damage {
    match error {
        BatchError::Truncated { .. }
        | BatchError::InvalidLength(_)
        | BatchError::UnsupportedMagic(_)
        | BatchError::WrongCrc { .. }
        | BatchError::UnknownCodec(_)
        | BatchError::Compression(_)
        | BatchError::TooLarge { .. }
        | BatchError::OutputLimit { .. } => Damage::Batch,
        _ => Damage::Record,
    }
}
