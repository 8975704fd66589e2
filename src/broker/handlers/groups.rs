//! The APIs of groups and offsets: each takes the request apart by group, asks the coordinator, and
//! puts the answer together again.
//!
//! JoinGroup v0–9, SyncGroup v0–5, Heartbeat v0–4, LeaveGroup v0–5, OffsetCommit v2–10,
//! OffsetFetch v1–10, OffsetDelete v0, ConsumerGroupHeartbeat v0–1, ListGroups v0–5,
//! DescribeGroups v0–6, ConsumerGroupDescribe v0–1, DeleteGroups v0–2.

use std::sync::Arc;

use pharos_coordinator::offsets::fetch::{groups_of, response_of};
use pharos_coordinator::{Context, Request, Response};
use pharos_protocol::messages as m;
use pharos_protocol::{ApiKey, DecodeError, ErrorCode, Message};

use crate::authorizer::{self, GROUP_OPERATIONS};
use crate::context::{Answer, AnswerError, Body, RequestContext};
use crate::groups::Groups;

/// Whether `api` is answered here.
pub fn serves(api: ApiKey) -> bool {
    matches!(
        api,
        ApiKey::JoinGroup
            | ApiKey::SyncGroup
            | ApiKey::Heartbeat
            | ApiKey::LeaveGroup
            | ApiKey::OffsetCommit
            | ApiKey::OffsetFetch
            | ApiKey::OffsetDelete
            | ApiKey::ConsumerGroupHeartbeat
            | ApiKey::ListGroups
            | ApiKey::DescribeGroups
            | ApiKey::ConsumerGroupDescribe
            | ApiKey::DeleteGroups
    )
}

