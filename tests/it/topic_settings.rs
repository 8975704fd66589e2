//! Every key of a topic, set on a running broker: what it does is seen over the wire or on disk, or
//! it is refused by name.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use pharos_config::{Effect, rows};
use pharos_protocol::batch::{BatchBuilder, BatchHeader, BatchOptions, NewRecord, batches};
use pharos_protocol::compression::Codec;
use pharos_protocol::messages::*;
use pharos_protocol::{ErrorCode, Records};

use crate::start_process::{Launch, Server, until};
use crate::start_wire::{Wire, fetch, produce};

/// A broker whose background work comes often.
struct World {
    home: tempfile::TempDir,
    server: Server,
    wire: Wire,
    topics: usize,
    /// The key that is looked at, for whoever reads a failure.
    key: &'static str,
}

/// One topic of one partition.
struct Topic(String);

const NEVER: &str = "9223372036854775807";
const SMALL: (&str, &str) = ("internal.segment.bytes", "300");

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let server = Launch::up(home.path())
            .with("log.initial.task.delay.ms=0")
            .with("log.retention.check.interval.ms=20")
            .with("log.flush.scheduler.interval.ms=20")
            .with("log.flush.offset.checkpoint.interval.ms=20")
            .with("log.cleaner.backoff.ms=20")
            .start();
        let wire = server.connect();
        Self { home, server, wire, topics: 0, key: "" }
    }

    fn create(&mut self, configs: &[(&str, &str)]) -> (Topic, i16, String) {
        self.topics += 1;
        let name = format!("topic{}", self.topics);
        let config = |(name, value): &(&str, &str)| create_topics_request::CreatableTopicConfig {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        };
        let topic = create_topics_request::CreatableTopic {
            name: name.clone(),
            num_partitions: 1,
            replication_factor: 1,
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
        let request =
            CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
        let answer: CreateTopicsResponse = self.wire.call(&request, 7).unwrap();
        let answer = answer.topics[0].clone();
        (Topic(name), answer.error_code, answer.error_message.unwrap_or_default())
    }

    fn topic(&mut self, configs: &[(&str, &str)]) -> Topic {
        let (topic, code, message) = self.create(configs);
        assert_eq!(code, 0, "{configs:?}: {message}");
        topic
    }

    /// Changes one key of a topic while it is in use.
    fn alter(&mut self, topic: &Topic, key: &str, value: &str) {
        let config = incremental_alter_configs_request::AlterableConfig {
            name: key.to_owned(),
            config_operation: 0,
            value: Some(value.to_owned()),
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![incremental_alter_configs_request::AlterConfigsResource {
                resource_type: 2,
                resource_name: topic.0.clone(),
                configs: vec![config],
            }],
            ..Default::default()
        };
        let answer: IncrementalAlterConfigsResponse = self.wire.call(&request, 1).unwrap();
        assert_eq!(answer.responses[0].error_code, 0, "{key}={value}");
    }

    fn append(&mut self, topic: &Topic, batch: &[u8], acks: i16) -> (i16, i64) {
        let answer: ProduceResponse =
            self.wire.call(&produce(&topic.0, 0, batch, acks), 9).unwrap();
        let answer = &answer.responses[0].partition_responses[0];
        (answer.error_code, answer.log_append_time_ms)
    }

    /// Appends one record, made now.
    fn put(&mut self, topic: &Topic, key: &str, value: Option<&str>) {
        let made = batch(Codec::None, now_ms(), key, value);
        assert_eq!(self.append(topic, &made, 1).0, 0, "{}", topic.0);
    }

    /// Headers of the batches of a topic as they are stored.
    fn stored(&mut self, topic: &Topic) -> Vec<BatchHeader> {
        let (start, _) = self.wire.offsets(&topic.0, 0).unwrap();
        let request = fetch(&topic.0, 0, start, 1 << 20);
        let answer: FetchResponse = self.wire.call(&request, 12).unwrap();
        let records = answer.responses[0].partitions[0].records.as_ref();
        let bytes = records.and_then(Records::as_bytes).cloned().unwrap_or_default();
        batches(&bytes).map(|batch| *batch.unwrap().header()).collect()
    }

    /// Values of a key that can be read, a tombstone as an empty one.
    fn values(&mut self, topic: &Topic, key: &str) -> Vec<String> {
        let records = self.wire.read_all(&topic.0, 0).unwrap();
        let of = records.into_iter().filter(|record| record.key == key.as_bytes());
        of.map(|record| String::from_utf8(record.value).unwrap()).collect()
    }

    /// Files of the topic whose name ends so, with their lengths, by name.
    fn files(&self, topic: &Topic, suffix: &str) -> Vec<(String, u64)> {
        let mut found: Vec<_> = fs::read_dir(self.data().join(format!("{}-0", topic.0)))
            .unwrap()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                name.ends_with(suffix).then_some((name, entry.metadata().ok()?.len()))
            })
            .collect();
        found.sort();
        found
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("pharos-data")
    }

    fn segments(&self, topic: &Topic) -> usize {
        self.files(topic, ".log").len()
    }

    /// How far a topic is known to be on the disk.
    fn recovery_point(&self, topic: &Topic) -> Option<i64> {
        let text = fs::read_to_string(self.data().join("recovery-point-offset-checkpoint")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{} 0 ", topic.0)))?;
        line.trim().parse().ok()
    }

    /// A compacted topic of small segments with `old` and then newer values of one key in it.
    fn compacted(&mut self, more: &[(&str, &str)]) -> Topic {
        let mut configs = vec![("cleanup.policy", "compact"), SMALL];
        configs.extend(more);
        let topic = self.topic(&configs);
        for value in ["old", "newer", "newest"] {
            self.put(&topic, "key", Some(value));
            self.put(&topic, "filler", Some(&"x".repeat(150)));
        }
        topic
    }

    fn until_clean(&mut self, topic: &Topic) {
        until("the cleaner", || !self.values(topic, "key").contains(&"old".to_owned()));
    }

    /// Waits until the cleaner has passed by a topic that was there before: it has cleaned two later
    /// ones, one after the other.
    fn cleaner_passes(&mut self) {
        for _ in 0..2 {
            let later = self.compacted(&[("min.cleanable.dirty.ratio", "0")]);
            self.until_clean(&later);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.server.log();
            let _ = writeln!(std::io::stderr(), "while at {}: {log}", self.key);
        }
    }
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

fn batch(codec: Codec, timestamp: i64, key: &str, value: Option<&str>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions { codec, ..Default::default() });
    let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
    builder.push(&NewRecord { timestamp, key, value, headers: &[] }).unwrap();
    builder.build().unwrap().to_vec()
}

