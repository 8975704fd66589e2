//! A shard on a log in memory: what tests drive. Every event is appended at once, or fails when
//! the test says so; nothing sleeps.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use pharos_base::TopicId;
use uuid::Uuid;

use crate::wire::consumer_protocol_subscription::TopicPartition;
use crate::wire::join_group_request::JoinGroupRequestProtocol;
use crate::wire::*;
use crate::{
    Config, Context, Event, Now, Output, Record, Request, Response, Shard, Tally, Token, Topic,
    Topics,
};

/// Wall time at which tests begin.
pub(crate) const START_MS: i64 = 1_700_000_000_000;

pub(crate) struct Rig {
    pub shard: Shard,
    pub log: Vec<Record>,
    pub now: Now,
    /// Answers that nobody has taken yet.
    pub replies: Vec<(Token, Response)>,
    /// The next append fails with this.
    pub fail_next: Option<ErrorCode>,
    pub api_version: i16,
    pub client_id: String,
    next_token: u64,
}

pub(crate) fn topic_id(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

/// Topics `a` (4 partitions, id 1), `b` (2, id 2) and `c` (3, id 3).
pub(crate) fn topics() -> Topics {
    topics_of(1, &[("a", 1, 4), ("b", 2, 2), ("c", 3, 3)])
}

pub(crate) fn topics_of(version: i64, topics: &[(&str, u128, i32)]) -> Topics {
    let topics = topics.iter().map(|(name, id, partition_count)| Topic {
        name: (*name).into(),
        id: topic_id(*id),
        partition_count: *partition_count,
        racks: Vec::new(),
    });
    Topics::new(version, topics)
}

pub(crate) fn config() -> Config {
    Config { classic_initial_rebalance_delay_ms: 0, ..Config::default() }
}

impl Rig {
    pub(crate) fn new(config: Config) -> Self {
        let now = Now { wall_ms: START_MS, monotonic_ms: 0 };
        let mut shard = Shard::new(Arc::new(config), Arc::new(topics()), Tally::default());
        shard.loaded(now);
        Self {
            shard,
            log: Vec::new(),
            now,
            replies: Vec::new(),
            fail_next: None,
            api_version: 9,
            client_id: "client".to_owned(),
            next_token: 0,
        }
    }

    /// Sends a request; its answer is found by the token.
    pub(crate) fn send(&mut self, request: Request) -> Token {
        self.next_token += 1;
        let token = Token(self.next_token);
        let context = Context {
            api_version: self.api_version,
            client_id: self.client_id.as_str().into(),
            client_host: "/127.0.0.1".into(),
        };
        let output = self.shard.handle(self.now, Event::Request { token, context, request });
        self.run(output);
        token
    }

    pub(crate) fn event(&mut self, event: Event) {
        let output = self.shard.handle(self.now, event);
        self.run(output);
    }

    /// Does what an executor does.
    pub(crate) fn run(&mut self, mut output: Output) {
        loop {
            let taken = output.replies.drain(..).map(|reply| (reply.token, reply.response));
            self.replies.extend(taken);
            let Some(write) = output.write.take() else { break };
            output = match self.fail_next.take() {
                Some(error) => self.shard.failed(self.now, write, error),
                None => {
                    let base = self.log.len() as i64;
                    // Through bytes, as a log keeps them.
                    self.log.extend(write.records.iter().map(|record| {
                        let (key, value) = record.encode().unwrap();
                        Record::decode(Some(&key), value.as_deref()).unwrap().unwrap()
                    }));
                    self.shard.appended(self.now, write, base)
                }
            };
            self.shard.committed_up_to(self.log.len() as i64);
        }
    }

    /// Moves time on, and does what is due on the way.
    pub(crate) fn advance(&mut self, ms: i64) {
        let until = self.now.monotonic_ms + ms;
        while let Some(due) = self.shard.next_deadline().filter(|due| *due <= until) {
            let step = (due - self.now.monotonic_ms).max(0);
            self.now.monotonic_ms += step;
            self.now.wall_ms += step;
            let output = self.shard.on_deadline(self.now);
            self.run(output);
        }
        self.now.wall_ms += until - self.now.monotonic_ms;
        self.now.monotonic_ms = until;
    }

    /// The answer to `token`, if there is one.
    pub(crate) fn take(&mut self, token: Token) -> Option<Response> {
        let index = self.replies.iter().position(|(replied, _)| *replied == token)?;
        Some(self.replies.remove(index).1)
    }

    pub(crate) fn ask(&mut self, request: Request) -> Response {
        let token = self.send(request);
        self.take(token).expect("an answer at once")
    }

    /// A shard that is loaded from the log.
    pub(crate) fn reloaded(&self) -> Shard {
        let config = self.shard.kit.config.clone();
        let mut shard = Shard::new(config, self.shard.kit.topics.clone(), Tally::default());
        shard.committed_up_to(self.log.len() as i64);
        for (offset, record) in self.log.iter().enumerate() {
            shard.replay(offset as i64, None, record.clone());
        }
        shard.loaded(self.now);
        shard
    }

    /// Another coordinator takes over.
    pub(crate) fn fail_over(&mut self) {
        let output = self.shard.unload();
        self.run(output);
        self.shard = self.reloaded();
    }

    /// State of a group, or "-".
    pub(crate) fn state(&self, group: &str) -> String {
        let found = self.shard.group(group);
        found.map_or("-".to_owned(), |view| view.state.name().to_owned())
    }

    pub(crate) fn join(&mut self, request: JoinGroupRequest) -> Token {
        self.send(Request::JoinGroup(request))
    }

    pub(crate) fn joined(&mut self, token: Token) -> Option<JoinGroupResponse> {
        match self.take(token)? {
            Response::JoinGroup(response) => Some(response),
            other => panic!("not a join: {other:?}"),
        }
    }

    pub(crate) fn synced(&mut self, token: Token) -> Option<SyncGroupResponse> {
        match self.take(token)? {
            Response::SyncGroup(response) => Some(response),
            other => panic!("not a sync: {other:?}"),
        }
    }

    /// Joins as a new dynamic member, through the id that it is told. Parked until all came.
    pub(crate) fn join_new(&mut self, group: &str, topics: &[&str]) -> (String, Token) {
        let first = self.join(join_request(group, "", topics));
        let told = self.joined(first).unwrap();
        assert_eq!(told.error_code, ErrorCode::MemberIdRequired.code());
        let token = self.join(join_request(group, &told.member_id, topics));
        self.advance(0);
        (told.member_id, token)
    }

    /// Commits one offset without a member.
    pub(crate) fn commit(&mut self, group: &str, topic: &str, partition: i32, offset: i64) -> i16 {
        self.commit_as(group, "", -1, (topic, partition, offset))
    }

    pub(crate) fn commit_as(
        &mut self,
        group: &str,
        member: &str,
        generation: i32,
        (topic, partition, offset): (&str, i32, i64),
    ) -> i16 {
        use crate::wire::offset_commit_request::*;
        let partitions = vec![OffsetCommitRequestPartition {
            partition_index: partition,
            committed_offset: offset,
            committed_metadata: Some("note".to_owned()),
            ..Default::default()
        }];
        let request = OffsetCommitRequest {
            group_id: group.to_owned(),
            member_id: member.to_owned(),
            generation_id_or_member_epoch: generation,
            topics: vec![OffsetCommitRequestTopic {
                name: topic.to_owned(),
                partitions,
                ..Default::default()
            }],
            ..Default::default()
        };
        match self.ask(Request::OffsetCommit(request)) {
            Response::OffsetCommit(response) => response.topics[0].partitions[0].error_code,
            other => panic!("not a commit: {other:?}"),
        }
    }

    /// All offsets of a group as text, `a-0:5 a-1:7`.
    pub(crate) fn offsets(&mut self, group: &str) -> String {
        let asked = crate::wire::offset_fetch_request::OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: None,
            ..Default::default()
        };
        let request = Request::OffsetFetch { group: asked, require_stable: false };
        let Response::OffsetFetch(response) = self.ask(request) else { panic!("not a fetch") };
        if response.error_code != 0 {
            return format!("error {}", response.error_code);
        }
        let mut text = Vec::new();
        for topic in &response.topics {
            for partition in &topic.partitions {
                let index = partition.partition_index;
                text.push(format!("{}-{index}:{}", topic.name, partition.committed_offset));
            }
        }
        text.join(" ")
    }
}

