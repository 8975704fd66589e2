//! One node: starts the rooms in the order in which they need each other, and stops them in the
//! other one.
//!
//! Everything that can be refused is refused before a port is served: configuration, directories,
//! rule files, addresses. A node is ready when it is unfenced and its groups are loaded.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pharos_admin::{Admin, AdminAddress, AdminServer, Condition, Readiness};
use pharos_base::{BrokerId, Clock, Spawners, TopicId, host_name};
use pharos_config::{BrokerConfig, Mode, rows};
use pharos_insight::ClientTelemetry;
use pharos_metadata::image::{Endpoint, MetadataDelta, MetadataImage};
use pharos_metadata::{
    Controller, ControllerOptions, FormatOptions, FormattedDirectories, open_directories,
};
use pharos_metrics::{Generation, Pages, PagesOptions, Registry, RuleSet};
use pharos_net::{BoundListener, Budget, ListenerConfig, SecurityProtocol, SocketServer};
use pharos_replication::Replicas;
use pharos_storage::fs::{Fs, RealFs};
use pharos_storage::{LogManager, OpenReport};
use tokio::task::JoinHandle;

use crate::auto_topics::AutoTopics;
use crate::beans::{AtRest, BrokerState, Forwarding, IdleMeters, NodeFacts, NodeState};
use crate::config_rules::RowRules;
use crate::delayed_metrics::{DelayedMetrics, Purgatories};
use crate::directories;
use crate::dispatch::Dispatch;
use crate::fetch_session::{FetchSessions, Limits as SessionLimits};
use crate::group_topics;
use crate::groups::{Groups, Shown};
use crate::handlers::fetch::FetchService;
use crate::handlers::produce::ProduceService;
use crate::handlers::telemetry;
use crate::insight::Insight;
use crate::lifecycle::{Lifecycle, LifecycleError};
use crate::live_config::LiveConfig;
use crate::producer_ids::ProducerIds;
use crate::request_metrics::RequestMetrics;
use crate::services::Services;
use crate::settings;
use crate::topic_metrics::TopicMetrics;

/// Longest time that connections get to take their last answers when the node stops.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// How often meters tick and readiness is looked at.
const TICK: Duration = Duration::from_secs(1);

/// What a node starts with.
#[derive(Debug)]
pub struct NodeOptions {
    /// Its configuration.
    pub config: BrokerConfig,
    /// Where work runs.
    pub spawners: Spawners,
    /// The commit that the program was built from.
    pub revision: String,
}

