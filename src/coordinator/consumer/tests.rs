//! The consumer protocol, family by family.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::testing::{Rig, config, topic_id, topics_of};
use crate::wire::consumer_group_heartbeat_request::TopicPartitions;
use crate::wire::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ErrorCode};
use crate::{Config, GroupState, Record, Request, Response};

/// A consumer as a client runs it: it takes what it is given, and gives up what it must.
#[derive(Clone, Default)]
pub(crate) struct Client {
    pub group: String,
    pub id: String,
    pub instance: Option<String>,
    pub topics: Vec<String>,
    pub regex: Option<String>,
    pub assignor: Option<String>,
    pub epoch: i32,
    /// Partitions by topic number.
    pub owned: BTreeMap<u128, Vec<i32>>,
}

impl Client {
    pub(crate) fn new(group: &str, id: &str, topics: &[&str]) -> Self {
        Self {
            group: group.to_owned(),
            id: id.to_owned(),
            topics: topics.iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }

    fn owned(&self) -> Vec<TopicPartitions> {
        let owned = self.owned.iter().map(|(topic, partitions)| TopicPartitions {
            topic_id: topic_id(*topic),
            partitions: partitions.clone(),
        });
        owned.collect()
    }

    /// What the client sends next; all fields, as after an error or when joining.
    pub(crate) fn request(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            group_id: self.group.clone(),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            instance_id: self.instance.clone(),
            rebalance_timeout_ms: 20_000,
            subscribed_topic_names: Some(self.topics.clone()),
            subscribed_topic_regex: self.regex.clone(),
            server_assignor: self.assignor.clone(),
            topic_partitions: Some(self.owned()),
            ..ConsumerGroupHeartbeatRequest::default()
        }
    }

    /// Sends a heartbeat and does what the answer says.
    pub(crate) fn beat(&mut self, rig: &mut Rig) -> ConsumerGroupHeartbeatResponse {
        let response = send(rig, self.request());
        match ErrorCode::from_code(response.error_code) {
            Some(ErrorCode::None) => {
                self.epoch = response.member_epoch;
                if let Some(assignment) = &response.assignment {
                    let topics = assignment.topic_partitions.iter();
                    let owned =
                        topics.map(|topic| (topic.topic_id.0.as_u128(), topic.partitions.clone()));
                    self.owned = owned.collect();
                }
            }
            Some(ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId) => {
                self.epoch = 0;
                self.owned.clear();
            }
            _ => {}
        }
        response
    }

    pub(crate) fn leave(&mut self, rig: &mut Rig, epoch: i32) -> ConsumerGroupHeartbeatResponse {
        let request = ConsumerGroupHeartbeatRequest { member_epoch: epoch, ..self.request() };
        self.owned.clear();
        self.epoch = 0;
        send(rig, request)
    }

    /// `1:0,1 2:3`
    pub(crate) fn has(&self) -> String {
        let topics = self.owned.iter().filter(|(_, partitions)| !partitions.is_empty());
        let text = topics.map(|(topic, partitions)| {
            let list: Vec<_> = partitions.iter().map(ToString::to_string).collect();
            format!("{topic}:{}", list.join(","))
        });
        text.collect::<Vec<_>>().join(" ")
    }
}

pub(crate) fn send(
    rig: &mut Rig,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let version = std::mem::replace(&mut rig.api_version, 1);
    let Response::ConsumerGroupHeartbeat(response) =
        rig.ask(Request::ConsumerGroupHeartbeat(request))
    else {
        panic!("not a heartbeat")
    };
    rig.api_version = version;
    response
}

/// Targets are made at once.
pub(crate) fn prompt() -> Config {
    Config { consumer_assignment_interval_ms: 0, ..config() }
}

fn error(response: &ConsumerGroupHeartbeatResponse) -> ErrorCode {
    ErrorCode::from_code(response.error_code).unwrap()
}

#[test]
fn the_first_member_gets_everything_in_kafkas_records() {
    let mut rig = Rig::new(config());
    let mut one = Client::new("g", "one", &["a"]);
    let response = one.beat(&mut rig);
    assert_eq!((response.member_epoch, response.heartbeat_interval_ms), (2, 5_000));
    assert_eq!(one.has(), "1:0,1,2,3");
    assert_eq!(rig.state("g"), "Stable");
    let kinds: Vec<&str> = rig
        .log
        .iter()
        .map(|record| match record {
            Record::ConsumerMember { .. } => "member",
            Record::Consumer { .. } => "epoch",
            Record::ConsumerTarget { .. } => "target",
            Record::ConsumerTargetEpoch { .. } => "target epoch",
            Record::ConsumerCurrent { .. } => "current",
            _ => "other",
        })
        .collect();
    // The order in which Apache Kafka 4.3.1 writes them.
    assert_eq!(kinds, ["member", "epoch", "target", "target epoch", "current"]);
    assert_eq!(rig.shard.tally().groups(GroupState::ConsumerStable), 1);
    // Nothing new: nothing is written, and no assignment sent.
    let mut request = one.request();
    request.subscribed_topic_names = None;
    request.rebalance_timeout_ms = -1;
    request.topic_partitions = None;
    let response = send(&mut rig, request);
    assert_eq!((response.error_code, response.assignment), (0, None));
    assert_eq!(rig.log.len(), 5);
}

