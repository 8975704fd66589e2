//! DescribeGroups v0-6 and ConsumerGroupDescribe v0-1, one group at a time.
//!
//! DescribeGroups: v4 instance ids, v6 GROUP_ID_NOT_FOUND with a message (before: state Dead).
//! ConsumerGroupDescribe: v1 tells which protocol a member speaks.

use std::collections::BTreeMap;

use pharos_base::TopicId;

use crate::classic::ClassicGroup;
use crate::classic::group::Phase;
use crate::classic::member::Member;
use crate::consumer::ConsumerGroup;
use crate::consumer::member::ConsumerMember;
use crate::consumer::target;
use crate::group::Group;
use crate::step::Step;
use crate::wire::ErrorCode;
use crate::wire::consumer_group_describe_response::{
    Assignment, DescribedGroup as ConsumerDescribedGroup, Member as DescribedMember,
    TopicPartitions,
};
use crate::wire::describe_groups_response::{DescribedGroup, DescribedGroupMember};

/// `member_type` of members that speak the classic protocol.
const CLASSIC_MEMBER: i8 = 0;
/// `member_type` of members that speak the consumer protocol.
const CONSUMER_MEMBER: i8 = 1;

/// What DescribeGroups says of a group.
pub(crate) fn classic(group_id: String, group: Option<&Group>, api_version: i16) -> DescribedGroup {
    let group = match group {
        Some(Group::Classic(group)) => group,
        other => return not_classic(group_id, other.is_some(), api_version),
    };
    let stable = group.phase == Phase::Stable;
    let members = group.members.values().map(|member| describe_member(group, member, stable));
    DescribedGroup {
        group_state: group.phase.name().to_owned(),
        protocol_type: group.protocol_type.clone().unwrap_or_default(),
        protocol_data: group.protocol.clone().filter(|_| stable).unwrap_or_default(),
        members: members.collect(),
        group_id,
        ..DescribedGroup::default()
    }
}

/// Until v6 a group that is not there is described as dead.
fn not_classic(group_id: String, exists: bool, api_version: i16) -> DescribedGroup {
    let mut described = DescribedGroup {
        group_state: "Dead".to_owned(),
        group_id: group_id.clone(),
        ..DescribedGroup::default()
    };
    if api_version >= 6 {
        described.error_code = ErrorCode::GroupIdNotFound.code();
        described.error_message = Some(if exists {
            format!("Group {group_id} is not a classic group.")
        } else {
            format!("Group {group_id} not found.")
        });
    }
    described
}

/// Metadata and assignments are shown of stable groups only: before they are on the move.
fn describe_member(group: &ClassicGroup, member: &Member, stable: bool) -> DescribedGroupMember {
    let mut described = DescribedGroupMember {
        member_id: member.id.to_string(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        ..DescribedGroupMember::default()
    };
    if stable {
        described.member_metadata = member.metadata(group.protocol.as_deref());
        described.member_assignment = member.assignment.clone();
    }
    described
}

/// What ConsumerGroupDescribe says of a group.
pub(crate) fn consumer(
    group_id: String,
    group: Option<&Group>,
    step: &Step<'_>,
) -> ConsumerDescribedGroup {
    let group = match group {
        Some(Group::Consumer(group)) => group,
        other => {
            let message = if other.is_some() {
                format!("Group {group_id} is not a consumer group.")
            } else {
                format!("Group {group_id} not found.")
            };
            return ConsumerDescribedGroup {
                error_code: ErrorCode::GroupIdNotFound.code(),
                error_message: Some(message),
                group_id,
                ..ConsumerDescribedGroup::default()
            };
        }
    };
    let members: Vec<&ConsumerMember> = group.members.values().collect();
    ConsumerDescribedGroup {
        group_state: group.state().name().to_owned(),
        group_epoch: group.epoch,
        assignment_epoch: group.assignment_epoch,
        assignor_name: target::preferred(&members, step).name().to_owned(),
        members: members.iter().map(|member| consumer_member(group, member, step)).collect(),
        group_id,
        ..ConsumerDescribedGroup::default()
    }
}

fn consumer_member(
    group: &ConsumerGroup,
    member: &ConsumerMember,
    step: &Step<'_>,
) -> DescribedMember {
    let assigned = member
        .assigned
        .iter()
        .map(|(topic, partitions)| (*topic, partitions.keys().copied().collect()));
    let target = group
        .targets
        .get(&member.id)
        .into_iter()
        .flatten()
        .map(|(topic, partitions)| (*topic, partitions.iter().copied().collect()));
    DescribedMember {
        member_id: member.id.to_string(),
        instance_id: member.instance_id.clone(),
        rack_id: member.rack_id.clone(),
        member_epoch: member.epoch,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: member.topics.iter().cloned().collect(),
        subscribed_topic_regex: Some(member.regex.clone()).filter(|regex| !regex.is_empty()),
        assignment: named(assigned.collect(), step),
        target_assignment: named(target.collect(), step),
        member_type: if member.uses_classic_protocol() { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
    }
}

/// Topics that are gone have no name and are left out.
fn named(partitions: BTreeMap<TopicId, Vec<i32>>, step: &Step<'_>) -> Assignment {
    let topics = partitions.into_iter().filter_map(|(topic_id, partitions)| {
        let topic = step.topics.by_id(topic_id)?;
        Some(TopicPartitions { topic_id, topic_name: topic.name.to_string(), partitions })
    });
    Assignment { topic_partitions: topics.collect() }
}
