//! One node: starts the rooms in the order in which they need each other, and stops them in the
//! other one.
//!
//! Everything that can be refused is refused before a port is served: configuration, directories,
//! rule files, certificates, addresses. Only the admin listener answers before that: a start may take its time. A
//! node is ready when its logs are recovered, it is unfenced, what it knows of the metadata is of now
//! and its groups are loaded.

mod admin_security;
mod background;
mod behind;
mod error;
mod follow;
mod ground;
mod listeners;
mod pages;
mod parts;
mod quorum;
mod rooms;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pharos_admin::{Admin, AdminServer, Condition, Readiness};
use pharos_base::{Clock, Spawners};
use pharos_config::{BrokerConfig, rows};
use pharos_metadata::Controller;
use pharos_metadata::image::MetadataImage;
use pharos_metrics::Registry;
use pharos_net::{Budget, SocketServer};
use pharos_storage::fs::{Fs, RealFs};
use pharos_storage::{LogManager, OpenReport};
use pharos_telemetry::Tracer;
use tokio::task::JoinHandle;

pub use self::error::StartError;
pub use self::listeners::ServedListener;
pub use self::parts::{AddPages, NodeParts};

use self::admin_security::AdminSecurity;
use self::background::Conditions;
use self::ground::Ground;
use self::listeners::{admin_address, bind, bind_admin, endpoints};
use self::rooms::Rooms;
use crate::beans::{AtRest, BrokerState, Forwarding, NodeFacts, NodeState, SpanSeries};
use crate::dispatch::{Dispatch, Observers};
use crate::lifecycle::Lifecycle;
use crate::reload::{self, Reload};
use crate::request_metrics::RequestMetrics;
use crate::{
    config_page, directories, events_page, hot_keys, members_page, settings, slow_requests,
    standings_page,
};

/// Longest time that connections get to take their last answers when the node stops.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// Longest time that admin requests get when the node stops.
const ADMIN_DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// What a node starts with.
#[derive(Debug)]
pub struct NodeOptions {
    /// Its configuration.
    pub config: BrokerConfig,
    /// Where its files are.
    pub fs: Arc<dyn Fs>,
    /// Where work runs.
    pub spawners: Spawners,
    /// The commit that the program was built from.
    pub revision: String,
    /// Adds pages to the admin listener.
    pub add_pages: AddPages,
    /// Chooses the requests that are traced; `None` traces none.
    pub tracer: Option<Tracer>,
}

impl NodeOptions {
    /// A node on the file system of this machine.
    pub fn new(config: BrokerConfig, spawners: Spawners, revision: String) -> Self {
        let (fs, add_pages): (_, AddPages) = (Arc::new(RealFs), |_| Vec::new());
        Self { config, fs, spawners, revision, add_pages, tracer: None }
    }
}

/// A running node.
pub struct Node {
    listeners: Vec<ServedListener>,
    admin: Vec<(String, AdminServer)>,
    recovery: OpenReport,
    cluster_id: String,
    server: SocketServer,
    controller: Controller,
    logs: Arc<LogManager>,
    lifecycle: Arc<Lifecycle>,
    tasks: Vec<JoinHandle<()>>,
    state: NodeState,
    _at_rest: AtRest,
    _spans: Option<SpanSeries>,
    registry: Registry,
    running: Condition,
    metadata_dir: PathBuf,
    reload: Arc<Reload>,
}

impl Node {
    /// Starts a node. Runs on the control plane's runtime; returns when clients are served.
    ///
    /// # Errors
    /// The first thing that cannot be had.
    pub async fn start(options: NodeOptions) -> Result<Self, StartError> {
        let limit_ms = options.config.get(&rows::SERVER_MAX_STARTUP_TIME_MS);
        let limit = Duration::from_millis(u64::try_from(limit_ms).unwrap_or(0));
        let started = tokio::time::timeout(limit, Self::start_rooms(options)).await;
        started.unwrap_or(Err(StartError::Late(limit_ms)))
    }

