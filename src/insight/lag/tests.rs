//! Lag on a simulated clock, over real logs.

use std::sync::Arc;
use std::time::Duration;

use pharos_base::{BrokerId, Clock, ClockHand, LeaderEpoch, Offset, PartitionId, TopicId};
use pharos_coordinator::{GroupState, GroupView, RebalanceCause, RebalanceReason, Rebalances};
use pharos_metadata::image::{MetadataDelta, MetadataImage};
use pharos_metadata::record::MetadataRecord;
use pharos_metrics::catalog::native as rows;
use pharos_metrics::{FamilyRow, Registry};
use pharos_protocol::batch::{BatchBuilder, BatchOptions, ControlRecord, NewRecord, Origin};
use pharos_protocol::messages::register_broker_record::BrokerEndpoint;
use pharos_protocol::messages::{
    PartitionRecord, RegisterBrokerRecord, RemoveTopicRecord, TopicRecord,
};
use pharos_replication::{Partition, Replicas, TopicSettings};
use pharos_storage::fs::RealFs;
use pharos_storage::{LogConfig, LogManager, ManagerOptions};
use tempfile::TempDir;

use super::{CommittedOffset, GroupSnapshot, Lag, Standing};
use crate::{ClusterFigures, EventKind, Events, PartitionOffsets};

const BROKER: BrokerId = BrokerId(1);
const START_MS: i64 = 1_700_000_000_000;

/// A broker with one topic `t` of two partitions, and a group `g`.
struct Rig {
    hand: ClockHand,
    registry: Registry,
    replicas: Arc<Replicas>,
    lag: Lag,
    events: Arc<Events>,
    cluster: ClusterFigures,
    offsets: PartitionOffsets,
    image: MetadataImage,
    _dir: TempDir,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::simulated(START_MS);
        let rig = Self::open(dir, clock, hand, MetadataImage::empty());
        rig.with_topic(TopicId::random())
    }

    fn open(dir: TempDir, clock: Clock, hand: ClockHand, image: MetadataImage) -> Self {
        let registry = Registry::new(clock.clone());
        let options = ManagerOptions {
            registry: registry.clone(),
            ..ManagerOptions::new(Arc::new(RealFs), clock)
        };
        let (logs, _) = LogManager::open(&[dir.path().to_path_buf()], options).unwrap();
        let replicas = Arc::new(Replicas::new(BROKER, logs, &registry));
        let events = Arc::new(Events::new(&registry));
        Self {
            hand,
            lag: Lag::new(&registry, replicas.clone(), events.clone()),
            events,
            cluster: ClusterFigures::new(&registry),
            offsets: PartitionOffsets::new(&registry, replicas.clone()),
            replicas,
            registry,
            image,
            _dir: dir,
        }
    }

    fn with_topic(mut self, topic_id: TopicId) -> Self {
        let mut records =
            vec![MetadataRecord::Topic(TopicRecord { name: "t".to_owned(), topic_id })];
        for partition_id in 0..2 {
            records.push(MetadataRecord::Partition(PartitionRecord {
                partition_id,
                topic_id,
                replicas: vec![1],
                isr: vec![1],
                leader: 1,
                leader_epoch: 0,
                partition_epoch: 0,
                ..PartitionRecord::default()
            }));
        }
        self.step(&records);
        self
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
        let failures = self.replicas.follow(&self.image, &delta, &settings);
        assert!(failures.is_empty(), "{failures:?}");
        self.cluster.follow(&self.image, &delta);
        self.offsets.follow(&self.image, &delta);
    }

    fn partition(&self, index: i32) -> Arc<Partition> {
        self.replicas.find("t", PartitionId(index)).unwrap()
    }

    fn append(&self, index: i32, count: usize) {
        self.append_as(index, BatchOptions::default(), count);
    }

    fn append_as(&self, index: i32, options: BatchOptions, count: usize) {
        let mut builder = BatchBuilder::new(options);
        for _ in 0..count {
            // A timestamp of the producer that has nothing to do with the time of append.
            let record = NewRecord { timestamp: 5, key: None, value: Some(b"v"), headers: &[] };
            builder.push(&record).unwrap();
        }
        let batch = builder.build().unwrap();
        self.partition(index).append(&batch, Origin::Client, true).unwrap();
    }

    fn marker(&self, index: i32, producer_id: i64, control: &ControlRecord<'_>) {
        let mut builder = BatchBuilder::new(BatchOptions {
            producer_id,
            producer_epoch: 0,
            transactional: true,
            control: true,
            ..BatchOptions::default()
        });
        let (key, value) = (control.key(), control.value());
        let record = NewRecord { timestamp: 5, key: Some(&key), value: Some(&value), headers: &[] };
        builder.push(&record).unwrap();
        let batch = builder.build().unwrap();
        self.partition(index).append(&batch, Origin::Coordinator, true).unwrap();
    }

    fn commit(&self, offsets: &[(i32, i64)]) {
        self.lag.follow_all(&[snapshot("g", offsets, self.registry.clock().now_ms())]);
    }

    fn wait(&self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
    }

    fn read(&self, row: &'static FamilyRow, labels: &[&str]) -> Option<f64> {
        self.registry.family(row).read(labels)
    }

    fn lag_of(&self, index: i32) -> (Option<f64>, Option<f64>) {
        let labels = ["g", "t", &index.to_string()];
        (
            self.read(&rows::KAFKA_CONSUMERGROUP_LAG, &labels),
            self.read(&rows::KAFKA_CONSUMERGROUP_LAG_SECONDS, &labels),
        )
    }

    /// The lag in seconds before and after the log was searched, which must agree.
    fn settled_seconds(&self, index: i32) -> f64 {
        let before = self.lag_of(index).1.unwrap();
        self.lag.resolve();
        let after = self.lag_of(index).1.unwrap();
        assert!((before - after).abs() <= 1.0, "{before} {after}");
        after
    }
}

