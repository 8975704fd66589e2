//! Heartbeat v0-4 on a classic group.
//!
//! - v3: static members

use super::group::{ClassicGroup, Phase};
use super::{rebalance, validate_member};
use crate::step::Step;
use crate::wire::{ErrorCode, HeartbeatRequest};

/// A member lives. The answer tells it whether to join again.
///
/// # Errors
/// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS.
pub(crate) fn heartbeat(
    group: &ClassicGroup,
    step: &mut Step<'_>,
    request: &HeartbeatRequest,
) -> Result<(), ErrorCode> {
    validate_member(group, &request.member_id, request.group_instance_id.as_deref())?;
    if request.generation_id != group.generation {
        return Err(ErrorCode::IllegalGeneration);
    }
    match group.phase {
        Phase::Empty => Err(ErrorCode::UnknownMemberId),
        Phase::PreparingRebalance { .. } => {
            rebalance::await_heartbeat(group, step, &request.member_id);
            Err(ErrorCode::RebalanceInProgress)
        }
        // Members send heartbeats as soon as they have joined, before they have synced.
        Phase::CompletingRebalance | Phase::Stable => {
            rebalance::await_heartbeat(group, step, &request.member_id);
            Ok(())
        }
    }
}
