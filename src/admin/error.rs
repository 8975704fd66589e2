//! Answers to requests that cannot be served: always JSON, never an echo of what was sent.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A status and a sentence, as `{"error_code": 404, "message": "..."}` (the shape of Kafka
/// Connect's REST interface).
#[derive(Debug)]
pub struct ErrorBody {
    status: StatusCode,
    message: String,
}

impl ErrorBody {
    /// An error of `status`; `message` is a lower-case sentence.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl IntoResponse for ErrorBody {
    fn into_response(self) -> Response {
        let body = json!({ "error_code": self.status.as_u16(), "message": self.message });
        (self.status, Json(body)).into_response()
    }
}

/// Gives errors without a JSON body one, and keeps their other headers (such as `allow`).
pub(crate) fn with_body(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let json = HeaderValue::from_static("application/json");
    if !is_error || response.headers().get(header::CONTENT_TYPE) == Some(&json) {
        return response;
    }
    let message = status.canonical_reason().unwrap_or("error").to_lowercase();
    let mut filled = ErrorBody::new(status, message).into_response();
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            filled.headers_mut().insert(name, value.clone());
        }
    }
    filled
}
