//! Hot keys over real logs, on a simulated clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pharos_base::{BrokerId, Clock, ClockHand, PartitionId, TopicId};
use pharos_metadata::image::{MetadataDelta, MetadataImage};
use pharos_metadata::record::MetadataRecord;
use pharos_metrics::Registry;
use pharos_metrics::catalog::native as rows;
use pharos_protocol::batch::{BatchBuilder, BatchOptions, KeySink, NewRecord, Origin};
use pharos_protocol::compression::Codec;
use pharos_protocol::messages::{
    PartitionChangeRecord, PartitionRecord, RemoveTopicRecord, TopicRecord,
};
use pharos_replication::{Replicas, TopicSettings};
use pharos_storage::fs::RealFs;
use pharos_storage::{LogConfig, LogManager, ManagerOptions, StoredCompression};
use tempfile::TempDir;

use super::*;

/// A broker that leads topic `t`, with hot keys on.
struct Rig {
    hand: ClockHand,
    registry: Registry,
    replicas: Arc<Replicas>,
    hot_keys: HotKeys,
    image: MetadataImage,
    topic_id: TopicId,
    _dir: TempDir,
}

impl Rig {
    fn new(partitions: i32) -> Self {
        Self::with_log(partitions, LogConfig::default())
    }

    fn with_log(partitions: i32, log: LogConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, hand) = Clock::simulated(1_700_000_000_000);
        let registry = Registry::new(clock.clone());
        let options = ManagerOptions {
            registry: registry.clone(),
            ..ManagerOptions::new(Arc::new(RealFs), clock)
        };
        let (logs, _) = LogManager::open(&[dir.path().to_path_buf()], options).unwrap();
        let replicas = Arc::new(Replicas::new(BrokerId(1), logs, &registry));
        let mut rig = Self {
            hand,
            hot_keys: HotKeys::new(&registry, replicas.clone()),
            replicas,
            registry,
            image: MetadataImage::empty(),
            topic_id: TopicId::random(),
            _dir: dir,
        };
        rig.hot_keys.set(&["t".to_owned()], Some("secret"));
        let topic_id = rig.topic_id;
        let topic = MetadataRecord::Topic(TopicRecord { name: "t".to_owned(), topic_id });
        let partition = |partition_id| {
            MetadataRecord::Partition(PartitionRecord {
                partition_id,
                topic_id,
                replicas: vec![1, 2],
                isr: vec![1],
                leader: 1,
                ..PartitionRecord::default()
            })
        };
        let records: Vec<_> = [topic].into_iter().chain((0..partitions).map(partition)).collect();
        rig.step_with(&records, &log);
        rig
    }

    fn step(&mut self, record: MetadataRecord) {
        self.step_with(&[record], &LogConfig::default());
    }

    fn step_with(&mut self, records: &[MetadataRecord], log: &LogConfig) {
        let mut delta = MetadataDelta::default();
        for record in records {
            self.image.apply(record, &mut delta).unwrap();
        }
        let settings =
            |_: &MetadataImage, _: &str| TopicSettings { log: log.clone(), min_insync_replicas: 1 };
        assert!(self.replicas.follow(&self.image, &delta, &settings).is_empty());
        self.hot_keys.follow(&self.image, &delta);
    }

    /// Produces one batch as the handler does.
    fn produce(&self, partition: i32, codec: Codec, keys: &[Option<&[u8]>]) {
        let mut builder = BatchBuilder::new(BatchOptions { codec, ..BatchOptions::default() });
        for key in keys {
            let record = NewRecord { timestamp: 5, key: *key, value: Some(b"value"), headers: &[] };
            builder.push(&record).unwrap();
        }
        let batch = builder.build().unwrap();
        let led = self.replicas.find("t", PartitionId(partition)).unwrap();
        let watched = self.hot_keys.topic("t");
        let mut sampler = watched.as_ref().map(|topic| topic.sampler(partition));
        let sink = sampler.as_mut().map(|it| it as &mut dyn KeySink);
        let appended = led.append_watched(&batch, Origin::Client, false, sink).unwrap();
        if let Some(mut sampler) = sampler {
            sampler.count(appended.info.record_count);
        }
    }

    fn say(&self, partition: i32, keys: &[&str]) {
        let keys: Vec<_> = keys.iter().map(|key| Some(key.as_bytes())).collect();
        self.produce(partition, Codec::None, &keys);
    }

    /// Lets time go by, with a tick each second.
    fn wait(&self, seconds: u64) {
        for _ in 0..seconds {
            self.hand.advance(Duration::from_secs(1));
            self.hot_keys.tick();
        }
    }

    /// Share of each key of a partition that is shown, by its name.
    fn shares(&self, partition: i32) -> BTreeMap<String, f64> {
        let (mut shares, index) = (BTreeMap::new(), partition.to_string());
        self.registry.family(&rows::PHAROS_HOT_KEY_RATIO).numbers(|labels, share| {
            if *labels[1] == *index {
                shares.insert(labels[2].to_string(), share);
            }
        });
        shares
    }

    fn error(&self, partition: i32) -> Option<f64> {
        self.registry.family(&rows::PHAROS_HOT_KEY_ERROR_RATIO).read(&["t", &partition.to_string()])
    }

    fn name(&self, key: impl AsRef<[u8]>) -> String {
        self.hot_keys.name("t", key.as_ref()).unwrap()
    }
}

