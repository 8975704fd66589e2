//! The truth of the beans of partitions and of the replica manager: metadata records make replicas
//! come, fall behind, move and go, and the beans say so.

use std::path::Path;
use std::sync::Arc;

use pharos_base::{BrokerId, Clock, Offset, PartitionId, TopicId};
use pharos_metadata::image::{MetadataDelta, MetadataImage};
use pharos_metadata::record::MetadataRecord;
use pharos_metrics::catalog::{cluster, log as flushes, replicas as rows};
use pharos_metrics::truth;
use pharos_metrics::truth::{by, to};
use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord, Origin};
use pharos_protocol::messages::{PartitionChangeRecord, PartitionRecord, TopicRecord};
use pharos_storage::fs::SimFs;
use pharos_storage::{LogConfig, LogManager, ManagerOptions};

use crate::{Replicas, TopicSettings};

const ME: i32 = 1;
const TAGS: &[(&str, &str)] = &[("topic", "t"), ("partition", "0")];

struct World {
    replicas: Replicas,
    image: MetadataImage,
    topic: TopicId,
    log: LogConfig,
}

impl World {
    fn new() -> Self {
        let (clock, _) = Clock::simulated(1_700_000_000_000);
        let options = ManagerOptions::new(Arc::new(SimFs::new()), clock);
        let registry = options.registry.clone();
        let (logs, _) = LogManager::open(&["/a".into()], options).unwrap();
        let replicas = Replicas::new(BrokerId(ME), logs, &registry);
        let (image, topic, log) = (MetadataImage::empty(), TopicId::random(), LogConfig::default());
        Self { replicas, image, topic, log }
    }

    /// Applies records and lets the replicas follow, with `min.insync.replicas` 2.
    fn apply(&mut self, records: &[MetadataRecord]) {
        let mut delta = MetadataDelta::default();
        for record in records {
            self.image.apply(record, &mut delta).unwrap();
        }
        let settings = |_: &MetadataImage, _: &str| TopicSettings {
            log: self.log.clone(),
            min_insync_replicas: 2,
        };
        assert!(self.replicas.follow(&self.image, &delta, &settings).is_empty());
    }

    /// Topic `t` with one partition on brokers 1 and 2, led by the first.
    fn create(&mut self) {
        let topic = TopicRecord { name: "t".to_owned(), topic_id: self.topic };
        let partition = PartitionRecord {
            partition_id: 0,
            topic_id: self.topic,
            replicas: vec![ME, 2],
            isr: vec![ME, 2],
            leader: ME,
            directories: vec![TopicId::random(), TopicId::random()],
            ..PartitionRecord::default()
        };
        self.apply(&[MetadataRecord::Topic(topic), MetadataRecord::Partition(partition)]);
    }

    fn change(&mut self, change: PartitionChangeRecord) {
        let change = PartitionChangeRecord { topic_id: self.topic, partition_id: 0, ..change };
        self.apply(&[MetadataRecord::PartitionChange(change)]);
    }
}

/// What a change says of the leader when it stays (`LeaderConstants.NO_LEADER_CHANGE`).
const SAME_LEADER: i32 = -2;

fn transactional(values: &[&str]) -> bytes::Bytes {
    transactional_from(0, values)
}

fn transactional_from(base_sequence: i32, values: &[&str]) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: 7,
        producer_epoch: 0,
        base_sequence,
        transactional: true,
        ..BatchOptions::default()
    });
    for value in values {
        let value = Some(value.as_bytes());
        builder
            .push(&NewRecord { timestamp: 1_700_000_000_000, value, ..NewRecord::default() })
            .unwrap();
    }
    builder.build().unwrap()
}

#[test]
fn a_segment_is_flushed_once_another_is_begun() {
    let mut world = World::new();
    world.log.segment_bytes = 150;
    let registry = world.replicas.logs().options().registry.clone();
    let truth = truth!(&registry);
    world.create();
    let led = world.replicas.find("t", PartitionId(0)).unwrap();
    let batch = |sequence| transactional_from(sequence, &["a", "b", "c"]);
    let first = led.append(&batch(0), Origin::Client, false).unwrap();
    assert!(!first.info.rolled);
    let flushed =
        truth.claims([by(&flushes::LOG_FLUSH_STATS_LOG_FLUSH_RATE_AND_TIME_MS, &[], "Count", 1.0)]);
    assert!(led.append(&batch(3), Origin::Client, false).unwrap().info.rolled);
    while led.log().recovery_point() < Offset(3) {
        std::thread::yield_now();
    }
    // The segment that is written to is left alone.
    assert_eq!(led.log().recovery_point(), Offset(3));
    flushed.hold();
}

