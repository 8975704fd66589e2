//! What clients did and what they were told: the truth that a broker is held to after a kill. Each
//! part works on a connection of its own until that breaks.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::thread::Scope;
use std::time::Instant;

use pharos_protocol::ErrorCode;
use pharos_protocol::batch::BatchOptions;
use pharos_protocol::messages::*;

use crate::crash::Progress;
use crate::start_process::{HANG_GUARD, Server, until};
use crate::start_wire::{Wire, batch, produce};

/// Topic of the idempotent producer; two partitions.
pub const IDEMPOTENT: &str = "idempotent";
/// Topic of the plain producer, with retention by size.
pub const PLAIN: &str = "plain";
/// Compacted topic.
pub const COMPACTED: &str = "compacted";
/// Keys of the compacted topic.
const KEYS: u64 = 20;
/// Batches in flight; as many as a broker remembers of each producer.
const WINDOW: usize = 5;
/// Names that are created and deleted in turn.
const NAMES: usize = 6;
/// Makes records large enough for rolls.
const PADDING: &str = "................................................................";

/// One partition of an idempotent producer.
#[derive(Debug, Default)]
pub struct Sequence {
    pub partition: i32,
    producer: (i64, i16),
    /// Records that were sent at least once; their numbers are their sequence numbers.
    pub sent: u64,
    /// Records that were acknowledged.
    pub acknowledged: u64,
    /// What was sent and not acknowledged: first number and count.
    pending: VecDeque<(u64, u64)>,
}

/// A producer without an id.
#[derive(Debug, Default)]
pub struct Plain {
    pub sent: u64,
    /// Numbers by their offsets.
    pub acknowledged: BTreeMap<i64, u64>,
}

/// A producer of a compacted topic.
#[derive(Debug, Default)]
pub struct Compacted {
    pub sent: u64,
    /// The last number by key.
    pub acknowledged: BTreeMap<String, u64>,
}

/// Groups: offsets of one without members, a classic member and one of KIP-848.
#[derive(Debug, Default)]
pub struct Groups {
    pub sent: i64,
    pub acknowledged: i64,
    pub classic: (String, i32),
    pub modern: (String, i32),
}

/// What a client knows of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Known {
    #[default]
    Absent,
    Unsure,
    /// It is there; whether its record is, nobody was told.
    Listed,
    /// It is there with its record.
    Filled,
}

/// A client that creates, fills and deletes topics.
#[derive(Debug, Default)]
pub struct Topics {
    pub known: Vec<Known>,
    next: usize,
    changes: u64,
}

/// Everything together.
#[derive(Debug, Default)]
pub struct Model {
    pub idempotent: Vec<Sequence>,
    pub plain: Plain,
    pub compacted: Compacted,
    pub groups: Groups,
    pub topics: Topics,
}

impl Model {
    /// Creates topics, a producer id and members.
    pub fn prepare(server: &Server) -> Self {
        let mut wire = server.connect();
        let small = ("internal.segment.bytes", "4096");
        let retention = [small, ("retention.bytes", "20000")];
        let compact = [
            ("internal.segment.bytes", "2048"),
            ("cleanup.policy", "compact"),
            ("min.cleanable.dirty.ratio", "0.01"),
        ];
        assert_eq!(wire.create_topic(IDEMPOTENT, 2, &[small]).unwrap(), 0);
        assert_eq!(wire.create_topic(PLAIN, 1, &retention).unwrap(), 0);
        assert_eq!(wire.create_topic(COMPACTED, 1, &compact).unwrap(), 0);
        let given: InitProducerIdResponse = wire
            .call(&InitProducerIdRequest { transactional_id: None, ..Default::default() }, 4)
            .unwrap();
        assert_eq!(given.error_code, 0);
        let producer = (given.producer_id, given.producer_epoch);
        let sequence = |partition| Sequence { partition, producer, ..Default::default() };
        Self {
            idempotent: vec![sequence(0), sequence(1)],
            groups: Groups::join(&mut wire),
            topics: Topics { known: vec![Known::Absent; NAMES], ..Default::default() },
            ..Default::default()
        }
    }

