//! Rule files, read at the start and read anew when someone asks: by SIGHUP, or by
//! `POST /-/reload`. What is broken or doubtful leaves the old rules in place. Certificates and users of
//! the admin listener are read with them.

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
use pharos_metrics::rules::{HttpServer, MAX_FILE};
use pharos_metrics::{Generation, Pages, RuleError, RuleSet};
use pharos_security::Reading;

use crate::security_files::SecurityFiles;

/// A rule file and the page that it makes.
#[derive(Debug, Clone)]
pub struct RuleSource {
    /// The name of the page.
    pub page: String,
    /// The file.
    pub file: String,
    /// What it said of its server at the start: that acts until the end.
    pub server: Option<HttpServer>,
}

impl RuleSource {
    /// Reads the file anew.
    fn read(&self, generation: Generation) -> Result<RuleSet, RuleError> {
        let rules = RuleSet::parse_strictly(&read(&self.file)?, &self.file, generation)?;
        let same = match (rules.http_server(), &self.server) {
            (Some(now), Some(then)) => (&now.basic, &now.ssl) == (&then.basic, &then.ssl),
            (now, then) => now.is_none() && then.is_none(),
        };
        if same {
            // As at a start.
            for warning in rules.warnings() {
                tracing::warn!("{}: {warning}", self.file);
            }
            return Ok(rules);
        }
        let line = rules.http_server().map_or(1, |server| server.line);
        let why = "ssl and authentication are other ones than at the start: expected a restart";
        let message = format!("line {line}: httpServer: {why}");
        Err(RuleError { file: self.file.clone(), message })
    }
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
    files: SecurityFiles,
    /// One at a time.
    turn: Mutex<()>,
}

impl Reload {
    /// For the pages of a node and the files that protect them.
    pub fn new(
        (pages, sources): (Arc<Pages>, Vec<RuleSource>),
        generation: Generation,
        events: Arc<Events>,
        files: SecurityFiles,
    ) -> Self {
        Self { pages, sources, generation, events, files, turn: Mutex::default() }
    }

    /// Reads every file; each that is refused leaves what was before in place. It may wait for a
    /// disk.
    ///
    /// # Errors
    /// Why files were refused, a line each.
    pub fn run(&self) -> Result<(), Vec<String>> {
        let _turn = self.turn.lock();
        let mut refused = self.files.refresh(Reading::Asked, &self.events);
        for source in &self.sources {
            let RuleSource { page, file, .. } = source;
            let text = match self.pages.reload(page, source.read(self.generation)) {
                Ok(()) => {
                    tracing::info!(%page, %file, "rules are read anew");
                    format!("the rules of {page} are read anew")
                }
                Err(error) => {
                    tracing::error!(%page, "the old rules stay: {error}");
                    let text = format!("the old rules of {page} stay: {error}");
                    refused.push(error.to_string());
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
        Ok(Err(refused)) => failed(refused.join("\n")),
        Err(error) => failed(format!("the reading was interrupted: {error}")),
    }
}