fn snapshot(id: &str, offsets: &[(i32, i64)], committed_ms: i64) -> GroupSnapshot {
    let group = GroupView {
        id: id.into(),
        state: GroupState::ConsumerStable,
        members: 2,
        generation: 7,
        protocol_type: "consumer".to_owned(),
        protocol: "uniform".to_owned(),
        rebalances: Rebalances::default(),
        last_cause: None,
    };
    let offsets = offsets.iter().map(|(partition, offset)| CommittedOffset {
        topic: "t".into(),
        partition: PartitionId(*partition),
        offset: Offset(*offset),
        committed_ms,
    });
    GroupSnapshot { group, offsets: offsets.collect() }
}

#[test]
fn lag_is_the_age_of_the_oldest_record_not_committed() {
    let rig = Rig::new();
    rig.append(0, 10);
    rig.wait(5);
    rig.append(0, 10);
    rig.commit(&[(0, 0)]);
    rig.wait(2);
    assert_eq!(rig.settled_seconds(0), 7.0);
    assert_eq!(rig.lag_of(0), (Some(20.0), Some(7.0)));
    // In the middle of the first batch, at the second, at the end.
    rig.commit(&[(0, 4)]);
    assert_eq!(rig.settled_seconds(0), 7.0);
    rig.commit(&[(0, 10)]);
    assert_eq!(rig.settled_seconds(0), 2.0);
    rig.commit(&[(0, 20)]);
    assert_eq!(rig.settled_seconds(0), 0.0);
    assert_eq!(rig.lag_of(0), (Some(0.0), Some(0.0)));
    // An idle producer lets nothing grow.
    rig.wait(3600);
    assert_eq!(rig.settled_seconds(0), 0.0);
    // What is appended shows at once.
    rig.append(0, 1);
    rig.wait(3);
    assert_eq!(rig.lag_of(0), (Some(1.0), Some(3.0)));
    // A group that goes back is as far behind as the records are old.
    rig.commit(&[(0, 10)]);
    assert_eq!(rig.settled_seconds(0), 3605.0);
    rig.append(1, 3);
    rig.commit(&[(0, 21), (1, 1)]);
    rig.wait(4);
    let second = ["g", "t", "1"];
    assert_eq!(rig.read(&rows::KAFKA_CONSUMERGROUP_LAG, &second), Some(2.0));
    assert_eq!(rig.read(&rows::KAFKA_CONSUMERGROUP_LAG_SECONDS, &second), Some(4.0));
    let sums = [
        (&rows::KAFKA_CONSUMERGROUP_CURRENT_OFFSET_SUM, 22.0),
        (&rows::KAFKA_CONSUMERGROUP_LAG_SUM, 2.0),
        (&rows::KAFKA_CONSUMERGROUP_LAG_SECONDS_MAX, 4.0),
        (&rows::KAFKA_CONSUMERGROUP_EXPIRED_RECORDS_TOTAL, 0.0),
        (&rows::KAFKA_CONSUMERGROUP_LAST_COMMIT_TIMESTAMP_SECONDS, 1_700_003_610.0),
    ];
    for (row, expected) in sums {
        assert_eq!(rig.read(row, &["g", "t"]), Some(expected), "{}", row.name);
    }
    let offset = rig.read(&rows::KAFKA_CONSUMERGROUP_CURRENT_OFFSET, &["g", "t", "0"]);
    assert_eq!(offset, Some(21.0));
}

