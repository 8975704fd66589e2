//! The image as records: applied to an empty image they make it again.

use super::{ConfigResource, METADATA_VERSION, MetadataImage, quota_record};
use crate::record::MetadataRecord;
use pharos_protocol::messages::{ConfigRecord, FeatureLevelRecord, ProducerIdsRecord, TopicRecord};

impl MetadataImage {
    /// The records of a snapshot, in Kafka's order (`MetadataImage.write`): features first, since
    /// the metadata version decides how the rest is written.
    pub fn write_snapshot(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        self.write_features(&mut records);
        records
            .extend(self.brokers.values().map(|it| MetadataRecord::RegisterBroker(it.to_record())));
        records.extend(
            self.controllers.values().map(|it| MetadataRecord::RegisterController(it.to_record())),
        );
        self.write_topics(&mut records);
        for (resource, values) in &self.configs {
            records.extend(
                values
                    .iter()
                    .map(|(key, value)| config_record(resource, key, Some(value.as_str()))),
            );
        }
        for (entity, limits) in &self.quotas {
            records
                .extend(limits.iter().map(|(key, value)| quota_record(entity, key, Some(*value))));
        }
        if self.next_producer_id > 0 {
            records.push(MetadataRecord::ProducerIds(ProducerIdsRecord {
                broker_id: -1,
                broker_epoch: -1,
                next_producer_id: self.next_producer_id,
            }));
        }
        records
    }

    fn write_features(&self, records: &mut Vec<MetadataRecord>) {
        let version = self.features.iter().filter(|(name, _)| &***name == METADATA_VERSION);
        let others = self.features.iter().filter(|(name, _)| &***name != METADATA_VERSION);
        records.extend(version.chain(others).map(|(name, level)| feature_record(name, *level)));
    }

    fn write_topics(&self, records: &mut Vec<MetadataRecord>) {
        for topic in self.topics() {
            records.push(MetadataRecord::Topic(TopicRecord {
                name: topic.name.to_string(),
                topic_id: topic.id,
            }));
            for (id, partition) in topic.partitions() {
                records.push(MetadataRecord::Partition(partition.to_record(topic.id, id)));
            }
        }
    }
}

/// The record that sets a key of a resource, or with `None` takes it away.
pub(crate) fn config_record(
    resource: &ConfigResource,
    key: &str,
    value: Option<&str>,
) -> MetadataRecord {
    MetadataRecord::Config(ConfigRecord {
        resource_type: resource.kind.code(),
        resource_name: resource.name.to_string(),
        name: key.to_owned(),
        value: value.map(str::to_owned),
    })
}

/// The record that finalizes a feature level.
pub(crate) fn feature_record(name: &str, level: i16) -> MetadataRecord {
    MetadataRecord::FeatureLevel(FeatureLevelRecord { name: name.to_owned(), feature_level: level })
}
