//! What is answered of damaged segments: as Apache Kafka 4.3.1 answered, fetch by fetch and look-up by
//! look-up, with the beans that it moved.
//!
//! `tests/golden/damage/answers.tsv` holds what Kafka answered: the damage came to files of a running
//! broker (`live`) or between a clean stop and a start (`restart`), to logs whose index has an entry
//! for each batch (`dense`) or none (`sparse`). Of damage only answers are kept that differ from
//! those of a sound log. Lengths are left out where Kafka sends the beginning of another batch.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use pharos_metrics::catalog::broker_topics as rows;
use pharos_metrics::truth::{by, to};
use pharos_metrics::{Value, truth};
use pharos_protocol::Records;
use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord};
use pharos_protocol::messages::*;
use pharos_storage::fs::RealFs;

use crate::start_process::until;
use crate::start_wire::{Wire, fetch};
use crate::tidy::root;
use crate::truth::Inside;

/// Segments of a log, batches of a segment, records of a batch.
const SHAPE: (i64, i64, i64) = (3, 6, 5);
/// Bytes of each batch.
const BATCH_BYTES: u64 = 606;
const SEGMENT_MS: i64 = 100_000;

/// Damage to the first segment: bytes put over those at a place of a batch.
const BYTES: &[(&str, u64, u64, &[u8])] = &[
    ("flip", 3, 100, &[0xff]),
    ("len0", 3, 8, &[0; 4]),
    ("len13", 3, 8, &[0, 0, 0, 13]),
    ("len14", 3, 8, &[0, 0, 0, 14]),
    ("lenneg", 3, 8, &[0xff, 0xff, 0xff, 0xfb]),
    ("lenhuge", 3, 8, &[0x40, 0, 0, 0]),
    ("lenplus", 3, 8, &[0, 0, 2, 0xbc]),
    ("magic9", 3, 16, &[9]),
    ("basehigh", 3, 0, &[0, 0, 1, 0, 0, 0, 0, 0]),
    ("baselow", 3, 0, &[0, 0, 0, 0, 0, 0, 0, 1]),
    ("baseneg", 3, 0, &[0xff; 8]),
    ("deltaneg", 3, 23, &[0xff, 0xff, 0xff, 0x9c]),
    ("deltahuge", 3, 23, &[0x40, 0, 0, 0]),
    ("countneg", 3, 57, &[0xff; 4]),
    ("counthuge", 3, 57, &[0x40, 0, 0, 0]),
    ("codec7", 3, 22, &[7]),
    ("codec4", 3, 22, &[4]),
    ("crc", 3, 17, &[0, 0, 0, 1]),
    ("zeros", 3, 0, &[0; 600]),
    ("garbage", 3, 0, &[0xa5; 600]),
    ("firstlen0", 0, 8, &[0; 4]),
    ("firstmagic9", 0, 16, &[9]),
    ("lastlen0", 5, 8, &[0; 4]),
];
/// Damage that leaves so much of the file.
const CUTS: &[(&str, u64)] = &[
    ("cutmid", 3 * BATCH_BYTES + 200),
    ("cuthead", 3 * BATCH_BYTES + 30),
    ("cutearly", 3 * BATCH_BYTES + 5),
    ("cutat", 3 * BATCH_BYTES),
    ("cutall", 0),
];

fn strike(log: &Path, case: &str) {
    let file = OpenOptions::new().write(true).open(log).unwrap();
    if let Some((_, batch, at, bytes)) = BYTES.iter().find(|(name, ..)| *name == case) {
        file.write_all_at(bytes, batch * BATCH_BYTES + at).unwrap();
    } else if let Some((_, len)) = CUTS.iter().find(|(name, _)| *name == case) {
        file.set_len(*len).unwrap();
    } else {
        assert_eq!(case, "sound");
    }
}

/// The first segment of a topic.
fn first_segment(home: &Path, topic: &str) -> PathBuf {
    home.join(format!("data/{topic}-0/00000000000000000000.log"))
}

fn strike_all(home: &Path) {
    for (topic, case) in topics() {
        let path = first_segment(home, &topic);
        assert_eq!(fs::metadata(&path).unwrap().len(), 6 * BATCH_BYTES);
        strike(&path, case);
    }
}

/// Where a log can be asked: from which offset, how many bytes, committed or not.
const FETCHES: &[(&str, i64, i32, i8)] = &[
    ("0 all", 0, 1 << 20, 0),
    ("0 1000", 0, 1000, 0),
    ("10 1000", 10, 1000, 0),
    ("0 100", 0, 100, 0),
    ("15 all", 15, 1 << 20, 0),
    ("17 700", 17, 700, 0),
    ("17 100", 17, 100, 0),
    ("20 all", 20, 1 << 20, 0),
    ("25 1000", 25, 1000, 0),
    ("30 all", 30, 1 << 20, 0),
    ("0 rc", 0, 1 << 20, 1),
    ("15 rc", 15, 1 << 20, 1),
];
/// Times since the first record; `latest` stands for −3.
const TIMES: [i64; 10] = [0, 300, 303, 305, 400, 404, 450, 504, 505, SEGMENT_MS];

