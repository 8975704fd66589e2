//! Finding offsets by timestamp (ListOffsets).

use pharos_base::{LeaderEpoch, Offset};
use pharos_protocol::batch::RecordBatch;

use super::{Log, Segments};
use crate::error::{Context, StorageError};
use crate::fs::read_full;
use crate::names;
use crate::scan::Found;
use crate::segment::{NO_TIMESTAMP, Segment};

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
                let mut from = start;
                while let Some(found) = locate_timestamp(segment, timestamp, from)? {
                    let first = record_in(segment, &found, |record_time, offset| {
                        record_time >= timestamp && offset >= start
                    })?;
                    if first.is_some() {
                        return Ok(first);
                    }
                    // Only its records before the log start are that late.
                    from = found.header.next_offset();
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
    let (max, segment, found) = match locate_timestamp(segment, max, start)? {
        Some(found) => (max, segment, found),
        // A time index told of a batch that is not there: look again without it.
        None => {
            for segment in segments {
                let again = segment.recompute_max_timestamp();
                again.context("read", &segment.path(names::LOG))?;
            }
            let Some((max, segment)) = latest_segment(segments, start)? else { return Ok(None) };
            match locate_timestamp(segment, max, start)? {
                Some(found) => (max, segment, found),
                None => return Ok(None),
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

fn locate_timestamp(
    segment: &Segment,
    timestamp: i64,
    from: i64,
) -> Result<Option<Found>, StorageError> {
    let found = segment.locate_timestamp(timestamp, from);
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
        return Err(StorageError::damaged(&path, format!("a batch of {total} bytes")));
    }
    let mut bytes = vec![0; total];
    let read = segment.file().and_then(|file| read_full(file.as_ref(), &mut bytes, found.position));
    read.context("read", &path)?;
    let damaged = |error: pharos_protocol::batch::BatchError| {
        StorageError::damaged(&path, format!("batch at {}: {error}", found.position))
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
