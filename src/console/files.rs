//! `/console/<file>`: the page's own scripts and styles, compiled in.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pharos_admin::ErrorBody;

use crate::answer::of_type;

const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

macro_rules! files {
    ($($name:literal $kind:expr),* $(,)?) => {
        /// Name, type and text of each file.
        pub(crate) const FILES: &[(&str, &str, &str)] =
            &[$(($name, $kind, include_str!(concat!("web/", $name)))),*];
    };
}

files! {
    "app.js" JS,
    "charts.js" JS,
    "dom.js" JS,
    "format.js" JS,
    "views.js" JS,
    "details.js" JS,
    "beans.js" JS,
    "press.js" JS,
    "uplot.js" JS,
    "style.css" CSS,
    "uplot.css" CSS,
    "uplot.LICENSE" "text/plain; charset=utf-8",
}

/// `/console/<file>`; a browser that has the file is told so.
pub(crate) async fn answer(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, kind, text)) = FILES.iter().find(|(have, ..)| *have == name) else {
        return ErrorBody::new(StatusCode::NOT_FOUND, "no such file").into_response();
    };
    let tag = tag(text);
    let known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|it| it.as_bytes() == tag.as_bytes());
    let mut response = of_type(kind, if known { "" } else { *text }, false);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn tag(text: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}
