//! How a controller starts: the log is opened and checked, the quorum joined, and the proposer and
//! the publisher set to work.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pharos_base::{Clock, TopicId};
use pharos_metrics::Registry;
use pharos_protocol::messages::ControllerRegistrationRequest;
use pharos_storage::StorageMetrics;
use pharos_storage::fs::Fs;
use tokio::sync::mpsc;

use super::proposer::Proposer;
use super::{Controller, Inner};
use crate::bootstrap;
use crate::decide::{ConfigRules, ControllerSettings};
use crate::image::{ControllerRegistration, Endpoint};
use crate::lease::Leases;
use crate::metrics::{ControllerMetrics, LoaderMetrics};
use crate::publish::ImagePublisher;
use crate::quorum::{Quorum, QuorumError, QuorumOptions};

/// Most requests that wait for their turn.
const MAX_WAITING_JOBS: usize = 1_000;
/// How often it is looked whether a snapshot is due.
const SNAPSHOT_CHECK: Duration = Duration::from_secs(1);

/// What a controller starts with.
pub struct ControllerOptions {
    /// Limits and defaults.
    pub settings: ControllerSettings,
    /// Rules of configuration values.
    pub rules: Arc<dyn ConfigRules>,
    /// The file system.
    pub fs: Arc<dyn Fs>,
    /// The log directory that holds the metadata log (`metadata.log.dir`).
    pub log_dir: PathBuf,
    /// Id of that directory.
    pub directory_id: TopicId,
    /// Where this controller can be reached.
    pub endpoints: Vec<Endpoint>,
    /// `controller.quorum.election.timeout.ms`.
    pub election_timeout_ms: u64,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub max_bytes_between_snapshots: u64,
    /// `metadata.log.max.snapshot.interval.ms`; 0 makes none by time.
    pub max_snapshot_interval_ms: i64,
    /// The time.
    pub clock: Clock,
    /// Where beans are registered.
    pub registry: Registry,
    /// What the logs of the node move together; the metadata log's syncs count there.
    pub storage_metrics: Option<Arc<StorageMetrics>>,
    /// Told when this controller has made itself known.
    pub on_registered: OnRegistered,
}

/// Told of the request that a controller's registration stands for, and of when it began.
pub type OnRegistered = Arc<dyn Fn(&ControllerRegistrationRequest, Instant) + Send + Sync>;

impl ControllerOptions {
    /// Kafka's defaults.
    pub fn new(
        settings: ControllerSettings,
        rules: Arc<dyn ConfigRules>,
        fs: Arc<dyn Fs>,
        log_dir: PathBuf,
        registry: Registry,
    ) -> Self {
        Self {
            settings,
            rules,
            fs,
            log_dir,
            directory_id: TopicId::ZERO,
            endpoints: Vec::new(),
            election_timeout_ms: 1_000,
            max_bytes_between_snapshots: 20 << 20,
            max_snapshot_interval_ms: 3_600_000,
            clock: registry.clock().clone(),
            registry,
            storage_metrics: None,
            on_registered: Arc::new(|_, _| {}),
        }
    }
}

impl Controller {
    /// Starts the controller role of a node that is the quorum's only voter, on the runtime of the
    /// caller, which should be the one of the control plane. Returns once the log is open and the
    /// quorum runs; the node leads a moment later.
    ///
    /// # Errors
    /// [`QuorumError`] when the metadata log, the vote or a snapshot cannot be used.
    pub async fn start(options: ControllerOptions) -> Result<Self, QuorumError> {
        let settings = Arc::new(options.settings.clone());
        let publisher = ImagePublisher::new();
        let metrics = Arc::new(ControllerMetrics::new(&options.registry));
        let sink = publisher.clone();
        let quorum = Quorum::start(
            QuorumOptions {
                node_id: settings.node_id,
                fs: options.fs.clone(),
                log_dir: options.log_dir.clone(),
                directory_id: options.directory_id,
                cluster_id: settings.cluster_id.clone(),
                election_timeout_ms: options.election_timeout_ms,
                clock: options.clock.clone(),
                metrics: options.storage_metrics.clone(),
            },
            Box::new(move |commit| sink.offer(commit)),
        )
        .await?;
        let quorum = Arc::new(quorum);
        metrics.bind(&quorum);
        bind_publisher(&options.registry, &publisher, &metrics, &quorum);
        let (jobs, waiting) = mpsc::channel(MAX_WAITING_JOBS);
        let proposer = Proposer {
            quorum: quorum.clone(),
            jobs: waiting,
            rules: options.rules.clone(),
            clock: options.clock.clone(),
            metrics: metrics.clone(),
            bootstrap: bootstrap::read(&*options.fs, &options.log_dir)?,
            registration: ControllerRegistration {
                id: settings.node_id,
                incarnation_id: TopicId::random(),
                endpoints: options.endpoints.clone(),
                features: settings.supported_features.clone(),
            },
            on_registered: options.on_registered.clone(),
            leases: Leases::new(settings.broker_session_timeout_ms),
            last_write_ms: 0,
            last_balance_ms: 0,
            settings: settings.clone(),
        };
        let tasks = vec![
            tokio::spawn(proposer.run()),
            tokio::spawn(publisher.clone().run()),
            tokio::spawn(snapshots(quorum.clone(), SnapshotPolicy::from(&options))),
        ];
        let clock = options.clock;
        let tasks = Mutex::new(tasks);
        Ok(Self(Arc::new(Inner { jobs, quorum, publisher, settings, clock, metrics, tasks })))
    }
}

fn bind_publisher(
    registry: &Registry,
    publisher: &ImagePublisher,
    metrics: &Arc<ControllerMetrics>,
    quorum: &Arc<Quorum>,
) {
    let leader = quorum.clone();
    let loader = LoaderMetrics::new(registry, publisher, move || {
        leader.leader().map_or(-1, |id| i64::from(id.0))
    });
    publisher.measure(loader);
    let (metrics, quorum) = (metrics.clone(), quorum.clone());
    publisher.subscribe(Box::new(move |_, after, delta| metrics.follow(after, delta, &quorum)));
}

struct SnapshotPolicy {
    max_bytes: u64,
    interval_ms: i64,
    clock: Clock,
}

impl From<&ControllerOptions> for SnapshotPolicy {
    fn from(options: &ControllerOptions) -> Self {
        Self {
            max_bytes: options.max_bytes_between_snapshots,
            interval_ms: options.max_snapshot_interval_ms,
            clock: options.clock.clone(),
        }
    }
}

/// Has snapshots made when enough was appended or enough time has passed.
async fn snapshots(quorum: Arc<Quorum>, policy: SnapshotPolicy) {
    let mut last_ms = policy.clock.now_ms();
    loop {
        tokio::time::sleep(SNAPSHOT_CHECK).await;
        let bytes = quorum.view().bytes_since_snapshot;
        let now_ms = policy.clock.now_ms();
        let by_time = policy.interval_ms > 0 && now_ms - last_ms >= policy.interval_ms;
        if bytes >= policy.max_bytes || (by_time && bytes > 0) {
            last_ms = now_ms;
            quorum.make_snapshot().await;
        }
    }
}
