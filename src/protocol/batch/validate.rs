//! What a broker demands of a batch before it is appended.
//!
//! The rules are those of `LogValidator`, `UnifiedLog.analyzeAndValidateRecords` and
//! `ProduceRequest.validateRecords`; stricter in one point: offset deltas are 0, 1, 2 and so on,
//! for a batch from a client (Kafka takes others and then serves an offset twice).

use super::header::{NO_TIMESTAMP, TimestampType};
use super::keys::{KeySink, Unwatched, Watch, Watched};
use super::walk::{self, Frame, Walk};
use super::{BatchError, RecordBatch};

/// Who made a batch (`org.apache.kafka.storage.internals.log.AppendOrigin`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: nothing is taken on trust.
    Client,
    /// A coordinator of this broker: control batches are allowed.
    Coordinator,
    /// The leader: offsets are kept, gaps left by compaction are lawful.
    Replication,
    /// The controller quorum's own log: as for the leader.
    RaftLeader,
}

/// The timestamps that a topic takes with CreateTime, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampBounds {
    /// Least timestamp: now less `message.timestamp.before.max.ms`.
    pub min: i64,
    /// Greatest timestamp: now plus `message.timestamp.after.max.ms`.
    pub max: i64,
}

impl TimestampBounds {
    /// Any timestamp from −1 on.
    pub const ANY: Self = Self { min: NO_TIMESTAMP, max: i64::MAX };

    /// The bounds at `now_ms`, from the two settings in ms; saturates.
    pub fn around(now_ms: i64, before_max_ms: i64, after_max_ms: i64) -> Self {
        Self { min: now_ms.saturating_sub(before_max_ms), max: now_ms.saturating_add(after_max_ms) }
    }
}

/// By what rules a batch is checked.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions {
    /// Who made it.
    pub origin: Origin,
    /// `max.message.bytes`: greatest length of the whole batch, in bytes.
    pub max_batch_bytes: usize,
    /// Greatest length of the uncompressed records, in bytes.
    pub max_uncompressed_bytes: u64,
    /// Whether every record needs a key (`cleanup.policy` has `compact`).
    pub compacted: bool,
    /// Timestamps allowed; `None` when the topic sets LogAppendTime.
    pub timestamps: Option<TimestampBounds>,
}

impl CheckOptions {
    /// Rules for a client's batch without limits on size and time.
    pub fn client() -> Self {
        Self {
            origin: Origin::Client,
            max_batch_bytes: usize::MAX,
            max_uncompressed_bytes: u64::MAX,
            compacted: false,
            timestamps: Some(TimestampBounds::ANY),
        }
    }

    /// Rules for what a leader sent: sizes and times are its business.
    pub fn replication() -> Self {
        Self { origin: Origin::Replication, timestamps: None, ..Self::client() }
    }
}

/// Checks a batch as a whole: size, checksum (once), header, and each record's frame (once).
/// Replicated batches are spared the pass over the records, as in Kafka; then the result is
/// `None`, and the header's fields are all there is.
///
/// # Errors
/// The first [`BatchError`] found; its variants name the error codes to answer with.
pub fn check_batch(
    batch: &RecordBatch<'_>,
    options: &CheckOptions,
) -> Result<Option<Walk>, BatchError> {
    if !check_head(batch, options)? {
        return Ok(None);
    }
    walk_checked(batch, options, &mut Unwatched).map(Some)
}

/// As [`check_batch`], and shows `keys` the keys that it wants; of a batch that is refused in the
/// end, as many as were seen before.
///
/// # Errors
/// As of [`check_batch`].
pub fn check_watched_batch(
    batch: &RecordBatch<'_>,
    options: &CheckOptions,
    keys: &mut dyn KeySink,
) -> Result<Option<Walk>, BatchError> {
    if !check_head(batch, options)? {
        return Ok(None);
    }
    keys.begin(batch.header().count);
    if keys.next() < 0 {
        return walk_checked(batch, options, &mut Unwatched).map(Some);
    }
    walk_checked(batch, options, &mut Watched::new(keys)).map(Some)
}

