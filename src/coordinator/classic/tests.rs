//! The classic protocol, family by family.

use bytes::Bytes;

use crate::testing::{Rig, config, heartbeat_request, join_request, leave_request, sync_request};
use crate::wire::{ErrorCode, JoinGroupRequest, JoinGroupResponse};
use crate::{Config, Request, Response, Token};

fn code(error: ErrorCode) -> i16 {
    error.code()
}

fn error_of(response: Response) -> i16 {
    match response {
        Response::Heartbeat(response) => response.error_code,
        Response::SyncGroup(response) => response.error_code,
        Response::JoinGroup(response) => response.error_code,
        Response::LeaveGroup(response) => response.error_code,
        other => panic!("no single error: {other:?}"),
    }
}

/// A stable group of `count` members; the first leads.
fn stable(rig: &mut Rig, group: &str, count: usize) -> (Vec<String>, i32) {
    let mut members: Vec<String> = Vec::new();
    let mut waiting: Vec<(String, Token)> = Vec::new();
    for _ in 0..count {
        // Everybody who is there already joins again.
        let (id, token) = rig.join_new(group, &["a"]);
        for (known, token) in &mut waiting {
            if rig.joined(*token).is_some() || *token == Token(0) {
                *token = rig.join(join_request(group, known, &["a"]));
            }
        }
        waiting.push((id.clone(), token));
        members.push(id);
    }
    let mut generation = 0;
    let mut leader = String::new();
    for (_, token) in waiting {
        let answer = rig.joined(token).unwrap();
        assert_eq!(answer.error_code, 0);
        generation = answer.generation_id;
        leader = answer.leader;
    }
    let assignments: Vec<(&str, &str)> =
        members.iter().map(|member| (member.as_str(), member.as_str())).collect();
    let followers: Vec<Token> = members
        .iter()
        .filter(|member| **member != leader)
        .map(|member| rig.send(sync_request(group, member, generation, &[])))
        .collect();
    let token = rig.send(sync_request(group, &leader, generation, &assignments));
    assert_eq!(rig.synced(token).unwrap().assignment, Bytes::from(leader.clone()));
    for token in followers {
        assert_eq!(rig.synced(token).unwrap().error_code, 0);
    }
    assert_eq!(rig.state(group), "Stable");
    (members, generation)
}

fn static_join(group: &str, member: &str, instance: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_instance_id: Some(instance.to_owned()),
        ..join_request(group, member, &["a"])
    }
}

fn stable_static(rig: &mut Rig, group: &str) -> JoinGroupResponse {
    let token = rig.join(static_join(group, "", "one"));
    rig.advance(0);
    let joined = rig.joined(token).unwrap();
    let me = joined.member_id.clone();
    let token = rig.send(sync_request(group, &me, joined.generation_id, &[(&me, "mine")]));
    assert_eq!(rig.synced(token).unwrap().error_code, 0);
    joined
}

#[test]
fn a_lone_member_becomes_the_leader_of_a_stable_group() {
    let mut rig = Rig::new(config());
    let (members, generation) = stable(&mut rig, "g", 1);
    assert_eq!(generation, 1);
    assert!(members[0].starts_with("client-"));
    assert_eq!(error_of(rig.ask(heartbeat_request("g", &members[0], 1))), 0);
    // The empty group, and the generation.
    assert_eq!(rig.log.len(), 2);
    assert_eq!(rig.shard.tally().classic_rebalances(), 1);
}

#[test]
fn a_second_member_makes_the_first_join_again() {
    let mut rig = Rig::new(config());
    let (members, generation) = stable(&mut rig, "g", 1);
    let (_, second) = rig.join_new("g", &["a"]);
    assert_eq!(rig.joined(second), None, "parked until the first joins");
    assert_eq!(rig.state("g"), "PreparingRebalance");
    let beat = rig.ask(heartbeat_request("g", &members[0], generation));
    assert_eq!(error_of(beat), code(ErrorCode::RebalanceInProgress));
    let first = rig.join(join_request("g", &members[0], &["a"]));
    let first = rig.joined(first).unwrap();
    assert_eq!(first.generation_id, 2);
    assert_eq!(first.members.len(), 2, "the leader gets all members");
    assert_eq!(rig.joined(second).unwrap().members.len(), 0);
}

