//! LeaveGroup v0-5 on a classic group.
//!
//! - v0-2: one member, whose error is that of the answer
//! - v3: several members; static ones may be removed by instance id alone
//! - v5: reason

use std::sync::Arc;

use super::group::ClassicGroup;
use super::{rebalance, validate_member};
use crate::event::Token;
use crate::rebalances::RebalanceReason;
use crate::response::Response;
use crate::step::Step;
use crate::wire::leave_group_request::MemberIdentity;
use crate::wire::leave_group_response::MemberResponse;
use crate::wire::{ErrorCode, LeaveGroupResponse};

/// The answer about one member.
pub(crate) fn outcome(member: MemberIdentity, result: Result<(), ErrorCode>) -> MemberResponse {
    MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        error_code: result.err().unwrap_or(ErrorCode::None).code(),
    }
}

/// What members of a group that there is not are told, from version 3 on: each for itself.
pub(crate) fn of_no_group(members: Vec<MemberIdentity>) -> Response {
    let unknown = members.into_iter().map(|one| outcome(one, Err(ErrorCode::UnknownMemberId)));
    Response::LeaveGroup(LeaveGroupResponse {
        members: unknown.collect(),
        ..LeaveGroupResponse::default()
    })
}

/// Members go, or an administrator sends them away.
pub(crate) fn leave(
    group: &mut ClassicGroup,
    step: &mut Step<'_>,
    token: Token,
    members: Vec<MemberIdentity>,
) {
    let mut answers = Vec::with_capacity(members.len());
    let mut gone = None;
    for member in members {
        let result = leave_one(group, step, &member);
        if result.is_ok() {
            let named = match member.member_id.is_empty() {
                true => member.group_instance_id.as_deref(),
                false => Some(member.member_id.as_str()),
            };
            gone = named.map(str::to_owned);
        }
        answers.push(outcome(member, result));
    }
    let any_left = answers.iter().any(|answer| answer.error_code == ErrorCode::None.code());
    // Members give their id; who knows the instance id alone is an administrator.
    let reason = match answers.iter().any(|answer| !answer.member_id.is_empty()) {
        true => RebalanceReason::Leave,
        false => RebalanceReason::Admin,
    };
    let answer = Response::LeaveGroup(LeaveGroupResponse {
        members: answers,
        ..LeaveGroupResponse::default()
    });
    if any_left {
        if let Some(id) = gone {
            step.blames(&id);
        }
        rebalance::after_removal(group, step, reason);
    }
    // If that emptied the group, the members are gone once it is written.
    match step.output.write.as_mut() {
        Some(write) => write.then.also_reply(token, answer),
        None => step.reply(token, answer),
    }
}

fn leave_one(
    group: &mut ClassicGroup,
    step: &mut Step<'_>,
    member: &MemberIdentity,
) -> Result<(), ErrorCode> {
    let instance_id = member.group_instance_id.as_deref();
    let id: Arc<str> = if member.member_id.is_empty() {
        let known = instance_id.and_then(|instance_id| group.statics.get(instance_id));
        known.cloned().ok_or(ErrorCode::UnknownMemberId)?
    } else {
        member.member_id.as_str().into()
    };
    if group.pending_joins.remove(&id) {
        rebalance::forget(group, step, &id);
        return Ok(());
    }
    if !member.member_id.is_empty() {
        validate_member(group, &id, instance_id)?;
    }
    rebalance::remove(group, step, &id);
    Ok(())
}
