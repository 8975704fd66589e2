//! JoinGroup v0-9 on a classic group.
//!
//! - v0: no rebalance timeout, the session timeout stands in for it
//! - v1: rebalance timeout
//! - v4: a member without an id is first told one (MEMBER_ID_REQUIRED)
//! - v5: static members
//! - v7: the answer names the protocol type, and the protocol name may be null
//! - v8: reason
//! - v9: a returning static leader may be told to skip the assignment

use std::sync::Arc;

use uuid::Uuid;

use super::group::{ClassicGroup, MemberUpdate, Phase};
use super::member::Member;
use super::{rebalance, replace, validate_member};
use crate::event::{Context, Token};
use crate::limits::{MAX_MEMBER_METADATA_BYTES, MAX_MEMBER_PROTOCOLS, MAX_PENDING_MEMBERS};
use crate::rebalances::RebalanceReason;
use crate::response::Response;
use crate::step::Step;
use crate::timers::Timer;
use crate::wire::{ErrorCode, JoinGroupRequest, JoinGroupResponse};

/// One JoinGroup: its way back, and its words.
pub(crate) struct Join<'a> {
    pub token: Token,
    pub context: &'a Context,
    pub request: JoinGroupRequest,
}

impl Join<'_> {
    /// Answers with `error`.
    pub(crate) fn refuse(&self, step: &mut Step<'_>, member_id: &str, error: ErrorCode) {
        step.reply(self.token, refusal(member_id, error));
    }
}

/// The answer that says `error` to `member_id`.
pub(crate) fn refusal(member_id: &str, error: ErrorCode) -> Response {
    Response::JoinGroup(JoinGroupResponse {
        error_code: error.code(),
        member_id: member_id.to_owned(),
        protocol_name: None,
        ..JoinGroupResponse::default()
    })
}

/// Checks what needs no group, and fills in what old versions leave out.
///
/// # Errors
/// INVALID_GROUP_ID, INVALID_SESSION_TIMEOUT, INVALID_REQUEST beyond the limits on metadata.
pub(crate) fn check(step: &Step<'_>, request: &mut JoinGroupRequest) -> Result<(), ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let allowed =
        step.config.classic_min_session_timeout_ms..=step.config.classic_max_session_timeout_ms;
    if !allowed.contains(&request.session_timeout_ms) {
        return Err(ErrorCode::InvalidSessionTimeout);
    }
    if request.rebalance_timeout_ms == -1 {
        request.rebalance_timeout_ms = request.session_timeout_ms;
    }
    let bytes: usize = request.protocols.iter().map(|known| known.metadata.len()).sum();
    if bytes > MAX_MEMBER_METADATA_BYTES || request.protocols.len() > MAX_MEMBER_PROTOCOLS {
        return Err(ErrorCode::InvalidRequest);
    }
    let mut seen = std::collections::HashSet::new();
    request.protocols.retain(|protocol| seen.insert(protocol.name.clone()));
    Ok(())
}

/// Whether a member without an id has to come again with the one that it is told.
pub(crate) fn requires_member_id(request: &JoinGroupRequest, api_version: i16) -> bool {
    request.member_id.is_empty() && request.group_instance_id.is_none() && api_version >= 4
}

/// A member wants in.
pub(crate) fn join(group: &mut ClassicGroup, step: &mut Step<'_>, join: Join<'_>) {
    let member_id = join.request.member_id.clone();
    if !accepts(group, step, &member_id) {
        if let Some(gone) = group.remove(&member_id) {
            rebalance::forget(group, step, &gone.id);
        }
        return join.refuse(step, "", ErrorCode::GroupMaxSizeReached);
    }
    if !group.supports(&join.request.protocol_type, &join.request.protocols) {
        return join.refuse(step, &member_id, ErrorCode::InconsistentGroupProtocol);
    }
    if member_id.is_empty() { join_new(group, step, join) } else { rejoin(group, step, join) }
}

/// Whether there is room (`GroupMetadataManager.acceptJoiningMember`). While a rebalance gathers
/// members the waiting ones count, so that those who come last are turned away.
fn accepts(group: &ClassicGroup, step: &Step<'_>, member_id: &str) -> bool {
    let max_size = step.config.classic_max_size;
    let member = group.members.get(member_id);
    match group.phase {
        Phase::Empty => true,
        Phase::PreparingRebalance { .. } => {
            member.is_some_and(|member| member.join.is_some()) || group.awaiting_join() < max_size
        }
        Phase::CompletingRebalance | Phase::Stable => {
            member.is_some() || group.members.len() < max_size
        }
    }
}

