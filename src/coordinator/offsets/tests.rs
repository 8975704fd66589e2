//! Offsets, family by family.

use std::sync::Arc;

use super::fetch::{groups_of, response_of};
use crate::testing::{
    Rig, START_MS, config, join_request, leave_request, sync_request, topic_id, topics_of,
};
use crate::wire::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use crate::wire::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use crate::wire::offset_fetch_request::{OffsetFetchRequestTopic, OffsetFetchRequestTopics};
use crate::wire::{ErrorCode, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest};
use crate::{Event, Record, Request, Response};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn code(error: ErrorCode) -> i16 {
    error.code()
}

/// A stable classic group of one consumer of topic `a`.
fn member_of_a(rig: &mut Rig, group: &str) -> (String, i32) {
    let (id, token) = rig.join_new(group, &["a"]);
    let generation = rig.joined(token).unwrap().generation_id;
    rig.ask(sync_request(group, &id, generation, &[(&id, "x")]));
    (id, generation)
}

fn delete(rig: &mut Rig, group: &str, topic: &str) -> (i16, Vec<i16>) {
    let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
    let topics = vec![OffsetDeleteRequestTopic { name: topic.to_owned(), partitions }];
    let request = OffsetDeleteRequest { group_id: group.to_owned(), topics };
    let Response::OffsetDelete(response) = rig.ask(Request::OffsetDelete(request)) else {
        panic!()
    };
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    (response.error_code, partitions.map(|partition| partition.error_code).collect())
}

#[test]
fn a_simple_group_comes_with_its_first_commit() {
    let mut rig = Rig::new(config());
    assert_eq!(rig.offsets("g"), "");
    assert_eq!(rig.commit("g", "a", 1, 7), 0);
    assert_eq!(rig.commit("g", "a", 0, 5), 0);
    assert_eq!(rig.commit("g", "a", 1, 8), 0);
    assert_eq!(rig.offsets("g"), "a-0:5 a-1:8");
    assert_eq!(rig.state("g"), "Empty");
    assert_eq!(rig.shard.group("g").unwrap().protocol_type, "");
    assert_eq!((rig.shard.tally().offsets(), rig.shard.tally().commits()), (2, 3));
    rig.fail_over();
    assert_eq!(rig.offsets("g"), "a-0:5 a-1:8");
    let (_, _, commit) = rig.shard.committed("g").next().unwrap();
    assert_eq!((&*commit.metadata, commit.commit_timestamp_ms), ("note", START_MS));
    assert_eq!(commit.topic_id, topic_id(1));
}

#[test]
fn commits_are_checked_against_the_group() {
    let mut rig = Rig::new(config());
    rig.api_version = 8;
    let stranger = rig.commit_as("none", "m", 3, ("a", 0, 1));
    assert_eq!(stranger, code(ErrorCode::IllegalGeneration));
    rig.api_version = 9;
    let stranger = rig.commit_as("none", "m", 3, ("a", 0, 1));
    assert_eq!(stranger, code(ErrorCode::GroupIdNotFound));
    let (id, generation) = member_of_a(&mut rig, "g");
    assert_eq!(rig.commit_as("g", &id, generation, ("a", 0, 1)), 0);
    let cases = [
        (id.as_str(), generation - 1, ErrorCode::IllegalGeneration),
        ("stranger", generation, ErrorCode::UnknownMemberId),
        ("", -1, ErrorCode::UnknownMemberId),
    ];
    for (member, generation, expected) in cases {
        let got = rig.commit_as("g", member, generation, ("a", 0, 2));
        assert_eq!(got, expected.code(), "{member} {generation}");
    }
    // The old generation may still commit while the next one gathers, not while it is assigned.
    let (_, other) = rig.join_new("g", &["a"]);
    assert_eq!(rig.commit_as("g", &id, generation, ("a", 0, 3)), 0);
    let token = rig.join(join_request("g", &id, &["a"]));
    let generation = rig.joined(token).unwrap().generation_id;
    assert!(rig.joined(other).is_some());
    let got = rig.commit_as("g", &id, generation, ("a", 0, 4));
    assert_eq!(got, code(ErrorCode::RebalanceInProgress));
    assert_eq!(rig.offsets("g"), "a-0:3");
}

#[test]
fn each_partition_has_its_own_error() {
    let mut rig = Rig::new(config());
    let partition = |metadata: usize| OffsetCommitRequestPartition {
        committed_offset: -5,
        committed_metadata: Some("é".repeat(metadata)),
        ..OffsetCommitRequestPartition::default()
    };
    let topic = |name: &str, partitions| OffsetCommitRequestTopic {
        name: name.to_owned(),
        partitions,
        ..OffsetCommitRequestTopic::default()
    };
    let request = OffsetCommitRequest {
        group_id: "g".to_owned(),
        topics: vec![
            topic("a", vec![partition(4096), partition(4097)]),
            topic("none", vec![partition(0)]),
        ],
        ..OffsetCommitRequest::default()
    };
    let Response::OffsetCommit(response) = rig.ask(Request::OffsetCommit(request)) else {
        panic!()
    };
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    let codes: Vec<i16> = partitions.map(|partition| partition.error_code).collect();
    let too_large = code(ErrorCode::OffsetMetadataTooLarge);
    let unknown = code(ErrorCode::UnknownTopicOrPartition);
    assert_eq!(codes, [0, too_large, unknown]);
}

