//! The bytes of the records of `__consumer_offsets`.
//!
//! Key: int16 kind, then the key's schema in version 0. Value: int16 version, then the value's
//! schema (`GroupCoordinatorRecordSerde` in apache/kafka). Kinds that are not ours (share and
//! streams groups, or of versions to come) are skipped, never an error.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use pharos_protocol::DecodeError;
use pharos_protocol::EncodeError;
use thiserror::Error;

use crate::record::Record;
use crate::wire::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupMemberMetadataKey,
    ConsumerGroupMetadataKey, ConsumerGroupPartitionMetadataKey, ConsumerGroupRegularExpressionKey,
    ConsumerGroupTargetAssignmentMemberKey, ConsumerGroupTargetAssignmentMetadataKey,
    GroupMetadataKey, Message, OffsetCommitKey, encode_to_bytes,
};

const LEGACY_OFFSET: i16 = 0;
const OFFSET: i16 = 1;
const CLASSIC: i16 = 2;
const CONSUMER: i16 = 3;
const CONSUMER_TOPICS: i16 = 4;
const CONSUMER_MEMBER: i16 = 5;
const CONSUMER_TARGET_EPOCH: i16 = 6;
const CONSUMER_TARGET: i16 = 7;
const CONSUMER_CURRENT: i16 = 8;
const CONSUMER_REGEX: i16 = 16;

/// Versions that are written: those of Kafka 4.3 with metadata.version 30.
const OFFSET_VERSION: i16 = 4;
/// The only version that can say when an offset expires.
const OFFSET_WITH_EXPIRY_VERSION: i16 = 1;
const CLASSIC_VERSION: i16 = 3;

/// A record that cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// A record without a key.
    #[error("record without a key")]
    NoKey,
    /// A key or value that is cut off before its kind or version.
    #[error("{0} is shorter than its two bytes of kind or version")]
    Short(&'static str),
    /// A value of a version that this program does not know.
    #[error("value of {schema} has unknown version {version}")]
    Version {
        /// Name of the schema.
        schema: &'static str,
        /// The version found.
        version: i16,
    },
    /// A key or value that its schema does not fit.
    #[error("{schema} does not fit its schema")]
    Schema {
        /// Name of the schema.
        schema: &'static str,
        /// What was wrong.
        #[source]
        source: DecodeError,
    },
}

