//! JoinGroup, versions 0–9: a member of a classic group asks for its place in the next generation.
//!
//! - v1: a rebalance time-out of its own; v4: a new member is given an id first (KIP-394).
//! - v5: static members; v7: the type of the protocol comes back; v8: a reason.
//! - v9: a static leader that came back is told to skip the assignment.

use std::sync::Arc;

use pharos_coordinator::Request;
use pharos_protocol::Message;
use pharos_protocol::messages::JoinGroupRequest;

use crate::context::{Answer, AnswerError, RequestContext};
use crate::group_requests::ask;
use crate::groups::Groups;

/// Answers the request once the generation begins.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    groups: &Arc<Groups>,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = JoinGroupRequest::decode(body, context.version)?;
    let group = request.group_id.clone();
    Ok(ask(groups, context, &group, Request::JoinGroup(request)))
}
