//! ConsumerGroupHeartbeat v0-1: members join, report what they own, and are told what to own.
//!
//! - v0: the coordinator may choose the member id
//! - v1: the member chooses it; subscription by regular expression

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pharos_base::TopicId;
use uuid::Uuid;

use super::group::{ConsumerGroup, ResolvedRegex};
use super::member::{Assignment, ConsumerMember, JOIN_EPOCH, LEAVE_STATIC_EPOCH};
use super::reconcile::{Aim, Reported, reconcile};
use super::target::{self, Change};
use super::{Refusal, records, subscription, validate};
use crate::event::Context;
use crate::rebalances::RebalanceReason;
use crate::record::Record;
use crate::step::Step;
use crate::timers::Timer;
use crate::wire::consumer_group_heartbeat_response::{
    Assignment as ResponseAssignment, TopicPartitions,
};
use crate::wire::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ErrorCode};

/// How often the topics of regular expressions are looked at again when topics changed
/// (`REGEX_BATCH_REFRESH_MIN_INTERVAL_MS`).
const REGEX_MIN_REFRESH_MS: i64 = 10_000;

/// A member that speaks, whichever way it came.
pub(crate) struct Speaker {
    /// The member as the group knows it, or as it begins.
    pub member: ConsumerMember,
    /// The member in whose place it comes.
    pub replaced: Option<Arc<str>>,
    /// What puts it there.
    pub records: Vec<Record>,
}

/// A member whose subscription was looked at: what to write, and where the group stands then.
pub(crate) struct Subscribed {
    pub records: Vec<Record>,
    pub epoch: i32,
    pub regexes: BTreeMap<Arc<str>, ResolvedRegex>,
    pub changed: bool,
}

/// A regular heartbeat (leaving ones go elsewhere). `group` may be one that does not exist yet.
pub(crate) fn heartbeat(
    group: &ConsumerGroup,
    step: &mut Step<'_>,
    context: &Context,
    request: &ConsumerGroupHeartbeatRequest,
) -> Result<(Vec<Record>, ConsumerGroupHeartbeatResponse), Refusal> {
    let reported = request.topic_partitions.as_ref().map(|topics| {
        let mut owned: BTreeMap<TopicId, BTreeSet<i32>> = BTreeMap::new();
        for topic in topics {
            owned.entry(topic.topic_id).or_default().extend(&topic.partitions);
        }
        owned
    });
    check_size(group, step, &request.member_id)?;
    let speaker = speaker(group, request, reported.as_ref())?;
    let updated = update(&speaker.member, context, request);
    let mut subscribed = subscribe(group, step, &speaker, &updated)?;
    let mut written = speaker.records;
    written.append(&mut subscribed.records);
    let at_rest = !subscribed.changed
        && subscribed.epoch <= group.assignment_epoch
        && updated.is_reconciled_to(group.assignment_epoch);
    // Nearly every heartbeat: there is nothing to do.
    let reconciled = if at_rest {
        updated
    } else {
        let speaker = (&updated, speaker.replaced.as_deref());
        let moved = approach(group, step, speaker, &subscribed, reported.as_ref())?;
        written.extend(moved.0);
        moved.1
    };
    let session = Timer::ConsumerSession(group.id.clone(), reconciled.id.clone());
    step.schedule(session, step.config.session_timeout_ms(&group.id));
    let full = request.member_epoch == JOIN_EPOCH
        || (request.rebalance_timeout_ms != -1
            && (request.subscribed_topic_names.is_some()
                || request.subscribed_topic_regex.is_some())
            && reported.is_some());
    let news = reconciled.assigned != speaker.member.assigned;
    let response = ConsumerGroupHeartbeatResponse {
        member_id: Some(reconciled.id.to_string()),
        member_epoch: reconciled.epoch,
        heartbeat_interval_ms: step.config.heartbeat_interval_ms(&group.id),
        assignment: (full || news).then(|| assignment_of(&reconciled)),
        ..ConsumerGroupHeartbeatResponse::default()
    };
    Ok((written, response))
}

/// Moves a member on towards its target: the records of that, and the member as it is then.
fn approach(
    group: &ConsumerGroup,
    step: &mut Step<'_>,
    (member, replaced): (&ConsumerMember, Option<&str>),
    subscribed: &Subscribed,
    reported: Reported<'_>,
) -> Result<(Vec<Record>, ConsumerMember), Refusal> {
    let change = Change {
        group,
        epoch: subscribed.epoch,
        member: Some(member),
        replaced,
        regexes: &subscribed.regexes,
    };
    let target = target::for_member(&change, member, step);
    let mut written = target.records;
    let allowed = within_subscription(member, &subscribed.regexes, target.assignment, step);
    let aim = Aim {
        epoch: target.epoch,
        target: &allowed,
        reported,
        subscription_changed: subscribed.changed,
    };
    let reconciled = reconcile(group, member, &aim)?;
    if reconciled != *member {
        written.push(records::current(&group.id, &reconciled));
        await_revocation(group, step, &reconciled);
    }
    Ok((written, reconciled))
}

