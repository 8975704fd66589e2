//! Members of a consumer group that still speak the classic protocol: JoinGroup, SyncGroup,
//! Heartbeat and LeaveGroup on a consumer group, while an application moves from one to the other.
//!
//! They are assigned by the coordinator like the others; the generation is their member epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use pharos_base::TopicId;
use uuid::Uuid;

use super::group::ConsumerGroup;
use super::heartbeat::{Speaker, check_size, replace, subscribe, within_subscription};
use super::member::{ConsumerMember, MemberState};
use super::reconcile::{Aim, reconcile};
use super::target::{self, Change};
use super::{Refusal, leave, records, validate};
use crate::classic::group::CONSUMER_PROTOCOL_TYPE;
use crate::classic::join::requires_member_id;
use crate::classic::leave::outcome;
use crate::embedded;
use crate::event::Context;
use crate::rebalances::RebalanceReason;
use crate::record::Record;
use crate::step::Step;
use crate::timers::Timer;
use crate::topics::Topics;
use crate::wire::consumer_group_member_metadata_value::{ClassicMemberMetadata, ClassicProtocol};
use crate::wire::leave_group_request::MemberIdentity;
use crate::wire::{
    ConsumerProtocolSubscription, ErrorCode, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};

/// What a JoinGroup on a consumer group leads to.
pub(crate) struct Joined {
    pub records: Vec<Record>,
    pub response: JoinGroupResponse,
    /// The member that joined, and the static member in whose place it came.
    pub member: ConsumerMember,
    pub replaced: Option<Arc<str>>,
}

/// A classic member joins (`GroupMetadataManager.classicGroupJoinToConsumerGroup`). The answer
/// comes at once: there is nobody to wait for.
pub(crate) fn join(
    group: &ConsumerGroup,
    step: &mut Step<'_>,
    context: &Context,
    request: &JoinGroupRequest,
) -> Result<Joined, Refusal> {
    let id: Arc<str> = if request.member_id.is_empty() {
        Uuid::new_v4().to_string().into()
    } else {
        request.member_id.as_str().into()
    };
    check_size(group, step, &id)?;
    check_protocols(group, request)?;
    if requires_member_id(request, context.api_version) {
        return Err(Refusal::new(ErrorCode::MemberIdRequired, id.to_string()));
    }
    let subscription = subscription_of(request)?;
    let speaker = speaker(group, request, &id)?;
    let updated = update(&speaker.member, context, request, &subscription);
    let subscribed = subscribe(group, step, &speaker, &updated)?;
    let mut written = speaker.records;
    written.extend(subscribed.records);
    let change = Change {
        group,
        epoch: subscribed.epoch,
        member: Some(&updated),
        replaced: speaker.replaced.as_deref(),
        regexes: &subscribed.regexes,
    };
    let target = target::for_member(&change, &updated, step);
    written.extend(target.records);
    let allowed = within_subscription(&updated, &subscribed.regexes, target.assignment, step);
    let owned = owned_of(&subscription, step.topics);
    let aim = Aim {
        epoch: target.epoch,
        target: &allowed,
        reported: Some(&owned),
        subscription_changed: subscribed.changed,
    };
    let reconciled = reconcile(group, &updated, &aim)?;
    if reconciled != updated {
        written.push(records::current(&group.id, &reconciled));
    }
    let key = (group.id.clone(), reconciled.id.clone());
    step.timers.cancel(&Timer::ConsumerJoin(key.0.clone(), key.1.clone()));
    step.schedule(Timer::ConsumerSession(key.0.clone(), key.1.clone()), request.session_timeout_ms);
    step.schedule(Timer::ConsumerSync(key.0, key.1), request.rebalance_timeout_ms);
    let response = JoinGroupResponse {
        member_id: reconciled.id.to_string(),
        generation_id: reconciled.epoch,
        protocol_type: Some(CONSUMER_PROTOCOL_TYPE.to_owned()),
        protocol_name: request.protocols.first().map(|protocol| protocol.name.clone()),
        ..JoinGroupResponse::default()
    };
    Ok(Joined { records: written, response, member: reconciled, replaced: speaker.replaced })
}

/// A member must share a protocol with the other classic members.
fn check_protocols(group: &ConsumerGroup, request: &JoinGroupRequest) -> Result<(), Refusal> {
    let classic: Vec<_> =
        group.members.values().filter_map(|member| member.classic.as_ref()).collect();
    let is_common = |name: &str| {
        classic.iter().all(|known| known.supported_protocols.iter().any(|one| one.name == name))
    };
    let fits = request.protocol_type == CONSUMER_PROTOCOL_TYPE
        && request.protocols.iter().any(|protocol| is_common(&protocol.name));
    if fits {
        return Ok(());
    }
    let message = format!("Member {}'s protocols are not supported.", request.member_id);
    Err(Refusal::new(ErrorCode::InconsistentGroupProtocol, message))
}

