//! What the controller answers: each file takes a request and the image and returns the records
//! that carry it out together with Kafka's response. Pure: no clock, no chance but what comes in,
//! no effect before the records are committed.

pub(crate) mod alter_partition;
pub(crate) mod assign_directories;
pub(crate) mod brokers;
pub(crate) mod client_quotas;
pub(crate) mod configs;
pub(crate) mod create_partitions;
pub(crate) mod create_topics;
pub(crate) mod delete_topics;
pub(crate) mod elect_leaders;
pub(crate) mod features;
pub(crate) mod partition_quota;
pub(crate) mod producer_ids;
pub(crate) mod topic_name;

#[cfg(test)]
pub(crate) mod tests;

pub use partition_quota::PartitionQuota;

use pharos_base::{BrokerId, PartitionId, TopicId};

use crate::election::{Election, PartitionChange};
use crate::image::PartitionRegistration;
use crate::image::{ConfigMap, ConfigResource, ConfigResourceType, MetadataImage, VersionRange};
use crate::placement::UsableBroker;
use crate::record::{MetadataRecord, encoded_len};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::create_topics_response::CreatableTopicConfigs;

/// Most records that one request may make, so that one entry of the log stays small
/// (`QuorumController.MAX_RECORDS_PER_USER_OP`).
pub const MAX_RECORDS_PER_REQUEST: usize = 10_000;

/// Most bytes of records that one request may make (`KafkaRaftClient.MAX_BATCH_SIZE_BYTES`).
const MAX_BYTES_PER_REQUEST: usize = 8 << 20;

/// Directory of a replica whose broker has not said yet where it lies (`DirectoryId.UNASSIGNED`).
pub const DIRECTORY_UNASSIGNED: TopicId = TopicId(uuid::Uuid::from_u128(1));
/// Directory of a replica that is on a broken one (`DirectoryId.LOST`).
pub const DIRECTORY_LOST: TopicId = TopicId(uuid::Uuid::from_u128(2));
/// Directory ids up to this number have a meaning of their own and name no directory.
const LAST_RESERVED_DIRECTORY: u128 = 100;

/// A refusal in Kafka's terms: an error code and the sentence that the client sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The code on the wire.
    pub code: ErrorCode,
    /// The sentence; `None` leaves the client with the code's own.
    pub message: Option<String>,
}

impl ApiError {
    /// An error with a sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: Some(message.into()) }
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}

/// The code and sentence of an outcome, as responses carry them.
pub(crate) fn outcome<T>(result: Result<T, ApiError>) -> (i16, Option<String>) {
    match result {
        Ok(_) => (ErrorCode::None.code(), None),
        Err(error) => (error.code.code(), error.message),
    }
}

/// What a request may still add to the log.
#[derive(Debug, Default)]
pub(crate) struct Room {
    records: usize,
    bytes: usize,
}

impl Room {
    /// Takes the room that `records` need.
    ///
    /// # Errors
    /// POLICY_VIOLATION when there is too little; nothing is taken then.
    pub fn take(&mut self, records: &[MetadataRecord]) -> Result<(), ApiError> {
        self.check_count(records.len())?;
        let bytes = encoded_len(records).map_err(|error| {
            ApiError::new(ErrorCode::InvalidRequest, format!("{error}: a text is too long."))
        })?;
        let bytes = self.bytes + bytes;
        if bytes > MAX_BYTES_PER_REQUEST {
            let message = format!(
                "Unable to perform excessively large batch operation of more than \
                 {MAX_BYTES_PER_REQUEST} bytes."
            );
            return Err(ApiError::new(ErrorCode::PolicyViolation, message));
        }
        *self = Self { records: self.records + records.len(), bytes };
        Ok(())
    }

    /// Refuses `more` records than are left; to be asked before anything is sized by the number.
    ///
    /// # Errors
    /// POLICY_VIOLATION.
    pub fn check_count(&self, more: usize) -> Result<(), ApiError> {
        if self.records.saturating_add(more) <= MAX_RECORDS_PER_REQUEST {
            return Ok(());
        }
        let message = format!(
            "Unable to perform excessively large batch operation of more than \
             {MAX_RECORDS_PER_REQUEST} records."
        );
        Err(ApiError::new(ErrorCode::PolicyViolation, message))
    }
}

