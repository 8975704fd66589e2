//! The state of the cluster that the metadata log describes, at one offset.
//!
//! An image is immutable for whoever reads it: clones share their structure, so the next image
//! costs what changed. It only follows records ([`MetadataImage::apply`]); it decides nothing and
//! reads no clock.

mod apply;
mod broker;
mod delta;
mod quota;
mod snapshot;
mod topic;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{HashMap, OrdMap};
use pharos_base::{BrokerId, LeaderEpoch, Offset, PartitionId, TopicId, TopicPartition};

pub use apply::ApplyError;
pub use broker::{
    BrokerRegistration, ControllerRegistration, Endpoint, RegistrationState, VersionRange,
};
pub use delta::MetadataDelta;
pub(crate) use quota::quota_record;
pub use quota::{CLIENT_ID, IP, QuotaEntity, QuotaMap, QuotaName, USER};
pub(crate) use snapshot::{config_record, feature_record};
pub(crate) use topic::to_ids;
pub use topic::{PartitionRegistration, RecoveryState, TopicImage};

/// Name of the feature whose level is the metadata version (KIP-584).
pub const METADATA_VERSION: &str = "metadata.version";
/// Name of the feature that allows the consumer group protocol of KIP-848.
pub const GROUP_VERSION: &str = "group.version";

/// Kind of a thing that carries configuration, with its number on the wire and in records
/// (`org.apache.kafka.common.config.ConfigResource.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ConfigResourceType {
    /// A topic, by its name.
    Topic = 2,
    /// A broker by its id in decimal, or all brokers: the empty name.
    Broker = 4,
    /// Loggers of a broker; never stored.
    BrokerLogger = 8,
    /// A subscription of client metrics, by its name.
    ClientMetrics = 16,
    /// A group, by its id.
    Group = 32,
}

impl ConfigResourceType {
    /// The type with this number; `None` for those that Kafka does not know.
    pub fn from_code(code: i8) -> Option<Self> {
        [Self::Topic, Self::Broker, Self::BrokerLogger, Self::ClientMetrics, Self::Group]
            .into_iter()
            .find(|kind| *kind as i8 == code)
    }

    /// Its number on the wire.
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// One thing that carries configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// What it is.
    pub kind: ConfigResourceType,
    /// Its name; empty for the default of all brokers.
    pub name: Arc<str>,
}

impl ConfigResource {
    /// The resource `name` of the kind `kind`.
    pub fn new(kind: ConfigResourceType, name: impl Into<Arc<str>>) -> Self {
        Self { kind, name: name.into() }
    }

    /// The topic `name`.
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self::new(ConfigResourceType::Topic, name)
    }

    /// The broker `id`.
    pub fn broker(id: BrokerId) -> Self {
        Self::new(ConfigResourceType::Broker, id.to_string())
    }

    /// The defaults of all brokers.
    pub fn cluster_default() -> Self {
        Self::new(ConfigResourceType::Broker, "")
    }
}

/// Keys and values that were set on one resource; keys that were never set are absent.
pub type ConfigMap = BTreeMap<String, String>;

/// Up to where in the metadata log an image reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Offset of the last record that it contains; −1 when it contains none.
    pub last_offset: Offset,
    /// Epoch of the quorum's leader that wrote that record.
    pub last_epoch: LeaderEpoch,
    /// When that record was proposed, in milliseconds since 1970; −1 when there is none.
    pub last_timestamp_ms: i64,
}

impl Default for Provenance {
    fn default() -> Self {
        Self { last_offset: Offset(-1), last_epoch: LeaderEpoch::UNKNOWN, last_timestamp_ms: -1 }
    }
}

/// Sums over all partitions, kept as records are applied so that reading them costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionCounts {
    /// All partitions.
    pub total: i64,
    /// Partitions without a leader.
    pub offline: i64,
    /// Partitions whose leader is not the first of their replicas, those without a leader too.
    pub without_preferred_leader: i64,
}

/// The cluster at one offset of the metadata log.
#[derive(Clone, Debug, Default)]
pub struct MetadataImage {
    pub(crate) provenance: Provenance,
    pub(crate) brokers: OrdMap<BrokerId, Arc<BrokerRegistration>>,
    pub(crate) controllers: OrdMap<BrokerId, Arc<ControllerRegistration>>,
    pub(crate) topic_ids: OrdMap<Arc<str>, TopicId>,
    pub(crate) topics: HashMap<TopicId, Arc<TopicImage>>,
    pub(crate) configs: OrdMap<ConfigResource, Arc<ConfigMap>>,
    pub(crate) quotas: OrdMap<QuotaEntity, Arc<QuotaMap>>,
    pub(crate) features: OrdMap<Arc<str>, i16>,
    pub(crate) next_producer_id: i64,
    pub(crate) counts: PartitionCounts,
}

