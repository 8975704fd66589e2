//! OffsetCommit, versions 2–10: what a group has read.
//!
//! - v2–4: the retention that the client asks for; v6: leader epochs; v7: static members.
//! - v9: members of KIP-848; v10: topics by id.

use std::sync::Arc;

use pharos_coordinator::Request;
use pharos_protocol::Message;
use pharos_protocol::messages::OffsetCommitRequest;

use crate::context::{Answer, AnswerError, RequestContext};
use crate::group_requests::ask;
use crate::groups::Groups;

/// Answers the request once the offsets are committed.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    groups: &Arc<Groups>,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = OffsetCommitRequest::decode(body, context.version)?;
    let group = request.group_id.clone();
    Ok(ask(groups, context, &group, Request::OffsetCommit(request)))
}
