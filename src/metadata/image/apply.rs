//! Records into the image: the one place where the cluster's state changes.
//!
//! Each record either takes effect whole or is refused with a reason; a record that Kafka writes
//! and nothing here can honour (access control, credentials, tokens) is refused, never
//! dropped in silence.

use std::sync::Arc;

use pharos_base::{BrokerId, LeaderEpoch, PartitionId, TopicId};
use thiserror::Error;

use super::topic::from_ids;
use super::{
    BrokerRegistration, ConfigMap, ConfigResource, ConfigResourceType, ControllerRegistration,
    MetadataDelta, MetadataImage, PartitionRegistration, RecoveryState, TopicImage,
};
use crate::record::MetadataRecord;
use pharos_protocol::messages::{
    BrokerRegistrationChangeRecord, ConfigRecord, FeatureLevelRecord, PartitionChangeRecord,
    PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord, RemoveTopicRecord, TopicRecord,
    UnregisterBrokerRecord,
};

/// A leader that a change leaves as it is (`LeaderConstants.NO_LEADER_CHANGE`).
const NO_LEADER_CHANGE: i32 = -2;

/// Why a record does not fit the image: the log was not written by a sound controller.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ApplyError {
    /// A record speaks of a topic that does not exist.
    #[error("no topic has the id {0}")]
    UnknownTopic(TopicId),
    /// A record makes a topic again.
    #[error("topic {0} exists already")]
    TopicExists(Arc<str>),
    /// A change speaks of a partition that does not exist.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// Name of the topic.
        topic: Arc<str>,
        /// Index of the partition.
        partition: PartitionId,
    },
    /// A record speaks of a broker that is not registered with that epoch.
    #[error("broker {id} is not registered with epoch {epoch}")]
    UnknownBroker {
        /// Id of the broker.
        id: i32,
        /// The epoch that the record names.
        epoch: i64,
    },
    /// A number has no meaning.
    #[error("{what} {value} has no meaning")]
    BadValue {
        /// The field.
        what: &'static str,
        /// Its value.
        value: i64,
    },
    /// Replicas and their directories do not pair up.
    #[error(
        "partition {partition} of topic {topic} has {replicas} replicas and {directories} directories"
    )]
    Directories {
        /// Name of the topic.
        topic: Arc<str>,
        /// Index of the partition.
        partition: PartitionId,
        /// Number of replicas.
        replicas: usize,
        /// Number of directories.
        directories: usize,
    },
    /// A quota is for what is neither user, client id nor address.
    #[error("a quota is for an unknown type of entity, {0:?}")]
    UnknownQuotaEntity(String),
    /// The record belongs to something that is not built.
    #[error("metadata records of type {0} are not supported")]
    Unsupported(&'static str),
}

impl MetadataImage {
    /// Applies one record and notes in `delta` what changed.
    ///
    /// # Errors
    /// [`ApplyError`] when the record does not fit; the image is then as before.
    pub fn apply(
        &mut self,
        record: &MetadataRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        match record {
            MetadataRecord::RegisterBroker(record) => self.register_broker(record, delta),
            MetadataRecord::UnregisterBroker(record) => self.unregister_broker(record, delta)?,
            MetadataRecord::BrokerRegistrationChange(record) => {
                self.change_broker(record, delta)?;
            }
            MetadataRecord::FenceBroker(record) => {
                self.update_broker(record.id, record.epoch, delta, |broker| broker.fenced = true)?;
            }
            MetadataRecord::UnfenceBroker(record) => {
                self.update_broker(record.id, record.epoch, delta, |broker| broker.fenced = false)?;
            }
            MetadataRecord::Topic(record) => self.create_topic(record, delta)?,
            MetadataRecord::RemoveTopic(record) => self.remove_topic(record, delta)?,
            MetadataRecord::Partition(record) => self.set_partition(record, delta)?,
            MetadataRecord::PartitionChange(record) => self.change_partition(record, delta)?,
            MetadataRecord::Config(record) => self.set_config(record, delta)?,
            MetadataRecord::FeatureLevel(record) => self.set_feature(record, delta),
            MetadataRecord::ProducerIds(record) => self.set_producer_ids(record, delta),
            MetadataRecord::ClientQuota(record) => self.set_quota(record, delta)?,
            MetadataRecord::RegisterController(record) => {
                let registration = ControllerRegistration::from(record);
                self.controllers.insert(registration.id, Arc::new(registration));
                delta.controllers_changed = true;
            }
            // A batch is atomic here, so the marks of a transaction add nothing. Eligible leader
            // replicas are not kept, so there is nothing to clear.
            MetadataRecord::NoOp(_)
            | MetadataRecord::BeginTransaction(_)
            | MetadataRecord::EndTransaction(_)
            | MetadataRecord::ClearElr(_)
            | MetadataRecord::ZkMigrationState(_) => {}
            MetadataRecord::AbortTransaction(_)
            | MetadataRecord::DelegationToken(_)
            | MetadataRecord::RemoveDelegationToken(_)
            | MetadataRecord::UserScramCredential(_)
            | MetadataRecord::RemoveUserScramCredential(_)
            | MetadataRecord::AccessControlEntry(_)
            | MetadataRecord::RemoveAccessControlEntry(_) => {
                return Err(ApplyError::Unsupported(record.name()));
            }
        }
        delta.record_count += 1;
        Ok(())
    }

