//! From what went wrong to what the wire says: exhaustive matches, so that a new failure cannot
//! slip through as "unknown server error".

use pharos_protocol::ErrorCode;
use pharos_protocol::batch::BatchError;
use pharos_replication::{Missing, PartitionError};
use pharos_storage::{AppendError, ProducerError, ReadError};

/// An error of a partition, a topic or a group, with a text where the response has room for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub code: ErrorCode,
    /// What a person should read.
    pub message: Option<String>,
}

impl Refusal {
    /// A code with a text.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None }
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
        PartitionError::Storage(_) => ErrorCode::KafkaStorageError,
    };
    Refusal::new(code, error.to_string())
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
        ReadError::Storage(_) => ErrorCode::KafkaStorageError,
    }
}

/// Whether a compacted topic refused a record for its missing key.
pub fn is_missing_key(error: &PartitionError) -> bool {
    matches!(error, PartitionError::Append(AppendError::Batch(BatchError::MissingKey { .. })))
}
