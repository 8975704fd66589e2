//! A static member comes back under a new id while its old one is still a member.

use std::sync::Arc;

use super::group::{ClassicGroup, MemberUpdate, Phase};
use super::join::{Join, generation, refusal};
use super::{rebalance, sync};
use crate::event::{Replaced, Then};
use crate::rebalances::RebalanceReason;
use crate::response::Response;
use crate::step::Step;
use crate::wire::ErrorCode;

/// Puts `new_id` in the place of `old_id`
/// (`GroupMetadataManager.updateStaticMemberThenRebalanceOrCompleteJoin`).
///
/// A stable group whose protocol stays needs no rebalance: the new id takes over the assignment
/// once that is stored.
pub(crate) fn replace(
    group: &mut ClassicGroup,
    step: &mut Step<'_>,
    join: Join<'_>,
    old_id: &Arc<str>,
    new_id: Arc<str>,
) {
    if group.phase == Phase::Stable && keeps_protocol(group, &join, old_id) {
        return replace_silently(group, step, join, old_id, new_id);
    }
    rename(group, step, old_id, &new_id);
    let Join { token, request, .. } = join;
    let change = MemberUpdate {
        protocols: request.protocols,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        session_timeout_ms: request.session_timeout_ms,
        join: Some(token),
    };
    group.update(&new_id, change);
    rebalance::await_heartbeat(group, step, &new_id);
    step.blames(&new_id);
    // While the leader makes assignments it knows the old id only, so it has to begin anew.
    rebalance::prepare_or_complete(group, step, RebalanceReason::Join);
}

fn keeps_protocol(group: &ClassicGroup, join: &Join<'_>, old_id: &Arc<str>) -> bool {
    let mut changed = group.clone();
    let change = MemberUpdate {
        protocols: join.request.protocols.clone(),
        rebalance_timeout_ms: join.request.rebalance_timeout_ms,
        session_timeout_ms: join.request.session_timeout_ms,
        join: None,
    };
    changed.update(old_id, change);
    changed.select_protocol() == group.protocol
}

/// Writes the group with the new id; the group itself changes when that is done.
fn replace_silently(
    group: &ClassicGroup,
    step: &mut Step<'_>,
    join: Join<'_>,
    old_id: &Arc<str>,
    new_id: Arc<str>,
) {
    let mut changed = group.clone();
    let assignments = changed.assignments();
    changed.rename_member(old_id, &new_id);
    changed.update(
        &new_id,
        MemberUpdate {
            protocols: join.request.protocols.clone(),
            rebalance_timeout_ms: join.request.rebalance_timeout_ms,
            session_timeout_ms: join.request.session_timeout_ms,
            join: None,
        },
    );
    let mut renamed = assignments;
    if let Some(assignment) = renamed.remove(old_id) {
        renamed.insert(new_id.clone(), assignment);
    }
    let record = changed.record(&renamed);
    let replaced = Replaced {
        group: group.id.clone(),
        token: join.token,
        api_version: join.context.api_version,
        old_member: old_id.clone(),
        new_member: new_id,
        old_leader: group.leader.as_ref().map(ToString::to_string).unwrap_or_default(),
        request: join.request,
    };
    step.write(vec![record], Then::Replaced(Box::new(replaced)));
}

/// Before the group takes the new record over: the old id's requests are fenced.
pub(crate) fn before_replaced(group: &mut ClassicGroup, step: &mut Step<'_>, replaced: &Replaced) {
    rename(group, step, &replaced.old_member, &replaced.new_member);
    let change = MemberUpdate {
        protocols: replaced.request.protocols.clone(),
        rebalance_timeout_ms: replaced.request.rebalance_timeout_ms,
        session_timeout_ms: replaced.request.session_timeout_ms,
        join: None,
    };
    group.update(&replaced.new_member, change);
}

/// The new id is stored: it goes on where the old one was. Leaders from v9 on are told to keep the
/// assignment that there is; older ones are told of a leader that is not them.
pub(crate) fn on_replaced(
    group: &mut ClassicGroup,
    step: &mut Step<'_>,
    replaced: &Replaced,
    after: i64,
) {
    rebalance::await_heartbeat(group, step, &replaced.new_member);
    let mut answer = generation(group, &replaced.new_member);
    if replaced.api_version >= 9 {
        if group.is_leader(&replaced.new_member) {
            answer.members = group.join_members();
            answer.skip_assignment = true;
        }
    } else {
        answer.leader.clone_from(&replaced.old_leader);
    }
    step.reply_after(replaced.token, Some(after), Response::JoinGroup(answer));
}

/// Gives the place of `old_id` to `new_id`; requests of the old one are fenced.
fn rename(group: &mut ClassicGroup, step: &mut Step<'_>, old_id: &Arc<str>, new_id: &Arc<str>) {
    if let Some(token) = group.take_join(old_id) {
        step.reply(token, refusal(old_id, ErrorCode::FencedInstanceId));
    }
    if let Some(token) = group.take_sync(old_id) {
        step.reply(token, sync::refusal(ErrorCode::FencedInstanceId));
    }
    rebalance::forget(group, step, old_id);
    group.rename_member(old_id, new_id);
}
