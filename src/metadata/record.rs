//! Kafka's metadata records and the frame in which they stand in the log: frame version, type and
//! version as unsigned varints, then the body (`org.apache.kafka.server.common.ApiMessageAndVersion`
//! by way of `MetadataRecordSerde`).

use bytes::Bytes;
use pharos_protocol::batch::{
    BatchBuilder, BatchError, BatchOptions, BuildError, NewRecord, RecordBatch,
};
use pharos_protocol::varint::{self, VarintError};
use pharos_protocol::{DecodeError, EncodeError, Message, encode_to_bytes, messages};
use thiserror::Error;

/// Declares the record enum from one row per type: number, name, version that is written.
macro_rules! records {
    ($($id:literal $name:ident($body:ident) writes $version:literal;)*) => {
        /// One metadata record; the variants are Kafka's (`MetadataRecordType`).
        #[derive(Clone, Debug, PartialEq)]
        pub enum MetadataRecord {
            $(
                #[doc = concat!("`", stringify!($body), "`, type ", stringify!($id), ".")]
                $name(messages::$body),
            )*
        }

        impl MetadataRecord {
            /// The number of its type.
            pub fn type_id(&self) -> u32 {
                match self { $(Self::$name(_) => $id,)* }
            }

            /// The name of its type.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($body),)* }
            }

            /// Appends the record with its frame.
            ///
            /// # Errors
            /// [`RecordError::Write`] when the body does not fit the version that is written.
            pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
                match self {
                    $(Self::$name(body) => write_body(body, $id, $version, self.name(), out),)*
                }
            }

            /// Reads a record with its frame.
            ///
            /// # Errors
            /// [`RecordError`] when it is not one that is known.
            pub fn decode(mut input: &[u8]) -> Result<Self, RecordError> {
                let frame = varint::read_u32(&mut input)?;
                if frame != FRAME_VERSION {
                    return Err(RecordError::FrameVersion(frame));
                }
                let id = varint::read_u32(&mut input)?;
                let version = varint::read_u32(&mut input)?;
                match id {
                    $($id => read_body(input, version, stringify!($body)).map(Self::$name),)*
                    id => Err(RecordError::UnknownType(id)),
                }
            }
        }
    };
}

records! {
    0 RegisterBroker(RegisterBrokerRecord) writes 4;
    1 UnregisterBroker(UnregisterBrokerRecord) writes 0;
    2 Topic(TopicRecord) writes 0;
    3 Partition(PartitionRecord) writes 2;
    4 Config(ConfigRecord) writes 0;
    5 PartitionChange(PartitionChangeRecord) writes 2;
    7 FenceBroker(FenceBrokerRecord) writes 0;
    8 UnfenceBroker(UnfenceBrokerRecord) writes 0;
    9 RemoveTopic(RemoveTopicRecord) writes 0;
    10 DelegationToken(DelegationTokenRecord) writes 0;
    11 UserScramCredential(UserScramCredentialRecord) writes 0;
    12 FeatureLevel(FeatureLevelRecord) writes 0;
    14 ClientQuota(ClientQuotaRecord) writes 0;
    15 ProducerIds(ProducerIdsRecord) writes 0;
    17 BrokerRegistrationChange(BrokerRegistrationChangeRecord) writes 3;
    18 AccessControlEntry(AccessControlEntryRecord) writes 0;
    19 RemoveAccessControlEntry(RemoveAccessControlEntryRecord) writes 0;
    20 NoOp(NoOpRecord) writes 0;
    21 ZkMigrationState(ZkMigrationStateRecord) writes 0;
    22 RemoveUserScramCredential(RemoveUserScramCredentialRecord) writes 0;
    23 BeginTransaction(BeginTransactionRecord) writes 0;
    24 EndTransaction(EndTransactionRecord) writes 0;
    25 AbortTransaction(AbortTransactionRecord) writes 0;
    26 RemoveDelegationToken(RemoveDelegationTokenRecord) writes 0;
    27 RegisterController(RegisterControllerRecord) writes 0;
    28 ClearElr(ClearElrRecord) writes 0;
}

/// Version of the frame itself.
const FRAME_VERSION: u32 = 1;

/// Most records in one batch. More are neither believed nor written: what is written must be read
/// again at the next start, or the node never starts again.
pub(crate) const MAX_RECORDS_PER_BATCH: usize = 1_000_000;

