//! Hot keys of a node: its settings, the secret of the cluster that names keys, and
//! `POST /api/keys/hash?topic=T`, which tells what a key is called whose bytes are the body.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use pharos_admin::{ErrorBody, Section};
use pharos_config::{BrokerConfig, rows};
use pharos_insight::{HOT_KEYS_TICK, HotKeys};
use pharos_metadata::image::ConfigResource;
use pharos_metadata::{Controller, ImagePublisher};
use pharos_protocol::batch::MAX_WATCHED_KEY_BYTES;
use serde_json::json;

/// Bytes of a secret that is made here.
const SECRET_BYTES: usize = 32;

/// Takes over what the configuration says.
pub fn set(hot_keys: &HotKeys, config: &BrokerConfig) {
    let secret = config.get(&rows::METRICS_HOT_KEYS_SECRET).map(|secret| secret.reveal());
    let topics = config.get(&rows::METRICS_HOT_KEYS);
    hot_keys.set(topics, secret.filter(|secret| !secret.is_empty()));
}

/// Makes the secret when topics are chosen and there is none.
pub async fn make_secret(hot_keys: &HotKeys, controller: &Controller) {
    if !hot_keys.lacks_secret() {
        return;
    }
    let key = rows::METRICS_HOT_KEYS_SECRET.row.name;
    let made = controller.set_once(ConfigResource::cluster_default(), key, secret()).await;
    if let Err(error) = made {
        tracing::warn!(%error, "keys cannot be named yet");
    }
}

/// Shows hot keys, for ever.
pub async fn keep_current(hot_keys: Arc<HotKeys>, controller: Controller) {
    let mut interval = tokio::time::interval(HOT_KEYS_TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        make_secret(&hot_keys, &controller).await;
        hot_keys.tick();
    }
}

fn secret() -> String {
    let bytes: [u8; SECRET_BYTES] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Clone)]
struct Names {
    hot_keys: Arc<HotKeys>,
    publisher: ImagePublisher,
}

/// The route, for topics that `publisher` knows.
pub fn section(hot_keys: Arc<HotKeys>, publisher: ImagePublisher) -> Section {
    let router = axum::Router::new()
        .route("/api/keys/hash", post(hash))
        .layer(DefaultBodyLimit::max(MAX_WATCHED_KEY_BYTES))
        .with_state(Names { hot_keys, publisher });
    let title = "what hot keys call a key (POST)";
    Section { path: "/api/keys/hash", title, router }
}

async fn hash(
    State(names): State<Names>,
    Query(asked): Query<HashMap<String, String>>,
    key: Bytes,
) -> Response {
    let refused = |status, why: &str| ErrorBody::new(status, why).into_response();
    let Some(topic) = asked.get("topic") else {
        return refused(StatusCode::BAD_REQUEST, "topic is missing");
    };
    if names.publisher.current().topic(topic).is_none() {
        return refused(StatusCode::NOT_FOUND, "no such topic");
    }
    match names.hot_keys.name(topic, &key) {
        Some(hash) => Json(json!({ "hash": hash })).into_response(),
        None => refused(StatusCode::CONFLICT, "metrics.hot.keys is empty, so no key has a name"),
    }
}
