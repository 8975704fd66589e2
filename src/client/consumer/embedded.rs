//! The records that members of a classic group exchange through the coordinator, which does not
//! read them: subscriptions and assignments (`ConsumerProtocol` in Apache Kafka).

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use pharos_base::TopicPartition;
use pharos_protocol::messages::consumer_protocol_assignment as assignment;
use pharos_protocol::messages::consumer_protocol_subscription as subscription;
use pharos_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use pharos_protocol::{Message, encode_to_bytes};

use super::assignor::Member;
use super::coordinator::by_topic;
use crate::error::{ClientError, Result};

/// Version in which subscriptions are written: owned partitions, generation (KIP-792) and rack
/// (KIP-881).
const SUBSCRIPTION_VERSION: i16 = 3;
const ASSIGNMENT_VERSION: i16 = 3;

/// What a member wants and owns, as bytes of JoinGroup.
///
/// # Errors
/// When a name does not fit.
pub fn write_subscription(
    topics: &BTreeSet<String>,
    owned: &BTreeSet<TopicPartition>,
    generation: i32,
    rack_id: Option<String>,
) -> Result<Bytes> {
    let owned: Vec<_> = owned.iter().cloned().collect();
    let message = ConsumerProtocolSubscription {
        topics: topics.iter().cloned().collect(),
        owned_partitions: by_topic(&owned)
            .into_iter()
            .map(|(topic, partitions)| subscription::TopicPartition { topic, partitions })
            .collect(),
        generation_id: generation,
        user_data: None,
        rack_id,
    };
    versioned(&message, SUBSCRIPTION_VERSION)
}

/// What a member shall own, as bytes of SyncGroup.
///
/// # Errors
/// When a name does not fit.
pub fn write_assignment(topics: Vec<(String, Vec<i32>)>) -> Result<Bytes> {
    let assigned_partitions = topics
        .into_iter()
        .map(|(topic, partitions)| assignment::TopicPartition { topic, partitions })
        .collect();
    let message = ConsumerProtocolAssignment { assigned_partitions, user_data: None };
    versioned(&message, ASSIGNMENT_VERSION)
}

/// The partitions in an assignment; none when it cannot be read.
pub fn read_assignment(bytes: &[u8]) -> Vec<TopicPartition> {
    let message: ConsumerProtocolAssignment = read_versioned(bytes).unwrap_or_default();
    let mut partitions = Vec::new();
    for topic in &message.assigned_partitions {
        for partition in &topic.partitions {
            partitions.push(TopicPartition::new(topic.topic.as_str(), *partition));
        }
    }
    partitions
}

/// A member from its subscription; one that cannot be read subscribes to nothing.
pub fn read_member(id: &str, instance_id: Option<String>, metadata: &[u8]) -> Member {
    let message: ConsumerProtocolSubscription = read_versioned(metadata).unwrap_or_default();
    Member {
        id: id.to_owned(),
        instance_id,
        topics: message.topics,
        owned: message.owned_partitions.into_iter().map(|t| (t.topic, t.partitions)).collect(),
        generation: message.generation_id,
    }
}

/// A record of the consumer protocol with its version in front.
fn versioned<M: Message>(message: &M, version: i16) -> Result<Bytes> {
    let body = encode_to_bytes(message, version)
        .map_err(|error| ClientError::Unwritable { api: "JoinGroup", reason: error.to_string() })?;
    let mut out = BytesMut::with_capacity(2 + body.len());
    out.put_i16(version);
    out.put(body);
    Ok(out.freeze())
}

/// Reads a record with its version in front; newer versions are read as the newest known one, as
/// `ConsumerProtocol` does. None when it cannot be read.
fn read_versioned<M: Message>(bytes: &[u8]) -> Option<M> {
    let (version, body) = bytes.split_first_chunk::<2>()?;
    let version = i16::from_be_bytes(*version);
    M::decode(body, version.min(M::MAX_VERSION)).ok()
}