impl Record {
    /// Key and value as they stand in the log.
    ///
    /// # Errors
    /// When a string is longer than the schema's 32,767 bytes allow.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        let text = |text: &Arc<str>| text.to_string();
        match self {
            Self::Offset { group, topic, partition, value } => {
                let key = OffsetCommitKey {
                    group: text(group),
                    topic: text(topic),
                    partition: *partition,
                };
                let version = match value {
                    Some(value) if value.expire_timestamp != -1 => OFFSET_WITH_EXPIRY_VERSION,
                    _ => OFFSET_VERSION,
                };
                pair(OFFSET, &key, version, value.as_ref())
            }
            Self::Classic { group, value } => {
                let key = GroupMetadataKey { group: text(group) };
                pair(CLASSIC, &key, CLASSIC_VERSION, value.as_ref())
            }
            Self::Consumer { group, value } => {
                let key = ConsumerGroupMetadataKey { group_id: text(group) };
                pair(CONSUMER, &key, 0, value.as_ref())
            }
            Self::ConsumerTopics { group, .. } => {
                let key = ConsumerGroupPartitionMetadataKey { group_id: text(group) };
                Ok((prefixed(CONSUMER_TOPICS, &key, 0)?, None))
            }
            Self::ConsumerMember { group, member, value } => {
                let key = ConsumerGroupMemberMetadataKey {
                    group_id: text(group),
                    member_id: text(member),
                };
                pair(CONSUMER_MEMBER, &key, 0, value.as_ref())
            }
            Self::ConsumerTargetEpoch { group, value } => {
                let key = ConsumerGroupTargetAssignmentMetadataKey { group_id: text(group) };
                pair(CONSUMER_TARGET_EPOCH, &key, 0, value.as_ref())
            }
            Self::ConsumerTarget { group, member, value } => {
                let key = ConsumerGroupTargetAssignmentMemberKey {
                    group_id: text(group),
                    member_id: text(member),
                };
                pair(CONSUMER_TARGET, &key, 0, value.as_ref())
            }
            Self::ConsumerCurrent { group, member, value } => {
                let key = ConsumerGroupCurrentMemberAssignmentKey {
                    group_id: text(group),
                    member_id: text(member),
                };
                pair(CONSUMER_CURRENT, &key, 0, value.as_ref())
            }
            Self::ConsumerRegex { group, regex, value } => {
                let key = ConsumerGroupRegularExpressionKey {
                    group_id: text(group),
                    regular_expression: text(regex),
                };
                pair(CONSUMER_REGEX, &key, 0, value.as_ref())
            }
        }
    }

    /// Reads a record; `None` if it is of a kind that is not ours.
    ///
    /// # Errors
    /// [`RecordError`] when key or value of a known kind cannot be read.
    pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<Self>, RecordError> {
        let (kind, key) = split(key.ok_or(RecordError::NoKey)?, "key")?;
        let record = match kind {
            LEGACY_OFFSET | OFFSET => {
                let key: OffsetCommitKey = read(key, 0)?;
                Self::Offset {
                    group: key.group.into(),
                    topic: key.topic.into(),
                    partition: key.partition,
                    value: read_value(value)?,
                }
            }
            CLASSIC => {
                let key: GroupMetadataKey = read(key, 0)?;
                Self::Classic { group: key.group.into(), value: read_value(value)? }
            }
            CONSUMER => {
                let key: ConsumerGroupMetadataKey = read(key, 0)?;
                Self::Consumer { group: key.group_id.into(), value: read_value(value)? }
            }
            CONSUMER_TOPICS => {
                let key: ConsumerGroupPartitionMetadataKey = read(key, 0)?;
                Self::ConsumerTopics { group: key.group_id.into(), deleted: value.is_none() }
            }
            CONSUMER_MEMBER => {
                let key: ConsumerGroupMemberMetadataKey = read(key, 0)?;
                let (group, member) = (key.group_id.into(), key.member_id.into());
                Self::ConsumerMember { group, member, value: read_value(value)? }
            }
            CONSUMER_TARGET_EPOCH => {
                let key: ConsumerGroupTargetAssignmentMetadataKey = read(key, 0)?;
                let group = key.group_id.into();
                Self::ConsumerTargetEpoch { group, value: read_value(value)? }
            }
            CONSUMER_TARGET => {
                let key: ConsumerGroupTargetAssignmentMemberKey = read(key, 0)?;
                let (group, member) = (key.group_id.into(), key.member_id.into());
                Self::ConsumerTarget { group, member, value: read_value(value)? }
            }
            CONSUMER_CURRENT => {
                let key: ConsumerGroupCurrentMemberAssignmentKey = read(key, 0)?;
                let (group, member) = (key.group_id.into(), key.member_id.into());
                Self::ConsumerCurrent { group, member, value: read_value(value)? }
            }
            CONSUMER_REGEX => {
                let key: ConsumerGroupRegularExpressionKey = read(key, 0)?;
                let regex = key.regular_expression.into();
                Self::ConsumerRegex { group: key.group_id.into(), regex, value: read_value(value)? }
            }
            _ => return Ok(None),
        };
        Ok(Some(record))
    }
}

fn prefixed<M: Message>(prefix: i16, message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let body = encode_to_bytes(message, version)?;
    let mut bytes = BytesMut::with_capacity(size_of::<i16>() + body.len());
    bytes.put_i16(prefix);
    bytes.put_slice(&body);
    Ok(bytes.freeze())
}

fn pair<K: Message, V: Message>(
    kind: i16,
    key: &K,
    version: i16,
    value: Option<&V>,
) -> Result<(Bytes, Option<Bytes>), EncodeError> {
    let value = value.map(|value| prefixed(version, value, version)).transpose()?;
    Ok((prefixed(kind, key, 0)?, value))
}

fn split<'a>(bytes: &'a [u8], what: &'static str) -> Result<(i16, &'a [u8]), RecordError> {
    let (prefix, rest) = bytes.split_first_chunk::<2>().ok_or(RecordError::Short(what))?;
    Ok((i16::from_be_bytes(*prefix), rest))
}

fn read<M: Message>(bytes: &[u8], version: i16) -> Result<M, RecordError> {
    M::decode(bytes, version).map_err(|source| RecordError::Schema { schema: M::NAME, source })
}

fn read_value<M: Message>(value: Option<&[u8]>) -> Result<Option<M>, RecordError> {
    let Some(value) = value else { return Ok(None) };
    let (version, body) = split(value, "value")?;
    if !(M::MIN_VERSION..=M::MAX_VERSION).contains(&version) {
        return Err(RecordError::Version { schema: M::NAME, version });
    }
    read(body, version).map(Some)
}
