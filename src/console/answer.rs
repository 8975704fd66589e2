//! What every answer carries: its type, and what a browser may do with it.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use pharos_admin::ErrorBody;
use serde_json::Value;

/// Nothing from elsewhere, nothing inline: a name that looks like a script stays a name.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An answer of a type; `fresh` forbids to keep it.
pub(crate) fn of_type(kind: &'static str, body: impl Into<Body>, fresh: bool) -> Response {
    let mut response = Response::new(body.into());
    let cache = if fresh { "no-store" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// JSON of now.
pub(crate) fn json(value: &Value) -> Response {
    of_type("application/json", value.to_string(), true)
}

/// A number; JSON has no word for those that are not finite.
pub(crate) fn number(value: f64) -> Value {
    match value {
        value if value.is_finite() => value.into(),
        value if value.is_nan() => "NaN".into(),
        value => if value > 0.0 { "+Inf" } else { "-Inf" }.into(),
    }
}

/// A request that cannot be served.
pub(crate) fn refused(why: impl Into<String>) -> ErrorBody {
    ErrorBody::new(StatusCode::BAD_REQUEST, why)
}
