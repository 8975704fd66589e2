//! The classic group protocol (JoinGroup, SyncGroup, Heartbeat, LeaveGroup), a file per family.
//!
//! The rules are those of `GroupMetadataManager` and `ClassicGroup` in apache/kafka.

pub(crate) mod group;
pub(crate) mod heartbeat;
pub(crate) mod join;
pub(crate) mod leave;
pub(crate) mod member;
pub(crate) mod rebalance;
pub(crate) mod replace;
pub(crate) mod sync;

#[cfg(test)]
mod tests;

pub(crate) use group::ClassicGroup;

use std::sync::Arc;

use crate::step::Step;
use crate::timers::Timer;
use crate::wire::ErrorCode;

/// Answers everybody who waits with `error`.
pub(crate) fn refuse_all(group: &mut ClassicGroup, step: &mut Step<'_>, error: ErrorCode) {
    for id in group.member_ids() {
        if let Some(token) = group.take_join(&id) {
            step.reply(token, join::refusal(&id, error));
        }
        if let Some(token) = group.take_sync(&id) {
            step.reply(token, sync::refusal(error));
        }
    }
}

/// Nothing is awaited of the group any more.
pub(crate) fn stop_timers(group: &ClassicGroup, step: &mut Step<'_>) {
    let kinds: [fn(Arc<str>) -> Timer; 3] =
        [Timer::ClassicJoin, Timer::ClassicInitialJoin, Timer::ClassicSync];
    for kind in kinds {
        step.timers.cancel(&kind(group.id.clone()));
    }
    for id in group.members.keys().chain(&group.pending_joins) {
        step.timers.cancel(&Timer::ClassicSession(group.id.clone(), id.clone()));
    }
}

/// Checks that a member is who it says: its instance id, if any, maps to its member id, and the
/// member exists (`ClassicGroup.validateMember`).
pub(crate) fn validate_member(
    group: &ClassicGroup,
    member_id: &str,
    instance_id: Option<&str>,
) -> Result<(), ErrorCode> {
    if let Some(instance_id) = instance_id {
        match group.statics.get(instance_id) {
            None => return Err(ErrorCode::UnknownMemberId),
            Some(current) if **current != *member_id => return Err(ErrorCode::FencedInstanceId),
            Some(_) => {}
        }
    }
    if group.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
}
