//! What differs between two images, so that whoever follows them looks only there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pharos_base::{BrokerId, PartitionId, TopicId};

use super::{ConfigResource, ConfigResourceType, MetadataImage, QuotaEntity};

/// The things that changed from one image to a later one; their new state stands in the later one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataDelta {
    /// Topics that the later image has and the earlier one had not.
    pub topics_created: BTreeSet<TopicId>,
    /// Topics that are gone, with the name that they had.
    pub topics_deleted: BTreeMap<TopicId, Arc<str>>,
    /// Partitions that are new or changed, of topics that are still there.
    pub partitions_changed: BTreeSet<(TopicId, PartitionId)>,
    /// Resources whose configuration changed; those of deleted topics are not among them.
    pub configs_changed: BTreeSet<ConfigResource>,
    /// Entities whose quotas changed.
    pub quotas_changed: BTreeSet<QuotaEntity>,
    /// Brokers that were registered, changed or unregistered.
    pub brokers_changed: BTreeSet<BrokerId>,
    /// Whether a controller registered.
    pub controllers_changed: bool,
    /// Whether a finalized feature level changed.
    pub features_changed: bool,
    /// Whether a block of producer ids was given away.
    pub producer_ids_changed: bool,
    /// Elections that picked a leader outside the in-sync replicas.
    pub unclean_elections: u64,
    /// Records that were applied on the way.
    pub record_count: u64,
}

impl MetadataDelta {
    /// Whether the two images describe the same cluster.
    pub fn is_empty(&self) -> bool {
        self.topics_created.is_empty()
            && self.topics_deleted.is_empty()
            && self.partitions_changed.is_empty()
            && self.configs_changed.is_empty()
            && self.quotas_changed.is_empty()
            && self.brokers_changed.is_empty()
            && !self.controllers_changed
            && !self.features_changed
            && !self.producer_ids_changed
    }

    /// The partitions of one topic that are new or changed.
    pub fn partitions_of(&self, topic: TopicId) -> impl Iterator<Item = PartitionId> {
        let all = (topic, PartitionId(i32::MIN))..=(topic, PartitionId(i32::MAX));
        self.partitions_changed.range(all).map(|(_, partition)| *partition)
    }

    /// Adds what changed after this delta, so that it spans both steps.
    pub fn merge(&mut self, later: Self) {
        for (id, name) in later.topics_deleted {
            self.topic_deleted(id, name);
        }
        self.topics_created.extend(later.topics_created);
        self.partitions_changed.extend(later.partitions_changed);
        self.configs_changed.extend(later.configs_changed);
        self.quotas_changed.extend(later.quotas_changed);
        self.brokers_changed.extend(later.brokers_changed);
        self.controllers_changed |= later.controllers_changed;
        self.features_changed |= later.features_changed;
        self.producer_ids_changed |= later.producer_ids_changed;
        self.unclean_elections += later.unclean_elections;
        self.record_count += later.record_count;
    }

    /// Notes that a topic is gone: nothing else is said of it any more.
    pub(crate) fn topic_deleted(&mut self, id: TopicId, name: Arc<str>) {
        let changed: Vec<PartitionId> = self.partitions_of(id).collect();
        for partition in changed {
            self.partitions_changed.remove(&(id, partition));
        }
        self.configs_changed.remove(&ConfigResource::topic(name.clone()));
        // A topic that came and went between the two images was never seen by anyone.
        if !self.topics_created.remove(&id) {
            self.topics_deleted.insert(id, name);
        }
    }

    /// Compares two images: the delta of a snapshot that was loaded over `old`.
    pub fn between(old: &MetadataImage, new: &MetadataImage) -> Self {
        let mut delta = Self::default();
        for topic in old.topics() {
            if new.topic_by_id(topic.id).is_none() {
                delta.topics_deleted.insert(topic.id, topic.name.clone());
            }
        }
        for topic in new.topics() {
            let before = old.topic_by_id(topic.id);
            if before.is_none() {
                delta.topics_created.insert(topic.id);
            }
            for (id, partition) in topic.partitions() {
                if before.and_then(|before| before.partition(id)) != Some(partition) {
                    delta.partitions_changed.insert((topic.id, id));
                }
            }
        }
        for (resource, values) in new.configs() {
            if old.config(resource) != Some(values) {
                delta.configs_changed.insert(resource.clone());
            }
        }
        for (resource, _) in old.configs() {
            let of_deleted_topic =
                resource.kind == ConfigResourceType::Topic && new.topic(&resource.name).is_none();
            if new.config(resource).is_none() && !of_deleted_topic {
                delta.configs_changed.insert(resource.clone());
            }
        }
        let ids = old.brokers.keys().chain(new.brokers.keys());
        delta.brokers_changed =
            ids.filter(|id| old.broker(**id) != new.broker(**id)).copied().collect();
        let entities = old.quotas.keys().chain(new.quotas.keys());
        delta.quotas_changed =
            entities.filter(|of| old.quota(of) != new.quota(of)).cloned().collect();
        delta.controllers_changed = old.controllers != new.controllers;
        delta.features_changed = old.features != new.features;
        delta.producer_ids_changed = old.next_producer_id != new.next_producer_id;
        delta
    }
}