impl MetadataImage {
    /// The image before the first record.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Up to where it reaches.
    pub fn provenance(&self) -> Provenance {
        self.provenance
    }

    /// Offset of the last record that it contains; −1 when it contains none.
    pub fn last_offset(&self) -> Offset {
        self.provenance.last_offset
    }

    /// The registration of a broker, fenced or not.
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&id)
    }

    /// All registered brokers in the order of their ids.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<BrokerRegistration>> {
        self.brokers.values()
    }

    /// Brokers that clients may talk to: registered and not fenced.
    pub fn live_brokers(&self) -> impl Iterator<Item = &Arc<BrokerRegistration>> {
        self.brokers.values().filter(|broker| !broker.fenced)
    }

    /// All registered controllers in the order of their ids.
    pub fn controllers(&self) -> impl Iterator<Item = &Arc<ControllerRegistration>> {
        self.controllers.values()
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.topic_ids.get(name)?)
    }

    /// The topic of this id.
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get(&id)
    }

    /// The id of the topic of this name.
    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.topic_ids.get(name).copied()
    }

    /// All topics in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.topic_ids.values().filter_map(|id| self.topics.get(id))
    }

    /// Topics whose name is `from` or sorts behind it, in the order of their names: how a paged
    /// listing goes on.
    pub fn topics_from<'a>(&'a self, from: &str) -> impl Iterator<Item = &'a Arc<TopicImage>> {
        let from: Arc<str> = Arc::from(from);
        self.topic_ids.range(from..).filter_map(|(_, id)| self.topics.get(id))
    }

    /// Whether no step between the two images changed a topic or a partition; it may say no where
    /// every change was undone.
    pub fn shares_topics_with(&self, other: &Self) -> bool {
        self.topics.ptr_eq(&other.topics)
    }

    /// Number of topics.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// One partition, by the topic's name.
    pub fn partition(
        &self,
        topic: &str,
        partition: PartitionId,
    ) -> Option<&Arc<PartitionRegistration>> {
        self.topic(topic)?.partition(partition)
    }

    /// One partition, by the topic's name and its index together.
    pub fn topic_partition(&self, of: &TopicPartition) -> Option<&Arc<PartitionRegistration>> {
        self.partition(&of.topic, of.partition)
    }

    /// Sums over all partitions.
    pub fn partition_counts(&self) -> PartitionCounts {
        self.counts
    }

    /// What was set on a resource; `None` when nothing was.
    pub fn config(&self, resource: &ConfigResource) -> Option<&Arc<ConfigMap>> {
        self.configs.get(resource)
    }

    /// One key that was set on a resource.
    pub fn config_value(&self, resource: &ConfigResource, key: &str) -> Option<&str> {
        self.configs.get(resource)?.get(key).map(String::as_str)
    }

    /// All resources on which something was set.
    pub fn configs(&self) -> impl Iterator<Item = (&ConfigResource, &Arc<ConfigMap>)> {
        self.configs.iter()
    }

    /// The finalized level of a feature; 0 when it was never set.
    pub fn feature(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// Finalized features with a level above 0, by name.
    pub fn features(&self) -> impl Iterator<Item = (&str, i16)> {
        self.features.iter().map(|(name, level)| (&**name, *level))
    }

    /// The finalized metadata version; 0 in a cluster that was never formatted.
    pub fn metadata_version(&self) -> i16 {
        self.feature(METADATA_VERSION)
    }

    /// First producer id that was never given to a broker.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// Moves the image's provenance; called once per committed batch, after its records.
    pub fn set_provenance(&mut self, provenance: Provenance) {
        self.provenance = provenance;
    }
}

/// Two images are equal when they describe the same cluster, however they were reached.
impl PartialEq for MetadataImage {
    fn eq(&self, other: &Self) -> bool {
        self.brokers == other.brokers
            && self.controllers == other.controllers
            && self.topic_ids == other.topic_ids
            && self.topics == other.topics
            && self.configs == other.configs
            && self.quotas == other.quotas
            && self.features == other.features
            && self.next_producer_id == other.next_producer_id
            && self.counts == other.counts
    }
}