/// Why a node does not start: one line for a person.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log directories.
    #[error(transparent)]
    Format(#[from] pharos_metadata::FormatError),
    /// The logs.
    #[error(transparent)]
    Storage(#[from] pharos_storage::StorageError),
    /// The metadata log.
    #[error(transparent)]
    Quorum(#[from] pharos_metadata::QuorumError),
    /// A rule file.
    #[error("metrics.rules: {0}")]
    Rules(String),
    /// A listener.
    #[error(transparent)]
    Bind(#[from] pharos_net::BindError),
    /// The admin listener.
    #[error(transparent)]
    Admin(#[from] pharos_admin::BindError),
    /// The registration of the broker.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// The start took too long.
    #[error("the start took longer than server.max.startup.time.ms, {0} ms")]
    Late(i64),
    /// A step of the start did not end.
    #[error("the start was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// An address that clients or controllers use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedListener {
    /// Name of the listener.
    pub name: String,
    /// Host that is handed out.
    pub host: String,
    /// The bound port.
    pub port: u16,
    /// Whether controllers use it, not clients.
    pub controller: bool,
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
    registry: Registry,
    metadata_dir: PathBuf,
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
        let NodeOptions { config, spawners, revision } = options;
        let clock = Clock::real();
        let registry = Registry::new(clock.clone());
        let fs: Arc<dyn Fs> = Arc::new(RealFs);
        let pages = pages(&config, &registry, revision.clone())?;
        let formatted = format(&config, &fs).await?;
        let state = NodeState::new(
            &registry,
            &NodeFacts {
                id: BrokerId(config.node_id()),
                cluster_id: formatted.cluster_id.clone(),
                revision,
            },
        );
        let (logs, recovery) = open_logs(&config, &fs, &clock, &registry).await?;
        let live = Arc::new(LiveConfig::new(config.clone()));

        let budget = Budget::new(settings::budget_bytes(&config));
        let server = SocketServer::new(
            settings::connection_limits(&config),
            settings::connection_quotas(&config),
            budget,
            &registry,
        );
        let (bound, listeners) = bind(&config, &server).await?;
        let mut admin = bind_admin(&config).await?;

        let controller =
            start_controller(&config, &formatted, &fs, &clock, &registry, &live, &listeners)
                .await?;
        let replicas = Arc::new(Replicas::new(BrokerId(config.node_id()), logs.clone(), &registry));
        let topic_metrics = Arc::new(TopicMetrics::new(&registry));
        let insight = Insight::new(&registry, &replicas);
        let max_bytes = config.get(&rows::TELEMETRY_MAX_BYTES);
        let telemetry = Arc::new(ClientTelemetry::new(&registry, max_bytes));
        let requests = Arc::new(RequestMetrics::new(&registry));
        let groups = Groups::new(
            Shown {
                registry: &registry,
                topic_metrics: topic_metrics.clone(),
                lag: insight.lag().clone(),
            },
            clock.clone(),
            spawners.control.clone(),
            replicas.clone(),
            settings::groups(&config, &MetadataImage::empty()),
            settings::groups_at_start(&config),
        );
        let readiness = Readiness::default();
        let unfenced = readiness.condition("unfenced", "the broker is not registered yet");
        let loaded = readiness.condition("groups", "groups are not loaded yet");
        let lifecycle = Lifecycle::new(&config, &formatted, controller.clone(), requests.clone());
        let (sessions, purgatories) = (sessions(&config), Purgatories::default());
        let delayed = Arc::new(DelayedMetrics::new(&registry, &purgatories, &sessions));
        follow_settings(&controller, &live, &server, &logs, &groups);
        let followers = Followers {
            live: live.clone(),
            replicas: replicas.clone(),
            groups: groups.clone(),
            topic_metrics: topic_metrics.clone(),
            delayed: delayed.clone(),
            insight: insight.clone(),
            telemetry: telemetry.clone(),
        };
        followers.follow(&controller);
        lifecycle.register(endpoints(&listeners)).await?;
        lifecycle.unfence().await?;
        unfenced.met();
        state.set(BrokerState::Running);

        let services = Arc::new(Services {
            clock: clock.clone(),
            cluster_id: formatted.cluster_id.clone(),
            publisher: controller.publisher().clone(),
            replicas: replicas.clone(),
            produce: ProduceService {
                replicas: replicas.clone(),
                purgatory: purgatories.produce.clone(),
                metrics: topic_metrics.clone(),
                delayed: delayed.clone(),
            },
            fetch: FetchService {
                replicas: replicas.clone(),
                purgatory: purgatories.fetch.clone(),
                sessions,
                metrics: topic_metrics,
                delayed,
                max_bytes: usize::try_from(config.get(&rows::FETCH_MAX_BYTES)).unwrap_or(0),
            },
            groups: groups.clone(),
            telemetry: telemetry.clone(),
            auto_topics: AutoTopics::new(controller.clone(), live.clone(), requests.clone()),
            producer_ids: ProducerIds::new(
                controller.clone(),
                requests.clone(),
                BrokerId(config.node_id()),
                lifecycle.epoch().clone(),
            ),
            config: live,
            controller: controller.clone(),
        });
        let forwarding = Forwarding::new(&registry);
        let dispatch = Arc::new(Dispatch::new(services, requests, forwarding));
        for listener in bound {
            server.serve(listener, dispatch.clone(), &spawners.data);
        }
        for (_, server) in &mut admin {
            let admin = Admin {
                pages: Arc::new(pages.clone()),
                registry: registry.clone(),
                readiness: readiness.clone(),
                sections: Vec::new(),
            };
            server.serve(admin, &spawners.control);
        }
        let idle = IdleMeters::new(&registry, &spawners);
        let homes: Vec<_> = logs.dirs().into_iter().map(|dir| dir.home).collect();
        let mut tasks: Vec<_> = homes
            .iter()
            .map(|home| {
                let id = formatted.directory_id(home.path()).unwrap_or(TopicId::ZERO);
                let (replicas, life) = (replicas.clone(), lifecycle.clone());
                let watch = directories::watch_one(home.clone(), id, replicas, life);
                spawners.control.spawn(watch)
            })
            .collect();
        let publisher = controller.publisher().clone();
        tasks.push(spawners.control.spawn(directories::assign(
            publisher.offsets(),
            move || publisher.current(),
            formatted.directories.iter().cloned().collect(),
            replicas.clone(),
            lifecycle.clone(),
        )));
        tasks.extend([
            spawners.control.spawn(logs.clone().run()),
            spawners.control.spawn(lifecycle.clone().keep_alive()),
            spawners.control.spawn(insight.keep_current(groups.clone())),
            spawners.control.spawn(expire(telemetry, clock)),
            spawners.control.spawn(tick(registry.clone(), idle, groups, replicas, loaded)),
        ]);
        Ok(Self {
            listeners,
            admin,
            recovery,
            cluster_id: formatted.cluster_id,
            server,
            controller,
            logs,
            lifecycle,
            tasks,
            state,
            _at_rest: AtRest::new(&registry),
            registry,
            metadata_dir: config.metadata_log_dir(),
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
        self.state.set(BrokerState::PendingControlledShutdown);
        self.lifecycle.leave().await;
        self.state.set(BrokerState::ShuttingDown);
        self.server.stop(DRAIN_LIMIT).await;
        for task in &self.tasks {
            task.abort();
        }
        for (_, server) in &mut self.admin {
            server.stop(Duration::from_secs(1)).await;
        }
        let (logs, epoch) = (self.logs.clone(), self.lifecycle.epoch().load(Ordering::Acquire));
        if let Err(error) = tokio::task::spawn_blocking(move || logs.close(Some(epoch))).await {
            tracing::error!(%error, "the logs were not closed");
        }
        self.controller.shutdown().await;
    }
}

fn pages(
    config: &BrokerConfig,
    registry: &Registry,
    revision: String,
) -> Result<Pages, StartError> {
    let generation = Generation::V1;
    let mut rule_sets = Vec::new();
    for entry in config.get(&rows::METRICS_RULES) {
        let (name, file) = match entry.split_once('=') {
            Some((name, file)) => (name.to_owned(), file),
            None => ("custom".to_owned(), entry.as_str()),
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| StartError::Rules(format!("cannot read {file}: {error}")))?;
        let rules = RuleSet::parse(&text, file, generation)
            .map_err(|error| StartError::Rules(error.to_string()))?;
        rule_sets.push((name, rules));
    }
    let options = PagesOptions { rule_sets, generation, revision };
    Pages::new(registry, options).map_err(|error| StartError::Rules(error.to_string()))
}

async fn format(
    config: &BrokerConfig,
    fs: &Arc<dyn Fs>,
) -> Result<FormattedDirectories, StartError> {
    let options = FormatOptions {
        node_id: BrokerId(config.node_id()),
        cluster_id: config.cluster_id().map(str::to_owned),
        log_dirs: config.log_dirs(),
        metadata_log_dir: config.metadata_log_dir(),
        min_insync_replicas: config.get(&rows::MIN_INSYNC_REPLICAS),
    };
    let fs = fs.clone();
    Ok(tokio::task::spawn_blocking(move || open_directories(&*fs, &options)).await??)
}

async fn open_logs(
    config: &BrokerConfig,
    fs: &Arc<dyn Fs>,
    clock: &Clock,
    registry: &Registry,
) -> Result<(Arc<LogManager>, OpenReport), StartError> {
    let dirs = config.log_dirs();
    let options = settings::storage(config, fs.clone(), clock.clone(), registry);
    Ok(tokio::task::spawn_blocking(move || LogManager::open(&dirs, options)).await??)
}

async fn bind(
    config: &BrokerConfig,
    server: &SocketServer,
) -> Result<(Vec<BoundListener>, Vec<ServedListener>), StartError> {
    let endpoints = config.endpoints();
    let mut bound = Vec::new();
    let mut served = Vec::new();
    for listener in &endpoints.listeners {
        let listening = server
            .bind(ListenerConfig {
                name: listener.address.name.as_str().into(),
                security_protocol: SecurityProtocol::Plaintext,
                host: listener.address.host.clone(),
                port: listener.address.port,
                processors: u32::try_from(config.get(&rows::NUM_NETWORK_THREADS)).unwrap_or(3),
                own_processors: listener.controller,
            })
            .await?;
        let advertised =
            endpoints.advertised.iter().find(|to| to.address.name == listener.address.name);
        let host = advertised.map_or("", |to| to.address.host.as_str());
        let port = advertised.map_or(0, |to| to.address.port);
        let local = if config.mode() == Mode::Up { "localhost".to_owned() } else { host_name() };
        served.push(ServedListener {
            name: listener.address.name.clone(),
            host: if host.is_empty() { local } else { host.to_owned() },
            port: if port == 0 { listening.port() } else { port },
            controller: listener.controller,
        });
        bound.push(listening);
    }
    Ok((bound, served))
}

async fn bind_admin(config: &BrokerConfig) -> Result<Vec<(String, AdminServer)>, StartError> {
    let mut servers = Vec::new();
    for address in config.admin_listeners() {
        let address = AdminAddress { host: address.host.clone(), port: address.port };
        servers.push((address.host.clone(), AdminServer::bind(&address).await?));
    }
    Ok(servers)
}

fn endpoints(listeners: &[ServedListener]) -> Vec<Endpoint> {
    let clients = listeners.iter().filter(|listener| !listener.controller);
    clients.map(endpoint).collect()
}

fn endpoint(listener: &ServedListener) -> Endpoint {
    Endpoint {
        name: listener.name.clone(),
        host: listener.host.clone(),
        port: listener.port,
        security_protocol: 0,
    }
}

async fn start_controller(
    config: &BrokerConfig,
    formatted: &FormattedDirectories,
    fs: &Arc<dyn Fs>,
    clock: &Clock,
    registry: &Registry,
    live: &Arc<LiveConfig>,
    listeners: &[ServedListener],
) -> Result<Controller, StartError> {
    let log_dir = config.metadata_log_dir();
    let directory_id = formatted.directory_id(&log_dir).unwrap_or(TopicId::ZERO);
    let options = ControllerOptions {
        directory_id,
        endpoints: listeners.iter().filter(|l| l.controller).map(endpoint).collect(),
        election_timeout_ms: u64::try_from(
            config.get(&rows::CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS),
        )
        .unwrap_or(1000),
        max_bytes_between_snapshots: u64::try_from(
            config.get(&rows::METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS),
        )
        .unwrap_or(u64::MAX),
        max_snapshot_interval_ms: config.get(&rows::METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS),
        clock: clock.clone(),
        ..ControllerOptions::new(
            settings::controller(config, &formatted.cluster_id),
            Arc::new(RowRules(live.clone())),
            fs.clone(),
            log_dir,
            registry.clone(),
        )
    };
    Ok(Controller::start(options).await?)
}

fn sessions(config: &BrokerConfig) -> Arc<FetchSessions> {
    let slots = config.get(&rows::MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS);
    let slots = usize::try_from(slots).unwrap_or(0);
    // Kafka's own, not configurable (`FetchSession.MIN_SESSION_EVICTION_MS`).
    Arc::new(FetchSessions::new(SessionLimits { slots, eviction_ms: 120_000 }))
}

/// Lets changed settings act at once, before anything else sees the step that changed them.
fn follow_settings(
    controller: &Controller,
    live: &Arc<LiveConfig>,
    server: &SocketServer,
    logs: &Arc<LogManager>,
    groups: &Arc<Groups>,
) {
    let (live, server, logs, groups) = (live.clone(), server.clone(), logs.clone(), groups.clone());
    logs.set_cordoned(settings::cordoned(&live.get()));
    let step = move |_: &Arc<MetadataImage>, image: &Arc<MetadataImage>, delta: &MetadataDelta| {
        if delta.configs_changed.is_empty() {
            return;
        }
        if live.follow(image) {
            let config = live.get();
            server.set_quotas(settings::connection_quotas(&config));
            logs.set_cleaner(settings::cleaner(&config));
            logs.set_cordoned(settings::cordoned(&config));
            logs.set_producer_id_expiration_ms(config.get(&rows::PRODUCER_ID_EXPIRATION_MS).into());
        }
        groups.set_config(settings::groups(&live.get(), image));
    };
    controller.publisher().subscribe(Box::new(step));
}

/// The rooms that live by the metadata.
struct Followers {
    live: Arc<LiveConfig>,
    replicas: Arc<Replicas>,
    groups: Arc<Groups>,
    topic_metrics: Arc<TopicMetrics>,
    delayed: Arc<DelayedMetrics>,
    insight: Arc<Insight>,
    telemetry: Arc<ClientTelemetry>,
}

impl Followers {
    /// Lets every step of the metadata reach them.
    fn follow(self, controller: &Controller) {
        let step = move |_: &Arc<MetadataImage>, image: &Arc<MetadataImage>, delta: &_| {
            self.step(image, delta);
        };
        controller.publisher().subscribe(Box::new(step));
    }

    fn step(&self, image: &Arc<MetadataImage>, delta: &MetadataDelta) {
        let settings = |image: &MetadataImage, topic: &str| self.live.topic_settings(image, topic);
        for (partition, error) in self.replicas.follow(image, delta, &settings) {
            tracing::error!(%partition, %error, "partition is offline");
        }
        for name in delta.topics_deleted.values() {
            self.topic_metrics.remove(name);
            self.delayed.remove_topic(name);
        }
        group_topics::follow(&self.groups, image, delta);
        self.insight.follow(image, delta);
        telemetry::follow(&self.telemetry, image, delta, &self.live.get());
    }
}

/// Forgets clients that fell silent, for ever.
async fn expire(telemetry: Arc<ClientTelemetry>, clock: Clock) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        interval.tick().await;
        telemetry.expire(clock.now_ms());
    }
}

/// Ticks meters, counts what is too dear to count at once, and says when groups are loaded.
async fn tick(
    registry: Registry,
    mut idle: IdleMeters,
    groups: Arc<Groups>,
    replicas: Arc<Replicas>,
    loaded: Condition,
) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        interval.tick().await;
        registry.tick();
        idle.sample();
        groups.shard_metrics().sample_idle();
        replicas.count_producers();
        if groups.is_loaded() {
            loaded.met();
        } else {
            loaded.unmet("groups are being loaded");
        }
    }
}