#[test]
fn topics_go_by_id_from_version_10_on() {
    let mut rig = Rig::new(config());
    rig.api_version = 10;
    let topic = |id: u128| OffsetCommitRequestTopic {
        topic_id: topic_id(id),
        partitions: vec![OffsetCommitRequestPartition {
            committed_offset: 9,
            ..OffsetCommitRequestPartition::default()
        }],
        ..OffsetCommitRequestTopic::default()
    };
    let request = OffsetCommitRequest {
        group_id: "g".to_owned(),
        topics: vec![topic(1), topic(99)],
        ..OffsetCommitRequest::default()
    };
    let Response::OffsetCommit(response) = rig.ask(Request::OffsetCommit(request)) else {
        panic!()
    };
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
    let unknown = code(ErrorCode::UnknownTopicId);
    assert_eq!(response.topics[1].partitions[0].error_code, unknown);
    let asked = [1, 99].map(|id| OffsetFetchRequestTopics {
        topic_id: topic_id(id),
        partition_indexes: vec![0],
        ..OffsetFetchRequestTopics::default()
    });
    let group = crate::wire::offset_fetch_request::OffsetFetchRequestGroup {
        group_id: "g".to_owned(),
        topics: Some(asked.into()),
        ..Default::default()
    };
    let request = Request::OffsetFetch { group, require_stable: true };
    let Response::OffsetFetch(response) = rig.ask(request) else { panic!() };
    assert_eq!(response.topics[0].partitions[0].committed_offset, 9);
    assert_eq!(response.topics[1].partitions[0].error_code, unknown);
}

#[test]
fn old_versions_of_fetch_have_one_group() {
    let request = OffsetFetchRequest {
        group_id: "g".to_owned(),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: "a".to_owned(),
            partition_indexes: vec![0, 3],
        }]),
        ..OffsetFetchRequest::default()
    };
    let mut rig = Rig::new(config());
    rig.commit("g", "a", 3, 4);
    let groups = groups_of(request, 7);
    assert_eq!(groups.len(), 1);
    let fetch = Request::OffsetFetch { group: groups[0].clone(), require_stable: false };
    let Response::OffsetFetch(answer) = rig.ask(fetch) else { panic!() };
    let response = response_of(vec![answer], groups.first(), 7);
    let offsets: Vec<i64> =
        response.topics[0].partitions.iter().map(|partition| partition.committed_offset).collect();
    assert_eq!(offsets, [-1, 4]);
    let failed = Response::OffsetFetch(Default::default()).failed(ErrorCode::NotCoordinator);
    let Response::OffsetFetch(failed) = failed else { panic!() };
    let response = response_of(vec![failed], groups.first(), 1);
    let not_coordinator = code(ErrorCode::NotCoordinator);
    assert_eq!(response.topics[0].partitions[1].error_code, not_coordinator);
}

#[test]
fn pending_offsets_make_stable_fetches_wait() {
    let mut rig = Rig::new(config());
    rig.commit("g", "a", 0, 5);
    let committed = rig.log[0].clone();
    rig.shard.replay(1, Some(77), committed);
    let group = |require_stable| Request::OffsetFetch {
        group: crate::wire::offset_fetch_request::OffsetFetchRequestGroup {
            group_id: "g".to_owned(),
            topics: None,
            ..Default::default()
        },
        require_stable,
    };
    let Response::OffsetFetch(answer) = rig.ask(group(true)) else { panic!() };
    let unstable = code(ErrorCode::UnstableOffsetCommit);
    assert_eq!(answer.topics[0].partitions[0].error_code, unstable);
    let Response::OffsetFetch(answer) = rig.ask(group(false)) else { panic!() };
    assert_eq!(answer.topics[0].partitions[0].committed_offset, 5);
    rig.shard.replay_end_transaction(2, 77, true);
    let Response::OffsetFetch(answer) = rig.ask(group(true)) else { panic!() };
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
}

#[test]
fn offsets_in_use_are_not_deleted() {
    let mut rig = Rig::new(config());
    assert_eq!(delete(&mut rig, "g", "a").0, code(ErrorCode::GroupIdNotFound));
    let (id, generation) = member_of_a(&mut rig, "g");
    rig.commit_as("g", &id, generation, ("a", 0, 1));
    rig.commit_as("g", &id, generation, ("b", 0, 1));
    assert_eq!(delete(&mut rig, "g", "a").1, [code(ErrorCode::GroupSubscribedToTopic)]);
    assert_eq!(delete(&mut rig, "g", "none").1, [code(ErrorCode::UnknownTopicOrPartition)]);
    assert_eq!(delete(&mut rig, "g", "b"), (0, vec![0]));
    assert_eq!(rig.offsets("g"), "a-0:1");
    rig.event(Event::TopicsDeleted(vec!["a".into()]));
    assert_eq!(rig.offsets("g"), "");
    assert_eq!((rig.shard.tally().offsets(), rig.shard.tally().deletions()), (0, 1));
}

