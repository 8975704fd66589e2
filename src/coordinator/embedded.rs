//! The consumer protocol inside classic groups: subscriptions in JoinGroup, assignments in
//! SyncGroup (`ConsumerProtocol` in apache/kafka). Each begins with its version, an int16.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use pharos_base::TopicId;

use crate::topics::Topics;
use crate::wire::consumer_protocol_assignment::TopicPartition;
use crate::wire::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, Message, encode_to_bytes,
};

/// The newest version of both schemas that is known; newer ones begin with the same fields.
const NEWEST_VERSION: i16 = 3;

fn split(bytes: &Bytes) -> Option<(i16, &[u8])> {
    let (version, rest) = bytes.split_first_chunk::<2>()?;
    let version = i16::from_be_bytes(*version);
    (version >= 0).then_some((version, rest))
}

/// The version of a subscription.
pub(crate) fn version(bytes: &Bytes) -> Option<i16> {
    split(bytes).map(|(version, _)| version)
}

/// A member's subscription; `None` when it cannot be read.
pub(crate) fn subscription(bytes: &Bytes) -> Option<ConsumerProtocolSubscription> {
    let (version, body) = split(bytes)?;
    ConsumerProtocolSubscription::decode(body, version.min(NEWEST_VERSION)).ok()
}

/// The topics of a subscription. Only the fields of version 0 are looked at: every version begins
/// with them.
pub(crate) fn subscribed_topics(bytes: &Bytes) -> Option<Vec<String>> {
    let (_, body) = split(bytes)?;
    Some(ConsumerProtocolSubscription::decode(body, 0).ok()?.topics)
}

/// A member's assignment, by topic id; topics that are gone are left out. `None` when it cannot
/// be read.
pub(crate) fn assignment(bytes: &Bytes, topics: &Topics) -> Option<BTreeMap<TopicId, Vec<i32>>> {
    if bytes.is_empty() {
        return Some(BTreeMap::new());
    }
    let (version, body) = split(bytes)?;
    let decoded = ConsumerProtocolAssignment::decode(body, version.min(NEWEST_VERSION)).ok()?;
    let known = decoded.assigned_partitions.into_iter().filter_map(|assigned| {
        let topic = topics.get(&assigned.topic)?;
        Some((topic.id, assigned.partitions))
    });
    Some(known.collect())
}

/// Bytes of an assignment in `version`, by topic name.
pub(crate) fn encode_assignment<'a>(
    assigned: impl Iterator<Item = (&'a str, Vec<i32>)>,
    version: i16,
) -> Bytes {
    let version = version.clamp(0, NEWEST_VERSION);
    let partitions =
        assigned.map(|(topic, partitions)| TopicPartition { topic: topic.to_owned(), partitions });
    let body = ConsumerProtocolAssignment {
        assigned_partitions: partitions.collect(),
        ..ConsumerProtocolAssignment::default()
    };
    let mut bytes = BytesMut::from(&version.to_be_bytes()[..]);
    // Cannot fail: names are those of topics, and an assignment has no field but these.
    bytes.extend_from_slice(&encode_to_bytes(&body, version).unwrap_or_default());
    bytes.freeze()
}
