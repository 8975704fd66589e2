//! `kafka.server:type=BrokerTopicMetrics`: what producers and consumers move, in all and by topic.
//!
//! The tag-less meters exist from the start. A topic's meters come one by one, each with its first
//! event, and go with the topic; those that only a leader moves go with the last leader here, all of
//! them when no partition is online here any more. The tag-less ones keep what the topic contributed.
//! What counts where follows Apache Kafka 4.3.1, oddities included.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::OnceLock;

use parking_lot::RwLock;
use pharos_base::TopicPartition;
use pharos_metadata::image::{MetadataDelta, MetadataImage};
use pharos_metrics::catalog::{broker_topics as rows, native};
use pharos_metrics::{BLIND, BeanRow, Meter, NativeHistogram, Registered, Registry};
use pharos_replication::{Replicas, Standing};

use crate::partition_results::PartitionResults;

/// A meter in all and by topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum TopicMeter {
    /// Records appended.
    MessagesIn,
    /// Bytes of batches appended.
    BytesIn,
    /// Bytes of batches returned to consumers.
    BytesOut,
    /// Bytes of batches refused for their size.
    BytesRejected,
    /// Partitions of produce requests that failed for a reason that is not expected to happen.
    FailedProduceRequests,
    /// Partitions of produce requests that reached a log.
    TotalProduceRequests,
    /// Partitions of fetch requests that reached a log.
    TotalFetchRequests,
    /// Records that were compressed anew, with the topic's codec.
    ProduceConversions,
    /// Partitions of fetch requests that failed for a reason that is not expected to happen.
    FailedFetchRequests,
}

/// What a replica that does not lead moves too (`BrokerTopicStats.removeOldLeaderMetrics` leaves it).
const OF_ANY_REPLICA: [TopicMeter; 3] =
    [TopicMeter::BytesOut, TopicMeter::TotalFetchRequests, TopicMeter::FailedFetchRequests];

const METERS: [(TopicMeter, &BeanRow, &BeanRow); 9] = [
    (TopicMeter::MessagesIn, &rows::MESSAGES_IN_PER_SEC, &rows::MESSAGES_IN_PER_SEC_BY_TOPIC),
    (TopicMeter::BytesIn, &rows::BYTES_IN_PER_SEC, &rows::BYTES_IN_PER_SEC_BY_TOPIC),
    (TopicMeter::BytesOut, &rows::BYTES_OUT_PER_SEC, &rows::BYTES_OUT_PER_SEC_BY_TOPIC),
    (
        TopicMeter::BytesRejected,
        &rows::BYTES_REJECTED_PER_SEC,
        &rows::BYTES_REJECTED_PER_SEC_BY_TOPIC,
    ),
    (
        TopicMeter::FailedProduceRequests,
        &rows::FAILED_PRODUCE_REQUESTS_PER_SEC,
        &rows::FAILED_PRODUCE_REQUESTS_PER_SEC_BY_TOPIC,
    ),
    (
        TopicMeter::TotalProduceRequests,
        &rows::TOTAL_PRODUCE_REQUESTS_PER_SEC,
        &rows::TOTAL_PRODUCE_REQUESTS_PER_SEC_BY_TOPIC,
    ),
    (
        TopicMeter::TotalFetchRequests,
        &rows::TOTAL_FETCH_REQUESTS_PER_SEC,
        &rows::TOTAL_FETCH_REQUESTS_PER_SEC_BY_TOPIC,
    ),
    (
        TopicMeter::ProduceConversions,
        &rows::PRODUCE_MESSAGE_CONVERSIONS_PER_SEC,
        &rows::PRODUCE_MESSAGE_CONVERSIONS_PER_SEC_BY_TOPIC,
    ),
    (
        TopicMeter::FailedFetchRequests,
        &rows::FAILED_FETCH_REQUESTS_PER_SEC,
        &rows::FAILED_FETCH_REQUESTS_PER_SEC_BY_TOPIC,
    ),
];