#[test]
fn partitions_move_once_they_are_given_up() {
    let mut rig = Rig::new(prompt());
    let mut one = Client::new("g", "one", &["a"]);
    let mut two = Client::new("g", "two", &["a"]);
    one.beat(&mut rig);
    two.beat(&mut rig);
    assert_eq!((two.epoch, two.has().as_str()), (3, ""), "the first still has them");
    assert_eq!(rig.state("g"), "Reconciling");
    // The first is told what remains, says that it owns no more, and goes on.
    one.beat(&mut rig);
    assert_eq!((one.epoch, one.has().as_str()), (2, "1:0,1"));
    two.beat(&mut rig);
    assert_eq!(two.has(), "");
    one.beat(&mut rig);
    assert_eq!(one.epoch, 3);
    two.beat(&mut rig);
    assert_eq!(two.has(), "1:2,3");
    assert_eq!(rig.state("g"), "Stable");
    two.leave(&mut rig, -1);
    one.beat(&mut rig);
    assert_eq!((one.epoch, one.has().as_str()), (4, "1:0,1,2,3"));
}

#[test]
fn a_new_target_waits_for_its_interval() {
    let mut rig = Rig::new(config());
    let mut one = Client::new("g", "one", &["a"]);
    let mut two = Client::new("g", "two", &["a"]);
    one.beat(&mut rig);
    two.beat(&mut rig);
    assert_eq!((two.epoch, two.has().as_str()), (2, ""), "the target of before holds");
    assert_eq!(rig.state("g"), "Assigning");
    rig.advance(1_000);
    assert_eq!(rig.state("g"), "Assigning", "nobody spoke");
    one.beat(&mut rig);
    assert_eq!(rig.state("g"), "Reconciling");
    one.beat(&mut rig);
    two.beat(&mut rig);
    assert_eq!((one.has(), two.has()), ("1:0,1".into(), "1:2,3".into()));
}

#[test]
fn heartbeats_are_checked() {
    type Change = fn(&mut ConsumerGroupHeartbeatRequest);
    let cases: [(&str, Change, ErrorCode); 10] = [
        ("no group", |beat| beat.group_id.clear(), ErrorCode::InvalidRequest),
        ("no id", |beat| beat.member_id.clear(), ErrorCode::InvalidRequest),
        ("instance", |beat| beat.instance_id = Some(String::new()), ErrorCode::InvalidRequest),
        ("rack", |beat| beat.rack_id = Some(String::new()), ErrorCode::InvalidRequest),
        ("epoch", |beat| beat.member_epoch = -3, ErrorCode::InvalidRequest),
        ("timeout", |beat| beat.rebalance_timeout_ms = -1, ErrorCode::InvalidRequest),
        ("owned", |beat| beat.topic_partitions = None, ErrorCode::InvalidRequest),
        ("topics", |beat| beat.subscribed_topic_names = None, ErrorCode::InvalidRequest),
        (
            "assignor",
            |beat| beat.server_assignor = Some("x".into()),
            ErrorCode::UnsupportedAssignor,
        ),
        ("no such group", |beat| beat.member_epoch = 1, ErrorCode::GroupIdNotFound),
    ];
    for (name, change, expected) in cases {
        let mut rig = Rig::new(prompt());
        let mut request = Client::new("g", "one", &["a"]).request();
        change(&mut request);
        let response = send(&mut rig, request);
        assert_eq!(error(&response), expected, "{name}");
        assert!(response.error_message.is_some_and(|message| message.ends_with('.')), "{name}");
        assert_eq!(rig.state("g"), "-");
    }
    let mut rig = Rig::new(prompt());
    let mut request = Client::new("g", "one", &["a"]).request();
    request.subscribed_topic_names = None;
    request.subscribed_topic_regex = Some("a(".to_owned());
    assert_eq!(error(&send(&mut rig, request)), ErrorCode::InvalidRegularExpression);
}

