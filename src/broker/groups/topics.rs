//! What groups are told of topics.

use std::sync::Arc;

use pharos_coordinator::{Topic, Topics};
use pharos_metadata::image::{MetadataDelta, MetadataImage};

use super::Groups;
use crate::topics::OFFSETS_TOPIC;

/// Hands a new snapshot over when topics changed, and takes over the shards that this broker leads.
pub fn follow(groups: &Arc<Groups>, image: &MetadataImage, delta: &MetadataDelta) {
    let topics_changed = !delta.topics_created.is_empty()
        || !delta.topics_deleted.is_empty()
        || !delta.partitions_changed.is_empty();
    if !topics_changed {
        return;
    }
    let count = image.topic(OFFSETS_TOPIC).map_or(0, |topic| topic.partition_count());
    let deleted: Vec<Arc<str>> = delta.topics_deleted.values().cloned().collect();
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    groups.set_topics(Arc::new(snapshot(image)), count, &deleted);
    groups.follow_leadership();
}

fn snapshot(image: &MetadataImage) -> Topics {
    let topics = image.topics().map(|topic| Topic {
        name: topic.name.clone(),
        id: topic.id,
        partition_count: i32::try_from(topic.partition_count()).unwrap_or(i32::MAX),
        racks: topic
            .partitions()
            .map(|(_, partition)| {
                let brokers = partition.replicas.iter().filter_map(|id| image.broker(*id));
                let mut racks: Vec<Arc<str>> =
                    brokers.filter_map(|broker| broker.rack.as_deref().map(Arc::from)).collect();
                racks.sort();
                racks.dedup();
                racks
            })
            .collect(),
    });
    Topics::new(image.last_offset().0, topics)
}