#[test]
fn a_key_above_one_percent_is_found_with_its_share_whatever_the_codec() {
    let huge: Vec<u8> =
        (0..10_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert!(std::str::from_utf8(&huge).is_err());
    for (partition, codec) in (0..).zip(Codec::ALL) {
        let rig = Rig::new(5);
        // Of 100: 40 no key, 20 a huge one, 9 an empty one, 2 of `x`, the rest each its own.
        let mut own = 0;
        for _ in 0..20 {
            let names: Vec<_> = (0..29).map(|n| format!("own-{}", own + n)).collect();
            own += names.len();
            let mut keys = vec![None; 40];
            keys.extend([Some(huge.as_slice()); 20]);
            keys.extend([Some(&b""[..]); 9]);
            keys.extend([Some(&b"x"[..]); 2]);
            keys.extend(names.iter().map(|name| Some(name.as_bytes())));
            rig.produce(partition, codec, &keys);
        }
        rig.wait(6);
        let (found, error) = (rig.shares(partition), rig.error(partition).unwrap());
        let expected = [(rig.name(&huge), 0.2), (rig.name(""), 0.09), (rig.name("x"), 0.02)];
        assert_eq!(found.len(), expected.len(), "{codec}: {found:?}");
        for (name, share) in expected {
            let told = found[&name];
            assert!(told >= share && told - error <= share, "{codec}: {told} is {share}");
            assert!(told - share <= 0.02, "{codec}: {told} is {share}");
        }
        assert!(error <= 0.01, "{error}");
    }
}

#[test]
fn batches_that_are_stored_with_another_codec_are_seen_once() {
    let log = LogConfig { compression: StoredCompression::Zstd(3), ..LogConfig::default() };
    let rig = Rig::with_log(1, log);
    rig.say(0, &["a", "a", "a", "b"].repeat(25));
    rig.wait(6);
    assert_eq!(rig.shares(0), BTreeMap::from([(rig.name("a"), 0.75), (rig.name("b"), 0.25)]));
    assert_eq!(rig.error(0), Some(0.0));
}

#[test]
fn what_is_not_counted_one_by_one_is_right_within_the_error_that_is_told() {
    let rig = Rig::new(1);
    // 400,000 records in four seconds: more than may be looked at.
    for batch in 0..400 {
        if batch % 100 == 99 {
            rig.wait(1);
        }
        let names: Vec<_> = (0..1000)
            .map(|n| match n % 20 {
                0..6 => "hot".to_owned(),
                6 => "warm".to_owned(),
                _ => format!("{batch}-{n}"),
            })
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        rig.say(0, &names);
    }
    rig.wait(6);
    let errors = rig.registry.family(&rows::PHAROS_HOT_KEY_ERROR_RATIO);
    let (found, error) = (rig.shares(0), errors.read(&["t", "0"]).unwrap());
    assert!(error > 0.0 && error < 0.05, "{error}");
    for (key, share) in [("hot", 0.3), ("warm", 0.05)] {
        let told = found[&rig.name(key)];
        assert!((told - share).abs() <= error.min(0.02), "{key}: {told}, off by {error} at most");
    }
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_key_leaves_after_five_minutes_and_its_share_is_of_now() {
    let rig = Rig::new(1);
    rig.say(0, &["a"; 100]);
    rig.wait(6);
    assert_eq!(rig.shares(0), BTreeMap::from([(rig.name("a"), 1.0)]));
    for _ in 0..29 {
        rig.say(0, &["b"; 100]);
        rig.wait(10);
    }
    // Kept, though it is hot no longer when the minute that had it has gone.
    let shares = rig.shares(0);
    assert!(shares[&rig.name("a")] < 0.05 && shares[&rig.name("b")] > 0.95, "{shares:?}");
    rig.say(0, &["b"; 100]);
    rig.wait(20);
    assert_eq!(rig.shares(0), BTreeMap::from([(rig.name("b"), 1.0)]));
    // Silence: no key is hot, and in the end nothing is told.
    rig.wait(280);
    assert_eq!((rig.shares(0), rig.error(0)), (BTreeMap::new(), Some(0.0)));
    rig.wait(200);
    assert_eq!((rig.shares(0), rig.error(0)), (BTreeMap::new(), None));
}

#[test]
fn the_series_are_those_of_the_leader() {
    let mut rig = Rig::new(2);
    let begin = |rig: &Rig| {
        rig.say(0, &["a"; 100]);
        rig.say(1, &["a"; 100]);
        rig.wait(6);
        assert_eq!((rig.shares(0).len(), rig.shares(1).len()), (1, 1));
    };
    begin(&rig);
    let lead = |topic_id, leader| {
        MetadataRecord::PartitionChange(PartitionChangeRecord {
            partition_id: 1,
            topic_id,
            leader,
            ..PartitionChangeRecord::default()
        })
    };
    let topic_id = rig.topic_id;
    rig.step(lead(topic_id, 2));
    assert_eq!((rig.shares(0).len(), rig.shares(1).len(), rig.error(1)), (1, 0, None));
    // What is led again begins anew.
    rig.step(lead(topic_id, 1));
    rig.wait(6);
    assert_eq!((rig.shares(1).len(), rig.error(1)), (0, None));
    begin(&rig);
    rig.step(MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id }));
    assert_eq!((rig.shares(0), rig.error(0), rig.error(1)), (BTreeMap::new(), None, None));
    assert!(rig.hot_keys.topics.read().is_empty());
    // A batch that was on its way when the topic went leaves nothing behind.
    rig.hot_keys.topic("t").unwrap().sampler(0).count(1);
    rig.wait(10);
    assert_eq!(rig.error(0), None);
}

