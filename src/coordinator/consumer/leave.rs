//! Members that leave a consumer group, or are made to.

use std::sync::Arc;

use super::group::ConsumerGroup;
use super::heartbeat::next_epoch;
use super::member::{ConsumerMember, LEAVE_STATIC_EPOCH};
use super::{Refusal, records, subscription, validate};
use crate::rebalances::RebalanceReason;
use crate::record::Record;
use crate::step::Step;
use crate::wire::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

/// What a leaving heartbeat leads to.
pub(crate) enum Leave {
    /// The member goes for good.
    Fence(Arc<str>),
    /// The static member keeps its place for a session timeout.
    Away(Vec<Record>),
}

/// A heartbeat with epoch -1 or -2.
pub(crate) fn leave(
    group: &ConsumerGroup,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<(Leave, ConsumerGroupHeartbeatResponse), Refusal> {
    let member = match &request.instance_id {
        None => group.member(&request.member_id)?,
        Some(instance_id) => {
            let member = group.known_static(instance_id)?;
            validate::instance(member, &request.member_id, instance_id)?;
            member
        }
    };
    let response = ConsumerGroupHeartbeatResponse {
        member_id: Some(member.id.to_string()),
        member_epoch: request.member_epoch,
        ..ConsumerGroupHeartbeatResponse::default()
    };
    if request.member_epoch != LEAVE_STATIC_EPOCH || request.instance_id.is_none() {
        return Ok((Leave::Fence(member.id.clone()), response));
    }
    let mut away = member.clone();
    away.epoch = LEAVE_STATIC_EPOCH;
    away.revoking.clear();
    Ok((Leave::Away(vec![records::current(&group.id, &away)]), response))
}

/// Removes members; the group goes on without them
/// (`GroupMetadataManager.consumerGroupFenceMembers`).
pub(crate) fn fence(
    group: &ConsumerGroup,
    step: &mut Step<'_>,
    gone: &[Arc<str>],
    reason: RebalanceReason,
) -> Vec<Record> {
    let mut written = Vec::new();
    for id in gone {
        written.extend(records::member_tombstones(&group.id, id));
        step.cancel_consumer_member(&group.id, id);
    }
    let stays = |member: &&ConsumerMember| !gone.contains(&member.id);
    let mut regexes = group.regexes.clone();
    regexes.retain(|regex, _| {
        let used = group.members.values().filter(stays).any(|member| *member.regex == **regex);
        if !used {
            written.push(records::regex_tombstone(&group.id, regex));
        }
        used
    });
    let names = subscription::topics_of_all(group.members.values().filter(stays), &regexes);
    let hash = subscription::metadata_hash(&names, step.topics);
    written.push(records::epoch(&group.id, next_epoch(group), hash));
    // Kafka's consumer-group-rebalance-count leaves out epochs that members begin by leaving.
    if let Some(member) = gone.first() {
        step.blames(member);
    }
    step.rebalances(reason);
    written
}