/// Text that a codec makes smaller the longer it looks.
fn prose() -> String {
    let words = ["segment", "offset", "leader", "replica", "epoch", "batch", "topic", "record"];
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        words[usize::try_from(state >> 24).unwrap() % words.len()]
    };
    (0..20_000).map(|_| next()).collect::<Vec<_>>().join(" ")
}

fn stored_len(world: &mut World, configs: &[(&str, &str)]) -> u64 {
    let topic = world.topic(configs);
    world.put(&topic, "k", Some(&prose()));
    world.files(&topic, ".log")[0].1
}

fn level(codec: &str, key: &str, least: &str, most: &str, world: &mut World) {
    let quick = stored_len(world, &[("compression.type", codec), (key, least)]);
    let small = stored_len(world, &[("compression.type", codec), (key, most)]);
    assert!(small < quick, "{key}: {small} bytes at {most}, {quick} at {least}");
}

fn compression_type(world: &mut World) {
    let codecs = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    for codec in codecs {
        let topic = world.topic(&[("compression.type", codec.name())]);
        world.put(&topic, "k", Some("v"));
        assert_eq!(world.stored(&topic)[0].codec(), Some(codec));
    }
    for (setting, codec) in [("uncompressed", Codec::None), ("producer", Codec::Zstd)] {
        let topic = world.topic(&[("compression.type", setting)]);
        let sent = batch(Codec::Zstd, now_ms(), "k", Some("v"));
        assert_eq!(world.append(&topic, &sent, 1).0, 0);
        assert_eq!(world.stored(&topic)[0].codec(), Some(codec), "{setting}");
    }
}