fn subscription_of(request: &JoinGroupRequest) -> Result<ConsumerProtocolSubscription, Refusal> {
    let first = request.protocols.first();
    first.and_then(|protocol| embedded::subscription(&protocol.metadata)).ok_or_else(|| {
        let message = "Malformed embedded consumer protocol in subscription deserialization.";
        Refusal::new(ErrorCode::InvalidRequest, message)
    })
}

fn owned_of(
    subscription: &ConsumerProtocolSubscription,
    topics: &Topics,
) -> BTreeMap<TopicId, BTreeSet<i32>> {
    let owned = subscription.owned_partitions.iter().filter_map(|owned| {
        let topic = topics.get(&owned.topic)?;
        Some((topic.id, owned.partitions.iter().copied().collect()))
    });
    owned.collect()
}

fn speaker(
    group: &ConsumerGroup,
    request: &JoinGroupRequest,
    id: &Arc<str>,
) -> Result<Speaker, Refusal> {
    let plain = |member: ConsumerMember| Speaker { member, replaced: None, records: Vec::new() };
    let Some(instance_id) = &request.group_instance_id else {
        let known = group.members.get(id).cloned();
        return Ok(plain(known.unwrap_or_else(|| ConsumerMember::new(id.clone()))));
    };
    match group.static_member(instance_id) {
        None if request.member_id.is_empty() => Ok(plain(ConsumerMember::new(id.clone()))),
        None => Err(group.known_static(instance_id).err().unwrap_or_else(|| {
            Refusal::new(ErrorCode::UnknownMemberId, "The instance id is unknown.")
        })),
        Some(member) if request.member_id.is_empty() => Ok(replace(group, member, id.clone())),
        Some(member) => {
            validate::instance(member, id, instance_id)?;
            Ok(plain(member.clone()))
        }
    }
}

fn update(
    member: &ConsumerMember,
    context: &Context,
    request: &JoinGroupRequest,
    subscription: &ConsumerProtocolSubscription,
) -> ConsumerMember {
    let mut updated = member.clone();
    updated.client_id = context.client_id.to_string();
    updated.client_host = context.client_host.to_string();
    if request.group_instance_id.is_some() {
        updated.instance_id.clone_from(&request.group_instance_id);
    }
    if subscription.rack_id.is_some() {
        updated.rack_id.clone_from(&subscription.rack_id);
    }
    updated.rebalance_timeout_ms = request.rebalance_timeout_ms;
    updated.topics = subscription.topics.iter().cloned().collect();
    updated.regex.clear();
    let protocols = request.protocols.iter().map(|protocol| ClassicProtocol {
        name: protocol.name.clone(),
        metadata: protocol.metadata.clone(),
    });
    updated.classic = Some(ClassicMemberMetadata {
        session_timeout_ms: request.session_timeout_ms,
        supported_protocols: protocols.collect(),
    });
    updated
}

fn classic_member<'a>(
    group: &'a ConsumerGroup,
    member_id: &str,
    instance_id: Option<&str>,
) -> Result<(&'a ConsumerMember, &'a ClassicMemberMetadata), Refusal> {
    let member = match instance_id {
        None => group.member(member_id)?,
        Some(instance_id) => {
            let member = group.known_static(instance_id)?;
            if !member_id.is_empty() {
                validate::instance(member, member_id, instance_id)?;
            }
            member
        }
    };
    match &member.classic {
        Some(classic) => Ok((member, classic)),
        None => {
            let message = format!("Member {} does not use the classic protocol.", member.id);
            Err(Refusal::new(ErrorCode::UnknownMemberId, message))
        }
    }
}

fn check_generation(member: &ConsumerMember, generation: i32) -> Result<(), Refusal> {
    if member.epoch == generation {
        return Ok(());
    }
    let message = format!(
        "The request generation id {generation} is not equal to the member epoch {} of member {}.",
        member.epoch, member.id
    );
    Err(Refusal::new(ErrorCode::IllegalGeneration, message))
}

