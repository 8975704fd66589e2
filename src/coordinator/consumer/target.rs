//! The target assignment of a consumer group (`TargetAssignmentBuilder`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::assignor::{self, MemberSpec, PartitionCounts};
use super::group::{ConsumerGroup, ResolvedRegex};
use super::member::{Assignment, ConsumerMember};
use super::{records, subscription};
use crate::config::Assignor;
use crate::record::Record;
use crate::step::Step;

/// A group with a member that is about to change.
pub(crate) struct Change<'a> {
    pub group: &'a ConsumerGroup,
    pub epoch: i32,
    /// The member as it will be.
    pub member: Option<&'a ConsumerMember>,
    /// The member in whose place it comes.
    pub replaced: Option<&'a str>,
    pub regexes: &'a BTreeMap<Arc<str>, ResolvedRegex>,
}

/// Epoch and target that a member goes for, with the records that make a new target.
pub(crate) struct Target {
    pub epoch: i32,
    pub assignment: Assignment,
    pub records: Vec<Record>,
}

/// The target for the changed member. A new one is made if the group's epoch is ahead of the
/// assignment's, but not more often than `consumer.assignment.interval.ms` (KIP-1263): until then
/// the old one holds; the first heartbeat after that makes the new one.
pub(crate) fn for_member(change: &Change<'_>, member: &ConsumerMember, step: &Step<'_>) -> Target {
    let group = change.group;
    let kept = |records| Target {
        epoch: group.assignment_epoch,
        assignment: group.target_of(member),
        records,
    };
    if change.epoch <= group.assignment_epoch {
        return kept(Vec::new());
    }
    if is_too_early(group, step) {
        // Epoch 0 would send the member back to joining.
        return Target { epoch: group.assignment_epoch.max(1), ..kept(Vec::new()) };
    }
    let (records, mut targets) = make(change, step);
    let assignment = targets.remove(&member.id).unwrap_or_default();
    Target { epoch: change.epoch, assignment, records }
}

/// Whether the present target is younger than the interval.
fn is_too_early(group: &ConsumerGroup, step: &Step<'_>) -> bool {
    let interval_ms = i64::from(step.config.assignment_interval_ms(&group.id));
    let age_ms = step.now.wall_ms.saturating_sub(group.assignment_timestamp_ms);
    !group.members.is_empty() && (0..interval_ms).contains(&age_ms)
}

/// Makes a new target for all members: the records of what changes, and who shall get what.
pub(crate) fn make(
    change: &Change<'_>,
    step: &Step<'_>,
) -> (Vec<Record>, HashMap<Arc<str>, Assignment>) {
    let group = change.group;
    let members: Vec<&ConsumerMember> =
        subscription::members_with(group, change.member, change.replaced).collect();
    let mut counts = PartitionCounts::new();
    let mut specs = Vec::with_capacity(members.len());
    for member in &members {
        let names = subscription::topics_of(member, change.regexes);
        let known = names.iter().filter_map(|name| step.topics.get(name));
        let topics = known.map(|topic| {
            counts.insert(topic.id, topic.partition_count);
            topic.id
        });
        specs.push(MemberSpec {
            id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            topics: topics.collect(),
            current: group.target_of(member),
        });
    }
    let assigned = assignor::assign(preferred(&members, step), &specs, &counts);
    let mut made = Vec::new();
    let mut targets = HashMap::new();
    for (spec, assignment) in specs.into_iter().zip(assigned) {
        if group.targets.get(&spec.id) != Some(&assignment) {
            made.push(records::target(&group.id, &spec.id, &assignment));
        }
        targets.insert(spec.id, assignment);
    }
    made.push(records::target_epoch(&group.id, change.epoch, step.now.wall_ms));
    (made, targets)
}

/// The assignor that most members ask for; the configured one if nobody asks.
pub(crate) fn preferred(members: &[&ConsumerMember], step: &Step<'_>) -> Assignor {
    let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
    let asked = members.iter().filter_map(|member| Assignor::parse(member.assignor.as_deref()?));
    for assignor in asked {
        *votes.entry(assignor).or_default() += 1;
    }
    let most = votes.into_iter().max_by_key(|(_, count)| *count);
    most.map_or(step.config.default_assignor(), |(assignor, _)| assignor)
}