/// Where the answer is another one than Kafka's, and why.
fn ours(mode: &str, topic: &str, ask: &str, kafka: &str) -> Option<&'static str> {
    let (case, index) = topic.rsplit_once('-').unwrap();
    match (mode, case, ask) {
        // The beginning of another batch, which is missing, is not sent.
        ("live", "cutmid" | "cuthead" | "cutearly" | "cutat", "10 1000") => Some("0 from 10"),
        // The header is looked at before anything is sent of it.
        ("live", "cuthead", "15 all" | "15 rc") => Some("2"),
        // Indexes that cannot be of this file are made anew, and say that a later segment is next.
        ("restart", "cutat" | "cutall", _) if kafka == "0 nothing" => Some("0 at 30 of 100000"),
        ("restart", "cutmid" | "cuthead" | "cutearly", _)
            if kafka == "0 nothing" && index == "dense" =>
        {
            Some("0 at 30 of 100000")
        }
        _ => None,
    }
}

struct Damaged {
    inside: Inside,
    home: Arc<tempfile::TempDir>,
    /// Time of the first record.
    began_ms: i64,
    /// Failed fetches by topic.
    failed: BTreeMap<String, i64>,
}

fn topics() -> impl Iterator<Item = (String, &'static str)> {
    let cases = BYTES.iter().map(|(name, ..)| *name).chain(CUTS.iter().map(|(name, _)| *name));
    std::iter::once("sound").chain(cases).flat_map(|case| {
        ["dense", "sparse"].into_iter().map(move |index| (format!("{case}-{index}"), case))
    })
}

fn batch_at(began_ms: i64) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    for n in 0..SHAPE.2 {
        let value = Some(&[b'.'; 100][..]);
        builder.push(&NewRecord { timestamp: began_ms + n, value, ..Default::default() }).unwrap();
    }
    let batch = builder.build().unwrap();
    assert_eq!(batch.len() as u64, BATCH_BYTES);
    batch
}

impl Damaged {
    /// A node with a sound log for each kind of damage.
    fn filled() -> Self {
        let home = Arc::new(tempfile::tempdir().unwrap());
        let mut inside = Inside::start_in(home.clone(), Arc::new(RealFs), 2, &[]);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        // Kafka was asked in such a time: what lies in a batch may look like the header of another.
        let began_ms = (i64::try_from(now.as_millis()).unwrap() - 3_600_000) & !0xff;
        for (topic, _) in topics() {
            let interval = if topic.ends_with("dense") { "0" } else { "100000" };
            let roll = [("segment.ms", "10000"), ("retention.ms", "-1")];
            inside.create(&topic, &[&roll[..], &[("index.interval.bytes", interval)]].concat());
            for n in 0..SHAPE.0 * SHAPE.1 {
                let (segment, batch) = (n / SHAPE.1, n % SHAPE.1);
                let one = batch_at(began_ms + segment * SEGMENT_MS + batch * 100);
                assert_eq!(inside.wire.produce(&topic, 0, &one).unwrap().0, 0);
            }
        }
        Self { inside, home, began_ms, failed: BTreeMap::new() }
    }

    fn fetch(&mut self, topic: &str, ask: (&str, i64, i32, i8)) -> String {
        let (what, offset, bytes, isolation_level) = ask;
        let request = FetchRequest { isolation_level, ..fetch(topic, 0, offset, bytes) };
        let answer: io::Result<FetchResponse> = self.inside.wire.call(&request, 12);
        let Ok(answer) = answer else {
            self.inside.wire = Wire::connect(self.inside.port).unwrap();
            return "closed".to_owned();
        };
        let data = &answer.responses[0].partitions[0];
        if data.error_code != 0 {
            *self.failed.entry(topic.to_owned()).or_default() += 1;
            return data.error_code.to_string();
        }
        let bytes = data.records.as_ref().and_then(Records::as_bytes).unwrap();
        let Some(base) = bytes.first_chunk().map(|base| i64::from_be_bytes(*base)) else {
            return "0 empty".to_owned();
        };
        let is_whole = what.ends_with("all") || what.ends_with("rc");
        let len = if is_whole { format!(", {} bytes", bytes.len()) } else { String::new() };
        format!("0 from {base}{len}")
    }

