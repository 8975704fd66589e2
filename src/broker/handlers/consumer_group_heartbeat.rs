//! ConsumerGroupHeartbeat, versions 0–1 (KIP-848): a member joins, lives, gives up partitions and
//! leaves; the answer says what it shall own.
//!
//! - v1: subscription by regular expression; the member brings its own id.

use std::sync::Arc;

use pharos_coordinator::Request;
use pharos_protocol::Message;
use pharos_protocol::messages::ConsumerGroupHeartbeatRequest;

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
    let request = ConsumerGroupHeartbeatRequest::decode(body, context.version)?;
    let group = request.group_id.clone();
    Ok(ask(groups, context, &group, Request::ConsumerGroupHeartbeat(request)))
}