#[test]
fn offsets_that_nobody_can_have_read_break_no_sum() {
    let rig = Rig::new();
    rig.append(0, 10);
    let sum = |row| rig.read(row, &["g", "t"]);
    rig.commit(&[(0, i64::MAX), (1, i64::MAX)]);
    assert_eq!(sum(&rows::KAFKA_CONSUMERGROUP_CURRENT_OFFSET_SUM), Some(i64::MAX as f64));
    rig.commit(&[(0, i64::MIN), (1, i64::MIN)]);
    assert_eq!(sum(&rows::KAFKA_CONSUMERGROUP_LAG_SUM), Some(i64::MAX as f64));
    rig.lag.resolve();
}

#[test]
fn markers_and_aborted_records_make_nobody_wait() {
    let rig = Rig::new();
    let of_producer = |base_sequence| BatchOptions {
        producer_id: 9,
        producer_epoch: 0,
        base_sequence,
        transactional: true,
        ..BatchOptions::default()
    };
    rig.append_as(0, of_producer(0), 2);
    rig.commit(&[(0, 0)]);
    rig.wait(10);
    // Of an open transaction: they count.
    assert_eq!(rig.settled_seconds(0), 10.0);
    rig.commit(&[(0, 2)]);
    rig.marker(0, 9, &ControlRecord::Commit { coordinator_epoch: 0 });
    rig.lag.resolve();
    rig.wait(10);
    assert_eq!(rig.lag_of(0), (Some(1.0), Some(0.0)));
    rig.append_as(0, of_producer(2), 2);
    rig.marker(0, 9, &ControlRecord::Abort { coordinator_epoch: 0 });
    rig.commit(&[(0, 3)]);
    rig.wait(10);
    rig.lag.resolve();
    assert_eq!(rig.lag_of(0), (Some(3.0), Some(0.0)));
    rig.append(0, 1);
    rig.wait(5);
    assert_eq!(rig.settled_seconds(0), 5.0);
    assert_eq!(rig.lag_of(0).0, Some(4.0));
}

#[test]
fn records_deleted_unread_are_counted_and_lag_stays() {
    let rig = Rig::new();
    rig.append(0, 10);
    rig.wait(5);
    rig.append(0, 10);
    rig.commit(&[(0, 4)]);
    rig.lag.resolve();
    rig.partition(0).delete_records(Offset(12)).unwrap();
    assert_eq!(rig.settled_seconds(0), 0.0);
    rig.wait(2);
    assert_eq!(rig.lag_of(0), (Some(16.0), Some(2.0)));
    let expired = || rig.read(&rows::KAFKA_CONSUMERGROUP_EXPIRED_RECORDS_TOTAL, &["g", "t"]);
    assert_eq!(expired(), Some(8.0));
    assert_eq!(rig.lag.standings("g").unwrap()[0].expired, 8);
    rig.lag.resolve();
    // Going back to what is gone already is no loss.
    rig.commit(&[(0, 0)]);
    rig.lag.resolve();
    assert_eq!(expired(), Some(8.0));
    // A group that goes on behind what was deleted has lost it, however fast it goes on.
    rig.commit(&[(0, 13)]);
    rig.partition(0).delete_records(Offset(15)).unwrap();
    rig.commit(&[(0, 16)]);
    assert_eq!(expired(), Some(10.0));
    rig.lag.resolve();
    assert_eq!(expired(), Some(10.0));
    let oldest = rig.read(&rows::KAFKA_TOPIC_PARTITION_OLDEST_OFFSET, &["t", "0"]);
    assert_eq!(oldest, Some(15.0));
}

