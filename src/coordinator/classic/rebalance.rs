//! The life of a classic generation: gather members, choose the protocol, start the generation.

use std::collections::HashMap;
use std::sync::Arc;

use super::group::{ClassicGroup, Phase};
use super::join::{generation, refusal};
use super::sync;
use crate::event::Then;
use crate::rebalances::RebalanceReason;
use crate::response::Response;
use crate::step::Step;
use crate::timers::Timer;
use crate::wire::ErrorCode;

/// When to try again to store that a group is empty.
const EMPTY_RETRY_MS: i32 = 5_000;

/// Starts a rebalance, or ends the gathering of the one under way if nobody is missing.
pub(crate) fn prepare_or_complete(
    group: &mut ClassicGroup,
    step: &mut Step<'_>,
    reason: RebalanceReason,
) {
    match group.phase {
        Phase::PreparingRebalance { .. } => complete_if_all_joined(group, step),
        Phase::Empty | Phase::CompletingRebalance | Phase::Stable => prepare(group, step, reason),
    }
}

/// Starts a rebalance (`GroupMetadataManager.prepareRebalance`).
pub(crate) fn prepare(group: &mut ClassicGroup, step: &mut Step<'_>, reason: RebalanceReason) {
    step.rebalances(reason);
    if group.phase == Phase::CompletingRebalance {
        sync::refuse_waiting(group, step, ErrorCode::RebalanceInProgress);
    }
    group.pending_syncs.clear();
    step.timers.cancel(&Timer::ClassicSync(group.id.clone()));
    let initial = group.phase == Phase::Empty;
    group.enter(Phase::PreparingRebalance { initial }, step.now.wall_ms);
    let reason = reason.name();
    tracing::info!(group = %group.id, generation = group.generation, reason, "preparing a rebalance");
    if initial {
        // More members may be about to start: the first generation waits for them.
        let delay_ms = step.config.classic_initial_rebalance_delay_ms;
        group.new_member_added = false;
        group.initial_delay_left_ms = group.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
        step.schedule(Timer::ClassicInitialJoin(group.id.clone()), delay_ms);
    } else if group.has_all_joined() {
        complete(group, step);
    } else {
        step.schedule(Timer::ClassicJoin(group.id.clone()), group.rebalance_timeout_ms());
    }
}

/// Ends the gathering if nobody is missing; the initial delay always runs to its end.
pub(crate) fn complete_if_all_joined(group: &mut ClassicGroup, step: &mut Step<'_>) {
    if group.phase == (Phase::PreparingRebalance { initial: false }) && group.has_all_joined() {
        complete(group, step);
    }
}

/// The initial delay is over: waits longer if members came meanwhile and time is left.
pub(crate) fn on_initial_delay(group: &mut ClassicGroup, step: &mut Step<'_>) {
    if group.phase != (Phase::PreparingRebalance { initial: true }) {
        return;
    }
    let left_ms = group.initial_delay_left_ms;
    if !group.new_member_added || left_ms == 0 {
        return complete(group, step);
    }
    group.new_member_added = false;
    let delay_ms = step.config.classic_initial_rebalance_delay_ms.min(left_ms);
    group.initial_delay_left_ms = left_ms.saturating_sub(delay_ms).max(0);
    step.schedule(Timer::ClassicInitialJoin(group.id.clone()), delay_ms);
}

/// The gathering has taken as long as it may.
pub(crate) fn on_join_timeout(group: &mut ClassicGroup, step: &mut Step<'_>) {
    if matches!(group.phase, Phase::PreparingRebalance { .. }) {
        complete(group, step);
    }
}

/// Starts the next generation with those who joined. Dynamic members that did not are removed,
/// static ones stay (`GroupMetadataManager.completeClassicGroupJoin`).
pub(crate) fn complete(group: &mut ClassicGroup, step: &mut Step<'_>) {
    step.timers.cancel(&Timer::ClassicJoin(group.id.clone()));
    step.timers.cancel(&Timer::ClassicInitialJoin(group.id.clone()));
    let missing: Vec<Arc<str>> = group
        .members
        .values()
        .filter(|member| member.join.is_none() && member.instance_id.is_none())
        .map(|member| member.id.clone())
        .collect();
    for id in missing {
        group.remove(&id);
        forget(group, step, &id);
    }
    if !group.members.is_empty() && !elect_joined_leader(group) {
        // Only static members are left and none came: wait until their sessions end.
        step.schedule(Timer::ClassicJoin(group.id.clone()), group.rebalance_timeout_ms());
        return;
    }
    start_generation(group, step);
}

