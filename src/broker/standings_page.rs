//! `/api/standings?group=`: how a group stands in each partition, beyond what series tell, as JSON.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use pharos_admin::{ErrorBody, Section};
use pharos_insight::Lag;
use serde_json::json;

/// Partitions in an answer: those with the oldest commits; more are counted.
const MAX_PARTITIONS: usize = 10_000;

/// The route, over the lag of the groups of a node.
pub fn section(lag: Arc<Lag>) -> Section {
    let router = axum::Router::new().route("/api/standings", get(page)).with_state(lag);
    let title = "how a group stands in each partition (?group=), as JSON";
    Section { path: "/api/standings", title, router }
}

async fn page(
    State(lag): State<Arc<Lag>>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let Some(group) = asked.get("group") else {
        let why = "group, the name of a group, is wanted";
        return ErrorBody::new(StatusCode::BAD_REQUEST, why).into_response();
    };
    let Some(mut all) = lag.standings(group) else {
        return ErrorBody::new(StatusCode::NOT_FOUND, "no such group").into_response();
    };
    let left_out = all.len().saturating_sub(MAX_PARTITIONS);
    if left_out > 0 {
        all.sort_by_key(|it| (Reverse(it.expired), it.committed_ms));
    }
    let told = all.into_iter().take(MAX_PARTITIONS).map(|it| {
        json!({
            "topic": &*it.topic,
            "partition": it.partition.0,
            "status": it.status,
            "last_commit_ms": it.committed_ms,
            "expired_records": it.expired,
        })
    });
    let told: Vec<_> = told.collect();
    Json(json!({ "partitions": told, "left_out": left_out })).into_response()
}