fn cleanup_policy(world: &mut World) {
    let topic = world.compacted(&[("min.cleanable.dirty.ratio", "0")]);
    world.until_clean(&topic);
    assert_eq!(world.values(&topic, "key").last().unwrap(), "newest");
}

fn delete_retention_ms(world: &mut World) {
    let tombstone = |world: &mut World, ms: &str| {
        let topic =
            world.compacted(&[("min.cleanable.dirty.ratio", "0"), ("delete.retention.ms", ms)]);
        world.put(&topic, "key", None);
        topic
    };
    let kept = tombstone(world, NEVER);
    let gone = tombstone(world, "0");
    // A tombstone goes in a cleaning after the one that first met it.
    until("the tombstone to go", || {
        world.put(&gone, "filler", Some(&"x".repeat(150)));
        world.put(&kept, "filler", Some(&"x".repeat(150)));
        world.values(&gone, "key").is_empty()
    });
    world.cleaner_passes();
    assert_eq!(world.values(&kept, "key"), [""]);
}

/// A topic whose first segments are past their retention.
fn retained(world: &mut World, configs: &[(&str, &str)]) -> Topic {
    let mut all = vec![SMALL];
    all.extend(configs);
    let topic = world.topic(&all);
    for _ in 0..4 {
        world.put(&topic, "k", Some(&"x".repeat(150)));
    }
    until("old segments to go", || world.wire.offsets(&topic.0, 0).unwrap().0 > 0);
    topic
}

fn file_delete_delay_ms(world: &mut World) {
    let late = retained(world, &[("retention.bytes", "1"), ("file.delete.delay.ms", NEVER)]);
    let soon = retained(world, &[("retention.bytes", "1"), ("file.delete.delay.ms", "0")]);
    until("the files to go", || world.files(&soon, ".deleted").is_empty());
    assert!(!world.files(&late, ".deleted").is_empty());
}

fn flush_messages(world: &mut World) {
    let never = world.topic(&[("flush.ms", NEVER)]);
    let each = world.topic(&[("flush.ms", NEVER), ("flush.messages", "1")]);
    world.put(&never, "k", Some("v"));
    world.put(&each, "k", Some("v"));
    until("the recovery point", || world.recovery_point(&each) == Some(1));
    assert_eq!(world.recovery_point(&never).unwrap_or(0), 0);
}

fn flush_ms(world: &mut World) {
    let never = world.topic(&[("flush.ms", NEVER)]);
    let soon = world.topic(&[("flush.ms", "1")]);
    world.put(&never, "k", Some("v"));
    world.put(&soon, "k", Some("v"));
    until("the recovery point", || world.recovery_point(&soon) == Some(1));
    assert_eq!(world.recovery_point(&never).unwrap_or(0), 0);
}

/// Bytes of the first offset index, complete, after some batches.
fn index_len(world: &mut World, interval: &str) -> u64 {
    let topic = world.topic(&[("index.interval.bytes", interval), ("segment.ms", NEVER)]);
    for _ in 0..20 {
        world.put(&topic, "k", Some(&"x".repeat(100)));
    }
    world.alter(&topic, "segment.ms", "1");
    until("a second segment", || {
        world.put(&topic, "k", Some("v"));
        world.segments(&topic) > 1
    });
    world.files(&topic, ".index")[0].1
}

fn index_interval_bytes(world: &mut World) {
    let (dense, sparse) = (index_len(world, "0"), index_len(world, "1000000"));
    assert!(dense > sparse, "{dense} bytes of index, {sparse} with a long interval");
}

