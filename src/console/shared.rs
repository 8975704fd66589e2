//! What the console's routes share, and the section that they make.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::RwLock;
use pharos_admin::{ErrorBody, Readiness, Section};
use pharos_alerting::{RuleError, Rules, Target, Watch};
use pharos_explain::{Known, Queries, RULES};
use pharos_metrics::{Generation, Pages, Registry};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use crate::limits::{MAX_STREAMS, MAX_WORKING};
use crate::lines::{OWN_RULES, kept_lines};
use crate::pulse::{Pulse, keep_looking};
use crate::{explained, files, groups, lines, now, page, runbooks, skew, stream, topics};

/// What a console shows of a node.
pub struct ConsoleOptions {
    /// Its families.
    pub registry: Registry,
    /// Its pages.
    pub pages: Arc<Pages>,
    /// Whether it is ready.
    pub readiness: Readiness,
    /// Its id.
    pub node_id: i32,
    /// Id of its cluster.
    pub cluster_id: String,
    /// Where its pages are, as `host:port`: the label `instance` in what alerts say.
    pub instance: String,
    /// Time between two looks at the rules.
    pub every: Duration,
    /// Whose names the rules of pages make.
    pub generation: Generation,
    /// Where the looking runs.
    pub runtime: Handle,
}

/// Alerts that only those can see who scrape.
const OUTSIDE: [(&str, &str); 5] = [
    ("Watchdog", "it fires always, to show that alerts arrive"),
    ("BrokerDown", "only who scrapes a broker sees that it does not answer"),
    ("NoBrokers", "only Prometheus knows its targets"),
    ("BrokerNotScraped", "only Prometheus knows its targets"),
    ("ScrapeFailing", "only who scrapes a page sees that it does not answer"),
];

/// The label `cluster` in what alerts say, as in the shipped prometheus.yml.
const CLUSTER: &str = "pharos";

/// What routes share.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) pages: Arc<Pages>,
    pub(crate) readiness: Readiness,
    pub(crate) node_id: i32,
    pub(crate) cluster_id: String,
    pub(crate) every: Duration,
    generation: Generation,
    target: Target,
    /// Without rules until the first look.
    pub(crate) watch: RwLock<Watch>,
    /// Moves with each look.
    pub(crate) pulse: watch::Sender<Pulse>,
    pub(crate) streams: Arc<Semaphore>,
    known: OnceLock<Option<(Known, Queries)>>,
    working: Semaphore,
}

/// The pages of the console. Looking at the rules begins a moment later, and ends with the last copy
/// of the section.
pub fn section(options: ConsoleOptions) -> Section {
    let runtime = options.runtime.clone();
    let shared = open(options);
    runtime.spawn(keep_looking(Arc::downgrade(&shared)));
    Section { path: "/", title: "the console", router: routes(shared) }
}

/// A console that has not looked yet.
pub(crate) fn open(options: ConsoleOptions) -> Arc<Shared> {
    let target = Target { cluster: CLUSTER.to_owned(), instance: options.instance };
    Arc::new(Shared {
        registry: options.registry,
        pages: options.pages,
        readiness: options.readiness,
        node_id: options.node_id,
        cluster_id: options.cluster_id,
        every: options.every,
        generation: options.generation,
        watch: RwLock::new(Watch::new(Rules::default(), target.clone(), &[], &[])),
        target,
        pulse: watch::Sender::new(Pulse::default()),
        streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        known: OnceLock::new(),
        working: Semaphore::new(MAX_WORKING),
    })
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
        .route("/api/groups", get(groups::list))
        .route("/api/group", get(groups::one))
        .route("/api/topics", get(topics::list))
        .route("/api/topic", get(topics::one))
        .route("/api/skew", get(skew::answer))
        .route("/api/stream", get(stream::answer))
        .with_state(shared)
}

impl Shared {
    /// Reads the rules, which takes too long for the start of a node.
    ///
    /// # Errors
    /// When a rule file that is compiled in is broken.
    pub(crate) fn read_rules(&self) -> Result<(), RuleError> {
        let rules = Rules::parse(RULES.iter().copied().chain([OWN_RULES]))?;
        *self.watch.write() = Watch::new(rules, self.target.clone(), &OUTSIDE, &kept_lines());
        Ok(())
    }

    /// Makes an answer on a thread that may take its time, a few at once.
    pub(crate) async fn work(
        self: &Arc<Self>,
        make: impl FnOnce(&Self) -> Response + Send + 'static,
    ) -> Response {
        let Ok(_turn) = self.working.acquire().await else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        let shared = self.clone();
        let made = tokio::task::spawn_blocking(move || make(&shared)).await;
        made.unwrap_or_else(|error| {
            tracing::error!(%error, "an answer of the console failed");
            let why = "the answer could not be made";
            ErrorBody::new(StatusCode::INTERNAL_SERVER_ERROR, why).into_response()
        })
    }

    /// Series and queries that are compiled in, read once.
    pub(crate) fn known(&self) -> Option<&(Known, Queries)> {
        let read = || Some((Known::built_in(self.generation).ok()?, Queries::shipped().ok()?));
        self.known.get_or_init(read).as_ref()
    }
}
