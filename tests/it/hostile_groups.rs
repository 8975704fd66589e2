//! Groups and offsets asked wrongly: Apache Kafka's error codes, and bounded memory.

use pharos_protocol::messages::*;

use crate::facts::{Asked, Fact, ask, compare};
use crate::start_wire::Wire;
use crate::tables::Tables;

/// Names that no one should give, by what is odd about them.
pub fn names() -> Vec<(&'static str, String)> {
    vec![
        ("empty", String::new()),
        ("quoted", "a\"b'c\\d".to_owned()),
        ("of lines", "a\nb\r\nc".to_owned()),
        ("with NUL", "a\0b".to_owned()),
        ("two dots", "..".to_owned()),
        ("of a path", "../../x/y".to_owned()),
        ("in unicode", "gr\u{fc}\u{df}e \u{1f4a5}\u{202e}".to_owned()),
        ("of blanks", "  ".to_owned()),
        ("of a label", "a{b=\"c\",d=*}".to_owned()),
        ("of 10 kB", "n".repeat(10_000)),
    ]
}

struct Suite<'a> {
    tables: Tables,
    asked: &'a Asked,
    wire: Wire,
    facts: Vec<Fact>,
}

impl Suite<'_> {
    fn ask(&mut self, input: impl Into<String>, request: &impl pharos_protocol::Message, v: i16) {
        let answer = ask(&mut self.wire, &self.tables, request, v);
        if answer == "closed" {
            self.wire = self.asked.connect();
        }
        self.facts.push((input.into(), answer));
    }
}

fn join(group: &str, member: &str, protocol_type: &str, protocols: &[&str]) -> JoinGroupRequest {
    let protocols = protocols.iter().map(|name| join_group_request::JoinGroupRequestProtocol {
        name: (*name).to_owned(),
        metadata: bytes::Bytes::from_static(b"m"),
    });
    JoinGroupRequest {
        group_id: group.to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member.to_owned(),
        protocol_type: protocol_type.to_owned(),
        protocols: protocols.collect(),
        ..Default::default()
    }
}

fn commit(group: &str, topic: &str, partition: i32, offset: i64) -> OffsetCommitRequest {
    let partition = offset_commit_request::OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: offset,
        ..Default::default()
    };
    let topic = offset_commit_request::OffsetCommitRequestTopic {
        name: topic.to_owned(),
        partitions: vec![partition],
        ..Default::default()
    };
    OffsetCommitRequest { group_id: group.to_owned(), topics: vec![topic], ..Default::default() }
}

