//! The routes of the console.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use pharos_admin::Section;

use crate::pulse::keep_looking;
use crate::shared::{ConsoleOptions, Shared, open};
use crate::{beans, explained, files, groups, lines, now, page, runbooks, skew, stream, topics};

/// The pages of the console. Looking at the rules begins when somebody watches the node, and ends with the last copy
/// of the section.
pub fn section(options: ConsoleOptions) -> Section {
    let runtime = options.runtime.clone();
    let shared = open(options);
    runtime.spawn(keep_looking(Arc::downgrade(&shared)));
    Section { path: "/", title: "the console", router: routes(shared) }
}

/// The routes.
pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(page::answer))
        .route("/console/{file}", get(files::answer))
        .route("/runbooks/{name}", get(runbooks::answer))
        .route("/api/now", get(now::answer))
        .route("/api/lines", get(lines::answer))
        .route("/api/explain", get(explained::answer))
        .route("/api/cost", get(explained::cost))
        .route("/api/beans", get(beans::list))
        .route("/api/bean", get(beans::one))
        .route("/api/try", post(beans::tried))
        .route("/api/groups", get(groups::list))
        .route("/api/group", get(groups::one))
        .route("/api/topics", get(topics::list))
        .route("/api/topic", get(topics::one))
        .route("/api/skew", get(skew::answer))
        .route("/api/stream", get(stream::answer))
        .layer(middleware::from_fn_with_state(shared.clone(), visited))
        .with_state(shared)
}

/// Notes that a browser was here.
async fn visited(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    shared.visit();
    next.run(request).await
}