#[test]
fn epochs_fence_those_who_fell_behind() {
    let mut rig = Rig::new(prompt());
    let mut one = Client::new("g", "one", &["a"]);
    one.beat(&mut rig);
    let mut ahead = one.clone();
    ahead.epoch += 1;
    assert_eq!(error(&ahead.beat(&mut rig)), ErrorCode::FencedMemberEpoch);
    // The answer to the join was lost: the same request again is fine.
    let mut again = Client::new("g", "one", &["a"]);
    assert_eq!(error(&again.beat(&mut rig)), ErrorCode::None);
    assert_eq!(again.has(), "1:0,1,2,3");
    let mut stranger = Client::new("g", "stranger", &["a"]);
    stranger.epoch = 2;
    assert_eq!(error(&stranger.beat(&mut rig)), ErrorCode::UnknownMemberId);
}

#[test]
fn silent_members_lose_their_partitions() {
    let mut rig = Rig::new(prompt());
    let mut one = Client::new("g", "one", &["a"]);
    let mut two = Client::new("g", "two", &["a"]);
    one.beat(&mut rig);
    two.beat(&mut rig);
    rig.advance(30_000);
    // The first never gives up what the second shall get: its rebalance timeout ends first.
    let mut stubborn = one.request();
    stubborn.topic_partitions = Some(one.owned());
    send(&mut rig, stubborn.clone());
    two.beat(&mut rig);
    rig.advance(10_000);
    send(&mut rig, stubborn);
    rig.advance(10_001);
    two.beat(&mut rig);
    assert_eq!(two.has(), "1:0,1,2,3");
    assert_eq!(error(&one.beat(&mut rig)), ErrorCode::UnknownMemberId);
    rig.advance(45_001);
    assert_eq!(rig.state("g"), "Empty");
}

#[test]
fn static_members_keep_their_place_while_they_are_away() {
    let mut rig = Rig::new(prompt());
    let mut one = Client::new("g", "one", &["a"]);
    one.instance = Some("i".to_owned());
    one.beat(&mut rig);
    let mut thief = Client::new("g", "thief", &["a"]);
    thief.instance = Some("i".to_owned());
    assert_eq!(error(&thief.beat(&mut rig)), ErrorCode::UnreleasedInstanceId);
    thief.epoch = 2;
    assert_eq!(error(&thief.beat(&mut rig)), ErrorCode::FencedInstanceId);
    assert_eq!(one.leave(&mut rig, -2).member_epoch, -2);
    let epoch = rig.shard.group("g").unwrap().generation;
    let mut back = Client::new("g", "back", &["a"]);
    back.instance = Some("i".to_owned());
    back.beat(&mut rig);
    assert_eq!(back.has(), "1:0,1,2,3");
    assert_eq!(rig.shard.group("g").unwrap().generation, epoch, "no rebalance");
    assert_eq!(rig.shard.group("g").unwrap().members, 1);
    back.leave(&mut rig, -2);
    rig.advance(45_001);
    assert_eq!(rig.state("g"), "Empty", "away for too long");
}

#[test]
fn expressions_follow_the_topics() {
    let mut rig = Rig::new(prompt());
    let mut one = Client::new("g", "one", &[]);
    one.regex = Some("[ab]".to_owned());
    one.beat(&mut rig);
    assert_eq!(one.has(), "1:0,1,2,3 2:0,1");
    let topics = topics_of(2, &[("a", 1, 4), ("c", 3, 3)]);
    rig.shard.set_topics(Arc::new(topics));
    rig.advance(10_001);
    one.beat(&mut rig);
    assert_eq!(one.has(), "1:0,1,2,3", "b is gone");
    rig.fail_over();
    one.beat(&mut rig);
    one.regex = Some("c".to_owned());
    one.beat(&mut rig);
    one.beat(&mut rig);
    assert_eq!(one.has(), "3:0,1,2");
    let tombstones =
        rig.log.iter().filter(|record| matches!(record, Record::ConsumerRegex { value: None, .. }));
    assert_eq!(tombstones.count(), 1, "the last one to use it deletes it");
}

#[test]
fn more_partitions_make_a_new_target() {
    let mut rig = Rig::new(prompt());
    let mut one = Client::new("g", "one", &["b", "none"]);
    one.beat(&mut rig);
    assert_eq!(one.has(), "2:0,1");
    rig.shard.set_topics(Arc::new(topics_of(2, &[("b", 2, 3)])));
    one.beat(&mut rig);
    assert_eq!((one.epoch, one.has().as_str()), (3, "2:0,1,2"));
    // Whoever is refused has not looked at the topics for the others.
    rig.shard.set_topics(Arc::new(topics_of(3, &[("b", 2, 4)])));
    let mut stranger = Client::new("g", "stranger", &["b"]);
    stranger.epoch = 3;
    assert_eq!(error(&stranger.beat(&mut rig)), ErrorCode::UnknownMemberId);
    one.beat(&mut rig);
    assert_eq!((one.epoch, one.has().as_str()), (4, "2:0,1,2,3"));
}