fn segment_index_bytes(world: &mut World) {
    let small = world.topic(&[("index.interval.bytes", "0"), ("segment.index.bytes", "24")]);
    let large = world.topic(&[("index.interval.bytes", "0")]);
    for _ in 0..20 {
        world.put(&small, "k", Some("v"));
        world.put(&large, "k", Some("v"));
    }
    assert!(world.segments(&small) > 1);
    assert_eq!(world.segments(&large), 1);
}

fn max_compaction_lag_ms(world: &mut World) {
    let lag = ("max.compaction.lag.ms", "1");
    let topic = world.compacted(&[("min.cleanable.dirty.ratio", "1"), lag]);
    world.until_clean(&topic);
    // Also the last segment is closed in time.
    let topic = world.topic(&[("cleanup.policy", "compact"), lag]);
    until("a second segment", || {
        world.put(&topic, "key", Some("v"));
        world.segments(&topic) > 1
    });
}

fn min_compaction_lag_ms(world: &mut World) {
    let lag = ("min.compaction.lag.ms", "3600000");
    let topic = world.compacted(&[("min.cleanable.dirty.ratio", "0"), lag]);
    world.cleaner_passes();
    assert!(world.values(&topic, "key").contains(&"old".to_owned()));
    world.alter(&topic, "min.compaction.lag.ms", "0");
    world.until_clean(&topic);
}

fn min_cleanable_dirty_ratio(world: &mut World) {
    let topic = world.compacted(&[("min.cleanable.dirty.ratio", "1")]);
    world.cleaner_passes();
    assert!(world.values(&topic, "key").contains(&"old".to_owned()));
    world.alter(&topic, "min.cleanable.dirty.ratio", "0");
    world.until_clean(&topic);
}

fn max_message_bytes(world: &mut World) {
    let topic = world.topic(&[("max.message.bytes", "100")]);
    let large = batch(Codec::None, now_ms(), "k", Some(&"x".repeat(100)));
    assert_eq!(world.append(&topic, &large, 1).0, ErrorCode::MessageTooLarge.code());
    world.alter(&topic, "max.message.bytes", "1000");
    assert_eq!(world.append(&topic, &large, 1).0, 0);
}

fn message_timestamp_type(world: &mut World) {
    let topic = world.topic(&[("message.timestamp.type", "LogAppendTime")]);
    let (code, at) = world.append(&topic, &batch(Codec::None, 5, "k", Some("v")), 1);
    assert_eq!(code, 0);
    assert!(at > 5);
    assert_eq!(world.stored(&topic)[0].max_timestamp, at);
    world.alter(&topic, "message.timestamp.type", "CreateTime");
    assert_eq!(world.append(&topic, &batch(Codec::None, 5, "k", Some("v")), 1), (0, -1));
}

fn message_timestamp(key: &str, timestamp: i64, world: &mut World) {
    let topic = world.topic(&[(key, "60000")]);
    let far = batch(Codec::None, timestamp, "k", Some("v"));
    assert_eq!(world.append(&topic, &far, 1).0, ErrorCode::InvalidTimestamp.code());
    world.alter(&topic, key, NEVER);
    assert_eq!(world.append(&topic, &far, 1).0, 0);
}

/// More replicas than a partition has cannot be asked for (KIP-966): one is enough.
fn min_insync_replicas(world: &mut World) {
    for count in ["1", "2"] {
        let topic = world.topic(&[("min.insync.replicas", count)]);
        let made = batch(Codec::None, now_ms(), "k", Some("v"));
        assert_eq!(world.append(&topic, &made, -1).0, 0, "{count}");
    }
    let (_, code, message) = world.create(&[("min.insync.replicas", "0")]);
    assert_eq!(code, ErrorCode::InvalidConfig.code());
    assert!(message.contains("min.insync.replicas"), "{message}");
}

fn preallocate(world: &mut World) {
    let topic = world.topic(&[("preallocate", "true"), ("segment.bytes", "1048576")]);
    assert_eq!(world.files(&topic, ".log")[0].1, 1_048_576);
    let topic = world.topic(&[("segment.bytes", "1048576")]);
    assert_eq!(world.files(&topic, ".log")[0].1, 0);
}