#[test]
fn series_come_and_go_with_groups_and_partitions() {
    let mut rig = Rig::new();
    rig.append(0, 3);
    rig.commit(&[(0, 1), (1, 0)]);
    let other = snapshot("other", &[], 0);
    rig.lag.follow_group(&other.group.id, Some(&other));
    let members = |rig: &Rig, group| rig.read(&rows::KAFKA_CONSUMERGROUP_MEMBERS, &[group]);
    assert_eq!(members(&rig, "other"), Some(2.0));
    rig.lag.follow_group(&other.group.id, None);
    assert_eq!((members(&rig, "other"), members(&rig, "g")), (None, Some(2.0)));
    rig.commit(&[(0, 1)]);
    assert_eq!(rig.lag_of(1), (None, None));
    assert_eq!(rig.read(&rows::KAFKA_CONSUMERGROUP_LAG_SUM, &["g", "t"]), Some(2.0));
    // The topic is made again: the old partition's figures must not stay.
    let (old, new) = (rig.image.topic_id("t").unwrap(), TopicId::random());
    rig.step(&[MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: old })]);
    let current = rows::KAFKA_TOPIC_PARTITION_CURRENT_OFFSET.name;
    assert_eq!(
        rig.read(&rows::KAFKA_TOPIC_PARTITION_CURRENT_OFFSET, &["t", "0"]),
        None,
        "{current}"
    );
    rig.commit(&[(0, 1)]);
    assert_eq!(rig.lag_of(0), (None, None));
    assert_eq!(rig.read(&rows::KAFKA_CONSUMERGROUP_LAG_SUM, &["g", "t"]), None);
    rig = rig.with_topic(new);
    rig.append(0, 5);
    rig.commit(&[(0, 1)]);
    assert_eq!(rig.lag_of(0).0, Some(4.0));
    rig.lag.follow_all(&[]);
    assert_eq!(rig.lag_of(0), (None, None));
    for row in rows::FAMILIES.iter().filter(|row| row.name.starts_with("kafka_consumergroup")) {
        assert_eq!(rig.read(row, &["g", "t"]), None, "{}", row.name);
        assert_eq!(rig.read(row, &["g"]), None, "{}", row.name);
    }
}

#[test]
fn groups_show_state_generation_and_assignor() {
    let rig = Rig::new();
    rig.commit(&[]);
    let state = |name| rig.read(&rows::KAFKA_CONSUMERGROUP_STATE, &["g", name]);
    assert_eq!((state("Stable"), state("Empty"), state("Dead")), (Some(1.0), Some(0.0), Some(0.0)));
    assert_eq!(rig.read(&rows::KAFKA_CONSUMERGROUP_GENERATION, &["g"]), Some(7.0));
    let info = |labels: [&str; 3]| rig.read(&rows::KAFKA_CONSUMERGROUP_INFO, &labels);
    assert_eq!(info(["g", "consumer", "uniform"]), Some(1.0));
    let rebalances = rig.read(&rows::KAFKA_CONSUMERGROUP_REBALANCES_TOTAL, &["g", "join"]);
    assert_eq!(rebalances, Some(0.0));
    assert_eq!(rig.read(&rows::KAFKA_CONSUMERGROUP_REBALANCE_SECONDS_TOTAL, &["g"]), Some(0.0));
    let mut next = snapshot("g", &[], 0);
    next.group.state = GroupState::ClassicEmpty;
    next.group.protocol = String::new();
    rig.lag.follow_group(&next.group.id, Some(&next));
    assert_eq!((state("Stable"), state("Empty")), (Some(0.0), Some(1.0)));
    assert_eq!(info(["g", "consumer", "uniform"]), None);
    assert_eq!(info(["g", "classic", ""]), Some(1.0));
    rig.lag.touch("g");
    rig.lag.touch("g");
    assert_eq!(rig.lag.take_touched(), [Arc::from("g")]);
    assert!(rig.lag.take_touched().is_empty());
}

