//! Rule files, read at the start and read anew when someone asks: by SIGHUP, or by
//! `POST /-/reload`. What is broken or doubtful leaves the old rules in place.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;
use pharos_admin::{ErrorBody, Section};
use pharos_insight::{EventKind, Events, Happened};
use pharos_metrics::rules::MAX_FILE;
use pharos_metrics::{Generation, Pages, RuleError, RuleSet};

/// A rule file and the page that it makes.
#[derive(Debug, Clone)]
pub struct RuleSource {
    /// The name of the page.
    pub page: String,
    /// The file.
    pub file: String,
}

/// Reads the text of a rule file, no more of it than a rule file may have.
///
/// # Errors
/// When it cannot be read.
pub fn read(file: &str) -> Result<String, RuleError> {
    let limit = MAX_FILE as u64 + 1;
    let mut text = String::new();
    File::open(file)
        .and_then(|open| open.take(limit).read_to_string(&mut text))
        .map_err(|error| RuleError { file: file.to_owned(), message: error.to_string() })?;
    Ok(text)
}

/// Reads rule files anew.
#[derive(Debug)]
pub struct Reload {
    pages: Arc<Pages>,
    sources: Vec<RuleSource>,
    generation: Generation,
    events: Arc<Events>,
    /// One at a time.
    turn: Mutex<()>,
}

impl Reload {
    /// For the pages of a node.
    pub fn new(
        pages: Arc<Pages>,
        sources: Vec<RuleSource>,
        generation: Generation,
        events: Arc<Events>,
    ) -> Self {
        Self { pages, sources, generation, events, turn: Mutex::default() }
    }

    /// Reads every rule file; each that is refused leaves its old rules in place. It may wait for
    /// a disk.
    ///
    /// # Errors
    /// Why files were refused, a line each.
    pub fn run(&self) -> Result<(), Vec<RuleError>> {
        let _turn = self.turn.lock();
        let mut refused = Vec::new();
        for RuleSource { page, file } in &self.sources {
            let rules =
                read(file).and_then(|text| RuleSet::parse_strictly(&text, file, self.generation));
            let text = match self.pages.reload(page, rules) {
                Ok(()) => {
                    tracing::info!(%page, %file, "rules are read anew");
                    format!("the rules of {page} are read anew")
                }
                Err(error) => {
                    tracing::error!(%page, "the old rules stay: {error}");
                    let text = format!("the old rules of {page} stay: {error}");
                    refused.push(error);
                    text
                }
            };
            let kind = EventKind::Reload;
            self.events.record(Happened { kind, subject: file.clone(), text });
        }
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }
}

/// The route.
#[derive(Clone)]
struct Door {
    reload: Arc<Reload>,
    open: bool,
}

/// `POST /-/reload`, which answers 403 unless it is `open`.
pub fn section(reload: Arc<Reload>, open: bool) -> Section {
    let door = Door { reload, open };
    let router = axum::Router::new().route("/-/reload", post(asked).put(asked)).with_state(door);
    Section { path: "/-/reload", title: "reads the rule files anew (POST)", router }
}

async fn asked(State(door): State<Door>) -> Response {
    if !door.open {
        let why = "admin.lifecycle.enable is false";
        return ErrorBody::new(StatusCode::FORBIDDEN, why).into_response();
    }
    let failed =
        |why: String| ErrorBody::new(StatusCode::INTERNAL_SERVER_ERROR, why).into_response();
    match tokio::task::spawn_blocking(move || door.reload.run()).await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(refused)) => {
            let lines: Vec<_> = refused.iter().map(ToString::to_string).collect();
            failed(lines.join("\n"))
        }
        Err(error) => failed(format!("the reading was interrupted: {error}")),
    }
}
