//! OffsetDelete, version 0: forgets offsets of topics that the group does not read (KIP-496).

use std::sync::Arc;

use pharos_coordinator::Request;
use pharos_protocol::Message;
use pharos_protocol::messages::OffsetDeleteRequest;

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
    let request = OffsetDeleteRequest::decode(body, context.version)?;
    let group = request.group_id.clone();
    Ok(ask(groups, context, &group, Request::OffsetDelete(request)))
}