#[test]
fn replicas_come_fall_behind_and_go() {
    let mut world = World::new();
    let registry = world.replicas.logs().options().registry.clone();
    let truth = truth!(&registry);
    let count = |row, amount| by(row, &[], "Value", amount);
    let partition = |row, value| to(row, TAGS, "Value", value);

    let created = truth.claims([
        partition(&cluster::PARTITION_IN_SYNC_REPLICAS_COUNT, 2.0),
        partition(&cluster::PARTITION_REPLICAS_COUNT, 2.0),
        partition(&cluster::PARTITION_AT_MIN_ISR, 1.0),
        count(&rows::REPLICA_MANAGER_LEADER_COUNT, 1.0),
        count(&rows::REPLICA_MANAGER_PARTITION_COUNT, 1.0),
        count(&rows::REPLICA_MANAGER_AT_MIN_ISR_PARTITION_COUNT, 1.0),
    ]);
    world.create();
    created.hold();

    let alone = truth.claims([
        partition(&cluster::PARTITION_IN_SYNC_REPLICAS_COUNT, 1.0),
        partition(&cluster::PARTITION_AT_MIN_ISR, 0.0),
        partition(&cluster::PARTITION_UNDER_REPLICATED, 1.0),
        partition(&cluster::PARTITION_UNDER_MIN_ISR, 1.0),
        count(&rows::REPLICA_MANAGER_UNDER_REPLICATED_PARTITIONS, 1.0),
        count(&rows::REPLICA_MANAGER_UNDER_MIN_ISR_PARTITION_COUNT, 1.0),
        count(&rows::REPLICA_MANAGER_AT_MIN_ISR_PARTITION_COUNT, -1.0),
    ]);
    let isr = Some(vec![ME]);
    world.change(PartitionChangeRecord { isr, leader: SAME_LEADER, ..Default::default() });
    alone.hold();

    let written = truth.claims([
        partition(&cluster::PARTITION_LAST_STABLE_OFFSET_LAG, 3.0),
        count(&rows::REPLICA_MANAGER_PRODUCER_ID_COUNT, 1.0),
    ]);
    let led = world.replicas.find("t", PartitionId(0)).unwrap();
    led.append(&transactional(&["a", "b", "c"]), Origin::Client, false).unwrap();
    world.replicas.count_producers();
    written.hold();

    let moving = truth.claims([count(&rows::REPLICA_MANAGER_REASSIGNING_PARTITIONS, 1.0)]);
    world.change(PartitionChangeRecord {
        replicas: Some(vec![ME, 2, 3]),
        adding_replicas: Some(vec![3]),
        directories: Some((0..3).map(|_| TopicId::random()).collect()),
        leader: SAME_LEADER,
        ..Default::default()
    });
    moving.hold();

    let led_elsewhere = truth.claims([
        count(&rows::REPLICA_MANAGER_LEADER_COUNT, -1.0),
        count(&rows::REPLICA_MANAGER_UNDER_REPLICATED_PARTITIONS, -1.0),
        partition(&cluster::PARTITION_IN_SYNC_REPLICAS_COUNT, 0.0),
        partition(&cluster::PARTITION_REPLICAS_COUNT, 0.0),
        partition(&cluster::PARTITION_UNDER_REPLICATED, 0.0),
        partition(&cluster::PARTITION_UNDER_MIN_ISR, 0.0),
    ]);
    let isr = Some(vec![2]);
    world.change(PartitionChangeRecord { isr, leader: 2, ..Default::default() });
    led_elsewhere.hold();

    let offline = truth.claims([
        count(&rows::REPLICA_MANAGER_OFFLINE_REPLICA_COUNT, 1.0),
        count(&rows::REPLICA_MANAGER_PARTITION_COUNT, -1.0),
    ]);
    world.replicas.fail_directory(Path::new("/a"));
    offline.hold();
}