#[test]
fn a_hundredth_of_less_than_a_hundred_is_nothing() {
    let rig = Rig::new(1);
    rig.say(0, &["a"; 99]);
    rig.wait(6);
    assert_eq!((rig.shares(0), rig.error(0)), (BTreeMap::new(), Some(0.0)));
    rig.say(0, &["b"]);
    rig.wait(6);
    assert_eq!(rig.shares(0), BTreeMap::from([(rig.name("a"), 0.99), (rig.name("b"), 0.01)]));
}

#[test]
fn settings_act_at_once() {
    let rig = Rig::new(1);
    let set = |topics: &[&str], secret| {
        let topics: Vec<_> = topics.iter().map(ToString::to_string).collect();
        rig.hot_keys.set(&topics, secret);
    };
    let begin = || {
        rig.say(0, &["a"; 100]);
        rig.wait(6);
        assert_eq!(rig.shares(0), BTreeMap::from([(rig.name("a"), 1.0)]));
    };
    begin();
    let before = rig.name("a");
    set(&["t", "u"], Some("secret"));
    assert_eq!(rig.shares(0).len(), 1);
    for (topics, secret) in [(&["u"][..], Some("secret")), (&[], Some("secret")), (&["t"], None)] {
        set(topics, secret);
        assert_eq!((rig.shares(0), rig.error(0)), (BTreeMap::new(), None), "{topics:?}");
        assert!(rig.hot_keys.topic("t").is_none(), "{topics:?}");
        assert_eq!(rig.hot_keys.lacks_secret(), secret.is_none());
        rig.wait(6);
        set(&["*"], Some("secret"));
        begin();
    }
    set(&["*"], Some("another"));
    assert_eq!(rig.shares(0), BTreeMap::new());
    begin();
    assert_ne!(rig.name("a"), before);
    assert!(!format!("{:?}", rig.hot_keys).contains("another"));
}

#[test]
fn no_more_topics_are_watched_than_memory_is_meant_for() {
    let rig = Rig::new(1);
    rig.hot_keys.set(&["*".to_owned()], Some("secret"));
    let begun = |n: usize| rig.hot_keys.topic(&format!("t{n}")).is_some();
    assert!((0..MAX_TOPICS).all(begun));
    assert!(!begun(MAX_TOPICS) && begun(0));
}
