//! ConsumerGroupDescribe, versions 0–1 (KIP-848): consumer groups with their members.
//!
//! - v1: says of each member whether it is a classic one.

use std::sync::Arc;

use pharos_coordinator::{Request, Response};
use pharos_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
use pharos_protocol::{ErrorCode, Message};

use crate::authorizer::{self, GROUP_OPERATIONS};
use crate::context::{Answer, AnswerError, Body, RequestContext};
use crate::group_requests::ask_each;
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
    let request = ConsumerGroupDescribeRequest::decode(body, context.version)?;
    let operations =
        authorizer::operations(request.include_authorized_operations, GROUP_OPERATIONS);
    let requests = request
        .group_ids
        .into_iter()
        .map(|group| (group.clone(), Request::ConsumerGroupDescribe(group)));
    let asked = ask_each(groups, context, requests);
    let context = context.clone();
    Ok(Answer::later(async move {
        let described = asked.await.into_iter().filter_map(|answer| {
            let Response::ConsumerGroupDescribe(mut group) = answer else { return None };
            if group.error_code == ErrorCode::None.code() {
                group.authorized_operations = operations;
            }
            if group.group_id.is_empty() {
                group.error_code = ErrorCode::InvalidGroupId.code();
            }
            Some(group)
        });
        let response =
            ConsumerGroupDescribeResponse { groups: described.collect(), ..Default::default() };
        Body::of(&context, &response)
    }))
}