/// The meters of one topic.
#[derive(Debug)]
pub struct OneTopic {
    registry: Registry,
    topic: Arc<str>,
    meters: [OnceLock<Arc<Registered<Meter>>>; METERS.len()],
    all: Arc<AllTopics>,
}

#[derive(Debug)]
struct AllTopics {
    meters: Vec<Registered<Meter>>,
}

/// Counters of refused records, tag-less only: Kafka never marks them by topic.
#[derive(Debug)]
pub struct Refused {
    /// Records without a key for a compacted topic.
    pub no_key: Registered<Meter>,
    /// Batches with a wrong checksum.
    pub crc: Registered<Meter>,
    /// Batches whose offsets or sequence numbers are wrong.
    pub sequence: Registered<Meter>,
}

/// The meters of all topics.
#[derive(Debug)]
pub struct TopicMetrics {
    registry: Registry,
    all: Arc<AllTopics>,
    /// Records that were refused.
    pub refused: Refused,
    /// Partitions of produce requests.
    pub produced: PartitionResults,
    /// Partitions of consumers' fetch requests.
    pub fetched: PartitionResults,
    /// Age of the newest record of each partition that a fetch returns.
    pub record_age: Registered<NativeHistogram>,
    topics: RwLock<HashMap<Arc<str>, Arc<OneTopic>>>,
    // Nothing converts what is fetched or replicates here yet; another magic is refused before any log
    // is asked. The beans exist and say so with 0.
    _idle: Vec<Registered<Meter>>,
}

impl TopicMetrics {
    /// Registers the tag-less meters.
    pub fn new(registry: &Registry) -> Self {
        let meter = |row| registry.meter(row, &[]);
        Self {
            registry: registry.clone(),
            all: Arc::new(AllTopics {
                meters: METERS.iter().map(|(_, row, _)| meter(row)).collect(),
            }),
            refused: Refused {
                no_key: meter(&rows::NO_KEY_COMPACTED_TOPIC_RECORDS_PER_SEC),
                crc: meter(&rows::INVALID_MESSAGE_CRC_RECORDS_PER_SEC),
                sequence: meter(&rows::INVALID_OFFSET_OR_SEQUENCE_RECORDS_PER_SEC),
            },
            produced: PartitionResults::new(registry, "Produce"),
            fetched: PartitionResults::new(registry, "FetchConsumer"),
            record_age: registry.family(&native::PHAROS_FETCH_RECORD_AGE_SECONDS).histogram(&[]),
            topics: RwLock::default(),
            _idle: vec![
                meter(&rows::INVALID_MAGIC_NUMBER_RECORDS_PER_SEC),
                meter(&rows::FETCH_MESSAGE_CONVERSIONS_PER_SEC),
                meter(&rows::REPLICATION_BYTES_IN_PER_SEC),
                meter(&rows::REPLICATION_BYTES_OUT_PER_SEC),
                meter(&rows::REASSIGNMENT_BYTES_IN_PER_SEC),
                meter(&rows::REASSIGNMENT_BYTES_OUT_PER_SEC),
            ],
        }
    }

    /// The meters of `topic`. The caller has found the topic, so the map is bounded by topics.
    pub fn topic(&self, topic: &str) -> Arc<OneTopic> {
        if let Some(one) = self.topics.read().get(topic) {
            return one.clone();
        }
        let name: Arc<str> = topic.into();
        let make = || Arc::new(self.none_of(&name));
        self.topics.write().entry(name.clone()).or_insert_with(make).clone()
    }

    fn none_of(&self, topic: &Arc<str>) -> OneTopic {
        OneTopic {
            registry: self.registry.clone(),
            topic: topic.clone(),
            meters: Default::default(),
            all: self.all.clone(),
        }
    }

    /// Takes the meters of a topic away that is not here any more.
    pub fn remove(&self, topic: &str) {
        self.topics.write().remove(topic);
    }

    /// Takes away what only a leader moves: this broker leads no partition of the topic any more.
    fn lead_no_more(&self, topic: &str) {
        let mut topics = self.topics.write();
        let Some(now) = topics.get_mut(topic) else { return };
        let kept = self.none_of(&now.topic);
        for meter in OF_ANY_REPLICA {
            let index = meter as usize;
            if let (Some(old), Some(new)) = (now.meters.get(index), kept.meters.get(index))
                && let Some(have) = old.get()
            {
                new.get_or_init(|| have.clone());
            }
        }
        *now = Arc::new(kept);
    }

