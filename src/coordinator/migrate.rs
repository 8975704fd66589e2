//! A group changes its protocol while members are active (`group.consumer.migration.policy`).
//!
//! Up: the first member of the consumer protocol joins a classic group of consumers. Down: the last
//! one leaves. The records of the old kind are deleted and those of the new kind written in one
//! batch, so a group is never of both kinds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use crate::classic::ClassicGroup;
use crate::classic::group::{CONSUMER_PROTOCOL_TYPE, Phase};
use crate::classic::member::Member;
use crate::consumer::member::{Assignment, ConsumerMember, Owned};
use crate::consumer::{ConsumerGroup, Refusal, records};
use crate::embedded;
use crate::record::Record;
use crate::step::Step;
use crate::topics::Topics;
use crate::wire::ErrorCode;
use crate::wire::consumer_group_member_metadata_value::{ClassicMemberMetadata, ClassicProtocol};
use crate::wire::join_group_request::JoinGroupRequestProtocol;

/// The record that deletes a classic group.
pub(crate) fn classic_tombstone(group: &Arc<str>) -> Record {
    Record::Classic { group: group.clone(), value: None }
}

/// The consumer group that a classic group becomes, and the records that make it so
/// (`ConsumerGroup.fromClassicGroup`). Everybody keeps what it has.
///
/// # Errors
/// GROUP_ID_NOT_FOUND when the policy, the protocol type, the size or the metadata forbid it.
pub(crate) fn upgrade(
    classic: &ClassicGroup,
    step: &Step<'_>,
) -> Result<(ConsumerGroup, Vec<Record>), Refusal> {
    let id = &classic.id;
    let refused = |reason: &str| {
        let message = format!("Group {id} is not a consumer group: {reason}.");
        Refusal::new(ErrorCode::GroupIdNotFound, message)
    };
    if !step.config.consumer_migration_policy.allows_upgrade() {
        return Err(refused("the migration policy does not allow an upgrade"));
    }
    if !classic.uses_consumer_protocol() {
        return Err(refused("its protocol type is another one"));
    }
    if classic.members.len() > step.config.consumer_max_size {
        return Err(refused("it has more members than a consumer group may have"));
    }
    let mut group = ConsumerGroup::new(id.clone());
    group.epoch = classic.generation;
    group.assignment_epoch = classic.generation;
    let mut targets = HashMap::new();
    let mut made = Vec::new();
    for member in classic.members.values() {
        let converted = consumer_member(classic, member, step.topics)
            .ok_or_else(|| refused("its embedded consumer protocol is malformed"))?;
        let target: Assignment = converted
            .assigned
            .iter()
            .map(|(topic, partitions)| (*topic, partitions.keys().copied().collect()))
            .collect();
        targets.insert(converted.id.clone(), target);
        made.push(converted);
    }
    group.targets = targets;
    group.members = made.into_iter().map(|member| (member.id.clone(), member)).collect();
    let mut written = vec![classic_tombstone(id)];
    written.extend(records::whole_group(&group, step.now.wall_ms));
    // The same way that a load goes: derived state comes from the records.
    let mut replayed = ConsumerGroup::new(id.clone());
    for record in written.iter().skip(1).cloned() {
        replayed.replay(record);
    }
    // Not the moment of an assignment: the joining member must not wait for the next one.
    replayed.assignment_timestamp_ms = 0;
    Ok((replayed, written))
}

fn consumer_member(
    group: &ClassicGroup,
    member: &Member,
    topics: &Topics,
) -> Option<ConsumerMember> {
    let subscription = embedded::subscription(&member.metadata(group.protocol.as_deref()))?;
    let assigned = embedded::assignment(&member.assignment, topics)?;
    let mut converted = ConsumerMember::new(member.id.clone());
    converted.instance_id.clone_from(&member.instance_id);
    converted.rack_id = subscription.rack_id;
    converted.client_id.clone_from(&member.client_id);
    converted.client_host.clone_from(&member.client_host);
    converted.rebalance_timeout_ms = member.rebalance_timeout_ms;
    converted.topics = subscription.topics.into_iter().collect();
    converted.epoch = group.generation;
    converted.previous_epoch = group.generation;
    converted.assigned = assigned
        .into_iter()
        .map(|(topic, partitions)| {
            let since = partitions.into_iter().map(|one| (one, group.generation));
            (topic, since.collect::<BTreeMap<_, _>>())
        })
        .collect::<Owned>();
    let protocols = member.protocols.iter().map(|protocol| ClassicProtocol {
        name: protocol.name.clone(),
        metadata: protocol.metadata.clone(),
    });
    converted.classic = Some(ClassicMemberMetadata {
        session_timeout_ms: member.session_timeout_ms,
        supported_protocols: protocols.collect(),
    });
    Some(converted)
}