fn retention_bytes(world: &mut World) {
    let topic = retained(world, &[("retention.bytes", "1")]);
    world.alter(&topic, "retention.bytes", "-1");
}

fn retention_ms(world: &mut World) {
    retained(world, &[("retention.ms", "1")]);
}

fn segment_bytes(world: &mut World) {
    let topic = world.topic(&[("segment.bytes", "1048576")]);
    for _ in 0..2 {
        world.put(&topic, "k", Some(&"x".repeat(600_000)));
    }
    assert_eq!(world.segments(&topic), 2);
    let (_, code, message) = world.create(&[("segment.bytes", "1000")]);
    assert_eq!(code, ErrorCode::InvalidConfig.code());
    assert!(message.contains("segment.bytes"), "{message}");
}

fn internal_segment_bytes(world: &mut World) {
    let topic = world.topic(&[SMALL]);
    for _ in 0..3 {
        world.put(&topic, "k", Some(&"x".repeat(150)));
    }
    assert_eq!(world.segments(&topic), 3);
}

fn segment_ms(world: &mut World) {
    let topic = world.topic(&[("segment.ms", "1000")]);
    let at = now_ms();
    for timestamp in [at - 2000, at - 1500, at - 999] {
        let made = batch(Codec::None, timestamp, "k", Some("v"));
        assert_eq!(world.append(&topic, &made, 1).0, 0);
    }
    assert_eq!(world.segments(&topic), 2);
}

/// Segments that would all roll at the same age roll earlier, each by a random time.
fn segment_jitter_ms(world: &mut World) {
    let mut segments = |jitter: &str| {
        let topic = world.topic(&[("segment.ms", "1000000"), ("segment.jitter.ms", jitter)]);
        let first = now_ms() - 1_000_000;
        for step in 0..100 {
            let made = batch(Codec::None, first + step * 9_999, "k", Some("v"));
            assert_eq!(world.append(&topic, &made, 1).0, 0);
        }
        world.segments(&topic)
    };
    assert_eq!(segments("0"), 1);
    until("a jitter that shows", || segments("1000000") > 1);
}

/// There is no other replica that could lead: the value is kept and shown.
fn unclean_leader_election_enable(world: &mut World) {
    let topic = world.topic(&[("unclean.leader.election.enable", "true")]);
    let request = DescribeConfigsRequest {
        resources: vec![describe_configs_request::DescribeConfigsResource {
            resource_type: 2,
            resource_name: topic.0,
            configuration_keys: Some(vec!["unclean.leader.election.enable".to_owned()]),
        }],
        ..Default::default()
    };
    let answer: DescribeConfigsResponse = world.wire.call(&request, 4).unwrap();
    let entry = &answer.results[0].configs[0];
    assert_eq!((entry.value.as_deref(), entry.config_source), (Some("true"), 1));
}

/// What a key does.
type Check = fn(&mut World);

const CASES: &[(&str, Check)] = &[
    ("cleanup.policy", cleanup_policy),
    ("compression.type", compression_type),
    ("compression.gzip.level", |w| level("gzip", "compression.gzip.level", "1", "9", w)),
    ("compression.zstd.level", |w| level("zstd", "compression.zstd.level", "-5", "15", w)),
    ("delete.retention.ms", delete_retention_ms),
    ("file.delete.delay.ms", file_delete_delay_ms),
    ("flush.messages", flush_messages),
    ("flush.ms", flush_ms),
    ("index.interval.bytes", index_interval_bytes),
    ("internal.segment.bytes", internal_segment_bytes),
    ("max.compaction.lag.ms", max_compaction_lag_ms),
    ("max.message.bytes", max_message_bytes),
    ("message.timestamp.after.max.ms", |w| {
        message_timestamp("message.timestamp.after.max.ms", now_ms() + 600_000, w);
    }),
    ("message.timestamp.before.max.ms", |w| {
        message_timestamp("message.timestamp.before.max.ms", now_ms() - 600_000, w);
    }),
    ("message.timestamp.type", message_timestamp_type),
    ("min.cleanable.dirty.ratio", min_cleanable_dirty_ratio),
    ("min.compaction.lag.ms", min_compaction_lag_ms),
    ("min.insync.replicas", min_insync_replicas),
    ("preallocate", preallocate),
    ("retention.bytes", retention_bytes),
    ("retention.ms", retention_ms),
    ("segment.bytes", segment_bytes),
    ("segment.index.bytes", segment_index_bytes),
    ("segment.jitter.ms", segment_jitter_ms),
    ("segment.ms", segment_ms),
    ("unclean.leader.election.enable", unclean_leader_election_enable),
];