/// Why bytes are no metadata record.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The frame has another version.
    #[error("the frame of a metadata record has version {0}, only {FRAME_VERSION} is known")]
    FrameVersion(u32),
    /// The frame ends too early or holds no number.
    #[error("the frame of a metadata record is broken")]
    Frame(#[from] VarintError),
    /// No such type.
    #[error("metadata record type {0} is not known")]
    UnknownType(u32),
    /// A version that is not known.
    #[error("version {version} of metadata record {name} is not known")]
    UnknownVersion {
        /// Name of the type.
        name: &'static str,
        /// The version.
        version: u32,
    },
    /// The body does not follow its table.
    #[error("metadata record {name} cannot be read")]
    Body {
        /// Name of the type.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// The body cannot be written.
    #[error("metadata record {name} cannot be written")]
    Write {
        /// Name of the type.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: EncodeError,
    },
    /// A record of the log has no value.
    #[error("a metadata record has no value")]
    NoValue,
    /// The batch does not hold what its header says.
    #[error("the batch of metadata records is broken")]
    Batch(#[from] BatchError),
    /// The records do not fit a batch.
    #[error("the metadata records do not fit a batch")]
    Build(#[from] BuildError),
}

fn write_body<M: Message>(
    body: &M,
    id: u32,
    version: i16,
    name: &'static str,
    out: &mut Vec<u8>,
) -> Result<(), RecordError> {
    varint::write_u32(out, FRAME_VERSION);
    varint::write_u32(out, id);
    varint::write_u32(out, u32::from(version.unsigned_abs()));
    let bytes =
        encode_to_bytes(body, version).map_err(|source| RecordError::Write { name, source })?;
    out.extend_from_slice(&bytes);
    Ok(())
}

fn read_body<M: Message>(input: &[u8], version: u32, name: &'static str) -> Result<M, RecordError> {
    let unknown = RecordError::UnknownVersion { name, version };
    let Some(version) = i16::try_from(version).ok().filter(|it| *it <= M::MAX_VERSION) else {
        return Err(unknown);
    };
    M::decode(input, version).map_err(|source| RecordError::Body { name, source })
}

/// One batch of the metadata log: the records, all at `timestamp_ms`, from offset 0 on. Offset and
/// epoch are put in where it is appended.
///
/// # Errors
/// [`RecordError::Write`] and [`RecordError::Build`].
pub fn encode_batch(records: &[MetadataRecord], timestamp_ms: i64) -> Result<Bytes, RecordError> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let mut value = Vec::new();
    for record in records {
        value.clear();
        record.encode(&mut value)?;
        builder.push(&NewRecord {
            timestamp: timestamp_ms,
            value: Some(&value),
            ..NewRecord::default()
        })?;
    }
    Ok(builder.build()?)
}

/// Bytes of the records with their frames, without what a batch adds to each.
///
/// # Errors
/// [`RecordError::Write`].
pub(crate) fn encoded_len(records: &[MetadataRecord]) -> Result<usize, RecordError> {
    let mut value = Vec::new();
    let mut len = 0;
    for record in records {
        value.clear();
        record.encode(&mut value)?;
        len += value.len();
    }
    Ok(len)
}

/// The metadata records of a batch.
///
/// # Errors
/// [`RecordError`] when the batch is compressed beyond reason, broken, or holds what is unknown.
pub fn decode_batch(batch: &RecordBatch<'_>) -> Result<Vec<MetadataRecord>, RecordError> {
    let count = batch.header().count;
    if !usize::try_from(count).is_ok_and(|count| count <= MAX_RECORDS_PER_BATCH) {
        return Err(BatchError::InvalidCount(count).into());
    }
    let open = batch.open(MAX_BATCH_BYTES)?;
    let mut records = Vec::new();
    for record in open.records() {
        records.push(MetadataRecord::decode(record?.value.ok_or(RecordError::NoValue)?)?);
    }
    Ok(records)
}

/// Most bytes of a batch once it is decompressed.
const MAX_BATCH_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use pharos_protocol::batch::batches;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever stands where a record should be is refused, not believed.
        #[test]
        fn bytes_from_outside_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = MetadataRecord::decode(&bytes);
            for batch in batches(&bytes) {
                let _ = batch.map(|batch| decode_batch(&batch));
            }
        }

        #[test]
        fn a_record_reads_as_it_was_written(
            name in "[a-z.]{0,40}",
            value in prop::option::of("\\PC{0,40}"),
            level in any::<i16>(),
        ) {
            let records = [
                MetadataRecord::FeatureLevel(messages::FeatureLevelRecord {
                    name: name.clone(),
                    feature_level: level,
                }),
                MetadataRecord::Config(messages::ConfigRecord {
                    resource_type: 2,
                    resource_name: name.clone(),
                    name,
                    value,
                }),
            ];
            let bytes = encode_batch(&records, 1).unwrap();
            let (batch, _) = RecordBatch::split(&bytes).unwrap();
            prop_assert_eq!(decode_batch(&batch).unwrap(), records);
        }
    }

    #[test]
    fn a_frame_of_another_version_or_an_unknown_type_is_named() {
        let cases: [(&[u8], &str); 4] = [
            (&[2, 20, 0], "the frame of a metadata record has version 2, only 1 is known"),
            (&[1, 6, 0], "metadata record type 6 is not known"),
            (&[1, 20, 9], "version 9 of metadata record NoOpRecord is not known"),
            (&[1], "the frame of a metadata record is broken"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(MetadataRecord::decode(bytes).unwrap_err().to_string(), expected);
        }
    }
}