fn assignment_of(member: &ConsumerMember) -> ResponseAssignment {
    let topics = member.assigned.iter().map(|(topic_id, partitions)| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.keys().copied().collect(),
    });
    ResponseAssignment { topic_partitions: topics.collect() }
}

/// The part of a target that the member still subscribes to: it may be older than that.
pub(crate) fn within_subscription(
    member: &ConsumerMember,
    regexes: &BTreeMap<Arc<str>, ResolvedRegex>,
    mut target: Assignment,
    step: &Step<'_>,
) -> Assignment {
    let names = subscription::topics_of(member, regexes);
    target.retain(|topic, _| {
        step.topics.by_id(*topic).is_some_and(|known| names.contains(&*known.name))
    });
    target
}

/// A member that has to give something up gets its rebalance timeout for that. Classic members
/// are watched by their join and sync instead.
pub(crate) fn await_revocation(
    group: &ConsumerGroup,
    step: &mut Step<'_>,
    member: &ConsumerMember,
) {
    if member.uses_classic_protocol() {
        return;
    }
    let timer = Timer::ConsumerRebalance(group.id.clone(), member.id.clone());
    if member.revoking.is_empty() {
        step.timers.cancel(&timer);
    } else {
        step.schedule(timer, member.rebalance_timeout_ms);
    }
}

/// # Errors
/// GROUP_MAX_SIZE_REACHED if the group is full and `member_id` is none of its members.
pub(crate) fn check_size(
    group: &ConsumerGroup,
    step: &Step<'_>,
    member_id: &str,
) -> Result<(), Refusal> {
    let max_size = step.config.consumer_max_size;
    if group.members.len() < max_size || group.members.contains_key(member_id) {
        return Ok(());
    }
    let message =
        format!("The consumer group has reached its maximum capacity of {max_size} members.");
    Err(Refusal::new(ErrorCode::GroupMaxSizeReached, message))
}

fn speaker(
    group: &ConsumerGroup,
    request: &ConsumerGroupHeartbeatRequest,
    reported: Reported<'_>,
) -> Result<Speaker, Refusal> {
    let joins = request.member_epoch == JOIN_EPOCH;
    let id: Arc<str> = if request.member_id.is_empty() {
        pharos_base::TopicId(Uuid::new_v4()).to_string().into()
    } else {
        request.member_id.as_str().into()
    };
    let known = |member: &ConsumerMember| Speaker {
        member: member.clone(),
        replaced: None,
        records: Vec::new(),
    };
    let fresh =
        |id| Speaker { member: ConsumerMember::new(id), replaced: None, records: Vec::new() };
    let Some(instance_id) = &request.instance_id else {
        let Some(member) = group.members.get(&id) else {
            return if joins { Ok(fresh(id)) } else { group.member(&id).map(known) };
        };
        // A member that lost its state joins again under its id, and goes on where it was.
        if !joins {
            validate::member_epoch(member, request.member_epoch, reported)?;
        }
        return Ok(known(member));
    };
    if !joins {
        let member = group.known_static(instance_id)?;
        validate::instance(member, &id, instance_id)?;
        validate::member_epoch(member, request.member_epoch, reported)?;
        return Ok(known(member));
    }
    match group.static_member(instance_id) {
        None => Ok(fresh(id)),
        Some(member) => {
            if !member.uses_classic_protocol() && member.epoch != LEAVE_STATIC_EPOCH {
                let message = format!(
                    "Static member {id} with instance id {instance_id} cannot join the group \
                     because the instance id is owned by {} member.",
                    member.id
                );
                return Err(Refusal::new(ErrorCode::UnreleasedInstanceId, message));
            }
            Ok(replace(group, member, id))
        }
    }
}

/// Puts a static member under a new id in the place of the old one
/// (`GroupMetadataManager.replaceMember`).
pub(crate) fn replace(group: &ConsumerGroup, old: &ConsumerMember, id: Arc<str>) -> Speaker {
    let mut member = old.clone();
    member.id = id;
    member.epoch = JOIN_EPOCH;
    member.previous_epoch = JOIN_EPOCH;
    let target = group.targets.get(&old.id).cloned().unwrap_or_default();
    let mut written = Vec::from(records::member_tombstones(&group.id, &old.id));
    written.push(records::member(&group.id, &member));
    written.push(records::target(&group.id, &member.id, &target));
    written.push(records::current(&group.id, &member));
    Speaker { member, replaced: Some(old.id.clone()), records: written }
}