/// A JoinGroup of a consumer that knows `range` and `roundrobin`.
pub(crate) fn join_request(group: &str, member: &str, topics: &[&str]) -> JoinGroupRequest {
    let protocols = ["range", "roundrobin"].map(|name| JoinGroupRequestProtocol {
        name: name.to_owned(),
        metadata: subscription(topics, &[]),
    });
    JoinGroupRequest {
        group_id: group.to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 30_000,
        member_id: member.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: protocols.into(),
        ..JoinGroupRequest::default()
    }
}

/// Bytes of a consumer's subscription in version 1, with what it owns.
pub(crate) fn subscription(topics: &[&str], owned: &[(&str, &[i32])]) -> Bytes {
    let body = ConsumerProtocolSubscription {
        topics: topics.iter().map(ToString::to_string).collect(),
        owned_partitions: owned
            .iter()
            .map(|(topic, partitions)| TopicPartition {
                topic: (*topic).to_owned(),
                partitions: partitions.to_vec(),
            })
            .collect(),
        ..ConsumerProtocolSubscription::default()
    };
    let mut bytes = BytesMut::new();
    bytes.put_i16(1);
    bytes.put_slice(&encode_to_bytes(&body, 1).unwrap());
    bytes.freeze()
}

/// A SyncGroup; the leader brings `assignments`.
pub(crate) fn sync_request(
    group: &str,
    member: &str,
    generation: i32,
    assignments: &[(&str, &str)],
) -> Request {
    let assignments = assignments.iter().map(|(member, bytes)| {
        crate::wire::sync_group_request::SyncGroupRequestAssignment {
            member_id: (*member).to_owned(),
            assignment: Bytes::copy_from_slice(bytes.as_bytes()),
        }
    });
    Request::SyncGroup(SyncGroupRequest {
        group_id: group.to_owned(),
        generation_id: generation,
        member_id: member.to_owned(),
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        assignments: assignments.collect(),
        ..SyncGroupRequest::default()
    })
}

pub(crate) fn heartbeat_request(group: &str, member: &str, generation: i32) -> Request {
    Request::Heartbeat(HeartbeatRequest {
        group_id: group.to_owned(),
        generation_id: generation,
        member_id: member.to_owned(),
        ..HeartbeatRequest::default()
    })
}

pub(crate) fn leave_request(group: &str, members: &[(&str, Option<&str>)]) -> Request {
    let members =
        members.iter().map(|(member, instance)| crate::wire::leave_group_request::MemberIdentity {
            member_id: (*member).to_owned(),
            group_instance_id: instance.map(ToOwned::to_owned),
            ..Default::default()
        });
    Request::LeaveGroup(LeaveGroupRequest {
        group_id: group.to_owned(),
        members: members.collect(),
        ..LeaveGroupRequest::default()
    })
}
