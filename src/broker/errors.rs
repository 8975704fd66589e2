//! From what went wrong to what the wire says: exhaustive matches, so that a new failure cannot
//! slip through as "unknown server error".

use pharos_base::TopicPartition;
use pharos_protocol::ErrorCode;
use pharos_protocol::batch::BatchError;
use pharos_replication::{Missing, PartitionError};
use pharos_storage::{AppendError, Damage, ProducerError, ReadError, StorageError};

/// An error of a partition, a topic or a group, with a text where the response has room for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub code: ErrorCode,
    /// What a person should read.
    pub message: Option<String>,
    /// The record that is at fault, by its position in the batch, and what is wrong with it.
    pub record: Option<(i32, String)>,
}

impl Refusal {
    /// A code with a text.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()), record: None }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None, record: None }
    }
}

/// A partition that is not here.
pub fn of_missing(missing: &Missing) -> Refusal {
    match missing {
        Missing::Unknown => ErrorCode::UnknownTopicOrPartition.into(),
        Missing::Elsewhere => ErrorCode::NotLeaderOrFollower.into(),
        Missing::Offline => ErrorCode::KafkaStorageError.into(),
    }
}

/// A partition that refused.
pub fn of_partition(error: &PartitionError) -> Refusal {
    let code = match error {
        PartitionError::NotLeader(_) => return ErrorCode::NotLeaderOrFollower.into(),
        PartitionError::FencedEpoch { .. } => ErrorCode::FencedLeaderEpoch,
        PartitionError::UnknownEpoch { .. } => ErrorCode::UnknownLeaderEpoch,
        PartitionError::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
        PartitionError::Append(error) => of_append(error),
        PartitionError::Read(error) => of_read(error),
        PartitionError::Storage(error) => of_storage(error),
    };
    // As Kafka, only what is wrong with the records themselves is worded: clients show their own
    // words for the other codes (`ReplicaManager.appendRecordsToLeader`).
    match code {
        ErrorCode::InvalidRecord | ErrorCode::InvalidTimestamp => {
            Refusal::new(code, error.to_string())
        }
        code => code.into(),
    }
}

/// An append that `partition` refused: where a record is at fault it is named, in Kafka's words
/// (`LogValidator.processRecordErrors`).
pub fn of_refused_append(error: &PartitionError, partition: &TopicPartition) -> Refusal {
    let refusal = of_partition(error);
    let PartitionError::Append(AppendError::Batch(batch)) = error else { return refusal };
    let (index, words) = match batch {
        BatchError::MissingKey { index } => {
            let why = "Compacted topic cannot accept message without key in topic partition";
            (*index, format!("{why} {partition}"))
        }
        BatchError::Timestamp { index, timestamp, min, max } => {
            let bounds = format!("The timestamp should be within [{min}, {max}]");
            let why = "of message with offset";
            (*index, format!("Timestamp {timestamp} {why} {index} is out of range. {bounds}"))
        }
        BatchError::MalformedRecord { index, .. } | BatchError::OffsetDelta { index, .. } => {
            (*index, error.to_string())
        }
        _ => return refusal,
    };
    let mut message = "One or more records have been rejected".to_owned();
    if refusal.code == ErrorCode::InvalidTimestamp {
        message.push_str(" due to invalid timestamp");
    }
    Refusal { message: Some(message), record: Some((index, words)), ..refusal }
}

fn of_append(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Batch(error) => of_batch(error),
        AppendError::Producer(error) => match error {
            ProducerError::StaleEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            ProducerError::OutOfOrder { .. } => ErrorCode::OutOfOrderSequenceNumber,
            ProducerError::StaleCoordinator { .. } => ErrorCode::TransactionCoordinatorFenced,
            ProducerError::NotTransactional { .. } => ErrorCode::InvalidTxnState,
        },
        AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
        AppendError::BatchCount(_) | AppendError::Recompress(_) => ErrorCode::InvalidRecord,
        AppendError::OffsetGap { .. } => ErrorCode::CorruptMessage,
        AppendError::StaleLeader { .. } => ErrorCode::FencedLeaderEpoch,
        AppendError::Storage(_) => ErrorCode::KafkaStorageError,
    }
}

fn of_batch(error: &BatchError) -> ErrorCode {
    match error {
        BatchError::Truncated { .. }
        | BatchError::InvalidLength(_)
        | BatchError::WrongCrc { .. }
        | BatchError::Compression(_) => ErrorCode::CorruptMessage,
        BatchError::UnsupportedMagic(0 | 1) => ErrorCode::UnsupportedForMessageFormat,
        BatchError::UnsupportedMagic(_) => ErrorCode::CorruptMessage,
        BatchError::TooLarge { .. } | BatchError::OutputLimit { .. } => ErrorCode::MessageTooLarge,
        BatchError::UnknownCodec(_) => ErrorCode::UnsupportedCompressionType,
        BatchError::InvalidCount(_)
        | BatchError::CountMismatch { .. }
        | BatchError::MissingRecords { .. }
        | BatchError::TrailingBytes(_)
        | BatchError::MalformedRecord { .. }
        | BatchError::OffsetDelta { .. }
        | BatchError::MissingKey { .. }
        | BatchError::ControlFromClient
        | BatchError::BaseOffset(_)
        | BatchError::ProducerState { .. } => ErrorCode::InvalidRecord,
        BatchError::Timestamp { .. } | BatchError::LogAppendTimeFromClient => {
            ErrorCode::InvalidTimestamp
        }
    }
}

fn of_read(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Storage(error) => of_storage(error),
    }
}

/// What cannot be read: damage is no failure of the disk, and each kind of it is told apart.
fn of_storage(error: &StorageError) -> ErrorCode {
    match error {
        StorageError::Damaged { damage: Damage::Batch, .. } => ErrorCode::CorruptMessage,
        StorageError::Damaged { damage: Damage::Record, .. } => ErrorCode::InvalidRecord,
        StorageError::Full { .. }
        | StorageError::NoHandles { .. }
        | StorageError::Io { .. }
        | StorageError::Offline { .. }
        | StorageError::Closed { .. }
        | StorageError::Locked { .. } => ErrorCode::KafkaStorageError,
    }
}

/// Whether a partition of a fetch ended in an error that no working broker answers with
/// (`ReplicaManager.readFromLog` in apache/kafka).
pub fn is_failed_fetch(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::None
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::InconsistentTopicId
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::UnknownLeaderEpoch
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::ReplicaNotAvailable
            | ErrorCode::KafkaStorageError
            | ErrorCode::OffsetOutOfRange
    )
}

/// Whether the offsets or the sequence number that a batch declares cannot be: what
/// `LogValidator.validateBatch` counts, and no more.
pub fn is_wrong_offset_or_sequence(error: &PartitionError) -> bool {
    let PartitionError::Append(AppendError::Batch(error)) = error else { return false };
    match error {
        BatchError::InvalidCount(_)
        | BatchError::CountMismatch { .. }
        | BatchError::ControlFromClient => true,
        BatchError::ProducerState { sequence, .. } => *sequence < 0,
        _ => false,
    }
}

/// Whether a compacted topic refused a record for its missing key.
pub fn is_missing_key(error: &PartitionError) -> bool {
    matches!(error, PartitionError::Append(AppendError::Batch(BatchError::MissingKey { .. })))
}