/// What the configuration rows say about values: given to the controller by whoever owns the rows.
pub trait ConfigRules: Send + Sync + 'static {
    /// Checks what a resource would have after a change, against what it has before.
    ///
    /// # Errors
    /// The refusal that the client gets, usually INVALID_CONFIG.
    fn validate(
        &self,
        resource: &ConfigResource,
        after: &ConfigMap,
        before: &ConfigMap,
    ) -> Result<(), ApiError>;

    /// Whether the key holds a list, so that values can be appended and subtracted.
    fn is_list(&self, kind: ConfigResourceType, key: &str) -> bool;

    /// Whether the cluster sets the key by itself: it stays when a list of other values replaces what
    /// is set.
    fn stays(&self, kind: ConfigResourceType, key: &str) -> bool;

    /// The value that a key has on a resource of this kind when nothing is set there.
    fn default_value(&self, kind: ConfigResourceType, key: &str) -> Option<String>;

    /// Everything that a topic with these settings is configured with, sorted by name: the part of
    /// a CreateTopics response.
    fn effective_topic_configs(
        &self,
        image: &MetadataImage,
        set: &ConfigMap,
    ) -> Vec<CreatableTopicConfigs>;
}

/// Limits and defaults of the controller, read from configuration by whoever starts it.
#[derive(Clone, Debug)]
pub struct ControllerSettings {
    /// `node.id`.
    pub node_id: BrokerId,
    /// Id of the cluster.
    pub cluster_id: String,
    /// `num.partitions`.
    pub default_num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// `unclean.leader.election.enable` where no topic, broker or cluster default says otherwise.
    pub unclean_leader_election_enable: bool,
    /// `broker.session.timeout.ms`.
    pub broker_session_timeout_ms: i64,
    /// `auto.leader.rebalance.enable`.
    pub auto_leader_rebalance_enable: bool,
    /// `leader.imbalance.check.interval.seconds`, in milliseconds.
    pub leader_imbalance_check_interval_ms: i64,
    /// `metadata.max.idle.interval.ms`; 0 writes no records while idle.
    pub max_idle_interval_ms: i64,
    /// Features that this controller works with.
    pub supported_features: Vec<VersionRange>,
}

impl ControllerSettings {
    /// Kafka's defaults for a node of a cluster.
    pub fn new(node_id: BrokerId, cluster_id: impl Into<String>) -> Self {
        Self {
            node_id,
            cluster_id: cluster_id.into(),
            default_num_partitions: 1,
            default_replication_factor: 1,
            delete_topic_enable: true,
            unclean_leader_election_enable: false,
            broker_session_timeout_ms: 9_000,
            auto_leader_rebalance_enable: true,
            leader_imbalance_check_interval_ms: 300_000,
            max_idle_interval_ms: 500,
            supported_features: supported_features(),
        }
    }
}

/// The feature levels that this build works with: what brokers and controllers register, and what
/// ApiVersions tells.
pub fn supported_features() -> Vec<VersionRange> {
    vec![
        VersionRange::new(crate::image::METADATA_VERSION, 7, 30),
        VersionRange::new(crate::image::GROUP_VERSION, 0, 1),
    ]
}

/// What a decision is made from.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// The image with everything that was decided before.
    pub image: &'a MetadataImage,
    pub settings: &'a ControllerSettings,
    pub rules: &'a dyn ConfigRules,
    /// Offset at which the first record of this decision will stand.
    pub next_offset: i64,
    /// A number that differs each time.
    pub chance: u64,
}

/// Records to commit, and the answer once they are.
#[derive(Debug)]
pub(crate) struct Decision<R> {
    pub records: Vec<MetadataRecord>,
    pub response: R,
}

impl<R> Decision<R> {
    /// An answer that changes nothing.
    pub fn only(response: R) -> Self {
        Self { records: Vec::new(), response }
    }
}