#[test]
fn members_vote_for_the_assignor() {
    let mut rig = Rig::new(prompt());
    let mut clients = ["one", "two"].map(|id| Client::new("g", id, &["a", "b"]));
    for client in &mut clients {
        client.assignor = Some("range".to_owned());
    }
    for _ in 0..4 {
        for client in &mut clients {
            client.beat(&mut rig);
        }
    }
    assert_eq!(clients.each_ref().map(Client::has), ["1:0,1 2:0", "1:2,3 2:1"]);
    let Response::ConsumerGroupDescribe(described) =
        rig.ask(Request::ConsumerGroupDescribe("g".to_owned()))
    else {
        panic!()
    };
    assert_eq!(described.assignor_name, "range");
    assert_eq!((described.group_state.as_str(), described.members.len()), ("Stable", 2));
    let member = &described.members[1];
    assert_eq!(member.assignment, member.target_assignment);
    assert_eq!(member.assignment.topic_partitions[0].topic_name, "a");
    assert_eq!(member.member_type, 1);
}

#[test]
fn commits_need_a_fitting_epoch() {
    let mut rig = Rig::new(prompt());
    let mut one = Client::new("g", "one", &["a"]);
    let mut two = Client::new("g", "two", &["a"]);
    one.beat(&mut rig);
    two.beat(&mut rig);
    one.beat(&mut rig);
    one.beat(&mut rig);
    two.beat(&mut rig);
    assert_eq!((one.epoch, two.epoch), (3, 3));
    let cases = [
        ("one", 3, 0, ErrorCode::None),
        // It had the partition in that epoch already (KIP-1251).
        ("one", 2, 0, ErrorCode::None),
        ("one", 2, 3, ErrorCode::StaleMemberEpoch),
        ("two", 2, 3, ErrorCode::StaleMemberEpoch),
        ("one", 4, 0, ErrorCode::StaleMemberEpoch),
        ("stranger", 3, 0, ErrorCode::UnknownMemberId),
        ("", -1, 0, ErrorCode::UnknownMemberId),
    ];
    rig.api_version = 9;
    for (member, epoch, partition, expected) in cases {
        let got = rig.commit_as("g", member, epoch, ("a", partition, 1));
        assert_eq!(got, expected.code(), "{member} {epoch} {partition}");
    }
    rig.api_version = 8;
    let got = rig.commit_as("g", "one", 3, ("a", 0, 1));
    assert_eq!(got, ErrorCode::UnsupportedVersion.code());
}

#[test]
fn a_full_group_takes_no_more() {
    let mut rig = Rig::new(Config { consumer_max_size: 1, ..prompt() });
    let mut one = Client::new("g", "one", &["a"]);
    let mut two = Client::new("g", "two", &["a"]);
    one.beat(&mut rig);
    assert_eq!(error(&two.beat(&mut rig)), ErrorCode::GroupMaxSizeReached);
    assert_eq!(error(&one.beat(&mut rig)), ErrorCode::None);
}

#[test]
fn a_failed_append_changes_nothing() {
    let mut rig = Rig::new(prompt());
    let mut one = Client::new("g", "one", &["a"]);
    rig.fail_next = Some(ErrorCode::KafkaStorageError);
    assert_eq!(error(&one.beat(&mut rig)), ErrorCode::NotCoordinator);
    assert_eq!(rig.state("g"), "-");
    assert_eq!(error(&one.beat(&mut rig)), ErrorCode::None);
    assert_eq!(one.has(), "1:0,1,2,3");
}

#[test]
fn a_new_coordinator_knows_everything() {
    let mut rig = Rig::new(prompt());
    let mut one = Client::new("g", "one", &["a"]);
    let mut two = Client::new("g", "two", &["a"]);
    one.beat(&mut rig);
    two.beat(&mut rig);
    one.beat(&mut rig);
    rig.fail_over();
    one.beat(&mut rig);
    two.beat(&mut rig);
    assert_eq!((one.has(), two.has()), ("1:0,1".into(), "1:2,3".into()));
    rig.fail_over();
    rig.advance(45_001);
    assert_eq!(rig.state("g"), "Empty");
}
