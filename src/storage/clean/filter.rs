//! What is left of one batch after cleaning. Pure: bytes in, bytes out.
//!
//! Rules of `Cleaner.cleanInto` and `MemoryRecords.filterTo` in apache/kafka; delete horizons are
//! KIP-534: a batch with tombstones (or an empty transaction's marker) gets the time from which
//! they may go when it is cleaned for the first time.

use bytes::Bytes;
use pharos_protocol::batch::{
    BatchBuilder, BatchError, BatchHeader, BatchOptions, BuildError, Record, RecordBatch,
    TimestampType,
};

use super::keys::KeyOffsets;
use crate::producer::ProducerEntry;

/// Largest size of one batch's uncompressed records.
pub(crate) const MAX_BATCH_OUTPUT_BYTES: u64 = 1 << 30;

/// What stays of a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kept {
    /// All of it, as it is.
    Same,
    /// This, at the same offsets.
    Rewritten(Bytes),
    /// Nothing.
    Nothing,
}

/// What a decision depends on beside the batch.
pub(crate) struct Rules<'a> {
    pub(crate) keys: &'a KeyOffsets,
    pub(crate) now_ms: i64,
    pub(crate) delete_retention_ms: i64,
    /// Offset where this round of cleaning ends: its last batch stays, if empty.
    pub(crate) round_end: i64,
}

/// What the walk through the log found out about this batch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing<'a> {
    /// Data of an aborted transaction, or a marker of one without data.
    pub(crate) is_void: bool,
    /// State of its producer.
    pub(crate) producer: Option<&'a ProducerEntry>,
}

/// Why a batch could not be cleaned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilterError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// What stays of `batch`.
pub(crate) fn filter(
    batch: &RecordBatch<'_>,
    rules: &Rules<'_>,
    standing: Standing<'_>,
) -> Result<Kept, FilterError> {
    let header = batch.header();
    let horizon = header.delete_horizon_ms();
    let horizon_passed = horizon.is_some_and(|horizon| horizon <= rules.now_ms);
    if header.is_control() {
        return Ok(match (standing.is_void, horizon) {
            (true, Some(_)) if horizon_passed => emptied(header, rules, standing)?,
            (true, None) => rewrite(batch, rules, |_| true, true)?,
            _ => Kept::Same,
        });
    }
    if standing.is_void {
        return emptied(header, rules, standing);
    }
    let stays = |record: &Record<'_>| {
        record.offset > rules.keys.latest_offset()
            || record.key.is_some_and(|key| {
                let deleted = record.value.is_none() && horizon_passed;
                !deleted && rules.keys.is_last(key, record.offset)
            })
    };
    let (mut kept, mut tombstones) = (0, false);
    let open = batch.open(MAX_BATCH_OUTPUT_BYTES)?;
    for record in open.records() {
        let record = record?;
        if stays(&record) {
            kept += 1;
            tombstones |= record.value.is_none();
        }
    }
    let needs_horizon = tombstones && horizon.is_none();
    if kept == 0 {
        return emptied(header, rules, standing);
    }
    if kept == header.count && !needs_horizon {
        return Ok(Kept::Same);
    }
    rewrite(batch, rules, stays, needs_horizon)
}

/// An empty batch keeps the last sequence of a producer, and the end of what was cleaned.
fn emptied(
    header: &BatchHeader,
    rules: &Rules<'_>,
    standing: Standing<'_>,
) -> Result<Kept, FilterError> {
    let last_of_producer = standing.producer.is_some_and(|entry| match entry.last_offset() {
        -1 => header.is_control() && header.producer_epoch == entry.epoch,
        last => header.last_offset() == last,
    });
    if !last_of_producer && header.next_offset() != rules.round_end {
        return Ok(Kept::Nothing);
    }
    let options = BatchOptions {
        codec: pharos_protocol::compression::Codec::None,
        delete_horizon_ms: None,
        max_timestamp: Some(header.max_timestamp),
        ..options_of(header)
    };
    Ok(Kept::Rewritten(BatchBuilder::new(options).build()?))
}

fn options_of(header: &BatchHeader) -> BatchOptions {
    BatchOptions {
        base_offset: header.base_offset,
        partition_leader_epoch: header.partition_leader_epoch,
        codec: header.codec().unwrap_or(pharos_protocol::compression::Codec::None),
        level: None,
        timestamp_type: header.timestamp_type(),
        log_append_time: match header.timestamp_type() {
            TimestampType::LogAppendTime => header.max_timestamp,
            TimestampType::CreateTime => -1,
        },
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        transactional: header.is_transactional(),
        control: header.is_control(),
        delete_horizon_ms: header.delete_horizon_ms(),
        last_offset_delta: Some(header.last_offset_delta),
        max_timestamp: None,
    }
}

