//! SyncGroup, versions 0–5: the leader of a classic group hands assignments out.
//!
//! - v3: static members; v5: type and name of the protocol are checked and come back.

use std::sync::Arc;

use pharos_coordinator::Request;
use pharos_protocol::Message;
use pharos_protocol::messages::SyncGroupRequest;

use crate::context::{Answer, AnswerError, RequestContext};
use crate::group_requests::ask;
use crate::groups::Groups;

/// Answers the request once the leader has spoken.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    groups: &Arc<Groups>,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = SyncGroupRequest::decode(body, context.version)?;
    let group = request.group_id.clone();
    Ok(ask(groups, context, &group, Request::SyncGroup(request)))
}