    fn register_broker(&mut self, record: &RegisterBrokerRecord, delta: &mut MetadataDelta) {
        let registration = BrokerRegistration::from(record);
        delta.brokers_changed.insert(registration.id);
        self.brokers.insert(registration.id, Arc::new(registration));
    }

    fn unregister_broker(
        &mut self,
        record: &UnregisterBrokerRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        self.update_broker(record.broker_id, record.broker_epoch, delta, |_| {})?;
        self.brokers.remove(&BrokerId(record.broker_id));
        Ok(())
    }

    fn change_broker(
        &mut self,
        record: &BrokerRegistrationChangeRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let fenced = flag("fenced", record.fenced)?;
        let shutdown = flag("in_controlled_shutdown", record.in_controlled_shutdown)?;
        self.update_broker(record.broker_id, record.broker_epoch, delta, |broker| {
            broker.fenced = fenced.unwrap_or(broker.fenced);
            broker.in_controlled_shutdown = shutdown.unwrap_or(broker.in_controlled_shutdown);
            if !record.log_dirs.is_empty() {
                broker.log_dirs.clone_from(&record.log_dirs);
            }
            if record.cordoned_log_dirs.is_some() {
                broker.cordoned_log_dirs.clone_from(&record.cordoned_log_dirs);
            }
        })
    }

    fn update_broker(
        &mut self,
        id: i32,
        epoch: i64,
        delta: &mut MetadataDelta,
        change: impl FnOnce(&mut BrokerRegistration),
    ) -> Result<(), ApplyError> {
        let registration = self
            .brokers
            .get_mut(&BrokerId(id))
            .filter(|broker| broker.epoch == epoch)
            .ok_or(ApplyError::UnknownBroker { id, epoch })?;
        change(Arc::make_mut(registration));
        delta.brokers_changed.insert(BrokerId(id));
        Ok(())
    }

    fn create_topic(
        &mut self,
        record: &TopicRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let name: Arc<str> = Arc::from(record.name.as_str());
        if self.topic_ids.contains_key(&name) || self.topics.contains_key(&record.topic_id) {
            return Err(ApplyError::TopicExists(name));
        }
        self.topic_ids.insert(name.clone(), record.topic_id);
        self.topics.insert(record.topic_id, Arc::new(TopicImage::new(name, record.topic_id)));
        delta.topics_created.insert(record.topic_id);
        Ok(())
    }

    fn remove_topic(
        &mut self,
        record: &RemoveTopicRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let topic = self
            .topics
            .remove(&record.topic_id)
            .ok_or(ApplyError::UnknownTopic(record.topic_id))?;
        self.topic_ids.remove(&topic.name);
        self.configs.remove(&ConfigResource::topic(topic.name.clone()));
        for partition in topic.partitions.values() {
            self.count(partition, -1);
        }
        delta.topic_deleted(topic.id, topic.name.clone());
        Ok(())
    }

    fn set_partition(
        &mut self,
        record: &PartitionRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let id = PartitionId(record.partition_id);
        if id.0 < 0 {
            return Err(ApplyError::BadValue { what: "partition", value: i64::from(id.0) });
        }
        let mut partition = PartitionRegistration {
            replicas: from_ids(&record.replicas),
            directories: record.directories.clone(),
            isr: from_ids(&record.isr),
            removing_replicas: from_ids(&record.removing_replicas),
            adding_replicas: from_ids(&record.adding_replicas),
            leader: BrokerId(record.leader),
            leader_epoch: LeaderEpoch(record.leader_epoch),
            partition_epoch: record.partition_epoch,
            leader_recovery_state: recovery_state(record.leader_recovery_state)?,
        };
        // Version 0 of the record has no directories: they are unknown then.
        if partition.directories.is_empty() {
            partition.directories = vec![TopicId::ZERO; partition.replicas.len()];
        }
        self.put_partition(record.topic_id, id, partition, delta)
    }