#[test]
fn requests_are_checked() {
    type Change = fn(&mut JoinGroupRequest);
    let cases: [(&str, Change, ErrorCode); 6] = [
        ("no group", |join| join.group_id.clear(), ErrorCode::InvalidGroupId),
        ("short session", |join| join.session_timeout_ms = 1, ErrorCode::InvalidSessionTimeout),
        (
            "long session",
            |join| join.session_timeout_ms = i32::MAX,
            ErrorCode::InvalidSessionTimeout,
        ),
        ("no protocol", |join| join.protocols.clear(), ErrorCode::InconsistentGroupProtocol),
        ("no type", |join| join.protocol_type.clear(), ErrorCode::InconsistentGroupProtocol),
        (
            "10 MB of metadata",
            |join| join.protocols[0].metadata = Bytes::from(vec![0; 10 << 20]),
            ErrorCode::InvalidRequest,
        ),
    ];
    for (name, change, expected) in cases {
        let mut rig = Rig::new(config());
        let mut request = join_request("g", "", &["a"]);
        change(&mut request);
        let token = rig.join(request);
        assert_eq!(rig.joined(token).unwrap().error_code, expected.code(), "{name}");
    }
    let mut rig = Rig::new(config());
    let token = rig.join(join_request("g", "stranger", &["a"]));
    assert_eq!(rig.joined(token).unwrap().error_code, code(ErrorCode::UnknownMemberId));
    assert_eq!(rig.state("g"), "-", "a stranger makes no group");
}

#[test]
fn protocols_must_have_something_in_common() {
    let mut rig = Rig::new(config());
    stable(&mut rig, "g", 1);
    let mut other = join_request("g", "", &["a"]);
    other.protocols[0].name = "sticky".to_owned();
    other.protocols.truncate(1);
    let token = rig.join(other);
    let expected = code(ErrorCode::InconsistentGroupProtocol);
    assert_eq!(rig.joined(token).unwrap().error_code, expected);
    let mut connect = join_request("g", "", &["a"]);
    connect.protocol_type = "connect".to_owned();
    let token = rig.join(connect);
    assert_eq!(rig.joined(token).unwrap().error_code, expected);
    assert_eq!(rig.state("g"), "Stable");
}

#[test]
fn the_protocol_with_most_votes_is_chosen() {
    let mut rig = Rig::new(Config { classic_initial_rebalance_delay_ms: 100, ..config() });
    rig.api_version = 1;
    let mut tokens = Vec::new();
    for order in [["x", "y"], ["y", "x"], ["y", "x"]] {
        let mut request = join_request("g", "", &["a"]);
        request.protocol_type = "custom".to_owned();
        request.protocols[0].name = order[0].to_owned();
        request.protocols[1].name = order[1].to_owned();
        tokens.push(rig.join(request));
    }
    rig.advance(200);
    for token in tokens {
        let joined = rig.joined(token).unwrap();
        assert_eq!(joined.protocol_name.as_deref(), Some("y"));
        assert_eq!(joined.protocol_type.as_deref(), Some("custom"));
    }
}

#[test]
fn the_initial_delay_grows_while_members_come() {
    let mut rig = Rig::new(Config { classic_initial_rebalance_delay_ms: 3_000, ..config() });
    let (_, first) = rig.join_new("g", &["a"]);
    rig.advance(2_000);
    let (_, second) = rig.join_new("g", &["a"]);
    rig.advance(1_500);
    assert_eq!(rig.joined(first), None);
    rig.advance(3_000);
    assert_eq!(rig.joined(first).unwrap().generation_id, 1);
    assert_eq!(rig.joined(second).unwrap().generation_id, 1);
}

#[test]
fn wrong_generations_and_strangers_are_refused() {
    let mut rig = Rig::new(config());
    let (members, generation) = stable(&mut rig, "g", 2);
    let me = &members[0];
    let cases = [
        (heartbeat_request("g", me, generation + 1), ErrorCode::IllegalGeneration),
        (heartbeat_request("g", "stranger", generation), ErrorCode::UnknownMemberId),
        (heartbeat_request("none", me, generation), ErrorCode::UnknownMemberId),
        (heartbeat_request("", me, generation), ErrorCode::InvalidGroupId),
        (sync_request("g", me, generation - 1, &[]), ErrorCode::IllegalGeneration),
        (sync_request("g", "stranger", generation, &[]), ErrorCode::UnknownMemberId),
        (sync_request("none", me, generation, &[]), ErrorCode::UnknownMemberId),
    ];
    for (request, expected) in cases {
        assert_eq!(error_of(rig.ask(request)), expected.code());
    }
    let Request::SyncGroup(mut wrong) = sync_request("g", me, generation, &[]) else { panic!() };
    wrong.protocol_name = Some("roundrobin".to_owned());
    let answer = rig.ask(Request::SyncGroup(wrong));
    assert_eq!(error_of(answer), code(ErrorCode::InconsistentGroupProtocol));
}

