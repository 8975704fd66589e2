//! `/api/config[?topic=]`: every setting with its value and where that comes from, as JSON. Secrets
//! have no value.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use pharos_admin::{ErrorBody, Section};
use pharos_config::{ConfigSource, Described, Mode, Resource, UP_DEFAULTS, UpDefault};
use pharos_metadata::ImagePublisher;
use pharos_metadata::image::ConfigResource;
use serde_json::{Value, json};

use crate::live_config::{LiveConfig, overrides};

#[derive(Clone)]
struct Settings {
    live: Arc<LiveConfig>,
    publisher: ImagePublisher,
}

/// The route, over the settings of a node and of the topics that `publisher` knows.
pub fn section(live: Arc<LiveConfig>, publisher: ImagePublisher) -> Section {
    let state = Settings { live, publisher };
    let router = axum::Router::new().route("/api/config", get(page)).with_state(state);
    Section { path: "/api/config", title: "every setting and its source, as JSON", router }
}

async fn page(
    State(settings): State<Settings>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    let (config, image) = (settings.live.get(), settings.publisher.current());
    let described = match asked.get("topic") {
        None => config.describe_broker(),
        Some(topic) if image.topic(topic).is_some() => config
            .describe(Resource::Topic, &overrides(&image, &ConfigResource::topic(topic.as_str()))),
        Some(_) => return ErrorBody::new(StatusCode::NOT_FOUND, "no such topic").into_response(),
    };
    let mode = config.mode();
    let settings: Vec<_> = described.iter().map(|it| to_json(it, mode)).collect();
    Json(json!({ "settings": settings })).into_response()
}

fn to_json(it: &Described, mode: Mode) -> Value {
    let would = it.synonyms.iter().skip(1).map(
        |other| json!({ "name": other.name, "value": other.value, "source": source(other.source) }),
    );
    json!({
        "name": it.name,
        "value": it.value,
        "source": if is_of_up(it, mode) { "pharos up" } else { source(it.source) },
        "sensitive": it.sensitive,
        "read_only": it.read_only,
        "would_be": would.collect::<Vec<_>>(),
        "meaning": it.doc,
    })
}

/// Whether `pharos up` chose the value: nobody wrote it.
fn is_of_up(it: &Described, mode: Mode) -> bool {
    let chosen = |row: &UpDefault| row.key == it.name && Some(row.value) == it.value.as_deref();
    mode == Mode::Up && it.source == ConfigSource::StaticBroker && UP_DEFAULTS.iter().any(chosen)
}

fn source(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Topic => "topic",
        ConfigSource::DynamicBroker => "broker, dynamic",
        ConfigSource::DynamicDefaultBroker => "all brokers, dynamic",
        ConfigSource::StaticBroker => "file or environment",
        ConfigSource::Default => "default",
        ConfigSource::ClientMetrics => "client metrics",
        ConfigSource::Group => "group",
    }
}