    /// The first record at or after a time.
    fn look_up(&mut self, topic: &str, timestamp: i64) -> String {
        let one = list_offsets_request::ListOffsetsPartition { timestamp, ..Default::default() };
        let topics = vec![list_offsets_request::ListOffsetsTopic {
            name: topic.to_owned(),
            partitions: vec![one],
        }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let answer: ListOffsetsResponse = self.inside.wire.call(&request, 7).unwrap();
        let found = &answer.topics[0].partitions[0];
        match (found.error_code, found.offset) {
            (0, -1) => "0 nothing".to_owned(),
            (0, offset) => format!("0 at {offset} of {}", found.timestamp - self.began_ms),
            (error, _) => error.to_string(),
        }
    }

    /// Every answer of a log, by what was asked.
    fn ask(&mut self, topic: &str) -> Vec<(String, String)> {
        let fetched = FETCHES.iter().map(|ask| (ask.0.to_owned(), self.fetch(topic, *ask)));
        let mut answers: Vec<_> = fetched.collect();
        for time in TIMES {
            let answer = self.look_up(topic, self.began_ms + time);
            answers.push((format!("time {time}"), answer));
        }
        answers.push(("latest".to_owned(), self.look_up(topic, -3)));
        answers
    }

    /// Asks all logs and compares the answers with Kafka's.
    fn compare(&mut self, mode: &str) {
        let text = fs::read_to_string(root().join("tests/golden/damage/answers.tsv")).unwrap();
        let mut kafka = BTreeMap::new();
        for line in text.lines() {
            let [of, case, index, ask, answer] =
                line.split('\t').collect::<Vec<_>>().try_into().unwrap();
            if of == mode {
                kafka.insert((case, index, ask), answer);
            }
        }
        let mut wrong = String::new();
        for (topic, case) in topics() {
            let index = topic.rsplit_once('-').unwrap().1;
            for (ask, answer) in self.ask(&topic) {
                let ask = ask.as_str();
                let sound = kafka[&("sound", "both", ask)];
                let expected = *kafka.get(&(case, index, ask)).unwrap_or(&sound);
                let differs = ours(mode, &topic, ask, expected);
                assert_ne!(differs, Some(expected), "{topic} {ask}: no difference");
                // Where Kafka fails inside, a plain error will do.
                let is_same = match differs.unwrap_or(expected) {
                    "-1" => answer == "2" || answer == "87",
                    expected => answer == expected,
                };
                if !is_same {
                    let line = format!("{topic} {ask}: {answer}, Kafka {expected}\n");
                    wrong.push_str(&line);
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }

    /// What counts failed fetches, of one topic or of all.
    fn counted(&self, topic: Option<&str>) -> Option<Value> {
        let mut name = rows::FAILED_FETCH_REQUESTS_PER_SEC.template.to_owned();
        if let Some(topic) = topic {
            name = format!("{name},topic={topic}");
        }
        self.inside.registry.read(&name, "Count")
    }

    /// Each failed fetch counted once, for its topic and for all; other topics have no such bean, and
    /// no directory failed.
    fn check_beans(&self) {
        let sum: i64 = self.failed.values().sum();
        assert!(sum > 50, "{sum}");
        until("the counts", || self.counted(None) == Some(Value::Long(sum)));
        for (topic, _) in topics() {
            let failed = self.failed.get(&topic).copied().map(Value::Long);
            assert_eq!(self.counted(Some(&topic)), failed, "{topic}");
        }
        let offline = "kafka.log:type=LogManager,name=OfflineLogDirectoryCount";
        let offline = self.inside.registry.read(offline, "Value").unwrap();
        assert_eq!(offline.as_f64(), Some(0.0));
    }
}

#[test]
fn damage_under_a_running_broker_is_answered_as_kafka_answers_it() {
    let mut damaged = Damaged::filled();
    strike_all(damaged.home.path());
    damaged.compare("live");
    damaged.check_beans();
}

#[test]
fn damage_that_a_start_finds_is_answered_as_kafka_answers_it() {
    let Damaged { inside, home, began_ms, failed } = Damaged::filled();
    drop(inside);
    strike_all(home.path());
    let inside = Inside::start_in(home.clone(), Arc::new(RealFs), 2, &[]);
    let mut damaged = Damaged { inside, home, began_ms, failed };
    damaged.compare("restart");
    damaged.check_beans();
}

#[test]
fn a_failed_fetch_counts_for_its_topic_until_the_topic_goes() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let mut inside = Inside::start_in(home.clone(), Arc::new(RealFs), 2, &[]);
    inside.create("t", &[]);
    let one = batch_at(1_700_000_000_000);
    assert_eq!(inside.wire.produce("t", 0, &one).unwrap().0, 0);
    let truth = truth!(&inside.registry);
    let file = OpenOptions::new().write(true).open(first_segment(home.path(), "t")).unwrap();
    file.write_all_at(&[0; 12], 0).unwrap();
    let (all, of_topic) =
        (&rows::FAILED_FETCH_REQUESTS_PER_SEC, &rows::FAILED_FETCH_REQUESTS_PER_SEC_BY_TOPIC);
    let claims =
        truth.claims([by(all, &[], "Count", 1.0), to(of_topic, &[("topic", "t")], "Count", 1.0)]);
    let answer: FetchResponse = inside.wire.call(&fetch("t", 0, 0, 1 << 20), 12).unwrap();
    let data = &answer.responses[0].partitions[0];
    assert_eq!((data.error_code, data.high_watermark), (2, -1));
    claims.wait();
    assert_eq!(inside.wire.delete_topic("t").unwrap(), 0);
    let bean = "kafka.server:type=BrokerTopicMetrics,name=FailedFetchRequestsPerSec,topic=t";
    until("the bean to go", || inside.registry.read(bean, "Count").is_none());
    assert_eq!(inside.registry.read(all.template, "Count"), Some(Value::Long(1)));
}