#[test]
fn silent_members_are_removed_and_the_rest_goes_on() {
    let mut rig = Rig::new(config());
    let (members, generation) = stable(&mut rig, "g", 2);
    rig.advance(6_000);
    assert_eq!(error_of(rig.ask(heartbeat_request("g", &members[0], generation))), 0);
    rig.advance(5_000);
    let answer = rig.ask(heartbeat_request("g", &members[1], generation));
    assert_eq!(error_of(answer), code(ErrorCode::UnknownMemberId));
    assert_eq!(rig.state("g"), "PreparingRebalance");
    let token = rig.join(join_request("g", &members[0], &["a"]));
    assert_eq!(rig.joined(token).unwrap().generation_id, generation + 1);
    rig.advance(60_000);
    assert_eq!(rig.state("g"), "Empty");
}

#[test]
fn who_does_not_join_within_the_rebalance_timeout_is_out() {
    let mut rig = Rig::new(config());
    let (members, generation) = stable(&mut rig, "g", 2);
    let token = rig.join(join_request("g", &members[0], &["a"]));
    for _ in 0..4 {
        rig.advance(7_000);
        // The other one lives, but does not join.
        let answer = rig.ask(heartbeat_request("g", &members[1], generation));
        assert_eq!(error_of(answer), code(ErrorCode::RebalanceInProgress));
    }
    assert_eq!(rig.joined(token), None);
    rig.advance(3_000);
    let joined = rig.joined(token).unwrap();
    assert_eq!((joined.generation_id, joined.members.len()), (generation + 1, 1));
}

#[test]
fn who_does_not_sync_in_time_is_out() {
    let mut rig = Rig::new(config());
    let (members, _) = stable(&mut rig, "g", 2);
    let tokens: Vec<Token> =
        members.iter().map(|id| rig.join(join_request("g", id, &["a", "b"]))).collect();
    let generation =
        tokens.iter().map(|token| rig.joined(*token).unwrap().generation_id).max().unwrap();
    let sync = rig.send(sync_request("g", &members[1], generation, &[]));
    for _ in 0..4 {
        rig.advance(7_000);
        rig.ask(heartbeat_request("g", &members[0], generation));
        rig.ask(heartbeat_request("g", &members[1], generation));
    }
    rig.advance(3_000);
    assert_eq!(rig.synced(sync).unwrap().error_code, code(ErrorCode::RebalanceInProgress));
    let answer = rig.ask(heartbeat_request("g", &members[0], generation));
    assert_eq!(error_of(answer), code(ErrorCode::UnknownMemberId), "the leader never synced");
}

#[test]
fn members_leave_and_the_last_one_empties_the_group() {
    let mut rig = Rig::new(config());
    let (members, _) = stable(&mut rig, "g", 1);
    let request = leave_request("g", &[(&members[0], None), ("stranger", None)]);
    let Response::LeaveGroup(left) = rig.ask(request) else { panic!() };
    let codes: Vec<i16> = left.members.iter().map(|member| member.error_code).collect();
    assert_eq!(codes, [0, code(ErrorCode::UnknownMemberId)]);
    assert_eq!(rig.state("g"), "Empty");
    rig.fail_over();
    assert_eq!(rig.state("g"), "Empty");
    assert_eq!(rig.shard.group("g").unwrap().protocol_type, "consumer");
    // Before v3 there is one member, and its error is the answer's.
    rig.api_version = 1;
    let Request::LeaveGroup(mut old) = leave_request("g", &[]) else { panic!() };
    old.member_id = "stranger".to_owned();
    let answer = rig.ask(Request::LeaveGroup(old)).fit(1);
    assert_eq!(error_of(answer), code(ErrorCode::UnknownMemberId));
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let mut rig = Rig::new(config());
    let first = stable_static(&mut rig, "g");
    let token = rig.join(static_join("g", "", "one"));
    let second = rig.joined(token).unwrap();
    assert_ne!(second.member_id, first.member_id);
    assert_eq!(second.generation_id, first.generation_id);
    assert!(second.skip_assignment, "the leader keeps the assignment that there is");
    assert_eq!(second.leader, second.member_id);
    let answer = rig.ask(heartbeat_request("g", &first.member_id, first.generation_id));
    assert_eq!(error_of(answer), code(ErrorCode::UnknownMemberId));
    let token = rig.send(sync_request("g", &second.member_id, second.generation_id, &[]));
    assert_eq!(rig.synced(token).unwrap().assignment, Bytes::from("mine"));
    // The old id, with its instance id, is fenced.
    let token = rig.join(static_join("g", &first.member_id, "one"));
    assert_eq!(rig.joined(token).unwrap().error_code, code(ErrorCode::FencedInstanceId));
    // An administrator removes it by its instance id.
    let Response::LeaveGroup(left) = rig.ask(leave_request("g", &[("", Some("one"))])) else {
        panic!()
    };
    assert_eq!(left.members[0].error_code, 0);
    assert_eq!(rig.state("g"), "Empty");
}

