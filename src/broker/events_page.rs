//! `/events`: what happened, as JSON, for timelines and for whoever annotates charts.
//!
//! `?after=ID` gives what came after that event, `?limit=N` at most so many, oldest first.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use pharos_admin::{ErrorBody, Section};
use pharos_insight::{Event, Events, MAX_EVENTS};
use serde_json::{Value, json};

/// The route, over the events of a node.
pub fn section(events: Arc<Events>) -> Section {
    let router = axum::Router::new().route("/events", get(page)).with_state(events);
    Section { path: "/events", title: "what happened, as JSON", router }
}

async fn page(
    State(events): State<Arc<Events>>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let number = |name: &str, default: u64| match asked.get(name) {
        Some(text) => text.parse().map_err(|_| format!("{name} must be a whole number")),
        None => Ok(default),
    };
    match (number("after", 0), number("limit", MAX_EVENTS as u64)) {
        (Ok(after), Ok(limit)) => {
            let limit = usize::try_from(limit).unwrap_or(MAX_EVENTS);
            let found: Vec<_> = events.after(after, limit).iter().map(to_json).collect();
            Json(json!({ "events": found })).into_response()
        }
        (Err(problem), _) | (_, Err(problem)) => {
            ErrorBody::new(StatusCode::BAD_REQUEST, problem).into_response()
        }
    }
}

fn to_json(event: &Event) -> Value {
    json!({
        "id": event.id,
        "time_ms": event.time_ms,
        "kind": event.kind.name(),
        "subject": event.subject,
        "text": event.text,
    })
}
