//! First and last offsets of the partitions that this node leads.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pharos_base::{PartitionId, TopicId};
use pharos_metadata::image::{MetadataDelta, MetadataImage};
use pharos_metrics::catalog::native as rows;
use pharos_metrics::{Family, Registered, Registry};
use pharos_replication::{Partition, Replicas};

/// `kafka_topic_partition_current_offset` and `kafka_topic_partition_oldest_offset`: read from the
/// partition whenever they are asked for.
#[derive(Debug)]
pub struct PartitionOffsets {
    replicas: Arc<Replicas>,
    current: Family,
    oldest: Family,
    series: Mutex<HashMap<(TopicId, PartitionId), Shown>>,
}

#[derive(Debug)]
struct Shown {
    partition: Arc<Partition>,
    _series: [Registered<()>; 2],
}

impl PartitionOffsets {
    /// Nothing is shown before [`Self::follow`].
    pub fn new(registry: &Registry, replicas: Arc<Replicas>) -> Self {
        Self {
            replicas,
            current: registry.family(&rows::KAFKA_TOPIC_PARTITION_CURRENT_OFFSET),
            oldest: registry.family(&rows::KAFKA_TOPIC_PARTITION_OLDEST_OFFSET),
            series: Mutex::default(),
        }
    }

    /// Shows the partitions of `image` that this node leads; to be called after the replicas have
    /// followed the same step.
    pub fn follow(&self, image: &MetadataImage, delta: &MetadataDelta) {
        let mut series = self.series.lock();
        if !delta.topics_deleted.is_empty() {
            series.retain(|(topic, _), _| !delta.topics_deleted.contains_key(topic));
        }
        for (id, index) in &delta.partitions_changed {
            let Some(topic) = image.topic_by_id(*id) else { continue };
            let found = self.replicas.find(&topic.name, *index).ok();
            let led = found.filter(|partition| partition.role().leads);
            let shown = series.get(&(*id, *index));
            match (led, shown) {
                (Some(led), Some(shown)) if Arc::ptr_eq(&led, &shown.partition) => {}
                (Some(led), _) => {
                    series.insert((*id, *index), self.show(led));
                }
                (None, _) => {
                    series.remove(&(*id, *index));
                }
            }
        }
    }

    /// Takes away the series of partitions that went offline with their directory.
    pub fn sweep(&self) {
        self.series.lock().retain(|_, shown| shown.partition.role().leads);
    }

    fn show(&self, partition: Arc<Partition>) -> Shown {
        let index = partition.id().partition.to_string();
        let labels: [&str; 2] = [&partition.id().topic, &index];
        let (current, oldest) = (partition.clone(), partition.log().clone());
        let series = [
            self.current.gauge_fn(&labels, move || current.high_watermark().0 as f64),
            self.oldest.gauge_fn(&labels, move || oldest.log_start_offset().0 as f64),
        ];
        Shown { partition, _series: series }
    }
}