    async fn start_rooms(options: NodeOptions) -> Result<Self, StartError> {
        let NodeOptions { config, fs, spawners, revision, add_pages, tracer } = options;
        let clock = Clock::real();
        let native_histograms = config.get(&rows::METRICS_NATIVE_HISTOGRAMS);
        let registry = Registry::with_native_histograms(clock.clone(), native_histograms);
        let (pages, sources) = pages::pages(&config, &registry, revision.clone())?;
        let pages = Arc::new(pages);
        let AdminSecurity { addresses, protection, files } =
            AdminSecurity::open(&config, &registry, &sources)?;
        let readiness = Readiness::default();
        let running = readiness.condition("running", "the node starts");
        let mut admin = bind_admin(&addresses, &protection).await?;
        let shown = |sections| Admin {
            pages: pages.clone(),
            registry: registry.clone(),
            readiness: readiness.clone(),
            sections,
        };
        for (_, server) in &mut admin {
            server.serve(shown(Vec::new()), &spawners.control);
        }
        let recovery = ground::recovery(&readiness, &registry);
        let ground = Ground::open(config, fs, clock, registry.clone()).await?;
        drop(recovery);
        let Ground { config, formatted, .. } = &ground;
        let found = ground.logs.logs();
        let facts =
            NodeFacts { id: ground.node_id(), cluster_id: formatted.cluster_id.clone(), revision };
        let state = NodeState::new(&registry, &facts);
        let server = SocketServer::new(
            settings::connection_limits(config),
            settings::connection_quotas(config, &MetadataImage::empty()),
            Budget::new(settings::budget_bytes(config)),
            &registry,
        );
        let (bound, listeners) = bind(config, &server).await?;

        let requests = Arc::new(RequestMetrics::new(&registry));
        let controller =
            quorum::start(&ground, endpoints(&listeners, true), requests.clone()).await?;
        let rooms = Rooms::new(&ground, requests, &spawners);
        rooms.insight.started(ground.node_id(), &ground.recovery);
        let lifecycle =
            Lifecycle::new(config, formatted, controller.clone(), rooms.requests.clone());
        follow::follow(&rooms, &server, &lifecycle, controller.publisher());
        let conditions = Conditions {
            current: readiness.condition("metadata", "the metadata is not applied yet"),
            unfenced: readiness.condition("unfenced", "the broker is not registered yet"),
            loaded: readiness.condition("groups", "groups are not loaded yet"),
        };
        lifecycle.register(endpoints(&listeners, false)).await?;
        lifecycle.unfence().await?;
        hot_keys::make_secret(rooms.insight.hot_keys(), &controller).await;
        directories::tidy(found, &controller, &ground.logs).await?;
        conditions.unfenced.met();
        state.set(BrokerState::Running);

        let services = Arc::new(rooms.services(&ground, &controller, &lifecycle));
        let spans = tracer.as_ref().map(|tracer| SpanSeries::new(&registry, &tracer.counts()));
        let observers = Observers {
            requests: rooms.requests.clone(),
            forwarding: Forwarding::new(&registry),
            slow: rooms.slow.clone(),
            tracer,
        };
        let dispatch = Arc::new(Dispatch::new(services, observers));
        for listener in bound {
            server.serve(listener, dispatch.clone(), &spawners.data);
        }
        let (events, generation) = (rooms.insight.events(), pages::generation(config));
        let served = (pages.clone(), sources);
        let reload = Arc::new(Reload::new(served, generation, events.clone(), files.clone()));
        let may_reload = config.get(&rows::ADMIN_LIFECYCLE_ENABLE);
        let mut sections = vec![
            events_page::section(events.clone()),
            slow_requests::section(rooms.slow.clone()),
            members_page::section(rooms.groups.clone()),
            standings_page::section(rooms.insight.lag().clone()),
            config_page::section(rooms.live.clone(), controller.publisher().clone()),
            reload::section(reload.clone(), may_reload),
            hot_keys::section(rooms.insight.hot_keys().clone(), controller.publisher().clone()),
        ];
        if !admin.is_empty() {
            sections.extend(add_pages(NodeParts {
                config,
                registry: registry.clone(),
                pages: pages.clone(),
                readiness: readiness.clone(),
                node_id: ground.node_id(),
                cluster_id: formatted.cluster_id.clone(),
                admin: admin_address(&admin),
                generation,
                control: spawners.control.clone(),
            }));
        }
        for (_, server) in &mut admin {
            server.serve(shown(sections.clone()), &spawners.control);
        }
        let mut tasks =
            background::start(&ground, &rooms, &controller, &lifecycle, conditions, &spawners);
        tasks.push(spawners.control.spawn(server.clone().keep_tidy()));
        tasks.push(spawners.control.spawn(files.watch(events.clone())));
        running.met();
        Ok(Self {
            listeners,
            admin,
            cluster_id: formatted.cluster_id.clone(),
            server,
            controller,
            lifecycle,
            tasks,
            state,
            _at_rest: AtRest::new(&registry),
            _spans: spans,
            running,
            metadata_dir: config.metadata_log_dir(),
            reload,
            registry: ground.registry,
            logs: ground.logs,
            recovery: ground.recovery,
        })
    }

