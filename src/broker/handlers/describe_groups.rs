//! DescribeGroups, versions 0–6: classic groups with their members.
//!
//! - v3: authorized operations on request; v4: static members; v6: a group that is not there is an
//!   error, not a dead group (KIP-1043).

use std::sync::Arc;

use pharos_coordinator::{Request, Response};
use pharos_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};
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
    let request = DescribeGroupsRequest::decode(body, context.version)?;
    let operations =
        authorizer::operations(request.include_authorized_operations, GROUP_OPERATIONS);
    let requests =
        request.groups.into_iter().map(|group| (group.clone(), Request::DescribeGroup(group)));
    let asked = ask_each(groups, context, requests);
    let context = context.clone();
    Ok(Answer::later(async move {
        let described = asked.await.into_iter().filter_map(|answer| {
            let Response::DescribeGroup(mut group) = answer else { return None };
            if group.error_code == ErrorCode::None.code() {
                group.authorized_operations = operations;
            }
            Some(group)
        });
        let response = DescribeGroupsResponse { groups: described.collect(), ..Default::default() };
        Body::of(&context, &response)
    }))
}