fn start_generation(group: &mut ClassicGroup, step: &mut Step<'_>) {
    let generation = group.generation.wrapping_add(1).max(0);
    if group.members.is_empty() {
        return store_empty(group, step, generation);
    }
    group.generation = generation;
    group.pending_syncs.clear();
    group.protocol = group.select_protocol();
    group.subscribed_topics = group.compute_subscribed_topics();
    group.enter(Phase::CompletingRebalance, step.now.wall_ms);
    tracing::info!(
        group = %group.id,
        generation = group.generation,
        members = group.members.len(),
        "starting a generation"
    );
    for id in group.member_ids() {
        answer_join(group, step, &id);
        group.pending_syncs.insert(id);
    }
    step.schedule(Timer::ClassicSync(group.id.clone()), group.rebalance_timeout_ms());
}

/// Stores a generation without members; the group is empty when that is done, not before.
fn store_empty(group: &ClassicGroup, step: &mut Step<'_>, generation: i32) {
    let mut empty = ClassicGroup::new(group.id.clone(), step.now.wall_ms);
    empty.protocol_type.clone_from(&group.protocol_type);
    empty.generation = generation;
    let record = empty.record(&HashMap::new());
    let then = Then::Emptied { group: group.id.clone(), replies: Vec::new() };
    step.write(vec![record], then);
}

/// A generation without members could not be stored: another try follows.
pub(crate) fn on_empty_failed(group: &ClassicGroup, step: &mut Step<'_>) {
    step.schedule(Timer::ClassicJoin(group.id.clone()), EMPTY_RETRY_MS);
}

fn answer_join(group: &mut ClassicGroup, step: &mut Step<'_>, id: &Arc<str>) {
    let Some(token) = group.take_join(id) else { return };
    let mut answer = generation(group, id);
    if group.is_leader(id) {
        answer.members = group.join_members();
    }
    step.reply(token, Response::JoinGroup(answer));
    await_heartbeat(group, step, id);
    if let Some(member) = group.members.get_mut(id) {
        member.is_new = false;
    }
}

/// Makes sure that the leader is one who joined; `false` when nobody did.
fn elect_joined_leader(group: &mut ClassicGroup) -> bool {
    let joined = |id: &str| group.members.get(id).is_some_and(|member| member.join.is_some());
    if group.leader.as_deref().is_some_and(joined) {
        return true;
    }
    let next = group.members.values().find(|member| member.join.is_some());
    match next.map(|member| member.id.clone()) {
        Some(id) => {
            group.leader = Some(id);
            true
        }
        None => false,
    }
}

/// The session of a member starts again.
pub(crate) fn await_heartbeat(group: &ClassicGroup, step: &mut Step<'_>, id: &str) {
    if let Some(member) = group.members.get(id) {
        let timer = Timer::ClassicSession(group.id.clone(), member.id.clone());
        step.schedule(timer, member.session_timeout_ms);
    }
}

/// Nothing is awaited of a member any more.
pub(crate) fn forget(group: &ClassicGroup, step: &mut Step<'_>, id: &Arc<str>) {
    step.timers.cancel(&Timer::ClassicSession(group.id.clone(), id.clone()));
}

/// Removes a member; its parked JoinGroup is told to start over.
pub(crate) fn remove(group: &mut ClassicGroup, step: &mut Step<'_>, id: &Arc<str>) {
    let Some(member) = group.remove(id) else { return };
    if let Some(token) = member.join {
        step.reply(token, refusal("", ErrorCode::UnknownMemberId));
    }
    if let Some(token) = member.sync {
        step.reply(token, sync::refusal(ErrorCode::UnknownMemberId));
    }
    forget(group, step, id);
}

/// A session ended (`GroupMetadataManager.expireClassicGroupMemberHeartbeat`).
pub(crate) fn on_session_timeout(group: &mut ClassicGroup, step: &mut Step<'_>, id: &Arc<str>) {
    if group.pending_joins.remove(id) {
        return complete_if_all_joined(group, step);
    }
    let Some(member) = group.members.get(id) else { return };
    if member.may_be_silent() {
        return;
    }
    tracing::info!(group = %group.id, member = %id, "member was not heard of in time");
    remove(group, step, id);
    step.blames(id);
    after_removal(group, step, RebalanceReason::SessionTimeout);
}

/// Members went: a generation without them has to be made.
pub(crate) fn after_removal(
    group: &mut ClassicGroup,
    step: &mut Step<'_>,
    reason: RebalanceReason,
) {
    match group.phase {
        Phase::Stable | Phase::CompletingRebalance => prepare(group, step, reason),
        Phase::PreparingRebalance { .. } => complete_if_all_joined(group, step),
        Phase::Empty => {}
    }
}
