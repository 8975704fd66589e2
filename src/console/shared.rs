//! What the console's routes share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use parking_lot::RwLock;
use pharos_admin::{ErrorBody, Readiness};
use pharos_alerting::{Rules, Target, Watch, WatchOptions};
use pharos_explain::{Known, Queries};
use pharos_metrics::{Generation, Pages, Registry};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use crate::limits::{MAX_STREAMS, MAX_WORKING};

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
    /// Bytes that the figures of the past may take.
    pub memory_bytes: usize,
    /// Whose names the rules of pages make.
    pub generation: Generation,
    /// Where the looking runs.
    pub runtime: Handle,
}

/// The label `cluster` in what alerts say, as in the shipped prometheus.yml.
const CLUSTER: &str = "pharos";

/// The last look.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pulse {
    /// When it was, in ms since 1970; 0 before the first.
    pub(crate) at_ms: i64,
    /// How long it took.
    pub(crate) took: Duration,
    /// What it cost of a core.
    pub(crate) cost: Duration,
    /// How long until the next.
    pub(crate) pause: Duration,
}

/// What routes share.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) pages: Arc<Pages>,
    pub(crate) readiness: Readiness,
    pub(crate) node_id: i32,
    pub(crate) cluster_id: String,
    pub(crate) every: Duration,
    pub(crate) memory_bytes: usize,
    pub(crate) generation: Generation,
    pub(crate) target: Target,
    /// Without rules until the first look.
    pub(crate) watch: RwLock<Watch>,
    /// Moves with each look.
    pub(crate) pulse: watch::Sender<Pulse>,
    pub(crate) streams: Arc<Semaphore>,
    /// A browser was here.
    visited: AtomicBool,
    known: OnceLock<Option<(Known, Queries)>>,
    pub(crate) working: Arc<Semaphore>,
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
        memory_bytes: options.memory_bytes,
        generation: options.generation,
        watch: RwLock::new(Watch::new(
            Rules::default(),
            WatchOptions {
                target: target.clone(),
                outside: &[],
                kept: &[],
                budget_bytes: options.memory_bytes,
                pause_ms: 0,
            },
        )),
        target,
        pulse: watch::Sender::new(Pulse::default()),
        streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        visited: AtomicBool::new(false),
        known: OnceLock::new(),
        working: Arc::new(Semaphore::new(MAX_WORKING)),
    })
}

impl Shared {
    /// Somebody asks for a page of the console.
    pub(crate) fn visit(&self) {
        self.visited.store(true, Ordering::Relaxed);
    }

    /// Whether anybody watches the node, by a scrape or by the console.
    pub(crate) fn is_watched(&self) -> bool {
        self.visited.load(Ordering::Relaxed) || self.pages.is_asked()
    }

    /// Makes an answer on a thread that may take its time, a few at once. Who goes away before their
    /// turn gives it up; what has begun holds its place to the end, whether anybody waits or not.
    pub(crate) async fn work(
        self: &Arc<Self>,
        make: impl FnOnce(&Self) -> Response + Send + 'static,
    ) -> Response {
        let Ok(turn) = self.working.clone().acquire_owned().await else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        let shared = self.clone();
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            make(&shared)
        })
        .await;
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