    /// Lets every part work until its connection breaks.
    pub fn work<'scope, 'env: 'scope>(
        &'env mut self,
        scope: &'scope Scope<'scope, 'env>,
        server: &Server,
        progress: &'env Progress,
    ) {
        let port = server.port();
        let connect = move || Wire::connect(port).unwrap();
        for sequence in &mut self.idempotent {
            let mut wire = connect();
            scope.spawn(move || while sequence.step(&mut wire, u64::MAX, progress).is_ok() {});
        }
        let (plain, mut wire) = (&mut self.plain, connect());
        scope.spawn(move || while plain.step(&mut wire, progress).is_ok() {});
        let (compacted, mut wire) = (&mut self.compacted, connect());
        scope.spawn(move || while compacted.step(&mut wire, progress).is_ok() {});
        let (groups, mut wire) = (&mut self.groups, connect());
        scope.spawn(move || while groups.step(&mut wire, progress).is_ok() {});
        let (topics, mut wire) = (&mut self.topics, connect());
        scope.spawn(move || while topics.step(&mut wire, progress).is_ok() {});
    }

    /// Sends again what is pending; then every record is there exactly once.
    pub fn finish(&mut self, server: &Server) {
        let mut wire = server.connect();
        let progress = Progress::default();
        for sequence in &mut self.idempotent {
            let last = sequence.sent;
            while sequence.acknowledged < last {
                sequence.step(&mut wire, last, &progress).unwrap();
            }
            let found = wire.read_all(IDEMPOTENT, sequence.partition).unwrap();
            let numbers: Vec<u64> = found.iter().map(|record| record.number()).collect();
            assert_eq!(numbers, (0..sequence.sent).collect::<Vec<_>>());
        }
        let sent = self.compacted.sent;
        if sent > 20 * KEYS {
            until("the cleaner", || (wire.read_all(COMPACTED, 0).unwrap().len() as u64) < sent / 2);
        }
    }

    /// Figures of what was done.
    pub fn summary(&self) -> String {
        format!(
            "{} idempotent, {} plain, {} compacted records, {} commits, {} topic changes",
            self.idempotent.iter().map(|one| one.acknowledged).sum::<u64>(),
            self.plain.acknowledged.len(),
            self.compacted.sent,
            self.groups.acknowledged,
            self.topics.changes
        )
    }
}

fn records(numbers: std::ops::Range<u64>) -> Vec<(String, String)> {
    numbers.map(|number| (format!("k{}", number % KEYS), format!("{number} {PADDING}"))).collect()
}

fn one_batch(options: BatchOptions, records: &[(String, String)]) -> bytes::Bytes {
    let records: Vec<_> =
        records.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    batch(options, &records)
}

/// Error code and base offset of the only partition of an answer.
fn outcome(wire: &mut Wire) -> io::Result<(ErrorCode, i64)> {
    let answer: ProduceResponse = wire.receive(9)?;
    let one = &answer.responses[0].partition_responses[0];
    Ok((ErrorCode::from_code(one.error_code).unwrap(), one.base_offset))
}

impl Sequence {
    /// Fills the window, first with what is pending, up to record `last`; then takes all answers.
    fn step(&mut self, wire: &mut Wire, last: u64, progress: &Progress) -> io::Result<()> {
        while self.pending.len() < WINDOW && self.sent < last {
            let count = (1 + self.sent % 4).min(last - self.sent);
            self.pending.push_back((self.sent, count));
            self.sent += count;
        }
        for (first, count) in &self.pending {
            let options = BatchOptions {
                producer_id: self.producer.0,
                producer_epoch: self.producer.1,
                base_sequence: i32::try_from(*first).unwrap(),
                ..Default::default()
            };
            let batch = one_batch(options, &records(*first..first + count));
            wire.send(&produce(IDEMPOTENT, self.partition, &batch, -1), 9)?;
        }
        while let Some((first, count)) = self.pending.front().copied() {
            let (code, _) = outcome(wire)?;
            let taken = matches!(code, ErrorCode::None | ErrorCode::DuplicateSequenceNumber);
            assert!(taken, "{code:?} for {count} records from {first} on");
            self.pending.pop_front();
            self.acknowledged = first + count;
            progress.acknowledged();
        }
        Ok(())
    }
}

