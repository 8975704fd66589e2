//! ListGroups, versions 0–5: the groups that this broker coordinates.
//!
//! - v4: filter by state; v5: filter by type.

use std::sync::Arc;

use pharos_coordinator::{Request, Response};
use pharos_protocol::Message;
use pharos_protocol::messages::{ListGroupsRequest, ListGroupsResponse};

use crate::context::{Answer, AnswerError, Body, RequestContext};
use crate::group_requests::caller;
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
    let request = ListGroupsRequest::decode(body, context.version)?;
    let asked = Request::ListGroups { states: request.states_filter, types: request.types_filter };
    let (groups, context) = (groups.clone(), context.clone());
    Ok(Answer::later(async move {
        let (answers, error) = groups.request_all(&caller(&context), &asked).await;
        let listed = answers.into_iter().filter_map(|answer| match answer {
            Response::ListGroups(groups) => Some(groups),
            _ => None,
        });
        let response = ListGroupsResponse {
            error_code: error.code(),
            groups: listed.flatten().collect(),
            ..Default::default()
        };
        Body::of(&context, &response)
    }))
}
