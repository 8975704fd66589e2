//! Storing a producer's batches with the topic's codec instead of theirs (`compression.type`).

use bytes::Bytes;
use pharos_protocol::batch::{
    BatchBuilder, BatchError, BatchOptions, BuildError, RecordBatch, batches,
};
use pharos_protocol::compression::Codec;

use crate::config::{LogConfig, StoredCompression};
use crate::log::AppendError;

/// Largest size of uncompressed records that is made anew.
const MAX_OUTPUT_BYTES: u64 = 1 << 30;

/// The batches with the topic's codec; `None` when they have it already. `check` sees each batch
/// before it is opened.
pub(crate) fn recompress(
    records: &[u8],
    config: &LogConfig,
    check: impl Fn(&RecordBatch<'_>) -> Result<(), BatchError>,
) -> Result<Option<Bytes>, AppendError> {
    let (codec, level) = match config.compression {
        StoredCompression::Producer => return Ok(None),
        StoredCompression::Uncompressed => (Codec::None, None),
        // −1 is the codec's own default.
        StoredCompression::Gzip(-1) => (Codec::Gzip, None),
        StoredCompression::Gzip(level) => (Codec::Gzip, Some(level)),
        StoredCompression::Snappy => (Codec::Snappy, None),
        StoredCompression::Lz4(level) => (Codec::Lz4, Some(level)),
        StoredCompression::Zstd(level) => (Codec::Zstd, Some(level)),
    };
    let mut same = true;
    for batch in batches(records) {
        same &= batch?.header().codec() == Some(codec);
    }
    if same {
        return Ok(None);
    }
    let mut out = Vec::new();
    for batch in batches(records) {
        let batch = batch?;
        check(&batch)?;
        // Records that stay as they are can only be refused when they are larger than a batch may be.
        let max_bytes = match codec {
            Codec::None => u64::from(config.max_message_bytes),
            _ => MAX_OUTPUT_BYTES,
        };
        let made = rebuild(&batch, codec, level, max_bytes)?;
        out.extend_from_slice(&made);
    }
    Ok(Some(Bytes::from(out)))
}

fn rebuild(
    batch: &RecordBatch<'_>,
    codec: Codec,
    level: Option<i32>,
    max_bytes: u64,
) -> Result<Bytes, AppendError> {
    let header = batch.header();
    let open = batch.open(max_bytes)?;
    let mut builder = BatchBuilder::new(BatchOptions {
        codec,
        level,
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        transactional: header.is_transactional(),
        ..BatchOptions::default()
    });
    let failed = |error: BuildError| AppendError::Recompress(error.to_string());
    for (offset, record) in (0..).zip(open.records()) {
        builder.copy_at(offset, &record?).map_err(failed)?;
    }
    builder.build().map_err(failed)
}
