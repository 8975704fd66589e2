//! One step of a member towards the target assignment (`CurrentAssignmentBuilder`).
//!
//! A member first gives up what it must not keep, then goes to the target's epoch, then gets what
//! others have given up. So no partition has two owners.

use std::collections::{BTreeMap, BTreeSet};

use pharos_base::TopicId;

use super::Refusal;
use super::group::ConsumerGroup;
use super::member::{Assignment, ConsumerMember, MemberState, Owned};
use crate::wire::ErrorCode;

/// What a member said that it owns; `None` if it said nothing.
pub(crate) type Reported<'a> = Option<&'a BTreeMap<TopicId, BTreeSet<i32>>>;

/// Where a member shall go.
pub(crate) struct Aim<'a> {
    pub epoch: i32,
    pub target: &'a Assignment,
    pub reported: Reported<'a>,
    /// The subscription changed with this heartbeat: look again although the epoch is the same.
    pub subscription_changed: bool,
}

/// The member after this step; the same one if there is nothing to do.
///
/// # Errors
/// FENCED_MEMBER_EPOCH when the member's stored state is not known to this version and it still
/// owns partitions.
pub(crate) fn reconcile(
    group: &ConsumerGroup,
    member: &ConsumerMember,
    aim: &Aim<'_>,
) -> Result<ConsumerMember, Refusal> {
    match member.state {
        MemberState::Stable if member.epoch == aim.epoch && !aim.subscription_changed => {
            Ok(member.clone())
        }
        MemberState::Stable => Ok(next(group, member, aim, member.epoch)),
        MemberState::UnrevokedPartitions if still_owns(&member.revoking, aim.reported) => {
            Ok(member.clone())
        }
        // What had to be given up is: the member goes on by one epoch, and then further.
        MemberState::UnrevokedPartitions => {
            Ok(next(group, member, aim, member.epoch.saturating_add(1)))
        }
        MemberState::UnreleasedPartitions => Ok(next(group, member, aim, member.epoch)),
        MemberState::Unknown if aim.reported.is_none_or(|owned| !owned.is_empty()) => {
            Err(Refusal::new(
                ErrorCode::FencedMemberEpoch,
                "The consumer group member is in a unknown state. The member must abandon all its \
                 partitions and rejoin.",
            ))
        }
        MemberState::Unknown => Ok(next(group, member, aim, aim.epoch)),
    }
}

fn still_owns(revoking: &Owned, reported: Reported<'_>) -> bool {
    let Some(reported) = reported else { return true };
    reported.iter().any(|(topic, partitions)| {
        let revoking = revoking.get(topic);
        revoking.is_some_and(|revoking| partitions.iter().any(|one| revoking.contains_key(one)))
    })
}

fn next(
    group: &ConsumerGroup,
    member: &ConsumerMember,
    aim: &Aim<'_>,
    epoch: i32,
) -> ConsumerMember {
    let nothing = BTreeSet::new();
    let mut kept = Owned::new();
    let mut revoking = Owned::new();
    for (topic, partitions) in &member.assigned {
        let target = aim.target.get(topic).unwrap_or(&nothing);
        for (partition, since) in partitions {
            let side = if target.contains(partition) { &mut kept } else { &mut revoking };
            side.entry(*topic).or_default().insert(*partition, *since);
        }
    }
    let mut unreleased = false;
    let mut pending: Vec<(TopicId, i32)> = Vec::new();
    for (topic, partitions) in aim.target {
        let has = kept.get(topic);
        for partition in partitions {
            if has.is_some_and(|has| has.contains_key(partition)) {
                continue;
            }
            match group.owner(*topic, *partition) {
                Some(_) => unreleased = true,
                None => pending.push((*topic, *partition)),
            }
        }
    }
    let mut stepped = member.clone();
    if !revoking.is_empty() && still_owns(&revoking, aim.reported) {
        stepped.state = MemberState::UnrevokedPartitions;
        stepped.set_epoch(epoch);
        stepped.assigned = kept;
        stepped.revoking = revoking;
        return stepped;
    }
    for (topic, partition) in pending {
        kept.entry(topic).or_default().insert(partition, aim.epoch);
    }
    stepped.state =
        if unreleased { MemberState::UnreleasedPartitions } else { MemberState::Stable };
    stepped.set_epoch(aim.epoch);
    stepped.assigned = kept;
    stepped.revoking = Owned::new();
    stepped
}