    /// What clients and controllers connect to.
    pub fn listeners(&self) -> &[ServedListener] {
        &self.listeners
    }

    /// Host and bound port of each admin listener; the host is empty for all addresses.
    pub fn admin(&self) -> impl Iterator<Item = (&str, u16)> {
        self.admin.iter().map(|(host, server)| (host.as_str(), server.port()))
    }

    /// Where a browser finds each admin listener, as `http://host:port`.
    pub fn admin_urls(&self) -> impl Iterator<Item = String> {
        self.admin.iter().map(|(host, server)| {
            let scheme = if server.is_secure() { "https" } else { "http" };
            match host.as_str() {
                "" => format!("{scheme}://localhost:{}", server.port()),
                host if host.contains(':') => format!("{scheme}://[{host}]:{}", server.port()),
                host => format!("{scheme}://{host}:{}", server.port()),
            }
        })
    }

    /// What opening the logs found.
    pub fn recovery(&self) -> &OpenReport {
        &self.recovery
    }

    /// Id of the cluster.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The beans and families of this node.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Reads the rule files, certificates and users anew; what is refused is logged and leaves the old
    /// in place.
    pub async fn reload_rules(&self) {
        let reload = self.reload.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || reload.run()).await {
            tracing::error!(%error, "the rules were not read anew");
        }
    }

    /// Waits for what ends the process: the metadata quorum stopped for good, or the directories
    /// that the node cannot do without failed.
    pub async fn failure(&self) -> String {
        let homes = self.logs.dirs().into_iter().map(|dir| dir.home).collect();
        tokio::select! {
            error = self.controller.stopped() => error.to_string(),
            dir = directories::fatal(homes, self.metadata_dir.clone()) => {
                format!("log directory {} failed", dir.display())
            }
        }
    }

    /// Stops: no new connections, last answers, clean logs.
    pub async fn stop(mut self) {
        self.running.unmet("the node stops");
        self.state.set(BrokerState::PendingControlledShutdown);
        self.lifecycle.leave().await;
        self.state.set(BrokerState::ShuttingDown);
        self.server.stop(DRAIN_LIMIT).await;
        for task in &self.tasks {
            task.abort();
        }
        for (_, server) in &mut self.admin {
            server.stop(ADMIN_DRAIN_LIMIT).await;
        }
        let (logs, epoch) = (self.logs.clone(), self.lifecycle.epoch().load(Ordering::Acquire));
        if let Err(error) = tokio::task::spawn_blocking(move || logs.close(Some(epoch))).await {
            tracing::error!(%error, "the logs were not closed");
        }
        self.controller.shutdown().await;
    }
}