#[test]
fn live_brokers_show_where_they_are() {
    let mut rig = Rig::new();
    let register = |broker_id, host: &str, fenced| {
        MetadataRecord::RegisterBroker(RegisterBrokerRecord {
            broker_id,
            incarnation_id: TopicId::random(),
            end_points: vec![BrokerEndpoint {
                name: "PLAINTEXT".to_owned(),
                host: host.to_owned(),
                port: 9092,
                security_protocol: 0,
            }],
            fenced,
            ..RegisterBrokerRecord::default()
        })
    };
    let info = |rig: &Rig, id, address| rig.read(&rows::KAFKA_BROKER_INFO, &[id, address]);
    let count = |rig: &Rig| rig.read(&rows::KAFKA_BROKERS, &[]);
    rig.step(&[register(1, "one", false), register(2, "two", false), register(3, "three", true)]);
    assert_eq!(count(&rig), Some(2.0));
    assert_eq!(info(&rig, "1", "one:9092"), Some(1.0));
    assert_eq!(info(&rig, "2", "two:9092"), Some(1.0));
    assert_eq!(info(&rig, "3", "three:9092"), None);
    // One moves, one is fenced.
    rig.step(&[register(1, "elsewhere", false), register(2, "two", true)]);
    assert_eq!(count(&rig), Some(1.0));
    assert_eq!(info(&rig, "1", "one:9092"), None);
    assert_eq!(info(&rig, "1", "elsewhere:9092"), Some(1.0));
    assert_eq!(info(&rig, "2", "two:9092"), None);
}

#[test]
fn the_metadata_shows_topics_and_replicas() {
    let mut rig = Rig::new();
    rig.append(0, 3);
    let figures = |rig: &Rig| {
        [
            &rows::KAFKA_TOPIC_PARTITION_LEADER,
            &rows::KAFKA_TOPIC_PARTITION_LEADER_IS_PREFERRED,
            &rows::KAFKA_TOPIC_PARTITION_REPLICAS,
            &rows::KAFKA_TOPIC_PARTITION_IN_SYNC_REPLICA,
            &rows::KAFKA_TOPIC_PARTITION_UNDER_REPLICATED_PARTITION,
            &rows::KAFKA_TOPIC_PARTITION_CURRENT_OFFSET,
        ]
        .map(|row| rig.read(row, &["t", "0"]))
    };
    assert_eq!(rig.read(&rows::KAFKA_TOPIC_PARTITIONS, &["t"]), Some(2.0));
    assert_eq!(rig.read(&rows::KAFKA_BROKERS, &[]), Some(0.0));
    assert_eq!(figures(&rig), [1.0, 1.0, 1.0, 1.0, 0.0, 3.0].map(Some));
    let topic_id = rig.image.topic_id("t").unwrap();
    rig.step(&[MetadataRecord::Partition(PartitionRecord {
        partition_id: 0,
        topic_id,
        replicas: vec![1, 2],
        isr: vec![2],
        leader: -1,
        leader_epoch: 1,
        partition_epoch: 1,
        ..PartitionRecord::default()
    })]);
    let after = figures(&rig);
    assert_eq!(after, [Some(-1.0), Some(0.0), Some(2.0), Some(1.0), Some(1.0), None]);
    assert_eq!(rig.partition(0).role().leader_epoch, LeaderEpoch(1));
    rig.cluster.clear();
    assert_eq!(rig.read(&rows::KAFKA_TOPIC_PARTITIONS, &["t"]), None);
}

#[test]
fn after_a_restart_no_record_is_younger_than_its_file() {
    let rig = Rig::new();
    rig.append(0, 3);
    let topic_id = rig.image.topic_id("t").unwrap();
    rig.replicas.logs().close(None);
    let Rig { _dir: dir, hand, registry, replicas, lag, offsets, .. } = rig;
    let clock = registry.clock().clone();
    drop((lag, offsets, replicas, registry));
    hand.advance(Duration::from_secs(60));
    let rig = Rig::open(dir, clock, hand, MetadataImage::empty()).with_topic(topic_id);
    rig.commit(&[(0, 1)]);
    rig.lag.resolve();
    // The file's time is the machine's, later than the simulated one: the opening bounds it.
    assert_eq!(rig.lag_of(0), (Some(2.0), Some(0.0)));
    rig.wait(5);
    assert_eq!(rig.lag_of(0), (Some(2.0), Some(5.0)));
}

#[test]
fn a_lag_that_shrinks_says_when_it_will_be_gone() {
    let rig = Rig::new();
    rig.append(0, 100);
    rig.commit(&[(0, 0), (1, 0)]);
    let drain = || rig.read(&rows::KAFKA_CONSUMERGROUP_DRAIN_SECONDS, &["g", "t"]);
    assert_eq!(drain(), Some(f64::INFINITY));
    rig.lag.resolve();
    rig.wait(20);
    rig.commit(&[(0, 40), (1, 0)]);
    assert_eq!(drain(), Some(30.0));
    rig.commit(&[(0, 100), (1, 0)]);
    assert_eq!(drain(), Some(0.0));
}

