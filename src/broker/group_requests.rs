//! How handlers ask the group coordinator: a request takes effect before this returns, its answer
//! may wait.

use std::sync::Arc;

use pharos_coordinator::{Context, Request, Response};

use crate::context::{Answer, AnswerError, Body, RequestContext};
use crate::groups::Groups;

/// The asker as the coordinator knows it.
pub fn caller(context: &RequestContext) -> Context {
    Context {
        api_version: context.version,
        client_id: context.client_id.clone(),
        client_host: context.client_host().into(),
    }
}

/// Asks about one group; its answer is the whole response.
pub fn ask(
    groups: &Arc<Groups>,
    context: &RequestContext,
    group: &str,
    request: Request,
) -> Answer {
    let asked = groups.request(group, caller(context), request);
    let context = context.clone();
    Answer::later(async move { whole(&context, asked.await) })
}

/// Asks about several groups, in this order. The future gives as many answers, in the same order.
pub fn ask_each(
    groups: &Arc<Groups>,
    context: &RequestContext,
    requests: impl IntoIterator<Item = (String, Request)>,
) -> impl Future<Output = Vec<Response>> + Send + 'static {
    let caller = caller(context);
    let asked: Vec<_> = requests
        .into_iter()
        .map(|(group, request)| groups.request(&group, caller.clone(), request))
        .collect();
    async move {
        let mut answers = Vec::with_capacity(asked.len());
        for answer in asked {
            answers.push(answer.await);
        }
        answers
    }
}

/// A response that is about one group alone.
fn whole(context: &RequestContext, response: Response) -> Result<Body, AnswerError> {
    match response {
        Response::JoinGroup(response) => Body::of(context, &response),
        Response::SyncGroup(response) => Body::of(context, &response),
        Response::Heartbeat(response) => Body::of(context, &response),
        Response::LeaveGroup(response) => Body::of(context, &response),
        Response::OffsetCommit(response) => Body::of(context, &response),
        Response::OffsetDelete(response) => Body::of(context, &response),
        Response::ConsumerGroupHeartbeat(response) => Body::of(context, &response),
        Response::OffsetFetch(_)
        | Response::DescribeGroup(_)
        | Response::ConsumerGroupDescribe(_)
        | Response::ListGroups(_)
        | Response::DeleteGroup(_) => Err(AnswerError::mismatch(context)),
    }
}
