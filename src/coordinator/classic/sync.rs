//! SyncGroup v0-5 on a classic group: the leader brings the assignments, all get theirs.
//!
//! - v3: static members
//! - v5: protocol type and name are named, and checked

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::group::{ClassicGroup, Phase};
use super::{rebalance, validate_member};
use crate::event::{Then, Token};
use crate::rebalances::RebalanceReason;
use crate::response::Response;
use crate::step::Step;
use crate::timers::Timer;
use crate::wire::{ErrorCode, SyncGroupRequest, SyncGroupResponse};

/// The answer that says `error`.
pub(crate) fn refusal(error: ErrorCode) -> Response {
    Response::SyncGroup(SyncGroupResponse {
        error_code: error.code(),
        ..SyncGroupResponse::default()
    })
}

/// A member asks for its assignment; the leader brings everybody's.
pub(crate) fn sync(
    group: &mut ClassicGroup,
    step: &mut Step<'_>,
    token: Token,
    request: SyncGroupRequest,
) {
    if let Err(error) = validate(group, &request) {
        return step.reply(token, refusal(error));
    }
    match group.phase {
        Phase::Empty => step.reply(token, refusal(ErrorCode::UnknownMemberId)),
        Phase::PreparingRebalance { .. } => {
            step.reply(token, refusal(ErrorCode::RebalanceInProgress));
        }
        Phase::CompletingRebalance => wait(group, step, token, request),
        Phase::Stable => {
            synced(group, step, &request.member_id);
            let answer = assignment(group, &request.member_id);
            step.reply(token, answer);
        }
    }
}

fn validate(group: &ClassicGroup, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
    validate_member(group, &request.member_id, request.group_instance_id.as_deref())?;
    if request.generation_id != group.generation {
        return Err(ErrorCode::IllegalGeneration);
    }
    let differs = |said: &Option<String>, is: &Option<String>| said.is_some() && said != is;
    if differs(&request.protocol_type, &group.protocol_type)
        || differs(&request.protocol_name, &group.protocol)
    {
        return Err(ErrorCode::InconsistentGroupProtocol);
    }
    Ok(())
}

/// Parks the request; the leader's one starts the write that ends the wait of all.
fn wait(group: &mut ClassicGroup, step: &mut Step<'_>, token: Token, request: SyncGroupRequest) {
    let member_id = request.member_id;
    if let Some(member) = group.members.get_mut(member_id.as_str())
        && let Some(superseded) = member.sync.replace(token)
    {
        step.reply(superseded, refusal(ErrorCode::RebalanceInProgress));
    }
    synced(group, step, &member_id);
    if !group.is_leader(&member_id) {
        return;
    }
    // Members that the leader forgot get an empty assignment; ids that it made up get nothing.
    let assignments: HashMap<Arc<str>, Bytes> = request
        .assignments
        .into_iter()
        .map(|given| (Arc::from(given.member_id), given.assignment))
        .collect();
    let record = group.record(&assignments);
    let then = Then::Assigned { group: group.id.clone(), generation: group.generation };
    step.write(vec![record], then);
}

fn synced(group: &mut ClassicGroup, step: &mut Step<'_>, member_id: &str) {
    group.pending_syncs.remove(member_id);
    if group.pending_syncs.is_empty() {
        step.timers.cancel(&Timer::ClassicSync(group.id.clone()));
    }
}

/// The assignments are stored, and the group loaded from what was stored: all who wait get theirs.
pub(crate) fn on_assigned(group: &mut ClassicGroup, step: &mut Step<'_>, after: i64) {
    group.enter(Phase::Stable, step.now.wall_ms);
    step.tally.classic_rebalance_completed();
    tracing::info!(group = %group.id, generation = group.generation, "group is stable");
    for id in group.member_ids() {
        if let Some(token) = group.take_sync(&id) {
            let answer = assignment(group, &id);
            step.reply_after(token, Some(after), answer);
            // A session that ended while its owner waited for us was not counted.
            rebalance::await_heartbeat(group, step, &id);
        }
    }
}

/// The assignments could not be stored: all who wait are told, and a new rebalance begins.
pub(crate) fn on_assign_failed(group: &mut ClassicGroup, step: &mut Step<'_>, error: ErrorCode) {
    refuse_waiting(group, step, error);
    rebalance::prepare(group, step, RebalanceReason::Load);
}

/// Tells all whose SyncGroup waits that it came to nothing, and takes back their assignments.
pub(crate) fn refuse_waiting(group: &mut ClassicGroup, step: &mut Step<'_>, error: ErrorCode) {
    for id in group.member_ids() {
        if let Some(member) = group.members.get_mut(&id) {
            member.assignment = Bytes::new();
        }
        if let Some(token) = group.take_sync(&id) {
            step.reply(token, refusal(error));
            rebalance::await_heartbeat(group, step, &id);
        }
    }
}

/// Members that never asked for their assignment are removed
/// (`GroupMetadataManager.expirePendingSync`).
pub(crate) fn on_sync_timeout(group: &mut ClassicGroup, step: &mut Step<'_>) {
    let synced = !matches!(group.phase, Phase::CompletingRebalance | Phase::Stable);
    if synced || group.pending_syncs.is_empty() {
        return;
    }
    for id in std::mem::take(&mut group.pending_syncs) {
        rebalance::remove(group, step, &id);
        step.blames(&id);
    }
    rebalance::prepare(group, step, RebalanceReason::RebalanceTimeout);
}

fn assignment(group: &ClassicGroup, member_id: &str) -> Response {
    let assignment = group.members.get(member_id).map(|member| member.assignment.clone());
    Response::SyncGroup(SyncGroupResponse {
        protocol_type: group.protocol_type.clone(),
        protocol_name: group.protocol.clone(),
        assignment: assignment.unwrap_or_default(),
        ..SyncGroupResponse::default()
    })
}