/// Checks what can be checked without the records; false when these are not to be checked.
fn check_head(batch: &RecordBatch<'_>, options: &CheckOptions) -> Result<bool, BatchError> {
    let size = batch.total_len();
    if size > options.max_batch_bytes {
        return Err(BatchError::TooLarge { size, max: options.max_batch_bytes });
    }
    batch.check_crc()?;
    batch.header().known_codec()?;
    if batch.header().count < 0 {
        return Err(BatchError::InvalidCount(batch.header().count));
    }
    match options.origin {
        Origin::Replication => return Ok(false),
        Origin::Client => check_client_header(batch)?,
        Origin::Coordinator | Origin::RaftLeader => check_dense_header(batch)?,
    }
    Ok(true)
}

impl RecordBatch<'_> {
    /// Passes once over the records' frames, decompressing to at most `limit` bytes, by no rule but
    /// the format's: lengths and the count agree.
    ///
    /// # Errors
    /// The [`BatchError`] that a frame, the count or the compressed bytes give rise to.
    pub fn walk(&self, limit: u64) -> Result<Walk, BatchError> {
        walk::walk(self.header(), self.body(), limit, &mut Unwatched, |_| Ok(()))
    }
}

fn check_client_header(batch: &RecordBatch<'_>) -> Result<(), BatchError> {
    let header = batch.header();
    if header.base_offset != 0 {
        return Err(BatchError::BaseOffset(header.base_offset));
    }
    if header.is_control() {
        return Err(BatchError::ControlFromClient);
    }
    if header.timestamp_type() == TimestampType::LogAppendTime {
        return Err(BatchError::LogAppendTimeFromClient);
    }
    let (producer_id, epoch, sequence) =
        (header.producer_id, header.producer_epoch, header.base_sequence);
    if header.has_producer_id() && (sequence < 0 || epoch < 0) {
        return Err(BatchError::ProducerState { producer_id, epoch, sequence });
    }
    check_dense_header(batch)
}

fn check_dense_header(batch: &RecordBatch<'_>) -> Result<(), BatchError> {
    let (count, last_offset_delta) = (batch.header().count, batch.header().last_offset_delta);
    if count <= 0 {
        return Err(BatchError::InvalidCount(count));
    }
    if last_offset_delta != count - 1 {
        return Err(BatchError::CountMismatch { count, last_offset_delta });
    }
    Ok(())
}

fn walk_checked(
    batch: &RecordBatch<'_>,
    options: &CheckOptions,
    watch: &mut impl Watch,
) -> Result<Walk, BatchError> {
    let base_timestamp = batch.header().base_timestamp;
    let look = |frame: &Frame| {
        let index = frame.index;
        if frame.offset_delta != index {
            return Err(BatchError::OffsetDelta { index, delta: frame.offset_delta });
        }
        if options.compacted && !frame.has_key {
            return Err(BatchError::MissingKey { index });
        }
        let Some(bounds) = options.timestamps else { return Ok(()) };
        check_timestamp(index, base_timestamp, frame.timestamp_delta, bounds)
    };
    walk::walk(batch.header(), batch.body(), options.max_uncompressed_bytes, watch, look)
}

fn check_timestamp(
    index: i32,
    base: i64,
    delta: i64,
    bounds: TimestampBounds,
) -> Result<(), BatchError> {
    let TimestampBounds { min, max } = bounds;
    let sum = base.checked_add(delta);
    match sum {
        Some(NO_TIMESTAMP) => Ok(()),
        Some(timestamp) if timestamp >= min.max(0) && timestamp <= max => Ok(()),
        _ => {
            let timestamp = base.saturating_add(delta);
            Err(BatchError::Timestamp { index, timestamp, min, max })
        }
    }
}