impl Plain {
    fn step(&mut self, wire: &mut Wire, progress: &Progress) -> io::Result<()> {
        let mut pending = Vec::new();
        for _ in 0..WINDOW {
            let first = self.sent;
            self.sent += 3;
            let batch = one_batch(BatchOptions::default(), &records(first..self.sent));
            wire.send(&produce(PLAIN, 0, &batch, 1), 9)?;
            pending.push(first);
        }
        for first in pending {
            let (code, offset) = outcome(wire)?;
            assert_eq!(code, ErrorCode::None);
            let new = (0..3).map(|index| (offset + index, first + index.unsigned_abs()));
            self.acknowledged.extend(new);
            progress.acknowledged();
        }
        Ok(())
    }
}

impl Compacted {
    fn step(&mut self, wire: &mut Wire, progress: &Progress) -> io::Result<()> {
        let first = self.sent;
        self.sent += 5;
        let records = records(first..self.sent);
        let batch = one_batch(BatchOptions::default(), &records);
        wire.send(&produce(COMPACTED, 0, &batch, -1), 9)?;
        let (code, _) = outcome(wire)?;
        assert_eq!(code, ErrorCode::None);
        for (index, (key, _)) in (first..).zip(records) {
            self.acknowledged.insert(key, index);
        }
        progress.acknowledged();
        Ok(())
    }
}

impl Groups {
    fn join(wire: &mut Wire) -> Self {
        let mut groups = Self::default();
        let mut join = JoinGroupRequest {
            group_id: "classic".to_owned(),
            session_timeout_ms: 300_000,
            rebalance_timeout_ms: 300_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![join_group_request::JoinGroupRequestProtocol {
                name: "range".to_owned(),
                metadata: bytes::Bytes::from_static(b"\0\0\0\0\0\0\0\0\0\0"),
            }],
            ..Default::default()
        };
        let find = FindCoordinatorRequest { key: join.group_id.clone(), ..Default::default() };
        until("the coordinator", || {
            let answer: FindCoordinatorResponse = wire.call(&find, 2).unwrap();
            answer.error_code == 0
        });
        Self::roll_often(wire);
        let mut joined = JoinGroupResponse::default();
        until("the group to be joined", || {
            joined = wire.call(&join, 5).unwrap();
            join.member_id.clone_from(&joined.member_id);
            joined.error_code == 0
        });
        groups.classic = (joined.member_id, joined.generation_id);
        let sync = SyncGroupRequest {
            group_id: "classic".to_owned(),
            generation_id: groups.classic.1,
            member_id: groups.classic.0.clone(),
            assignments: vec![sync_group_request::SyncGroupRequestAssignment {
                member_id: groups.classic.0.clone(),
                assignment: bytes::Bytes::from_static(b"mine"),
            }],
            ..Default::default()
        };
        let synced: SyncGroupResponse = wire.call(&sync, 3).unwrap();
        assert_eq!(synced.error_code, 0);
        groups.modern.0 = "member-of-the-new-protocol".to_owned();
        until("an assignment", || {
            groups.modern_heartbeat(wire).unwrap();
            groups.modern.1 > 0
        });
        groups
    }

    /// Lets the topic of the groups roll and be cleaned while the test runs.
    fn roll_often(wire: &mut Wire) {
        let set = |name: &str, value: &str| incremental_alter_configs_request::AlterableConfig {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            ..Default::default()
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![incremental_alter_configs_request::AlterConfigsResource {
                resource_type: 2,
                resource_name: "__consumer_offsets".to_owned(),
                configs: vec![
                    set("internal.segment.bytes", "4096"),
                    set("min.cleanable.dirty.ratio", "0.01"),
                ],
            }],
            ..Default::default()
        };
        let answer: IncrementalAlterConfigsResponse = wire.call(&request, 1).unwrap();
        assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    }