#[test]
fn the_status_of_a_topic_is_that_of_its_worst_partition() {
    let rig = Rig::new();
    rig.append(0, 100);
    rig.append(1, 100);
    let check = |expected: &str| {
        for status in ["ok", "no_offset", "warn", "stop", "stall", "rewind"] {
            let found = rig.read(&rows::KAFKA_CONSUMERGROUP_STATUS, &["g", "t", status]);
            assert_eq!(found, Some(if status == expected { 1.0 } else { 0.0 }), "{status}");
        }
    };
    rig.commit(&[(0, 1)]);
    check("no_offset");
    for offset in 1..=10 {
        rig.wait(1);
        rig.commit(&[(0, offset), (1, 5)]);
        check(if offset < 10 { "ok" } else { "stall" });
    }
    rig.wait(60);
    rig.commit(&[(0, 11), (1, 100)]);
    check("ok");
}

#[test]
fn a_rebalance_is_an_event() {
    let rig = Rig::new();
    let mut group = snapshot("g", &[], 0);
    rig.lag.follow_all(std::slice::from_ref(&group));
    group.group.rebalances.begin(RebalanceReason::Leave, 0);
    rig.lag.follow_all(std::slice::from_ref(&group));
    // The last one is told with its member.
    for reason in [RebalanceReason::Join, RebalanceReason::SessionTimeout] {
        group.group.rebalances.begin(reason, 0);
        group.group.last_cause = Some(RebalanceCause { reason, member: Some("one-7".into()) });
    }
    rig.lag.follow_all(&[group]);
    let found = rig.events.after(0, 10);
    let texts: Vec<_> = found.iter().map(|event| &*event.text).collect();
    let join = "rebalanced: join";
    assert_eq!(texts, ["rebalanced: leave", join, "rebalanced: session_timeout of one-7"]);
    for event in &found {
        assert_eq!((event.kind, &*event.subject), (EventKind::Rebalance, "g"));
    }
}

#[test]
fn each_partition_tells_how_it_stands() {
    let rig = Rig::new();
    rig.append(0, 100);
    rig.append(1, 100);
    for offset in 1..=10 {
        rig.wait(1);
        rig.commit(&[(0, offset), (1, 5)]);
    }
    let committed_ms = rig.lag.standings("g").unwrap()[1].committed_ms;
    let told = |partition, status| Standing {
        topic: "t".into(),
        partition: PartitionId(partition),
        status: Some(status),
        committed_ms,
        expired: 0,
    };
    assert_eq!(rig.lag.standings("g"), Some(vec![told(0, "ok"), told(1, "stall")]));
    assert_eq!(rig.lag.standings("none"), None);
}

/// A client may make a group with each request: what is kept for each beyond the limit is one
/// number among others.
#[test]
fn groups_beyond_the_limit_are_shown_in_one_sum() {
    let rig = Rig::new();
    let more = 5;
    let ids: Vec<_> = (0..super::MAX_SHOWN + more).map(|n| format!("g{n:06}")).collect();
    let snapshots: Vec<_> = ids.iter().map(|id| snapshot(id, &[(0, 0)], START_MS)).collect();
    rig.lag.follow_all(&snapshots);
    let family = |row: &'static FamilyRow| rig.registry.family(row);
    let members = family(&rows::KAFKA_CONSUMERGROUP_MEMBERS);
    assert_eq!(members.read(&["(other)"]), Some(2.0 * more as f64));
    let offsets = family(&rows::KAFKA_CONSUMERGROUP_CURRENT_OFFSET);
    let (last, folded) = (&ids[super::MAX_SHOWN - 1], &ids[super::MAX_SHOWN]);
    assert_eq!(offsets.read(&[last, "t", "0"]), Some(0.0));
    assert_eq!(offsets.read(&[folded, "t", "0"]), None);
    assert_eq!(offsets.read(&["(other)", "(other)", "(other)"]), None);
    // They stay folded until they leave; those that come then have room.
    rig.lag.follow_group(&ids[0].as_str().into(), None);
    rig.lag.follow_group(&folded.as_str().into(), Some(&snapshots[super::MAX_SHOWN]));
    assert_eq!(offsets.read(&[folded, "t", "0"]), None);
    rig.lag.follow_all(&[snapshot("new", &[(0, 0)], START_MS)]);
    assert_eq!(offsets.read(&["new", "t", "0"]), Some(0.0));
    assert_eq!(members.read(&["(other)"]), Some(0.0));
}