impl Facts<'_> {
    /// Brokers that replicas can be put on.
    pub fn usable_brokers(&self) -> Vec<UsableBroker> {
        let brokers = self.image.brokers();
        brokers
            .filter(|broker| broker.takes_replicas())
            .map(|broker| UsableBroker {
                id: broker.id,
                rack: broker.rack.clone(),
                fenced: broker.fenced || broker.in_controlled_shutdown,
            })
            .collect()
    }

    /// Whether a broker is registered, unfenced and not shutting down.
    pub fn is_active(&self, id: BrokerId) -> bool {
        self.image.broker(id).is_some_and(|broker| broker.is_active())
    }

    /// Whether a replica may lead: its broker is active and its directory is not known as broken.
    pub fn may_lead(&self, partition: &PartitionRegistration, id: BrokerId) -> bool {
        self.image.broker(id).is_some_and(|broker| {
            broker.is_active() && has_directory(&broker.log_dirs, partition.directory_of(id))
        })
    }

    /// The directory of a new replica: known when the broker has one, else the broker will choose.
    pub fn default_directory(&self, id: BrokerId) -> TopicId {
        match self.image.broker(id).map(|broker| &broker.log_dirs[..]) {
            Some([only]) => *only,
            Some([]) => TopicId::ZERO,
            _ => DIRECTORY_UNASSIGNED,
        }
    }

    /// `unclean.leader.election.enable` of a topic: its own, its cluster's, the node's.
    pub fn unclean_election_enabled(&self, topic: &str) -> bool {
        const KEY: &str = "unclean.leader.election.enable";
        let of_topic = self.image.config_value(&ConfigResource::topic(topic), KEY);
        let of_node =
            || self.image.config_value(&ConfigResource::broker(self.settings.node_id), KEY);
        let of_cluster = || self.image.config_value(&ConfigResource::cluster_default(), KEY);
        of_topic
            .or_else(of_node)
            .or_else(of_cluster)
            .map_or(self.settings.unclean_leader_election_enable, |value| {
                value.eq_ignore_ascii_case("true")
            })
    }

    /// Adds the changes of all partitions that a broker's coming or going makes necessary:
    /// `leaving` is taken out of in-sync sets and never elected, `joining` counts as active.
    pub fn rebalance_for(
        &self,
        leaving: Option<BrokerId>,
        joining: Option<BrokerId>,
        records: &mut Vec<MetadataRecord>,
    ) {
        for topic in self.image.topics() {
            for (id, partition) in topic.partitions() {
                let concerned = match leaving {
                    Some(leaving) => partition.isr.contains(&leaving),
                    None => !partition.has_leader(),
                };
                if concerned {
                    let change = self.change_for(topic.id, &topic.name, id, partition, leaving);
                    let record = change.build(|broker| {
                        Some(broker) != leaving
                            && (Some(broker) == joining || self.may_lead(partition, broker))
                    });
                    records.extend(record.map(MetadataRecord::PartitionChange));
                }
            }
        }
    }

    fn change_for<'a>(
        &self,
        topic_id: TopicId,
        topic: &str,
        id: PartitionId,
        partition: &'a PartitionRegistration,
        leaving: Option<BrokerId>,
    ) -> PartitionChange<'a> {
        let unclean = self.unclean_election_enabled(topic);
        let election = if unclean { Election::Unclean } else { Election::Online };
        let mut change = PartitionChange::new(topic_id, id, partition, election);
        change.target_isr.retain(|broker| Some(*broker) != leaving);
        change
    }
}

fn has_directory(online: &[TopicId], directory: Option<TopicId>) -> bool {
    match directory {
        None | Some(TopicId::ZERO | DIRECTORY_UNASSIGNED) => true,
        Some(directory) => online.is_empty() || online.contains(&directory),
    }
}

/// Whether a directory id has a meaning of its own.
pub(crate) fn is_reserved_directory(id: TopicId) -> bool {
    id.0.as_u128() <= LAST_RESERVED_DIRECTORY
}
