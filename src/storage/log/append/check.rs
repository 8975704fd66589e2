//! What is looked at before a batch may be appended: its frame, its records, its timestamps.

use pharos_protocol::batch::{
    BatchError, BatchHeader, CheckOptions, ControlRecord, HEADER_LEN, KeySink, Origin, RecordBatch,
    TimestampBounds, TimestampType, Walk, batches, check_batch, check_watched_batch,
};
use smallvec::SmallVec;

use super::{AppendError, AppendOptions};
use crate::config::LogConfig;
use crate::producer::Marker;
use crate::stamp::set_max_timestamp;

/// Largest size of a batch's uncompressed records that is walked.
const MAX_UNCOMPRESSED_BYTES: u64 = 2 << 30;

/// A checked batch that waits for its offsets.
pub(super) struct Ready<'a> {
    pub(super) header: BatchHeader,
    pub(super) body: &'a [u8],
    pub(super) marker: Option<Marker>,
    /// Bytes of header and records without compression; 0 for a replicated batch.
    pub(super) uncompressed_bytes: u64,
}

/// Bytes of a batch without compression.
pub(super) fn uncompressed(walk: &Walk) -> u64 {
    HEADER_LEN as u64 + walk.uncompressed_bytes
}

pub(super) type ReadySet<'a> = SmallVec<[Ready<'a>; 2]>;

pub(super) fn check_options(config: &LogConfig, origin: Origin, now_ms: i64) -> CheckOptions {
    if origin == Origin::Replication {
        return CheckOptions::replication();
    }
    let by_producer = config.message_timestamp_type == TimestampType::CreateTime;
    let bounds = TimestampBounds::around(
        now_ms,
        config.message_timestamp_before_max_ms,
        config.message_timestamp_after_max_ms,
    );
    let client = origin == Origin::Client;
    CheckOptions {
        origin,
        max_batch_bytes: if origin == Origin::RaftLeader {
            usize::MAX
        } else {
            config.max_message_bytes as usize
        },
        max_uncompressed_bytes: MAX_UNCOMPRESSED_BYTES,
        compacted: client && config.cleanup_policy.compact,
        timestamps: (client && by_producer).then_some(bounds),
    }
}

pub(super) fn check<'a>(
    records: &'a [u8],
    config: &LogConfig,
    options: &AppendOptions,
    now_ms: i64,
    mut keys: Option<&mut dyn KeySink>,
) -> Result<ReadySet<'a>, AppendError> {
    let rules = check_options(config, options.origin, now_ms);
    let mut ready = ReadySet::new();
    for batch in batches(records) {
        let batch = batch?;
        let walk = match &mut keys {
            None => check_batch(&batch, &rules)?,
            Some(keys) => check_watched_batch(&batch, &rules, *keys)?,
        };
        ready.push(Ready {
            header: trusted_header(&batch, walk.as_ref(), config),
            body: batch.body(),
            marker: read_marker(&batch)?,
            uncompressed_bytes: walk.as_ref().map_or(0, uncompressed),
        });
    }
    if ready.is_empty() {
        return Err(AppendError::BatchCount(0));
    }
    Ok(ready)
}

/// The header with the largest timestamp that the records really have.
fn trusted_header(batch: &RecordBatch<'_>, walk: Option<&Walk>, config: &LogConfig) -> BatchHeader {
    let mut header = *batch.header();
    if let (Some(walk), TimestampType::CreateTime) = (walk, config.message_timestamp_type) {
        set_max_timestamp(&mut header, TimestampType::CreateTime, walk.max_timestamp);
    }
    header
}

/// The transaction marker in a control batch, if it holds one.
pub(crate) fn read_marker(batch: &RecordBatch<'_>) -> Result<Option<Marker>, BatchError> {
    if !batch.header().is_control() || !batch.header().has_producer_id() {
        return Ok(None);
    }
    let open = batch.open(MAX_UNCOMPRESSED_BYTES)?;
    let Some(record) = open.records().next().transpose()? else { return Ok(None) };
    Ok(match ControlRecord::read(record.key, record.value) {
        Ok(ControlRecord::Abort { coordinator_epoch }) => {
            Some(Marker { aborted: true, coordinator_epoch })
        }
        Ok(ControlRecord::Commit { coordinator_epoch }) => {
            Some(Marker { aborted: false, coordinator_epoch })
        }
        _ => None,
    })
}
