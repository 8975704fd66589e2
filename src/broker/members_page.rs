//! `/api/members?group=`: who is in a group, from where, and with which partitions, as JSON.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response as HttpResponse};
use axum::routing::get;
use pharos_admin::{ErrorBody, Section};
use pharos_coordinator::{Context, Request, Response};
use pharos_protocol::messages::ConsumerProtocolAssignment;
use pharos_protocol::messages::consumer_group_describe_response::DescribedGroup as ConsumerGroup;
use pharos_protocol::messages::describe_groups_response::DescribedGroup as ClassicGroup;
use pharos_protocol::{ErrorCode, Message};
use serde_json::{Value, json};

use crate::groups::Groups;

/// Versions that tell everything.
const DESCRIBE_GROUPS: i16 = 6;
const CONSUMER_GROUP_DESCRIBE: i16 = 1;
/// The newest version of an assignment that is known; newer ones begin with the same fields.
const ASSIGNMENT: i16 = 3;
/// Members in an answer; more are counted.
const MAX_MEMBERS: usize = 1000;

/// The route, over the groups of a node.
pub fn section(groups: Arc<Groups>) -> Section {
    let router = axum::Router::new().route("/api/members", get(page)).with_state(groups);
    Section { path: "/api/members", title: "the members of a group (?group=), as JSON", router }
}

async fn page(
    State(groups): State<Arc<Groups>>,
    Query(asked): Query<HashMap<String, String>>,
) -> HttpResponse {
    let Some(group) = asked.get("group") else {
        let why = "group, the name of a group, is wanted";
        return ErrorBody::new(StatusCode::BAD_REQUEST, why).into_response();
    };
    match members(&groups, group).await {
        Ok(members) => {
            let left_out = members.len().saturating_sub(MAX_MEMBERS);
            let members: Vec<_> = members.into_iter().take(MAX_MEMBERS).collect();
            Json(json!({ "members": members, "left_out": left_out })).into_response()
        }
        Err(error) => ErrorBody::new(StatusCode::NOT_FOUND, error.name()).into_response(),
    }
}

/// The members of a group of either protocol.
async fn members(groups: &Arc<Groups>, group: &str) -> Result<Vec<Value>, ErrorCode> {
    let context = |api_version| Context {
        api_version,
        client_id: "console".into(),
        client_host: "/127.0.0.1".into(),
    };
    let request = Request::ConsumerGroupDescribe(group.to_owned());
    let described = groups.request(group, context(CONSUMER_GROUP_DESCRIBE), request).await;
    if let Response::ConsumerGroupDescribe(described) = described
        && described.error_code == ErrorCode::None.code()
    {
        return Ok(of_consumer(described));
    }
    let request = Request::DescribeGroup(group.to_owned());
    match groups.request(group, context(DESCRIBE_GROUPS), request).await {
        Response::DescribeGroup(described) if described.error_code == ErrorCode::None.code() => {
            Ok(of_classic(described))
        }
        Response::DescribeGroup(described) => {
            Err(ErrorCode::from_code(described.error_code).unwrap_or(ErrorCode::UnknownServerError))
        }
        _ => Err(ErrorCode::UnknownServerError),
    }
}

fn of_consumer(group: ConsumerGroup) -> Vec<Value> {
    let of = |member: pharos_protocol::messages::consumer_group_describe_response::Member| {
        let assigned: BTreeMap<_, _> = member
            .assignment
            .topic_partitions
            .into_iter()
            .map(|it| (it.topic_name, it.partitions))
            .collect();
        json!({
            "member_id": member.member_id,
            "instance_id": member.instance_id,
            "client_id": member.client_id,
            "host": member.client_host,
            "partitions": assigned,
        })
    };
    group.members.into_iter().map(of).collect()
}

fn of_classic(group: ClassicGroup) -> Vec<Value> {
    let of = |member: pharos_protocol::messages::describe_groups_response::DescribedGroupMember| {
        json!({
            "member_id": member.member_id,
            "instance_id": member.group_instance_id,
            "client_id": member.client_id,
            "host": member.client_host,
            "partitions": assigned(&member.member_assignment),
        })
    };
    group.members.into_iter().map(of).collect()
}

/// Partitions by topic; none where a client wrote something else.
fn assigned(bytes: &[u8]) -> BTreeMap<String, Vec<i32>> {
    let Some((version, body)) = bytes.split_first_chunk::<2>() else { return BTreeMap::new() };
    let version = i16::from_be_bytes(*version).clamp(0, ASSIGNMENT);
    let Ok(read) = ConsumerProtocolAssignment::decode(body, version) else {
        return BTreeMap::new();
    };
    read.assigned_partitions.into_iter().map(|it| (it.topic, it.partitions)).collect()
}