/// A classic member asks for its assignment
/// (`GroupMetadataManager.classicGroupSyncToConsumerGroup`).
pub(crate) fn sync(
    group: &ConsumerGroup,
    step: &mut Step<'_>,
    request: &SyncGroupRequest,
) -> Result<SyncGroupResponse, Refusal> {
    let instance_id = request.group_instance_id.as_deref();
    let (member, classic) = classic_member(group, &request.member_id, instance_id)?;
    check_generation(member, request.generation_id)?;
    let first = classic.supported_protocols.first();
    let protocol = first.map(|protocol| protocol.name.as_str());
    let differs = |said: &Option<String>, is: Option<&str>| said.is_some() && said.as_deref() != is;
    if differs(&request.protocol_type, Some(CONSUMER_PROTOCOL_TYPE))
        || differs(&request.protocol_name, protocol)
    {
        let message = format!("The protocol of member {} is another one.", member.id);
        return Err(Refusal::new(ErrorCode::InconsistentGroupProtocol, message));
    }
    // A member that gives up partitions has joined for the new epoch already.
    if group.epoch > member.epoch && member.state != MemberState::UnrevokedPartitions {
        let timer = Timer::ConsumerJoin(group.id.clone(), member.id.clone());
        step.schedule_if_absent(timer, member.rebalance_timeout_ms);
        let message = format!("Member {} should rejoin to catch up.", member.id);
        return Err(Refusal::new(ErrorCode::RebalanceInProgress, message));
    }
    step.timers.cancel(&Timer::ConsumerSync(group.id.clone(), member.id.clone()));
    let session = Timer::ConsumerSession(group.id.clone(), member.id.clone());
    step.schedule(session, classic.session_timeout_ms);
    Ok(SyncGroupResponse {
        protocol_type: request.protocol_type.clone(),
        protocol_name: request.protocol_name.clone(),
        assignment: assignment_bytes(member, classic, step.topics),
        ..SyncGroupResponse::default()
    })
}

fn assignment_bytes(
    member: &ConsumerMember,
    classic: &ClassicMemberMetadata,
    topics: &Topics,
) -> Bytes {
    let first = classic.supported_protocols.first();
    let version = first.and_then(|protocol| embedded::version(&protocol.metadata));
    let assigned = member.assigned.iter().filter_map(|(topic, partitions)| {
        let known = topics.by_id(*topic)?;
        Some((&*known.name, partitions.keys().copied().collect()))
    });
    embedded::encode_assignment(assigned, version.unwrap_or(0))
}

/// A classic member lives (`GroupMetadataManager.classicGroupHeartbeatToConsumerGroup`). It is
/// told to join again when the group has moved on, when it has to give something up, or when what
/// it waits for is free.
pub(crate) fn heartbeat(
    group: &ConsumerGroup,
    step: &mut Step<'_>,
    request: &HeartbeatRequest,
) -> Result<(), Refusal> {
    let instance_id = request.group_instance_id.as_deref();
    let (member, classic) = classic_member(group, &request.member_id, instance_id)?;
    check_generation(member, request.generation_id)?;
    let session = Timer::ConsumerSession(group.id.clone(), member.id.clone());
    step.schedule(session, classic.session_timeout_ms);
    let must_rejoin = member.epoch < group.epoch
        || match member.state {
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => !waits_for_others(group, member),
            MemberState::Stable | MemberState::Unknown => false,
        };
    if !must_rejoin {
        return Ok(());
    }
    let timer = Timer::ConsumerJoin(group.id.clone(), member.id.clone());
    step.schedule_if_absent(timer, member.rebalance_timeout_ms);
    Err(Refusal::new(ErrorCode::RebalanceInProgress, "The member should rejoin."))
}

fn waits_for_others(group: &ConsumerGroup, member: &ConsumerMember) -> bool {
    let target = group.targets.get(&member.id).into_iter().flatten();
    target.flat_map(|(topic, partitions)| partitions.iter().map(move |one| (*topic, *one))).any(
        |(topic, partition)| {
            let has = member.assigned.get(&topic).is_some_and(|has| has.contains_key(&partition));
            !has && group.owner(topic, partition).is_some()
        },
    )
}

/// Classic members go (`GroupMetadataManager.classicGroupLeaveToConsumerGroup`).
pub(crate) fn leave_members(
    group: &ConsumerGroup,
    step: &mut Step<'_>,
    members: Vec<MemberIdentity>,
) -> (Vec<Record>, LeaveGroupResponse) {
    let mut gone: Vec<Arc<str>> = Vec::new();
    let mut answers = Vec::with_capacity(members.len());
    for identity in members {
        let instance_id = identity.group_instance_id.as_deref();
        let found = classic_member(group, &identity.member_id, instance_id);
        let result = match found {
            Ok((member, _)) if !gone.contains(&member.id) => {
                gone.push(member.id.clone());
                Ok(())
            }
            Ok(_) => Err(ErrorCode::UnknownMemberId),
            Err(refusal) => Err(refusal.error),
        };
        answers.push(outcome(identity, result));
    }
    let written = if gone.is_empty() {
        Vec::new()
    } else {
        leave::fence(group, step, &gone, RebalanceReason::Leave)
    };
    (written, LeaveGroupResponse { members: answers, ..LeaveGroupResponse::default() })
}
