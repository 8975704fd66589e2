//! Between shards and logs: record batches in, record batches out.
//!
//! It refuses to read or write logs itself.

use bytes::Bytes;
use pharos_protocol::EncodeError;
use pharos_protocol::batch::{
    BatchBuilder, BatchError, BatchOptions, BuildError, ControlError, ControlRecord, NewRecord,
    RecordBatch,
};
use pharos_protocol::compression::Codec;
use thiserror::Error;

use crate::codec::RecordError;
use crate::event::{Now, Write};
use crate::record::Record;
use crate::shard::Shard;

/// Bytes that one batch of `__consumer_offsets` may have when it is decompressed.
pub const MAX_LOADED_BATCH_BYTES: u64 = 128 * 1024 * 1024;

/// A batch that a shard cannot take over, or make.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The batch itself is damaged.
    #[error("batch at offset {offset} cannot be read")]
    Batch {
        /// Its base offset.
        offset: i64,
        /// What is wrong.
        #[source]
        source: BatchError,
    },
    /// A record of it does not fit its schema.
    #[error("record at offset {offset} cannot be read")]
    Record {
        /// Its offset.
        offset: i64,
        /// What is wrong.
        #[source]
        source: RecordError,
    },
    /// A transaction marker of it is damaged.
    #[error("control record at offset {offset} cannot be read")]
    Control {
        /// Its offset.
        offset: i64,
        /// What is wrong.
        #[source]
        source: ControlError,
    },
    /// Something that a client sent does not fit its schema.
    #[error("a record does not fit its schema")]
    Encode(#[from] EncodeError),
    /// The records do not fit a batch.
    #[error("the records do not fit a batch")]
    Build(#[from] BuildError),
}

impl Shard {
    /// Takes over one batch of the log: its records, or the end of a transaction. Returns how many
    /// records were passed over, being of a kind that a later version wrote.
    ///
    /// # Errors
    /// [`LoadError`] when the batch or one of its records cannot be read; records before that have
    /// been taken over.
    pub fn replay_batch(&mut self, batch: &RecordBatch<'_>) -> Result<usize, LoadError> {
        let header = batch.header();
        let (base_offset, producer_id) = (header.base_offset, header.producer_id);
        let damaged = |source| LoadError::Batch { offset: base_offset, source };
        let (control, transactional) = (header.is_control(), header.is_transactional());
        let open = batch.open(MAX_LOADED_BATCH_BYTES).map_err(damaged)?;
        let mut unknown = 0;
        for record in open.records() {
            let record = record.map_err(damaged)?;
            let offset = record.offset;
            if control {
                let marker = ControlRecord::read(record.key, record.value)
                    .map_err(|source| LoadError::Control { offset, source })?;
                match marker {
                    ControlRecord::Commit { .. } => {
                        self.replay_end_transaction(offset, producer_id, true);
                    }
                    ControlRecord::Abort { .. } => {
                        self.replay_end_transaction(offset, producer_id, false);
                    }
                    _ => {}
                }
                continue;
            }
            let decoded = Record::decode(record.key, record.value)
                .map_err(|source| LoadError::Record { offset, source })?;
            match decoded {
                Some(decoded) => {
                    self.replay(offset, transactional.then_some(producer_id), decoded);
                }
                None => unknown += 1,
            }
        }
        Ok(unknown)
    }
}

impl Write {
    /// The records as one batch, base offset 0, ready to be appended.
    ///
    /// # Errors
    /// [`LoadError::Encode`] or [`LoadError::Build`] when the records cannot be put into bytes: a
    /// name longer than the schema allows, or more than a batch holds. Answer it with
    /// [`Shard::failed`] and MESSAGE_TOO_LARGE.
    pub fn batch(&self, now: Now, codec: Codec) -> Result<Bytes, LoadError> {
        let mut builder = BatchBuilder::new(BatchOptions { codec, ..BatchOptions::default() });
        for record in &self.records {
            let (key, value) = record.encode()?;
            builder.push(&NewRecord {
                timestamp: now.wall_ms,
                key: Some(&key),
                value: value.as_deref(),
                headers: &[],
            })?;
        }
        Ok(builder.build()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pharos_protocol::batch::batches;

    use super::*;
    use crate::testing::{Rig, START_MS, config};
    use crate::{Config, Tally, Topics};

    const GOLDEN: &[u8] = include_bytes!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/segments/__consumer_offsets-0/00000000000000000000.log"
    ));

    fn golden() -> Vec<(Record, Vec<u8>, Option<Vec<u8>>)> {
        let mut records = Vec::new();
        for batch in batches(GOLDEN) {
            let batch = batch.unwrap();
            if batch.header().is_control() {
                continue;
            }
            for record in batch.open(MAX_LOADED_BATCH_BYTES).unwrap().records() {
                let record = record.unwrap();
                let decoded = Record::decode(record.key, record.value).unwrap().unwrap();
                let (key, value) = (record.key.unwrap_or_default(), record.value);
                records.push((decoded, key.to_vec(), value.map(<[u8]>::to_vec)));
            }
        }
        records
    }

    #[test]
    fn a_segment_of_apache_kafka_loads() {
        let mut shard =
            Shard::new(Arc::new(Config::default()), Arc::new(Topics::default()), Tally::default());
        shard.committed_up_to(18);
        for batch in batches(GOLDEN) {
            shard.replay_batch(&batch.unwrap()).unwrap();
        }
        shard.loaded(Now { wall_ms: START_MS, monotonic_ms: 0 });
        let mut seen: Vec<String> = shard
            .groups()
            .map(|group| format!("{} {} {}", group.id, group.state.name(), group.generation))
            .collect();
        seen.sort();
        assert_eq!(seen, ["classic-group Empty 2", "consumer-group Empty 3", "txn-group Empty 0"]);
        let offset = |group| {
            let found = shard.committed(group).map(|(topic, partition, commit)| {
                format!("{topic}-{partition}:{} {}", commit.offset, commit.metadata)
            });
            found.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(offset("classic-group"), "golden-0:35 ");
        assert_eq!(offset("consumer-group"), "golden-0:35 ");
        assert_eq!(offset("txn-group"), "golden-0:3 note");
    }

    #[test]
    fn records_are_written_byte_for_byte_as_apache_kafka_does() {
        let records = golden();
        assert_eq!(records.len(), 17);
        for (record, key, value) in records {
            let (our_key, our_value) = record.encode().unwrap();
            assert_eq!(our_key, key, "{record:?}");
            assert_eq!(our_value.map(|bytes| bytes.to_vec()), value, "{record:?}");
        }
    }

    #[test]
    fn keys_of_other_kinds_are_skipped_and_damaged_ones_named() {
        assert_eq!(Record::decode(Some(&[0, 11, 0, 1, b'g']), None), Ok(None));
        assert_eq!(Record::decode(Some(&[127, 0]), Some(&[9])), Ok(None));
        assert_eq!(Record::decode(None, None), Err(RecordError::NoKey));
        assert_eq!(Record::decode(Some(&[0]), None), Err(RecordError::Short("key")));
        let group = [0, 2, 0, 1, b'g'];
        assert!(matches!(
            Record::decode(Some(&group), Some(&[0, 99])),
            Err(RecordError::Version { schema: "GroupMetadataValue", version: 99 })
        ));
        assert!(matches!(
            Record::decode(Some(&group), Some(&[0, 3, 0])),
            Err(RecordError::Schema { .. })
        ));
        // Whatever is cut off anywhere is refused, not believed.
        for (_, key, value) in golden() {
            for end in 0..key.len() {
                assert!(Record::decode(key.get(..end), None).is_err());
            }
            for end in 0..value.as_deref().unwrap_or_default().len() {
                let cut = value.as_deref().unwrap_or_default().get(..end);
                assert!(Record::decode(Some(&key), cut).is_err());
            }
        }
    }

    #[test]
    fn a_write_is_one_batch_that_loads_again() {
        let mut rig = Rig::new(config());
        rig.commit("g", "a", 0, 5);
        let record = rig.log[0].clone();
        let write = Write {
            records: vec![record],
            then: crate::event::Then::Reply(Vec::new()),
            cause: None,
        };
        let bytes = write.batch(rig.now, Codec::Zstd).unwrap();
        let mut shard = Rig::new(config()).shard;
        shard.committed_up_to(1);
        for batch in batches(&bytes) {
            shard.replay_batch(&batch.unwrap()).unwrap();
        }
        assert_eq!(shard.committed("g").count(), 1);
        let long = Record::Classic { group: "g".repeat(40_000).into(), value: None };
        let then = crate::event::Then::Reply(Vec::new());
        let write = Write { records: vec![long], then, cause: None };
        assert!(matches!(write.batch(rig.now, Codec::None), Err(LoadError::Encode(_))));
    }
}