    /// Lets the meters go that a step of the metadata, which `replicas` have followed, leaves without
    /// a partition here that moves them.
    pub fn follow(&self, image: &MetadataImage, delta: &MetadataDelta, replicas: &Replicas) {
        for name in delta.topics_deleted.values() {
            self.remove(name);
        }
        let changed: BTreeSet<_> = delta.partitions_changed.iter().map(|(id, _)| *id).collect();
        for topic in changed.into_iter().filter_map(|id| image.topic_by_id(id)) {
            self.stand(&topic.name, replicas);
        }
    }

    /// Lets the meters go of topics that lost their last partition here with a log directory.
    pub fn failed(&self, partitions: &[TopicPartition], replicas: &Replicas) {
        let topics: BTreeSet<_> = partitions.iter().map(|partition| &partition.topic).collect();
        let gone = topics.into_iter().filter(|topic| replicas.standing(topic) == Standing::Gone);
        gone.for_each(|topic| self.remove(topic));
    }

    /// Lets the meters of `topic` go that nothing here moves any more.
    fn stand(&self, topic: &str, replicas: &Replicas) {
        match replicas.standing(topic) {
            Standing::Leads => {}
            Standing::Follows => self.lead_no_more(topic),
            Standing::Gone => self.remove(topic),
        }
    }
}

