//! OffsetFetch, versions 1–10: what groups have committed.
//!
//! - v2: null asks for all topics, and there is an error for the whole; v5: leader epochs.
//! - v7: only offsets that no open transaction may change; v8: several groups.
//! - v9: members of KIP-848; v10: topics by id.

use std::sync::Arc;

use pharos_coordinator::offsets::fetch::{groups_of, response_of};
use pharos_coordinator::{Request, Response};
use pharos_protocol::Message;
use pharos_protocol::messages::OffsetFetchRequest;

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
    let request = OffsetFetchRequest::decode(body, context.version)?;
    let require_stable = request.require_stable;
    let wanted = groups_of(request, context.version);
    // Only the oldest versions need to know again what was asked for.
    let first = wanted.first().filter(|_| context.version < 2).cloned();
    let requests = wanted
        .into_iter()
        .map(|group| (group.group_id.clone(), Request::OffsetFetch { group, require_stable }));
    let asked = ask_each(groups, context, requests);
    let context = context.clone();
    Ok(Answer::later(async move {
        let answers = asked.await.into_iter().filter_map(|answer| match answer {
            Response::OffsetFetch(group) => Some(group),
            _ => None,
        });
        let response = response_of(answers.collect(), first.as_ref(), context.version);
        Body::of(&context, &response)
    }))
}