#[test]
fn a_static_member_that_cannot_be_stored_is_not_replaced() {
    let mut rig = Rig::new(config());
    let first = stable_static(&mut rig, "g");
    rig.fail_next = Some(ErrorCode::KafkaStorageError);
    let token = rig.join(static_join("g", "", "one"));
    assert_eq!(rig.joined(token).unwrap().error_code, code(ErrorCode::NotCoordinator));
    let answer = rig.ask(heartbeat_request("g", &first.member_id, first.generation_id));
    assert_eq!(error_of(answer), 0);
}

#[test]
fn assignments_that_cannot_be_stored_start_a_new_rebalance() {
    let mut rig = Rig::new(config());
    let (id, token) = rig.join_new("g", &["a"]);
    let joined = rig.joined(token).unwrap();
    rig.fail_next = Some(ErrorCode::NotEnoughReplicas);
    let sync = rig.send(sync_request("g", &id, joined.generation_id, &[(&id, "x")]));
    let expected = code(ErrorCode::CoordinatorNotAvailable);
    assert_eq!(rig.synced(sync).unwrap().error_code, expected);
    assert_eq!(rig.state("g"), "PreparingRebalance");
    let token = rig.join(join_request("g", &id, &["a"]));
    assert_eq!(rig.joined(token).unwrap().generation_id, joined.generation_id + 1);
}

#[test]
fn a_group_that_cannot_be_stored_does_not_exist() {
    let mut rig = Rig::new(config());
    rig.fail_next = Some(ErrorCode::MessageTooLarge);
    let token = rig.join(join_request("g", "", &["a"]));
    assert_eq!(rig.joined(token).unwrap().error_code, code(ErrorCode::UnknownServerError));
    assert_eq!(rig.state("g"), "-");
}

#[test]
fn a_full_group_takes_no_more() {
    let mut rig = Rig::new(Config { classic_max_size: 1, ..config() });
    let (members, _) = stable(&mut rig, "g", 1);
    let token = rig.join(join_request("g", "", &["a"]));
    assert_eq!(rig.joined(token).unwrap().error_code, code(ErrorCode::GroupMaxSizeReached));
    let token = rig.join(join_request("g", &members[0], &["a"]));
    assert_eq!(rig.joined(token).unwrap().error_code, 0);
}

#[test]
fn ids_that_are_never_used_are_forgotten() {
    let mut rig = Rig::new(config());
    for _ in 0..100 {
        rig.join(join_request("g", "", &["a"]));
    }
    assert_eq!(rig.shard.kit.timers.len(), 101);
    rig.advance(10_001);
    assert_eq!(rig.shard.kit.timers.len(), 1, "only the expiry of offsets is left");
}

#[test]
fn a_new_coordinator_goes_on_with_the_stored_generation() {
    let mut rig = Rig::new(config());
    let (members, generation) = stable(&mut rig, "g", 2);
    rig.fail_over();
    assert_eq!(rig.state("g"), "Stable");
    assert_eq!(error_of(rig.ask(heartbeat_request("g", &members[0], generation))), 0);
    let token = rig.send(sync_request("g", &members[1], generation, &[]));
    assert_eq!(rig.synced(token).unwrap().assignment, Bytes::from(members[1].clone()));
    rig.advance(11_000);
    assert_eq!(rig.state("g"), "Empty", "nobody was heard of since");
}

#[test]
fn waiting_requests_are_told_when_the_shard_moves_away() {
    let mut rig = Rig::new(config());
    stable(&mut rig, "g", 1);
    let (_, token) = rig.join_new("g", &["a"]);
    rig.fail_over();
    assert_eq!(rig.joined(token).unwrap().error_code, code(ErrorCode::NotCoordinator));
    assert_eq!(rig.shard.tally().classic_groups(), 1);
}

#[test]
fn old_versions_join_without_a_round_trip_and_get_an_empty_protocol_name() {
    let mut rig = Rig::new(config());
    rig.api_version = 0;
    let mut request = join_request("g", "", &["a"]);
    request.rebalance_timeout_ms = -1;
    let token = rig.join(request);
    rig.advance(0);
    assert_eq!(rig.joined(token).unwrap().error_code, 0);
    let token = rig.join(join_request("g", "stranger", &["a"]));
    let Response::JoinGroup(refused) = rig.take(token).unwrap().fit(6) else { panic!() };
    assert_eq!(refused.protocol_name.as_deref(), Some(""));
}