#[test]
fn offsets_expire_when_their_group_has_been_empty_long_enough() {
    let mut rig = Rig::new(config());
    let (id, generation) = member_of_a(&mut rig, "g");
    rig.commit_as("g", &id, generation, ("a", 0, 1));
    rig.commit("simple", "a", 0, 1);
    rig.ask(leave_request("g", &[(&id, None)]));
    rig.advance(6 * DAY_MS);
    rig.commit("simple", "b", 0, 1);
    assert_eq!((rig.offsets("g"), rig.offsets("simple")), ("a-0:1".into(), "a-0:1 b-0:1".into()));
    rig.advance(DAY_MS + 600_000);
    assert_eq!((rig.state("g"), rig.offsets("simple")), ("-".into(), "b-0:1".into()));
    assert_eq!(rig.shard.tally().expirations(), 2);
    rig.advance(7 * DAY_MS);
    assert_eq!(rig.state("simple"), "-");
    assert_eq!((rig.shard.tally().offsets(), rig.shard.tally().classic_groups()), (0, 0));
    assert!(matches!(rig.log.last(), Some(Record::Classic { value: None, .. })));
}

#[test]
fn a_client_may_say_how_long_its_offsets_last() {
    let mut rig = Rig::new(config());
    rig.api_version = 4;
    let request = OffsetCommitRequest {
        group_id: "g".to_owned(),
        retention_time_ms: 1_000,
        topics: vec![OffsetCommitRequestTopic {
            name: "a".to_owned(),
            partitions: vec![OffsetCommitRequestPartition::default()],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    rig.ask(Request::OffsetCommit(request));
    assert_eq!(rig.offsets("g"), "a-0:0");
    rig.advance(600_000);
    assert_eq!(rig.offsets("g"), "");
}

#[test]
fn a_failed_append_changes_nothing() {
    let mut rig = Rig::new(config());
    rig.commit("g", "a", 0, 5);
    rig.fail_next = Some(ErrorCode::KafkaStorageError);
    assert_eq!(rig.commit("g", "a", 0, 6), code(ErrorCode::NotCoordinator));
    assert_eq!(rig.offsets("g"), "a-0:5");
    rig.fail_next = Some(ErrorCode::NotEnoughReplicas);
    assert_eq!(rig.commit("new", "a", 0, 6), code(ErrorCode::CoordinatorNotAvailable));
    assert_eq!(rig.state("new"), "-");
}

#[test]
fn answers_wait_for_the_record_that_they_are_about() {
    let mut rig = Rig::new(config());
    let context = crate::Context {
        api_version: 9,
        client_id: Arc::from("c"),
        client_host: Arc::from("/::1"),
    };
    let request = OffsetCommitRequest {
        group_id: "g".to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: "a".to_owned(),
            partitions: vec![OffsetCommitRequestPartition::default(); 3],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    let request = Request::OffsetCommit(request);
    let event = Event::Request { token: crate::Token(1), context, request };
    let output = rig.shard.handle(rig.now, event);
    assert!(output.replies.is_empty());
    let output = rig.shard.appended(rig.now, output.write.unwrap(), 40);
    assert_eq!(output.replies[0].after, Some(42));
    assert_eq!(rig.shard.committed("g").count(), 0, "not committed yet");
    rig.shard.committed_up_to(43);
    assert_eq!(rig.shard.committed("g").count(), 1);
}

#[test]
fn more_offsets_than_a_batch_holds_go_in_several() {
    let mut rig = Rig::new(config());
    rig.shard.set_topics(Arc::new(topics_of(2, &[("a", 1, 5_000)])));
    let group = "g".repeat(200);
    let fill = |rig: &mut Rig| {
        let partition = |index| OffsetCommitRequestPartition {
            partition_index: index,
            ..OffsetCommitRequestPartition::default()
        };
        let request = OffsetCommitRequest {
            group_id: group.clone(),
            topics: vec![OffsetCommitRequestTopic {
                name: "a".to_owned(),
                partitions: (0..5_000).map(partition).collect(),
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        rig.ask(Request::OffsetCommit(request));
        assert_eq!(rig.shard.tally().offsets(), 5_000);
    };
    fill(&mut rig);
    let Response::DeleteGroup(deleted) = rig.ask(Request::DeleteGroup(group.clone())) else {
        panic!()
    };
    assert_eq!((deleted.error_code, rig.shard.tally().offsets()), (0, 0));
    assert_eq!(rig.state(&group), "-");
    fill(&mut rig);
    rig.event(Event::TopicsDeleted(vec!["a".into()]));
    assert_eq!(rig.shard.tally().offsets(), 0);
    fill(&mut rig);
    rig.advance(7 * DAY_MS);
    let left = rig.shard.tally().offsets();
    assert!(left > 0 && left < 5_000, "one batch at a time: {left}");
    rig.advance(10_000);
    assert_eq!((rig.shard.tally().offsets(), rig.state(&group)), (0, "-".to_owned()));
}
