//! `/api/stream`: server-sent events. Each look at the rules is told with the number of the last
//! event, so that a page asks for what it shows exactly when there is something new.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use pharos_admin::ErrorBody;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::shared::{Pulse, Shared};

/// So often a line is sent when nothing else is, so that a peer that left is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One browser.
struct Listening {
    pulses: watch::Receiver<Pulse>,
    first: bool,
    _place: OwnedSemaphorePermit,
}

/// `/api/stream`; 503 when too many listen, who then ask from time to time.
pub(crate) async fn answer(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(place) = shared.streams.clone().try_acquire_owned() else {
        let why = "too many browsers are told of changes already";
        return ErrorBody::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    };
    let listening = Listening { pulses: shared.pulse.subscribe(), first: true, _place: place };
    let events = stream::unfold(listening, |mut listening| async move {
        if !std::mem::take(&mut listening.first) {
            // Nothing looks any more once the node stops.
            listening.pulses.changed().await.ok()?;
        }
        let pulse = *listening.pulses.borrow_and_update();
        let data = json!({ "at_ms": pulse.at_ms, "pause_ms": pulse.pause.as_millis() as u64 });
        let event = Event::default().event("look").data(data.to_string());
        Some((Ok::<_, Infallible>(event), listening))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}