/// Values that ask for something absent.
const REFUSED: &[(&str, &str)] = &[
    ("follower.replication.throttled.replicas", "*"),
    ("leader.replication.throttled.replicas", "0:0"),
    ("local.retention.bytes", "1"),
    ("local.retention.ms", "1"),
    ("remote.log.copy.disable", "true"),
    ("remote.log.delete.on.disable", "true"),
    ("remote.storage.enable", "true"),
];

#[test]
fn every_key_of_a_topic_acts_or_is_refused() {
    let honoured: BTreeSet<_> = CASES.iter().map(|(key, _)| *key).collect();
    let refused: BTreeSet<_> = REFUSED.iter().map(|(key, _)| *key).collect();
    for row in rows::topic::ALL {
        let listed = match row.effect {
            Effect::Honoured => honoured.contains(row.name),
            Effect::Refused { .. } => refused.contains(row.name),
            Effect::NoMeaning(_) => true,
        };
        assert!(listed, "{} has no case", row.name);
    }
    let mut world = World::new();
    for (key, value) in REFUSED {
        let (_, code, message) = world.create(&[(key, value)]);
        assert_eq!(code, ErrorCode::InvalidConfig.code(), "{key}={value}");
        assert!(message.contains(key) && message.contains("not available"), "{message}");
    }
    for (key, check) in CASES {
        world.key = key;
        check(&mut world);
    }
}

/// What all brokers share changes while they run, also for topics that are there already.
#[test]
fn settings_of_the_broker_change_while_it_runs() {
    let mut world = World::new();
    let topic = world.topic(&[]);
    let set = |world: &mut World, key: &str, value: &str| {
        let config = incremental_alter_configs_request::AlterableConfig {
            name: key.to_owned(),
            config_operation: 0,
            value: Some(value.to_owned()),
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![incremental_alter_configs_request::AlterConfigsResource {
                resource_type: 4,
                resource_name: String::new(),
                configs: vec![config],
            }],
            ..Default::default()
        };
        let answer: IncrementalAlterConfigsResponse = world.wire.call(&request, 1).unwrap();
        assert_eq!(answer.responses[0].error_code, 0, "{key}={value}");
    };
    set(&mut world, "message.max.bytes", "100");
    let large = batch(Codec::None, now_ms(), "k", Some(&"x".repeat(100)));
    assert_eq!(world.append(&topic, &large, 1).0, ErrorCode::MessageTooLarge.code());
    set(&mut world, "message.max.bytes", "1048588");
    assert_eq!(world.append(&topic, &large, 1).0, 0);
    // The one connection that is open stays; another is closed at once.
    set(&mut world, "max.connections.per.ip", "1");
    let mut other = world.server.connect();
    assert!(other.offsets(&topic.0, 0).is_err());
    set(&mut world, "max.connections.per.ip", "100");
    let mut other = world.server.connect();
    assert!(other.offsets(&topic.0, 0).is_ok());
    // No cleaner works until there are threads for it again.
    set(&mut world, "log.cleaner.threads", "0");
    let dirty = world.compacted(&[("min.cleanable.dirty.ratio", "0")]);
    assert!(world.values(&dirty, "key").contains(&"old".to_owned()));
    set(&mut world, "log.cleaner.threads", "2");
    world.until_clean(&dirty);
}