impl OneTopic {
    /// Counts `amount` for the topic and for all topics.
    pub fn mark(&self, meter: TopicMeter, amount: u64) {
        if BLIND {
            return;
        }
        let index = meter as usize;
        if let Some(all) = self.all.meters.get(index) {
            all.mark(amount);
        }
        if let (Some(cell), Some((_, _, row))) = (self.meters.get(index), METERS.get(index)) {
            let make = || Arc::new(self.registry.meter(row, &[("topic", &self.topic)]));
            cell.get_or_init(make).mark(amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pharos_base::{BrokerId, Clock, TopicId};
    use pharos_metadata::record::MetadataRecord;
    use pharos_metrics::Value;
    use pharos_protocol::messages::{PartitionChangeRecord, PartitionRecord, TopicRecord};
    use pharos_replication::TopicSettings;
    use pharos_storage::fs::SimFs;
    use pharos_storage::{LogConfig, LogManager, ManagerOptions};

    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_meters() {
        for (index, (meter, _, _)) in METERS.iter().enumerate() {
            assert_eq!(*meter as usize, index);
        }
    }

    /// Broker 1 with topic `t`, both of whose partitions it leads and broker 2 follows.
    struct Rig {
        registry: Registry,
        replicas: Replicas,
        metrics: TopicMetrics,
        image: MetadataImage,
        topic_id: TopicId,
    }

    impl Rig {
        fn new() -> Self {
            let options = ManagerOptions::new(Arc::new(SimFs::new()), Clock::simulated(0).0);
            let registry = options.registry.clone();
            let (logs, _) = LogManager::open(&["/a".into()], options).unwrap();
            let mut rig = Self {
                replicas: Replicas::new(BrokerId(1), logs, &registry),
                metrics: TopicMetrics::new(&registry),
                registry,
                image: MetadataImage::empty(),
                topic_id: TopicId::random(),
            };
            let topic_id = rig.topic_id;
            let partition = |partition_id| {
                MetadataRecord::Partition(PartitionRecord {
                    partition_id,
                    topic_id,
                    replicas: vec![1, 2],
                    isr: vec![1, 2],
                    leader: 1,
                    directories: vec![TopicId::random(), TopicId::random()],
                    ..PartitionRecord::default()
                })
            };
            let topic = TopicRecord { name: "t".to_owned(), topic_id };
            rig.step(&[MetadataRecord::Topic(topic), partition(0), partition(1)]);
            let one = rig.metrics.topic("t");
            one.mark(TopicMeter::MessagesIn, 3);
            one.mark(TopicMeter::BytesIn, 200);
            one.mark(TopicMeter::BytesOut, 100);
            one.mark(TopicMeter::TotalFetchRequests, 1);
            one.mark(TopicMeter::FailedFetchRequests, 1);
            rig
        }

        fn step(&mut self, records: &[MetadataRecord]) {
            let mut delta = MetadataDelta::default();
            for record in records {
                self.image.apply(record, &mut delta).unwrap();
            }
            let settings = |_: &MetadataImage, _: &str| TopicSettings {
                log: LogConfig::default(),
                min_insync_replicas: 1,
            };
            assert!(self.replicas.follow(&self.image, &delta, &settings).is_empty());
            self.metrics.follow(&self.image, &delta, &self.replicas);
        }

        fn change(&mut self, partition_id: i32, change: PartitionChangeRecord) {
            let topic_id = self.topic_id;
            let change = PartitionChangeRecord { topic_id, partition_id, ..change };
            self.step(&[MetadataRecord::PartitionChange(change)]);
        }

        /// Names of the meters of `t`.
        fn meters(&self) -> Vec<String> {
            let beans = self.registry.beans("kafka.server:type=BrokerTopicMetrics");
            let names = beans.iter().map(|bean| bean.name().as_str());
            let of_topic = names.filter_map(|name| name.strip_suffix(",topic=t"));
            let mut found: Vec<_> =
                of_topic.map(|name| name.rsplit('=').next().unwrap().to_owned()).collect();
            found.sort();
            found
        }

        fn count(&self, name: &str) -> Option<Value> {
            let bean = format!("kafka.server:type=BrokerTopicMetrics,name={name}");
            self.registry.read(&bean, "Count")
        }
    }

    const ALL: [&str; 5] = [
        "BytesInPerSec",
        "BytesOutPerSec",
        "FailedFetchRequestsPerSec",
        "MessagesInPerSec",
        "TotalFetchRequestsPerSec",
    ];

    fn led_by(leader: i32) -> PartitionChangeRecord {
        PartitionChangeRecord { leader, ..PartitionChangeRecord::default() }
    }

    #[test]
    fn a_topics_meters_go_with_the_last_leader_here() {
        let mut rig = Rig::new();
        rig.change(0, led_by(2));
        assert_eq!(rig.meters(), ALL, "the other partition is still led here");
        rig.change(1, led_by(2));
        let kept = ["BytesOutPerSec", "FailedFetchRequestsPerSec", "TotalFetchRequestsPerSec"];
        assert_eq!(rig.meters(), kept);
        assert_eq!(rig.count("BytesOutPerSec,topic=t"), Some(Value::Long(100)));
        assert_eq!(rig.count("BytesInPerSec"), Some(Value::Long(200)), "the sum keeps it");
        // Who leads again begins anew.
        rig.change(1, led_by(1));
        rig.metrics.topic("t").mark(TopicMeter::BytesIn, 7);
        assert_eq!(rig.count("BytesInPerSec,topic=t"), Some(Value::Long(7)));
        assert_eq!(rig.count("BytesInPerSec"), Some(Value::Long(207)));
        for partition in [0, 1] {
            let moved = PartitionChangeRecord {
                replicas: Some(vec![2]),
                isr: Some(vec![2]),
                directories: Some(vec![TopicId::random()]),
                ..led_by(2)
            };
            rig.change(partition, moved);
        }
        assert!(rig.meters().is_empty(), "{:?}", rig.meters());
    }

    #[test]
    fn a_topics_meters_go_with_its_last_directory_here() {
        let rig = Rig::new();
        let elsewhere = rig.replicas.fail_directory(Path::new("/b"));
        rig.metrics.failed(&elsewhere, &rig.replicas);
        assert_eq!(rig.meters(), ALL);
        let failed = rig.replicas.fail_directory(Path::new("/a"));
        assert_eq!(failed.len(), 2);
        rig.metrics.failed(&failed, &rig.replicas);
        assert!(rig.meters().is_empty(), "{:?}", rig.meters());
    }
}
