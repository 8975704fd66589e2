//! DeleteGroups, versions 0–2: forgets groups without members, and their offsets.

use std::sync::Arc;

use indexmap::IndexSet;
use pharos_coordinator::{Request, Response};
use pharos_protocol::Message;
use pharos_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

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
    let request = DeleteGroupsRequest::decode(body, context.version)?;
    let names: IndexSet<_> = request.groups_names.into_iter().collect();
    let requests = names.into_iter().map(|group| (group.clone(), Request::DeleteGroup(group)));
    let asked = ask_each(groups, context, requests);
    let context = context.clone();
    Ok(Answer::later(async move {
        let results = asked.await.into_iter().filter_map(|answer| match answer {
            Response::DeleteGroup(result) => Some(result),
            _ => None,
        });
        let response = DeleteGroupsResponse { results: results.collect(), ..Default::default() };
        Body::of(&context, &response)
    }))
}