    fn change_partition(
        &mut self,
        record: &PartitionChangeRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let id = PartitionId(record.partition_id);
        let topic =
            self.topics.get(&record.topic_id).ok_or(ApplyError::UnknownTopic(record.topic_id))?;
        let before = topic.partitions.get(&id).ok_or_else(|| ApplyError::UnknownPartition {
            topic: topic.name.clone(),
            partition: id,
        })?;
        let mut after = PartitionRegistration::clone(before);
        if let Some(replicas) = &record.replicas {
            after.replicas = from_ids(replicas);
        }
        if let Some(directories) = &record.directories {
            after.directories.clone_from(directories);
        }
        if let Some(isr) = &record.isr {
            after.isr = from_ids(isr);
        }
        if let Some(removing) = &record.removing_replicas {
            after.removing_replicas = from_ids(removing);
        }
        if let Some(adding) = &record.adding_replicas {
            after.adding_replicas = from_ids(adding);
        }
        if record.leader_recovery_state != -1 {
            after.leader_recovery_state = recovery_state(record.leader_recovery_state)?;
        }
        if record.leader != NO_LEADER_CHANGE {
            after.leader = BrokerId(record.leader);
            after.leader_epoch = after.leader_epoch.next();
            if after.has_leader() && !before.isr.contains(&after.leader) {
                delta.unclean_elections += 1;
            }
        }
        after.partition_epoch = after.partition_epoch.saturating_add(1);
        self.put_partition(record.topic_id, id, after, delta)
    }

    fn put_partition(
        &mut self,
        topic_id: TopicId,
        id: PartitionId,
        partition: PartitionRegistration,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let topic = self.topics.get_mut(&topic_id).ok_or(ApplyError::UnknownTopic(topic_id))?;
        let (replicas, directories) = (partition.replicas.len(), partition.directories.len());
        if replicas != directories {
            let topic = topic.name.clone();
            return Err(ApplyError::Directories { topic, partition: id, replicas, directories });
        }
        let partition = Arc::new(partition);
        let before = Arc::make_mut(topic).partitions.insert(id, partition.clone());
        if let Some(before) = before {
            self.count(&before, -1);
        }
        self.count(&partition, 1);
        delta.partitions_changed.insert((topic_id, id));
        Ok(())
    }

    fn count(&mut self, partition: &PartitionRegistration, sign: i64) {
        self.counts.total += sign;
        if !partition.has_leader() {
            self.counts.offline += sign;
        }
        if !partition.has_preferred_leader() {
            self.counts.without_preferred_leader += sign;
        }
    }

    fn set_config(
        &mut self,
        record: &ConfigRecord,
        delta: &mut MetadataDelta,
    ) -> Result<(), ApplyError> {
        let kind =
            ConfigResourceType::from_code(record.resource_type).ok_or(ApplyError::BadValue {
                what: "config resource type",
                value: i64::from(record.resource_type),
            })?;
        let resource = ConfigResource::new(kind, record.resource_name.as_str());
        let mut values: ConfigMap =
            self.configs.get(&resource).map(|values| (**values).clone()).unwrap_or_default();
        match &record.value {
            Some(value) => drop(values.insert(record.name.clone(), value.clone())),
            None => drop(values.remove(&record.name)),
        }
        if values.is_empty() {
            self.configs.remove(&resource);
        } else {
            self.configs.insert(resource.clone(), Arc::new(values));
        }
        delta.configs_changed.insert(resource);
        Ok(())
    }

    fn set_feature(&mut self, record: &FeatureLevelRecord, delta: &mut MetadataDelta) {
        if record.feature_level == 0 {
            self.features.remove(record.name.as_str());
        } else {
            self.features.insert(Arc::from(record.name.as_str()), record.feature_level);
        }
        delta.features_changed = true;
    }

    fn set_producer_ids(&mut self, record: &ProducerIdsRecord, delta: &mut MetadataDelta) {
        // Ids never go back, whatever the record says: one given twice would mix two producers.
        self.next_producer_id = self.next_producer_id.max(record.next_producer_id);
        delta.producer_ids_changed = true;
    }
}

fn recovery_state(code: i8) -> Result<RecoveryState, ApplyError> {
    RecoveryState::from_code(code)
        .ok_or(ApplyError::BadValue { what: "leader recovery state", value: i64::from(code) })
}

/// A change of a flag: 1 sets, −1 clears, 0 leaves it (`BrokerRegistrationFencingChange`; for the
/// controlled shutdown Kafka knows only 1 and 0).
fn flag(what: &'static str, code: i8) -> Result<Option<bool>, ApplyError> {
    match code {
        0 => Ok(None),
        1 => Ok(Some(true)),
        -1 => Ok(Some(false)),
        _ => Err(ApplyError::BadValue { what, value: i64::from(code) }),
    }
}