/// Lets the request take effect and answers it.
///
/// # Errors
/// When the body is malformed.
pub fn answer(
    groups: &Arc<Groups>,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, DecodeError> {
    let version = context.version;
    /// One group, one answer of the same shape as the response.
    macro_rules! one {
        ($name:ident, $request:ident) => {{
            let request = m::$request::decode(body, version)?;
            let group = request.group_id.clone();
            let asked = groups.request(&group, caller(context), Request::$name(request));
            let context = context.clone();
            later(async move {
                match asked.await {
                    Response::$name(response) => Body::of(&context, &response),
                    _ => Err(AnswerError::mismatch(&context)),
                }
            })
        }};
    }
    Ok(match context.api {
        ApiKey::JoinGroup => one!(JoinGroup, JoinGroupRequest),
        ApiKey::SyncGroup => one!(SyncGroup, SyncGroupRequest),
        ApiKey::Heartbeat => one!(Heartbeat, HeartbeatRequest),
        ApiKey::LeaveGroup => one!(LeaveGroup, LeaveGroupRequest),
        ApiKey::OffsetCommit => one!(OffsetCommit, OffsetCommitRequest),
        ApiKey::OffsetDelete => one!(OffsetDelete, OffsetDeleteRequest),
        ApiKey::ConsumerGroupHeartbeat => {
            one!(ConsumerGroupHeartbeat, ConsumerGroupHeartbeatRequest)
        }
        ApiKey::OffsetFetch => {
            fetch(groups, context, m::OffsetFetchRequest::decode(body, version)?)
        }
        ApiKey::ListGroups => list(groups, context, m::ListGroupsRequest::decode(body, version)?),
        ApiKey::DescribeGroups => {
            describe(groups, context, m::DescribeGroupsRequest::decode(body, version)?)
        }
        ApiKey::ConsumerGroupDescribe => consumer_describe(
            groups,
            context,
            m::ConsumerGroupDescribeRequest::decode(body, version)?,
        ),
        _ => delete(groups, context, m::DeleteGroupsRequest::decode(body, version)?),
    })
}

fn later(answer: impl Future<Output = Result<Body, AnswerError>> + Send + 'static) -> Answer {
    Answer::Later(Box::pin(answer))
}

fn caller(context: &RequestContext) -> Context {
    Context {
        api_version: context.version,
        client_id: context.client_id.clone(),
        client_host: context.client_host().into(),
    }
}

fn fetch(groups: &Arc<Groups>, context: &RequestContext, request: m::OffsetFetchRequest) -> Answer {
    let require_stable = request.require_stable;
    let wanted = groups_of(request, context.version);
    // Only the oldest versions need to know again what was asked for.
    let first = wanted.first().filter(|_| context.version < 2).cloned();
    let asked: Vec<_> = wanted
        .into_iter()
        .map(|group| {
            let id = group.group_id.clone();
            groups.request(&id, caller(context), Request::OffsetFetch { group, require_stable })
        })
        .collect();
    let context = context.clone();
    later(async move {
        let mut answers = Vec::with_capacity(asked.len());
        for one in asked {
            if let Response::OffsetFetch(group) = one.await {
                answers.push(group);
            }
        }
        Body::of(&context, &response_of(answers, first.as_ref(), context.version))
    })
}

fn list(groups: &Arc<Groups>, context: &RequestContext, request: m::ListGroupsRequest) -> Answer {
    let (groups, context) = (groups.clone(), context.clone());
    later(async move {
        let asked =
            Request::ListGroups { states: request.states_filter, types: request.types_filter };
        let (answers, error) = groups.request_all(&caller(&context), &asked).await;
        let mut response = m::ListGroupsResponse { error_code: error.code(), ..Default::default() };
        for answer in answers {
            if let Response::ListGroups(groups) = answer {
                response.groups.extend(groups);
            }
        }
        Body::of(&context, &response)
    })
}

fn describe(
    groups: &Arc<Groups>,
    context: &RequestContext,
    request: m::DescribeGroupsRequest,
) -> Answer {
    let operations =
        authorizer::operations(request.include_authorized_operations, GROUP_OPERATIONS);
    let asked: Vec<_> = request
        .groups
        .into_iter()
        .map(|group| {
            let id = group.clone();
            groups.request(&id, caller(context), Request::DescribeGroup(group))
        })
        .collect();
    let context = context.clone();
    later(async move {
        let mut response = m::DescribeGroupsResponse::default();
        for one in asked {
            if let Response::DescribeGroup(mut group) = one.await {
                if group.error_code == ErrorCode::None.code() {
                    group.authorized_operations = operations;
                }
                response.groups.push(group);
            }
        }
        Body::of(&context, &response)
    })
}

fn consumer_describe(
    groups: &Arc<Groups>,
    context: &RequestContext,
    request: m::ConsumerGroupDescribeRequest,
) -> Answer {
    let operations =
        authorizer::operations(request.include_authorized_operations, GROUP_OPERATIONS);
    let asked: Vec<_> = request
        .group_ids
        .into_iter()
        .map(|group| {
            let id = group.clone();
            groups.request(&id, caller(context), Request::ConsumerGroupDescribe(group))
        })
        .collect();
    let context = context.clone();
    later(async move {
        let mut response = m::ConsumerGroupDescribeResponse::default();
        for one in asked {
            if let Response::ConsumerGroupDescribe(mut group) = one.await {
                if group.error_code == ErrorCode::None.code() {
                    group.authorized_operations = operations;
                }
                response.groups.push(group);
            }
        }
        Body::of(&context, &response)
    })
}

fn delete(
    groups: &Arc<Groups>,
    context: &RequestContext,
    request: m::DeleteGroupsRequest,
) -> Answer {
    let asked: Vec<_> = request
        .groups_names
        .into_iter()
        .map(|group| {
            let id = group.clone();
            groups.request(&id, caller(context), Request::DeleteGroup(group))
        })
        .collect();
    let context = context.clone();
    later(async move {
        let mut response = m::DeleteGroupsResponse::default();
        for one in asked {
            if let Response::DeleteGroup(result) = one.await {
                response.results.push(result);
            }
        }
        Body::of(&context, &response)
    })
}
