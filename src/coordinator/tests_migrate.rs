//! Groups that change their protocol, and the APIs that show and delete groups of both.

use crate::consumer::tests::{Client, prompt};
use crate::testing::{
    Rig, heartbeat_request, join_request, leave_request, subscription, sync_request,
};
use crate::wire::{ErrorCode, JoinGroupResponse, Message};
use crate::{Config, MigrationPolicy, Request, Response};

fn heartbeat(rig: &mut Rig, group: &str, joined: &JoinGroupResponse) -> ErrorCode {
    let request = heartbeat_request(group, &joined.member_id, joined.generation_id);
    let Response::Heartbeat(response) = rig.ask(request) else { panic!() };
    ErrorCode::from_code(response.error_code).unwrap()
}

/// A classic group of one consumer that has all of `a`.
fn classic(rig: &mut Rig, group: &str) -> JoinGroupResponse {
    rig.api_version = 9;
    let (id, token) = rig.join_new(group, &["a"]);
    let joined = rig.joined(token).unwrap();
    let assigned = crate::embedded::encode_assignment([("a", vec![0, 1, 2, 3])].into_iter(), 1);
    let Request::SyncGroup(mut sync) = sync_request(group, &id, joined.generation_id, &[(&id, "")])
    else {
        panic!()
    };
    sync.assignments[0].assignment = assigned;
    rig.ask(Request::SyncGroup(sync));
    assert_eq!(rig.state(group), "Stable");
    joined
}

/// Joins a consumer group by the classic protocol, owning `owned` of `a`.
fn rejoin(rig: &mut Rig, group: &str, member: &str, owned: &[i32]) -> JoinGroupResponse {
    rig.api_version = 9;
    let mut request = join_request(group, member, &["a"]);
    for protocol in &mut request.protocols {
        protocol.metadata = subscription(&["a"], &[("a", owned)]);
    }
    let token = rig.join(request);
    rig.joined(token).unwrap()
}

/// The partitions of `a` that a sync brings.
fn sync(rig: &mut Rig, group: &str, joined: &JoinGroupResponse) -> Result<Vec<i32>, ErrorCode> {
    let request = sync_request(group, &joined.member_id, joined.generation_id, &[]);
    let Response::SyncGroup(response) = rig.ask(request) else { panic!() };
    match ErrorCode::from_code(response.error_code).unwrap() {
        ErrorCode::None => {
            let body = &response.assignment[2..];
            let decoded = crate::wire::ConsumerProtocolAssignment::decode(body, 1).unwrap();
            Ok(decoded.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect())
        }
        error => Err(error),
    }
}

#[test]
fn an_application_moves_from_one_protocol_to_the_other_and_back() {
    let mut rig = Rig::new(prompt());
    let mut old = classic(&mut rig, "g");
    rig.commit_as("g", &old.member_id, old.generation_id, ("a", 0, 5));
    // The first new consumer turns the group around; nobody loses anything.
    let mut new = Client::new("g", "new", &["a"]);
    assert_eq!(new.beat(&mut rig).error_code, 0);
    assert_eq!(new.has(), "");
    assert_eq!(rig.shard.group("g").unwrap().state.name(), "Reconciling");
    assert_eq!(rig.shard.tally().classic_groups(), 0);
    assert_eq!(heartbeat(&mut rig, "g", &old), ErrorCode::RebalanceInProgress);
    // The old one joins again, gives up its half, and joins once more.
    old = rejoin(&mut rig, "g", &old.member_id, &[0, 1, 2, 3]);
    assert_eq!(sync(&mut rig, "g", &old), Ok(vec![0, 1]));
    assert_eq!(heartbeat(&mut rig, "g", &old), ErrorCode::RebalanceInProgress);
    old = rejoin(&mut rig, "g", &old.member_id, &[0, 1]);
    assert_eq!(sync(&mut rig, "g", &old), Ok(vec![0, 1]));
    assert_eq!(heartbeat(&mut rig, "g", &old), ErrorCode::None);
    new.beat(&mut rig);
    assert_eq!(new.has(), "1:2,3");
    rig.fail_over();
    assert_eq!(heartbeat(&mut rig, "g", &old), ErrorCode::None);
    // The last new consumer leaves: the group is a classic one again, and rebalances.
    assert_eq!(new.leave(&mut rig, -1).error_code, 0);
    assert_eq!(rig.state("g"), "PreparingRebalance");
    assert_eq!(rig.shard.tally().consumer_groups(), 0);
    let token = rig.join(join_request("g", &old.member_id, &["a"]));
    assert!(rig.joined(token).unwrap().generation_id > old.generation_id);
    assert_eq!(rig.offsets("g"), "a-0:5", "offsets stay");
}

