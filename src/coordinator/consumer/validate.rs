//! What members of consumer groups may do: epochs, instance ids, versions.

use std::collections::{BTreeMap, BTreeSet};

use pharos_base::TopicId;

use super::Refusal;
use super::group::ConsumerGroup;
use super::member::{ConsumerMember, JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH};
use super::reconcile::Reported;
use crate::config::Assignor;
use crate::step::Step;
use crate::topics::Topics;
use crate::wire::{ConsumerGroupHeartbeatRequest, ErrorCode, OffsetCommitRequest};

fn invalid(message: &str) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}

/// Checks what needs no group
/// (`GroupMetadataManager.throwIfConsumerGroupHeartbeatRequestIsInvalid`).
pub(crate) fn request(
    request: &ConsumerGroupHeartbeatRequest,
    step: &Step<'_>,
    api_version: i16,
) -> Result<(), Refusal> {
    let is_blank =
        |text: &Option<String>| text.as_deref().is_some_and(|text| text.trim().is_empty());
    if request.group_id.trim().is_empty() {
        return Err(invalid("GroupId can't be empty."));
    }
    if is_blank(&request.instance_id) {
        return Err(invalid("InstanceId can't be empty."));
    }
    if is_blank(&request.rack_id) {
        return Err(invalid("RackId can't be empty."));
    }
    // From v1 on members choose their id.
    if request.member_id.is_empty() && (api_version >= 1 || request.member_epoch != JOIN_EPOCH) {
        return Err(invalid("MemberId can't be empty."));
    }
    match request.member_epoch {
        JOIN_EPOCH => join_request(request)?,
        LEAVE_EPOCH | 1.. => {}
        LEAVE_STATIC_EPOCH if request.instance_id.is_none() => {
            return Err(invalid("InstanceId can't be null."));
        }
        LEAVE_STATIC_EPOCH => {}
        _ => return Err(invalid("MemberEpoch is invalid.")),
    }
    if let Some(name) = &request.server_assignor {
        let known = &step.config.consumer_assignors;
        if !Assignor::parse(name).is_some_and(|assignor| known.contains(&assignor)) {
            let names: Vec<&str> = known.iter().map(|assignor| assignor.name()).collect();
            let message = format!(
                "ServerAssignor {name} is not supported. Supported assignors: {}.",
                names.join(", ")
            );
            return Err(Refusal::new(ErrorCode::UnsupportedAssignor, message));
        }
    }
    Ok(())
}

fn join_request(request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
    if request.rebalance_timeout_ms == -1 {
        return Err(invalid("RebalanceTimeoutMs must be provided in first request."));
    }
    if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
        return Err(invalid("TopicPartitions must be empty when (re-)joining."));
    }
    if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
        return Err(invalid(
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
             (re-)joining.",
        ));
    }
    Ok(())
}

/// Checks the epoch of a heartbeat. The previous one will do if the answer that carried the
/// present one may have been lost: the member owns nothing that it should not.
pub(crate) fn member_epoch(
    member: &ConsumerMember,
    epoch: i32,
    reported: Reported<'_>,
) -> Result<(), Refusal> {
    let fenced = |how: &str| {
        let message = format!(
            "The consumer group member has a {how} member epoch ({epoch}) than the one known by \
             the group coordinator ({}). The member must abandon all its partitions and rejoin.",
            member.epoch
        );
        Refusal::new(ErrorCode::FencedMemberEpoch, message)
    };
    if epoch > member.epoch {
        return Err(fenced("greater"));
    }
    if epoch < member.epoch {
        let may_be_late =
            epoch == member.previous_epoch && reported.is_some_and(|owned| owns_all(member, owned));
        if !may_be_late {
            return Err(fenced("smaller"));
        }
    }
    Ok(())
}

fn owns_all(member: &ConsumerMember, owned: &BTreeMap<TopicId, BTreeSet<i32>>) -> bool {
    owned.iter().all(|(topic, partitions)| {
        let assigned = member.assigned.get(topic);
        assigned.is_some_and(|assigned| partitions.iter().all(|one| assigned.contains_key(one)))
    })
}

/// Checks that the id behind an instance id is the one that speaks.
pub(crate) fn instance(
    member: &ConsumerMember,
    member_id: &str,
    instance_id: &str,
) -> Result<(), Refusal> {
    if *member.id == *member_id {
        return Ok(());
    }
    let message = format!(
        "Static member {member_id} with instance id {instance_id} was fenced by member {}.",
        member.id
    );
    Err(Refusal::new(ErrorCode::FencedInstanceId, message))
}

impl ConsumerGroup {
    /// The member of that id.
    pub(crate) fn member(&self, member_id: &str) -> Result<&ConsumerMember, Refusal> {
        self.members.get(member_id).ok_or_else(|| {
            let message = format!("Member {member_id} is not a member of group {}.", self.id);
            Refusal::new(ErrorCode::UnknownMemberId, message)
        })
    }

    /// The member of that instance id.
    pub(crate) fn known_static(&self, instance_id: &str) -> Result<&ConsumerMember, Refusal> {
        self.static_member(instance_id).ok_or_else(|| {
            let message = format!("Instance id {instance_id} is unknown.");
            Refusal::new(ErrorCode::UnknownMemberId, message)
        })
    }

    /// Whether a member may commit (`ConsumerGroup.validateOffsetCommit`). An older epoch will do
    /// for partitions that the member already had then (KIP-1251).
    pub(crate) fn validate_commit(
        &self,
        topics: &Topics,
        api_version: i16,
        request: &OffsetCommitRequest,
    ) -> Result<(), ErrorCode> {
        let epoch = request.generation_id_or_member_epoch;
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.member(&request.member_id).map_err(|refusal| refusal.error)?;
        if !member.uses_classic_protocol() && api_version < 9 {
            return Err(ErrorCode::UnsupportedVersion);
        }
        if epoch == member.epoch {
            return Ok(());
        }
        let stale = stale_error(member);
        if epoch > member.epoch {
            return Err(stale);
        }
        for topic in &request.topics {
            let known = if api_version >= 10 {
                Some(topic.topic_id)
            } else {
                topics.get(&topic.name).map(|known| known.id)
            };
            for partition in &topic.partitions {
                let since =
                    known.and_then(|id| member.assignment_epoch(id, partition.partition_index));
                if since.is_none_or(|since| epoch < since) {
                    return Err(stale);
                }
            }
        }
        Ok(())
    }

    /// Whether a member may look at the group's offsets; those who do not say who they are may.
    pub(crate) fn validate_fetch(
        &self,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        let Some(member_id) = member_id else {
            return if epoch < 0 { Ok(()) } else { Err(ErrorCode::UnknownMemberId) };
        };
        let member = self.member(member_id).map_err(|refusal| refusal.error)?;
        if epoch == member.epoch { Ok(()) } else { Err(stale_error(member)) }
    }
}

fn stale_error(member: &ConsumerMember) -> ErrorCode {
    if member.uses_classic_protocol() {
        ErrorCode::IllegalGeneration
    } else {
        ErrorCode::StaleMemberEpoch
    }
}