fn join_new(group: &mut ClassicGroup, step: &mut Step<'_>, join: Join<'_>) {
    let prefix = match &join.request.group_instance_id {
        Some(instance_id) => instance_id.as_str(),
        None => &join.context.client_id,
    };
    let new_id: Arc<str> = format!("{prefix}-{}", Uuid::new_v4()).into();
    if let Some(instance_id) = &join.request.group_instance_id {
        match group.statics.get(instance_id).cloned() {
            Some(old_id) => replace::replace(group, step, join, &old_id, new_id),
            None => add(group, step, join, new_id),
        }
    } else if requires_member_id(&join.request, join.context.api_version) {
        if group.pending_joins.len() >= MAX_PENDING_MEMBERS {
            return join.refuse(step, "", ErrorCode::GroupMaxSizeReached);
        }
        group.pending_joins.insert(new_id.clone());
        let timer = Timer::ClassicSession(group.id.clone(), new_id.clone());
        step.schedule(timer, join.request.session_timeout_ms);
        join.refuse(step, &new_id, ErrorCode::MemberIdRequired);
    } else {
        add(group, step, join, new_id);
    }
}

fn rejoin(group: &mut ClassicGroup, step: &mut Step<'_>, join: Join<'_>) {
    let member_id = join.request.member_id.clone();
    let instance_id = join.request.group_instance_id.as_deref();
    if group.pending_joins.contains(member_id.as_str()) {
        // Ids are never given out to static members.
        if instance_id.is_some() {
            return join.refuse(step, &member_id, ErrorCode::UnknownMemberId);
        }
        return add(group, step, join, member_id.into());
    }
    if let Err(error) = validate_member(group, &member_id, instance_id) {
        return join.refuse(step, &member_id, error);
    }
    let unchanged = group
        .members
        .get(member_id.as_str())
        .is_some_and(|member| member.matches(&join.request.protocols));
    match group.phase {
        Phase::PreparingRebalance { .. } => update(group, step, join),
        // The answer may have been lost: give it again.
        Phase::CompletingRebalance if unchanged => repeat(group, step, &join),
        Phase::CompletingRebalance => update(group, step, join),
        // A leader joins again when something changed that only it sees.
        Phase::Stable if unchanged && !group.is_leader(&member_id) => repeat(group, step, &join),
        Phase::Stable => update(group, step, join),
        Phase::Empty => join.refuse(step, &member_id, ErrorCode::UnknownMemberId),
    }
}

/// The present generation, once more.
fn repeat(group: &ClassicGroup, step: &mut Step<'_>, join: &Join<'_>) {
    let leads = group.is_leader(&join.request.member_id);
    let awaits_leader = group.phase == Phase::CompletingRebalance;
    let mut answer = generation(group, &join.request.member_id);
    if leads && awaits_leader {
        answer.members = group.join_members();
    }
    step.reply(join.token, Response::JoinGroup(answer));
}

/// The answer to a member of the present generation, without the members.
pub(crate) fn generation(group: &ClassicGroup, member_id: &str) -> JoinGroupResponse {
    JoinGroupResponse {
        generation_id: group.generation,
        protocol_type: group.protocol_type.clone(),
        protocol_name: group.protocol.clone(),
        leader: group.leader.as_ref().map(ToString::to_string).unwrap_or_default(),
        member_id: member_id.to_owned(),
        ..JoinGroupResponse::default()
    }
}

fn add(group: &mut ClassicGroup, step: &mut Step<'_>, join: Join<'_>, id: Arc<str>) {
    let Join { token, context, request } = join;
    if group.phase == (Phase::PreparingRebalance { initial: true }) {
        group.new_member_added = true;
    }
    if group.members.is_empty() {
        group.protocol_type = Some(request.protocol_type);
    }
    group.add(Member {
        id: id.clone(),
        instance_id: request.group_instance_id,
        client_id: context.client_id.to_string(),
        client_host: context.client_host.to_string(),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        session_timeout_ms: request.session_timeout_ms,
        protocols: request.protocols,
        assignment: bytes::Bytes::new(),
        join: Some(token),
        sync: None,
        is_new: true,
    });
    // A new member has no id to send heartbeats with, and its connection is not watched. If it
    // gave up meanwhile it comes again as yet another one, so waiting is bounded.
    step.blames(&id);
    let timer = Timer::ClassicSession(group.id.clone(), id);
    step.schedule(timer, step.config.classic_new_member_join_timeout_ms);
    rebalance::prepare_or_complete(group, step, RebalanceReason::Join);
}

fn update(group: &mut ClassicGroup, step: &mut Step<'_>, join: Join<'_>) {
    let Join { token, request, .. } = join;
    if let Some(superseded) = group.take_join(&request.member_id) {
        // The client asks again on another connection; the old request has no reader any more.
        step.reply(superseded, refusal(&request.member_id, ErrorCode::RebalanceInProgress));
    }
    step.blames(&request.member_id);
    let known = group.members.get(request.member_id.as_str());
    let reason = match known.is_some_and(|member| member.matches(&request.protocols)) {
        // A leader that brings nothing new saw topics change.
        true => RebalanceReason::Metadata,
        false => RebalanceReason::Subscription,
    };
    let change = MemberUpdate {
        protocols: request.protocols,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        session_timeout_ms: request.session_timeout_ms,
        join: Some(token),
    };
    group.update(&request.member_id, change);
    rebalance::prepare_or_complete(group, step, reason);
}