    /// Heartbeats with the epoch that is known; the first one joins.
    pub fn modern_heartbeat(&mut self, wire: &mut Wire) -> io::Result<()> {
        let joins = self.modern.1 == 0;
        let request = ConsumerGroupHeartbeatRequest {
            group_id: "modern".to_owned(),
            member_id: self.modern.0.clone(),
            member_epoch: self.modern.1,
            rebalance_timeout_ms: if joins { 300_000 } else { -1 },
            subscribed_topic_names: joins.then(|| vec![IDEMPOTENT.to_owned()]),
            topic_partitions: joins.then(Vec::new),
            ..Default::default()
        };
        let answer: ConsumerGroupHeartbeatResponse = wire.call(&request, 1)?;
        assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
        self.modern.1 = answer.member_epoch;
        Ok(())
    }

    /// Heartbeats with the generation that is known: the error code.
    pub fn classic_heartbeat(&self, wire: &mut Wire) -> io::Result<i16> {
        let request = HeartbeatRequest {
            group_id: "classic".to_owned(),
            generation_id: self.classic.1,
            member_id: self.classic.0.clone(),
            ..Default::default()
        };
        let answer: HeartbeatResponse = wire.call(&request, 3)?;
        Ok(answer.error_code)
    }

    fn step(&mut self, wire: &mut Wire, progress: &Progress) -> io::Result<()> {
        self.sent += 1;
        let (member, generation) = self.classic.clone();
        for (group, member, generation) in
            [("simple", String::new(), -1), ("classic", member, generation)]
        {
            let request = OffsetCommitRequest {
                group_id: group.to_owned(),
                generation_id_or_member_epoch: generation,
                member_id: member,
                topics: vec![offset_commit_request::OffsetCommitRequestTopic {
                    name: IDEMPOTENT.to_owned(),
                    partitions: vec![offset_commit_request::OffsetCommitRequestPartition {
                        committed_offset: self.sent,
                        ..Default::default()
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            };
            let answer: OffsetCommitResponse = wire.call(&request, 8)?;
            assert_eq!(answer.topics[0].partitions[0].error_code, 0, "{group}");
        }
        self.acknowledged = self.sent;
        progress.acknowledged();
        self.modern_heartbeat(wire)
    }
}

impl Topics {
    /// The name of one of them.
    pub fn name(index: usize) -> String {
        format!("changing-{index}")
    }

    fn step(&mut self, wire: &mut Wire, progress: &Progress) -> io::Result<()> {
        let index = self.next % self.known.len();
        self.next += 1;
        let name = Self::name(index);
        match std::mem::replace(&mut self.known[index], Known::Unsure) {
            Known::Listed | Known::Filled => {
                self.delete(wire, &name)?;
                self.known[index] = Known::Absent;
            }
            Known::Absent => {
                let code = wire.create_topic(&name, 2, &[])?;
                assert_eq!(ErrorCode::from_code(code), Some(ErrorCode::None), "{name}");
                self.fill(wire, &name)?;
                self.known[index] = Known::Filled;
            }
            Known::Unsure => panic!("{name} was not looked up"),
        }
        self.changes += 1;
        progress.acknowledged();
        Ok(())
    }

    /// A new topic is empty, whatever had its name before.
    fn fill(&self, wire: &mut Wire, name: &str) -> io::Result<()> {
        let batch = one_batch(BatchOptions::default(), &records(0..1));
        let began = Instant::now();
        loop {
            let (code, offset, message) = wire.produce(name, 1, &batch)?;
            let code = ErrorCode::from_code(code).unwrap();
            // The partition follows the metadata a moment later, as in Kafka.
            if code == ErrorCode::UnknownTopicOrPartition && began.elapsed() < HANG_GUARD {
                continue;
            }
            assert_eq!((code, offset), (ErrorCode::None, 0), "{name}: {message:?}");
            return Ok(());
        }
    }

    fn delete(&self, wire: &mut Wire, name: &str) -> io::Result<()> {
        let topic = delete_topics_request::DeleteTopicState {
            name: Some(name.to_owned()),
            ..Default::default()
        };
        let request =
            DeleteTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
        let answer: DeleteTopicsResponse = wire.call(&request, 6)?;
        assert_eq!(answer.responses[0].error_code, 0, "{name}");
        Ok(())
    }
}