/// Whether a group is to become a classic one once `gone` is not a member any more.
pub(crate) fn may_downgrade(group: &ConsumerGroup, step: &Step<'_>, gone: &str) -> bool {
    let left = group.members.len().saturating_sub(1);
    let last_of_its_kind =
        group.members.get(gone).is_some_and(|member| !member.uses_classic_protocol());
    last_of_its_kind
        && left > 0
        && group.classic_member_count() == left
        && step.config.consumer_migration_policy.allows_downgrade()
        && left <= step.config.classic_max_size
}

/// Whether a group is to become a classic one once the static member `replaced` has been replaced
/// by a classic one.
pub(crate) fn may_downgrade_replaced(
    group: &ConsumerGroup,
    step: &Step<'_>,
    replaced: &str,
) -> bool {
    let others = group.members.len().saturating_sub(1);
    let last_of_its_kind =
        group.members.get(replaced).is_some_and(|member| !member.uses_classic_protocol());
    last_of_its_kind
        && group.classic_member_count() == others
        && step.config.consumer_migration_policy.allows_downgrade()
        && group.members.len() <= step.config.classic_max_size
}

/// The records that make a classic group of a consumer group without `gone`
/// (`ClassicGroup.fromConsumerGroup`); `joined` comes in its place, if anybody does. `None` when a
/// member's metadata cannot be read.
pub(crate) fn downgrade(
    group: &ConsumerGroup,
    step: &Step<'_>,
    gone: &str,
    joined: Option<&ConsumerMember>,
) -> Option<Vec<Record>> {
    let mut classic = ClassicGroup::new(group.id.clone(), step.now.wall_ms);
    classic.protocol_type = Some(CONSUMER_PROTOCOL_TYPE.to_owned());
    classic.phase = Phase::Stable;
    classic.generation = group.epoch;
    let stays = group.members.values().filter(|member| *member.id != *gone);
    for member in stays.chain(joined) {
        classic.add(classic_member(member)?);
    }
    classic.protocol = classic.select_protocol();
    let mut assignments = HashMap::new();
    for member in classic.members.values() {
        // Whoever joins in the place of another takes over what that one should have.
        let known = group.targets.get(&member.id);
        let target = known.or_else(|| group.targets.get(gone));
        let version = embedded::version(&member.metadata(classic.protocol.as_deref()))?;
        assignments.insert(member.id.clone(), encode(target, step.topics, version));
    }
    let mut written = records::group_tombstones(group);
    written.push(classic.record(&assignments));
    Some(written)
}

fn encode(target: Option<&Assignment>, topics: &Topics, version: i16) -> Bytes {
    let assigned = target.into_iter().flatten().filter_map(|(topic, partitions)| {
        let known = topics.by_id(*topic)?;
        Some((&*known.name, partitions.iter().copied().collect()))
    });
    embedded::encode_assignment(assigned, version)
}

fn classic_member(member: &ConsumerMember) -> Option<Member> {
    let classic = member.classic.as_ref()?;
    let protocols = classic.supported_protocols.iter().map(|protocol| JoinGroupRequestProtocol {
        name: protocol.name.clone(),
        metadata: protocol.metadata.clone(),
    });
    Some(Member {
        id: member.id.clone(),
        instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        session_timeout_ms: classic.session_timeout_ms,
        protocols: protocols.collect(),
        assignment: Bytes::new(),
        join: None,
        sync: None,
        is_new: false,
    })
}
