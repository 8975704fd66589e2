//! LeaveGroup, versions 0–5: members leave their group.
//!
//! - v3: several members, by id or static name; v5: a reason.

use std::sync::Arc;

use pharos_coordinator::Request;
use pharos_protocol::Message;
use pharos_protocol::messages::LeaveGroupRequest;

use crate::context::{Answer, AnswerError, RequestContext};
use crate::group_requests::ask;
use crate::groups::Groups;

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    groups: &Arc<Groups>,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = LeaveGroupRequest::decode(body, context.version)?;
    let group = request.group_id.clone();
    Ok(ask(groups, context, &group, Request::LeaveGroup(request)))
}