#[test]
fn the_policy_may_forbid_it() {
    let policy = MigrationPolicy::Disabled;
    let mut rig = Rig::new(Config { consumer_migration_policy: policy, ..prompt() });
    let old = classic(&mut rig, "g");
    let mut new = Client::new("g", "new", &["a"]);
    assert_eq!(new.beat(&mut rig).error_code, ErrorCode::GroupIdNotFound.code());
    // Groups without members may change all the same.
    rig.api_version = 9;
    rig.ask(leave_request("g", &[(&old.member_id, None)]));
    assert_eq!(new.beat(&mut rig).error_code, 0);
    assert_eq!(new.has(), "1:0,1,2,3");
    new.leave(&mut rig, -1);
    assert_eq!(rig.state("g"), "Empty");
    classic(&mut rig, "g");
    assert_eq!((rig.shard.tally().classic_groups(), rig.shard.tally().consumer_groups()), (1, 0));
}

#[test]
fn classic_members_are_watched_by_their_own_deadlines() {
    let mut rig = Rig::new(prompt());
    let old = classic(&mut rig, "g");
    let mut new = Client::new("g", "new", &["a"]);
    new.beat(&mut rig);
    let left = leave_request("g", &[("new", None), (&old.member_id, None)]);
    let Response::LeaveGroup(left) = rig.ask(left) else { panic!() };
    let codes: Vec<i16> = left.members.iter().map(|member| member.error_code).collect();
    assert_eq!(codes, [ErrorCode::UnknownMemberId.code(), 0], "only classic members leave so");
    new.beat(&mut rig);
    assert_eq!(new.has(), "1:0,1,2,3");
    // A classic member that joins has to sync.
    let asked = rejoin(&mut rig, "g", "", &[]);
    assert_eq!(asked.error_code, ErrorCode::MemberIdRequired.code());
    let joined = rejoin(&mut rig, "g", &asked.member_id, &[]);
    assert_eq!(joined.error_code, 0);
    for _ in 0..4 {
        rig.advance(8_000);
        new.beat(&mut rig);
        heartbeat(&mut rig, "g", &joined);
    }
    assert_eq!(heartbeat(&mut rig, "g", &joined), ErrorCode::UnknownMemberId);
}

#[test]
fn groups_are_listed_described_and_deleted() {
    let mut rig = Rig::new(prompt());
    let old = classic(&mut rig, "classic");
    Client::new("consumer", "one", &["a"]).beat(&mut rig);
    rig.commit("simple", "a", 0, 1);
    let mut list = |states: &[&str], types: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let request = Request::ListGroups { states: owned(states), types: owned(types) };
        let Response::ListGroups(groups) = rig.ask(request) else { panic!() };
        let mut text: Vec<String> = groups
            .into_iter()
            .map(|group| format!("{}:{}:{}", group.group_id, group.protocol_type, group.group_type))
            .collect();
        text.sort();
        text.join(" ")
    };
    let all = "classic:consumer:classic consumer:consumer:consumer simple::classic";
    assert_eq!(list(&[], &[]), all);
    assert_eq!(list(&["stable"], &["Classic"]), "classic:consumer:classic");
    assert_eq!(list(&["EMPTY"], &[]), "simple::classic");
    assert_eq!(list(&[], &["share"]), "");

    rig.api_version = 6;
    let mut describe = |group: &str, version| {
        rig.api_version = version;
        let Response::DescribeGroup(described) = rig.ask(Request::DescribeGroup(group.to_owned()))
        else {
            panic!()
        };
        described
    };
    let described = describe("classic", 6);
    assert_eq!(
        (described.group_state.as_str(), described.protocol_data.as_str()),
        ("Stable", "range")
    );
    assert_eq!(described.members[0].member_id, old.member_id);
    assert_eq!(described.members[0].client_host, "/127.0.0.1");
    assert!(!described.members[0].member_assignment.is_empty());
    let gone = describe("none", 6);
    assert_eq!((gone.error_code, gone.group_state.as_str()), (69, "Dead"));
    assert_eq!(gone.error_message.as_deref(), Some("Group none not found."));
    assert_eq!((describe("none", 5).error_code, describe("consumer", 6).error_code), (0, 69));
    let Response::ConsumerGroupDescribe(wrong) =
        rig.ask(Request::ConsumerGroupDescribe("classic".to_owned()))
    else {
        panic!()
    };
    assert_eq!(wrong.error_code, 69);

    let mut delete = |group: &str| {
        let Response::DeleteGroup(result) = rig.ask(Request::DeleteGroup(group.to_owned())) else {
            panic!()
        };
        result.error_code
    };
    let not_empty = ErrorCode::NonEmptyGroup.code();
    assert_eq!([delete("classic"), delete("consumer")], [not_empty, not_empty]);
    assert_eq!([delete("simple"), delete("simple")], [0, 69]);
    rig.fail_over();
    assert_eq!((rig.state("simple"), rig.offsets("simple")), ("-".into(), String::new()));
}