/// The batch with only the records that stay, at their offsets.
fn rewrite(
    batch: &RecordBatch<'_>,
    rules: &Rules<'_>,
    stays: impl Fn(&Record<'_>) -> bool,
    needs_horizon: bool,
) -> Result<Kept, FilterError> {
    let header = batch.header();
    let mut options = options_of(header);
    if needs_horizon {
        options.delete_horizon_ms = Some(rules.now_ms.saturating_add(rules.delete_retention_ms));
    }
    let mut builder = BatchBuilder::new(options);
    let open = batch.open(MAX_BATCH_OUTPUT_BYTES)?;
    for record in open.records() {
        let record = record?;
        if stays(&record) {
            builder.copy_at(record.offset, &record)?;
        }
    }
    Ok(Kept::Rewritten(builder.build()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pharos_protocol::batch::NewRecord;

    type Pair<'a> = (&'a str, Option<&'a str>);

    fn batch(base_offset: i64, pairs: &[Pair<'_>]) -> Bytes {
        let mut builder =
            BatchBuilder::new(BatchOptions { base_offset, ..BatchOptions::default() });
        for (key, value) in pairs {
            let record = NewRecord {
                timestamp: 1000,
                key: Some(key.as_bytes()),
                value: value.map(str::as_bytes),
                headers: &[("h", None)],
            };
            builder.push(&record).unwrap();
        }
        builder.build().unwrap()
    }

    fn run(bytes: &Bytes, last: &[(&str, i64)], now_ms: i64) -> Kept {
        let mut keys = KeyOffsets::new(10_000, 1.0);
        for (key, offset) in last {
            keys.put(key.as_bytes(), *offset);
            keys.seen_to(*offset);
        }
        let rules = Rules { keys: &keys, now_ms, delete_retention_ms: 100, round_end: -1 };
        let (batch, _) = RecordBatch::split(bytes).unwrap();
        filter(&batch, &rules, Standing::default()).unwrap()
    }

    fn offsets(bytes: &Bytes) -> Vec<i64> {
        let (batch, rest) = RecordBatch::split(bytes).unwrap();
        assert!(rest.is_empty());
        batch.check_crc().unwrap();
        let open = batch.open(1 << 20).unwrap();
        open.records().map(|record| record.unwrap().offset).collect()
    }

    #[test]
    fn only_the_last_value_of_a_key_stays() {
        let bytes = batch(10, &[("a", Some("1")), ("b", Some("2")), ("a", Some("3"))]);
        assert_eq!(run(&bytes, &[("a", 12), ("b", 11)], 0), rewritten_to(&bytes, &[11, 12]));
        assert_eq!(run(&bytes, &[("a", 20), ("b", 20)], 0), Kept::Nothing);
        // What lies beyond the keys that were collected stays.
        assert_eq!(run(&bytes, &[("a", 5)], 0), Kept::Same);
    }

    fn rewritten_to(original: &Bytes, expected: &[i64]) -> Kept {
        let last = [("a", 12), ("b", 11)];
        let Kept::Rewritten(bytes) = run(original, &last, 0) else { panic!("not rewritten") };
        assert_eq!(offsets(&bytes), expected);
        let (batch, _) = RecordBatch::split(&bytes).unwrap();
        let (before, _) = RecordBatch::split(original).unwrap();
        assert_eq!(batch.header().base_offset, before.header().base_offset);
        assert_eq!(batch.header().last_offset(), before.header().last_offset());
        Kept::Rewritten(bytes)
    }

    #[test]
    fn tombstones_get_a_horizon_and_go_after_it() {
        let bytes = batch(10, &[("a", None), ("b", Some("2"))]);
        let last = [("a", 10), ("b", 11)];
        let Kept::Rewritten(first) = run(&bytes, &last, 1000) else { panic!("no horizon set") };
        assert_eq!(offsets(&first), [10, 11]);
        let (batch, _) = RecordBatch::split(&first).unwrap();
        assert_eq!(batch.header().delete_horizon_ms(), Some(1100));
        assert_eq!(run(&first, &last, 1099), Kept::Same);
        let Kept::Rewritten(second) = run(&first, &last, 1100) else { panic!("still there") };
        assert_eq!(offsets(&second), [11]);
    }
}
