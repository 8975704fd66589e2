//! What is known of the cluster: brokers, topics, leaders. Immutable; a newer one replaces it.

use std::collections::{BTreeMap, HashMap};

use pharos_base::{BrokerId, LeaderEpoch, PartitionId, TopicId, TopicPartition};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::MetadataResponse;
use pharos_protocol::messages::metadata_response::MetadataResponseTopic;

use crate::config::HostPort;
use crate::error::error_code;

/// One broker as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `node.id`.
    pub id: BrokerId,
    /// Advertised address.
    pub address: HostPort,
    /// `broker.rack`, where one is set.
    pub rack: Option<String>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Index in the topic.
    pub partition: PartitionId,
    /// Error of this partition alone, such as LEADER_NOT_AVAILABLE.
    pub error: ErrorCode,
    /// Leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// Epoch of the leader, or [`LeaderEpoch::UNKNOWN`].
    pub leader_epoch: LeaderEpoch,
    /// Replicas, the preferred one first.
    pub replicas: Vec<BrokerId>,
    /// Replicas in sync.
    pub isr: Vec<BrokerId>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Identity; zero from brokers that do not tell.
    pub id: TopicId,
    /// True for the cluster's own topics.
    pub internal: bool,
    /// Error of the whole topic, such as UNKNOWN_TOPIC_OR_PARTITION.
    pub error: ErrorCode,
    /// Partitions in order of their index.
    pub partitions: Vec<PartitionMetadata>,
}

impl TopicMetadata {
    /// The partition of that index.
    pub fn partition(&self, partition: PartitionId) -> Option<&PartitionMetadata> {
        let found = self.partitions.binary_search_by_key(&partition, |p| p.partition).ok()?;
        self.partitions.get(found)
    }

    fn from_response(topic: &MetadataResponseTopic) -> Self {
        let mut partitions: Vec<_> = topic
            .partitions
            .iter()
            .map(|partition| PartitionMetadata {
                partition: PartitionId(partition.partition_index),
                error: error_code(partition.error_code),
                leader: BrokerId(partition.leader_id),
                leader_epoch: LeaderEpoch(partition.leader_epoch),
                replicas: partition.replica_nodes.iter().copied().map(BrokerId).collect(),
                isr: partition.isr_nodes.iter().copied().map(BrokerId).collect(),
            })
            .collect();
        partitions.sort_by_key(|partition| partition.partition);
        partitions.dedup_by_key(|partition| partition.partition);
        Self {
            id: topic.topic_id,
            internal: topic.is_internal,
            error: error_code(topic.error_code),
            partitions,
        }
    }
}

/// A picture of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// `cluster.id`, if the broker told.
    pub cluster_id: Option<String>,
    /// Brokers by id.
    pub brokers: BTreeMap<BrokerId, Node>,
    /// Topics by name: those that were asked for.
    pub topics: HashMap<String, TopicMetadata>,
}

impl Metadata {
    /// Reads an answer. Brokers with an impossible port are left out.
    pub fn from_response(response: &MetadataResponse) -> Self {
        let brokers = response.brokers.iter().filter_map(|broker| {
            let port = u16::try_from(broker.port).ok()?;
            let address = HostPort { host: broker.host.clone(), port };
            let id = BrokerId(broker.node_id);
            Some((id, Node { id, address, rack: broker.rack.clone() }))
        });
        let topics = response
            .topics
            .iter()
            .filter_map(|topic| Some((topic.name.clone()?, TopicMetadata::from_response(topic))));
        Self {
            cluster_id: response.cluster_id.clone(),
            brokers: brokers.collect(),
            topics: topics.collect(),
        }
    }

    /// This picture with `newer` laid over it: newer brokers, newer topics, older topics kept.
    pub fn merged(&self, newer: Self) -> Self {
        let mut topics = self.topics.clone();
        topics.extend(newer.topics);
        Self {
            cluster_id: newer.cluster_id.or_else(|| self.cluster_id.clone()),
            brokers: newer.brokers,
            topics,
        }
    }

    /// The partition, if its topic is known.
    pub fn partition(&self, of: &TopicPartition) -> Option<&PartitionMetadata> {
        self.topics.get(&*of.topic)?.partition(of.partition)
    }

    /// `host:port` of a partition's leader; `?` when it is not known.
    pub(crate) fn leader_address(&self, of: &TopicPartition) -> String {
        let leader = self.leader(of).and_then(|leader| self.brokers.get(&leader));
        leader.map_or_else(|| "?".to_owned(), |node| node.address.to_string())
    }

    /// The live leader of a partition.
    pub fn leader(&self, of: &TopicPartition) -> Option<BrokerId> {
        let leader = self.partition(of)?.leader;
        self.brokers.contains_key(&leader).then_some(leader)
    }
}