fn heartbeat(group: &str, member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.to_owned(),
        member_id: member.to_owned(),
        member_epoch: epoch,
        rebalance_timeout_ms: 10_000,
        subscribed_topic_names: Some(vec!["offsets".to_owned()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    }
}

/// Joins alone, as the leader: member id and generation.
fn member(suite: &mut Suite<'_>, group: &str) -> (String, i32) {
    let first: JoinGroupResponse =
        suite.wire.call(&join(group, "", "consumer", &["range"]), 5).unwrap();
    assert_eq!(first.error_code, 79, "MEMBER_ID_REQUIRED");
    let request = join(group, &first.member_id, "consumer", &["range"]);
    let joined: JoinGroupResponse = suite.wire.call(&request, 5).unwrap();
    assert_eq!((joined.error_code, &joined.leader), (0, &joined.member_id));
    (joined.member_id, joined.generation_id)
}

#[test]
fn groups_are_refused_as_kafka_refuses_them() {
    let limit = "what a member brings along has a limit, so that groups stay in memory";
    compare("groups", &[("join with 10 MB of metadata", "42", limit)], |asked| {
        asked.wait_for_groups();
        let mut wire = asked.connect();
        assert_eq!(wire.create_topic("offsets", 1, &[]).unwrap(), 0);
        let mut suite = Suite { tables: Tables::load(), asked, wire, facts: Vec::new() };
        joins(&mut suite);
        of_a_member(&mut suite);
        offsets(&mut suite);
        modern(&mut suite);
        named(&mut suite);
        suite.facts
    });
}

fn joins(suite: &mut Suite<'_>) {
    for (what, request) in [
        ("without group", join("", "", "consumer", &["range"])),
        ("without protocol type", join("j", "", "", &["range"])),
        ("without protocols", join("j", "", "consumer", &[])),
        ("with a protocol twice", join("j", "", "consumer", &["range", "range"])),
        ("with an unnamed protocol", join("j", "", "consumer", &[""])),
        ("as an unknown member", join("j", "nobody", "consumer", &["range"])),
    ] {
        suite.ask(format!("join {what}"), &request, 5);
    }
    for timeout in [-1, 0, 5999, 1_800_001, i32::MAX] {
        let mut request = join("j", "", "consumer", &["range"]);
        request.session_timeout_ms = timeout;
        suite.ask(format!("join with a session of {timeout} ms"), &request, 5);
    }
    for (what, instance) in [("empty", ""), ("two dots", ".."), ("of blanks", "a b")] {
        let mut request = join(&format!("static {what}"), "", "consumer", &["range"]);
        request.group_instance_id = Some(instance.to_owned());
        suite.ask(format!("join with an instance id {what}"), &request, 5);
    }
    let mut request = join("static", "", "consumer", &["range"]);
    request.group_instance_id = Some("i".repeat(250));
    suite.ask("join with an instance id of 250 letters", &request, 5);
    let mut request = join("large", "", "consumer", &["range"]);
    request.protocols[0].metadata = vec![7; 10 << 20].into();
    suite.ask("join with 10 MB of metadata", &request, 5);
}

fn of_a_member(suite: &mut Suite<'_>) {
    let (id, generation) = member(suite, "g");
    let sync = |generation, member: &str, of: &str| SyncGroupRequest {
        group_id: "g".to_owned(),
        generation_id: generation,
        member_id: member.to_owned(),
        protocol_type: Some(of.to_owned()),
        protocol_name: Some("range".to_owned()),
        ..Default::default()
    };
    suite.ask("sync of another generation", &sync(generation + 1, &id, "consumer"), 5);
    suite.ask("sync of an unknown member", &sync(generation, "nobody", "consumer"), 5);
    suite.ask("sync of another protocol type", &sync(generation, &id, "connect"), 5);
    let mut unknown = sync(generation, &id, "consumer");
    unknown.assignments = vec![sync_group_request::SyncGroupRequestAssignment {
        member_id: "nobody".to_owned(),
        assignment: bytes::Bytes::from_static(b"a"),
    }];
    suite.ask("sync that assigns to nobody", &unknown, 5);
    let beat = |generation, member: &str| HeartbeatRequest {
        group_id: "g".to_owned(),
        generation_id: generation,
        member_id: member.to_owned(),
        ..Default::default()
    };
    suite.ask("heartbeat", &beat(generation, &id), 4);
    suite.ask("heartbeat of another generation", &beat(generation + 5, &id), 4);
    suite.ask("heartbeat of a negative generation", &beat(-1, &id), 4);
    suite.ask("heartbeat of an unknown member", &beat(generation, "nobody"), 4);
    suite.ask("join of another protocol type", &join("g", "", "connect", &["range"]), 5);
    suite.ask("join of other protocols", &join("g", "", "consumer", &["sticky"]), 5);
    let mut beat = beat(generation, &id);
    beat.group_instance_id = Some("never seen".to_owned());
    suite.ask("heartbeat of an unknown instance", &beat, 4);
    let mut request = commit("g", "offsets", 0, 1);
    request.generation_id_or_member_epoch = generation + 1;
    request.member_id = id.clone();
    suite.ask("commit of another generation", &request, 8);
    request.generation_id_or_member_epoch = generation;
    request.member_id = "nobody".to_owned();
    suite.ask("commit of an unknown member", &request, 8);
    suite.ask("commit beside a live group", &commit("g", "offsets", 0, 1), 8);
    suite.ask(
        "deletion of a live group",
        &DeleteGroupsRequest { groups_names: vec!["g".into()] },
        2,
    );
    suite.ask("modern heartbeat in a classic group", &heartbeat("g", "m", 0), 1);
    let leave = |ids: &[&str]| LeaveGroupRequest {
        group_id: "g".to_owned(),
        members: ids
            .iter()
            .map(|id| leave_group_request::MemberIdentity {
                member_id: (*id).to_owned(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    suite.ask("leave of nobody", &leave(&[]), 5);
    suite.ask("leave of an unknown member", &leave(&["nobody"]), 5);
    suite.ask("leave twice in one request", &leave(&[&id, &id]), 5);
    suite.ask("join under the id that left", &join("g", &id, "consumer", &["range"]), 5);
    let again = DeleteGroupsRequest { groups_names: vec!["g".into(), "g".into(), "absent".into()] };
    suite.ask("deletion of a group twice and of none", &again, 2);
}

fn offsets(suite: &mut Suite<'_>) {
    for (what, request) in [
        ("of an unknown topic", commit("c", "absent", 0, 1)),
        ("of an unknown partition", commit("c", "offsets", 7, 1)),
        ("of partition -1", commit("c", "offsets", -1, 1)),
        ("of offset -1", commit("c", "offsets", 0, -1)),
        ("of offset -2^63", commit("c", "offsets", 0, i64::MIN)),
        ("of offset 2^63-1", commit("c", "offsets", 0, i64::MAX)),
        ("without group", commit("", "offsets", 0, 1)),
        ("of a topic without name", commit("c", "", 0, 1)),
        ("of a topic of a path", commit("c", "../x", 0, 1)),
    ] {
        suite.ask(format!("commit {what}"), &request, 8);
    }
    for len in [4096, 4097, 32_767] {
        let mut request = commit("c", "offsets", 0, 1);
        let partition = &mut request.topics[0].partitions[0];
        partition.committed_metadata = Some("m".repeat(len));
        suite.ask(format!("commit with {len} bytes of metadata"), &request, 9);
    }
    let mut request = commit("c", "offsets", 0, 1);
    let twice = request.topics[0].partitions[0].clone();
    request.topics[0].partitions.push(twice);
    let twice = request.topics[0].clone();
    request.topics.push(twice);
    suite.ask("commit of a partition four times", &request, 8);
    let mut request = commit("new", "offsets", 0, 1);
    request.generation_id_or_member_epoch = 3;
    request.member_id = "m".to_owned();
    suite.ask("commit with a generation to no group", &request, 8);
    suite.ask("commit with a generation to no group, version 9", &request, 9);
    let fetch = |group: &str, topic: &str, partitions: Vec<i32>| OffsetFetchRequest {
        groups: vec![offset_fetch_request::OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: Some(vec![offset_fetch_request::OffsetFetchRequestTopics {
                name: topic.to_owned(),
                partition_indexes: partitions,
                ..Default::default()
            }]),
            ..Default::default()
        }],
        ..Default::default()
    };
    suite.ask("offsets of no group", &fetch("absent", "offsets", vec![0]), 8);
    suite.ask("offsets of no topic", &fetch("c", "absent", vec![0, 0, -1]), 8);
    suite.ask("offsets without group", &fetch("", "offsets", vec![0]), 8);
    suite.ask("offsets of many partitions", &fetch("c", "offsets", (0..10_000).collect()), 8);
    let delete = |group: &str, topic: &str| OffsetDeleteRequest {
        group_id: group.to_owned(),
        topics: vec![offset_delete_request::OffsetDeleteRequestTopic {
            name: topic.to_owned(),
            partitions: vec![offset_delete_request::OffsetDeleteRequestPartition {
                partition_index: 9,
            }],
        }],
    };
    suite.ask("deletion of offsets of no group", &delete("absent", "offsets"), 0);
    suite.ask("deletion of offsets of no topic", &delete("c", "absent"), 0);
    suite.ask("deletion of offsets of no partition", &delete("c", "offsets"), 0);
}

fn modern(suite: &mut Suite<'_>) {
    let all = heartbeat("m", "one", 0);
    for (what, change) in [
        ("without group", &|it: &mut ConsumerGroupHeartbeatRequest| it.group_id = String::new()),
        ("with a group of blanks", &|it: &mut ConsumerGroupHeartbeatRequest| {
            it.group_id = "  ".to_owned();
        }),
        ("without member", &|it: &mut ConsumerGroupHeartbeatRequest| it.member_id = String::new()),
        ("with epoch -3", &|it: &mut ConsumerGroupHeartbeatRequest| it.member_epoch = -3),
        ("with epoch 7", &|it: &mut ConsumerGroupHeartbeatRequest| it.member_epoch = 7),
        ("leaving unknown", &|it: &mut ConsumerGroupHeartbeatRequest| it.member_epoch = -1),
        ("static without instance", &|it: &mut ConsumerGroupHeartbeatRequest| it.member_epoch = -2),
        ("with an empty instance", &|it: &mut ConsumerGroupHeartbeatRequest| {
            it.instance_id = Some(String::new());
        }),
        ("with an empty rack", &|it: &mut ConsumerGroupHeartbeatRequest| {
            it.rack_id = Some(String::new());
        }),
        ("without a rebalance timeout", &|it: &mut ConsumerGroupHeartbeatRequest| {
            it.rebalance_timeout_ms = -1;
        }),
        ("without subscription", &|it: &mut ConsumerGroupHeartbeatRequest| {
            it.subscribed_topic_names = None;
        }),
        ("without topics", &|it: &mut ConsumerGroupHeartbeatRequest| {
            it.subscribed_topic_names = Some(Vec::new());
        }),
        ("with an unknown assignor", &|it: &mut ConsumerGroupHeartbeatRequest| {
            it.server_assignor = Some("nothing".to_owned());
        }),
        ("with a regex that is none", &|it: &mut ConsumerGroupHeartbeatRequest| {
            it.subscribed_topic_regex = Some("(a".to_owned());
        }),
        ("with a regex that never ends", &|it: &mut ConsumerGroupHeartbeatRequest| {
            it.subscribed_topic_regex = Some("(a+)+$".to_owned());
        }),
        ("with partitions at the start", &|it: &mut ConsumerGroupHeartbeatRequest| {
            it.topic_partitions = Some(vec![Default::default()]);
        }),
    ] as [(&str, &dyn Fn(&mut ConsumerGroupHeartbeatRequest)); 16]
    {
        let mut request = all.clone();
        change(&mut request);
        suite.ask(format!("modern heartbeat {what}"), &request, 1);
    }
    suite.ask("classic join in a modern group", &join("m", "", "consumer", &["range"]), 5);
    let ids = vec!["absent".to_owned(), "m".to_owned(), "m".to_owned(), String::new()];
    let describe = ConsumerGroupDescribeRequest { group_ids: ids.clone(), ..Default::default() };
    suite.ask("modern description of groups", &describe, 1);
    let describe = DescribeGroupsRequest { groups: ids, ..Default::default() };
    suite.ask("classic description of groups", &describe, 6);
    let list = ListGroupsRequest {
        states_filter: vec!["NoSuchState".to_owned(), String::new()],
        types_filter: vec!["nothing".to_owned()],
    };
    suite.ask("list of groups in no state", &list, 5);
}

/// Names that end in a file's name, a label or a line of a log.
fn named(suite: &mut Suite<'_>) {
    for (what, name) in names() {
        suite.ask(format!("commit of a group {what}"), &commit(&name, "offsets", 0, 1), 8);
        suite.ask(format!("join of a group {what}"), &join(&name, "", "consumer", &["range"]), 5);
        let find = FindCoordinatorRequest {
            coordinator_keys: vec![name.clone(), name.clone()],
            ..Default::default()
        };
        suite.ask(format!("coordinator of a group {what}"), &find, 6);
        let delete = DeleteGroupsRequest { groups_names: vec![name] };
        suite.ask(format!("deletion of a group {what}"), &delete, 2);
    }
}