fn update(
    member: &ConsumerMember,
    context: &Context,
    request: &ConsumerGroupHeartbeatRequest,
) -> ConsumerMember {
    let mut updated = member.clone();
    updated.client_id = context.client_id.to_string();
    updated.client_host = context.client_host.to_string();
    updated.classic = None;
    if request.instance_id.is_some() {
        updated.instance_id.clone_from(&request.instance_id);
    }
    if request.rack_id.is_some() {
        updated.rack_id.clone_from(&request.rack_id);
    }
    if request.rebalance_timeout_ms != -1 {
        updated.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    if request.server_assignor.is_some() {
        updated.assignor.clone_from(&request.server_assignor);
    }
    if let Some(names) = &request.subscribed_topic_names {
        updated.topics = names.iter().cloned().collect();
    }
    if let Some(regex) = &request.subscribed_topic_regex {
        updated.regex.clone_from(regex);
    }
    updated
}

/// Stores a member that is new or changed, and moves the group on if that changes what is read.
pub(crate) fn subscribe(
    group: &ConsumerGroup,
    step: &Step<'_>,
    speaker: &Speaker,
    updated: &ConsumerMember,
) -> Result<Subscribed, Refusal> {
    let was = &speaker.member;
    let is_new = !group.members.contains_key(&updated.id) && speaker.replaced.is_none();
    let mut written = Vec::new();
    if is_new || updated.metadata() != was.metadata() {
        written.push(records::member(&group.id, updated));
    }
    let mut regexes = group.regexes.clone();
    let regex_changed = update_regexes(group, step, (was, updated), &mut regexes, &mut written)?;
    let changed = was.topics != updated.topics || was.regex != updated.regex;
    let mut bump = group.epoch == 0 || was.topics != updated.topics || regex_changed;
    let mut epoch = group.epoch;
    if bump || group.checked_version != Some(step.topics.version()) {
        let replaced = speaker.replaced.as_deref();
        let members = subscription::members_with(group, Some(updated), replaced);
        let names = subscription::topics_of_all(members, &regexes);
        let hash = subscription::metadata_hash(&names, step.topics);
        bump |= hash != group.metadata_hash;
        if bump {
            epoch = next_epoch(group);
            written.push(records::epoch(&group.id, epoch, hash));
            step.tally.consumer_rebalance_started();
            step.blames(&updated.id);
            step.rebalances(if is_new {
                RebalanceReason::Join
            } else if changed {
                RebalanceReason::Subscription
            } else {
                RebalanceReason::Metadata
            });
        }
        if group.has_topics_record {
            written.push(Record::ConsumerTopics { group: group.id.clone(), deleted: true });
        }
    }
    Ok(Subscribed { records: written, epoch, regexes, changed })
}

/// A group begins with epoch 2: members whose first target is put off are at 1 until then.
pub(crate) fn next_epoch(group: &ConsumerGroup) -> i32 {
    if group.epoch == 0 { 2 } else { group.epoch.saturating_add(1) }
}

/// Keeps the resolved expressions in step with the members' ones and with the topics. Returns
/// whether any member may read other topics now.
fn update_regexes(
    group: &ConsumerGroup,
    step: &Step<'_>,
    (was, updated): (&ConsumerMember, &ConsumerMember),
    regexes: &mut BTreeMap<Arc<str>, ResolvedRegex>,
    written: &mut Vec<Record>,
) -> Result<bool, Refusal> {
    let mut changed = was.regex != updated.regex;
    if changed {
        if !was.regex.is_empty() && group.regex_member_count(&was.regex) <= 1 {
            regexes.remove(was.regex.as_str());
            written.push(records::regex_tombstone(&group.id, &was.regex));
        }
        if !updated.regex.is_empty() && !regexes.contains_key(updated.regex.as_str()) {
            let resolved = subscription::resolve(&updated.regex, step.topics, step.now.wall_ms)?;
            let regex: Arc<str> = updated.regex.as_str().into();
            written.push(records::regex(&group.id, &regex, &resolved));
            regexes.insert(regex, resolved);
        }
    }
    for (regex, resolved) in regexes.iter_mut() {
        let age_ms = step.now.wall_ms.saturating_sub(resolved.timestamp_ms);
        let outdated = resolved.version < step.topics.version() && age_ms > REGEX_MIN_REFRESH_MS;
        if !outdated && age_ms <= step.config.consumer_regex_refresh_interval_ms {
            continue;
        }
        // It could be read when it was stored; if no longer, what it matched stays.
        if let Ok(fresh) = subscription::resolve(regex, step.topics, step.now.wall_ms) {
            changed |= fresh.topics != resolved.topics;
            written.push(records::regex(&group.id, regex, &fresh));
            *resolved = fresh;
        }
    }
    Ok(changed)
}
