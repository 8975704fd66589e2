//! The rooms of a node that requests, metadata and timers share, made in the order in which they
//! need each other.

use std::sync::Arc;

use pharos_base::Spawners;
use pharos_config::rows;
use pharos_insight::ClientTelemetry;
use pharos_metadata::Controller;
use pharos_metadata::image::MetadataImage;
use pharos_replication::Replicas;
use pharos_storage::LogManager;

use super::ground::Ground;
use crate::auto_topics::AutoTopics;
use crate::delayed_metrics::{DelayedMetrics, Purgatories};
use crate::fetch_session::{FetchSessions, Limits as SessionLimits};
use crate::groups::{Groups, Shown};
use crate::handlers::fetch::FetchService;
use crate::handlers::produce::ProduceService;
use crate::hot_keys;
use crate::insight::Insight;
use crate::lifecycle::Lifecycle;
use crate::live_config::LiveConfig;
use crate::producer_ids::ProducerIds;
use crate::quotas::ClientQuotas;
use crate::request_metrics::RequestMetrics;
use crate::services::Services;
use crate::settings;
use crate::slow_requests::SlowRequests;
use crate::topic_metrics::TopicMetrics;

/// Kafka's own limit, not configurable (`FetchSession.MIN_SESSION_EVICTION_MS`).
const SESSION_EVICTION_MS: i64 = 120_000;

/// The rooms. Cloning shares them.
#[derive(Clone)]
pub struct Rooms {
    /// The configuration in force.
    pub live: Arc<LiveConfig>,
    /// The logs.
    pub logs: Arc<LogManager>,
    /// The partitions.
    pub replicas: Arc<Replicas>,
    /// Groups and their offsets.
    pub groups: Arc<Groups>,
    /// Counters by topic.
    pub topic_metrics: Arc<TopicMetrics>,
    /// Counts by API.
    pub requests: Arc<RequestMetrics>,
    /// The slowest requests.
    pub slow: Arc<SlowRequests>,
    /// Operations that wait.
    pub purgatories: Purgatories,
    /// What consumers asked for before.
    pub sessions: Arc<FetchSessions>,
    /// Counts of operations that wait.
    pub delayed: Arc<DelayedMetrics>,
    /// Lag, and figures of the cluster.
    pub insight: Arc<Insight>,
    /// What clients tell of themselves.
    pub telemetry: Arc<ClientTelemetry>,
    /// What clients may use.
    pub quotas: Arc<ClientQuotas>,
}

impl Rooms {
    /// Rooms that follow no metadata yet; `requests` counts already.
    pub fn new(ground: &Ground, requests: Arc<RequestMetrics>, spawners: &Spawners) -> Self {
        let Ground { config, live, clock, registry, logs, .. } = ground;
        let replicas = Arc::new(Replicas::new(ground.node_id(), logs.clone(), registry));
        let topic_metrics = Arc::new(TopicMetrics::new(registry));
        let insight = Insight::new(registry, &replicas);
        hot_keys::set(insight.hot_keys(), config);
        let groups = Groups::new(
            Shown { registry, topic_metrics: topic_metrics.clone(), lag: insight.lag().clone() },
            clock.clone(),
            spawners.control.clone(),
            replicas.clone(),
            settings::groups(config, &MetadataImage::empty()),
            settings::groups_at_start(config),
        );
        let slots = config.get(&rows::MAX_INCREMENTAL_FETCH_SESSION_CACHE_SLOTS);
        let slots = usize::try_from(slots).unwrap_or(0);
        let limits = SessionLimits { slots, eviction_ms: SESSION_EVICTION_MS };
        let sessions = Arc::new(FetchSessions::new(limits));
        let purgatories = Purgatories::default();
        let delayed = Arc::new(DelayedMetrics::new(registry, &purgatories, &sessions));
        let telemetry_bytes = config.get(&rows::TELEMETRY_MAX_BYTES);
        Self {
            live: live.clone(),
            logs: logs.clone(),
            replicas,
            groups,
            topic_metrics,
            requests,
            slow: Arc::new(SlowRequests::new(clock.clone())),
            purgatories,
            sessions,
            delayed,
            insight,
            telemetry: Arc::new(ClientTelemetry::new(registry, telemetry_bytes)),
            quotas: Arc::new(ClientQuotas::new(registry, settings::quota_windows(config))),
        }
    }

    /// What requests reach of them.
    pub fn services(
        &self,
        ground: &Ground,
        controller: &Controller,
        lifecycle: &Lifecycle,
    ) -> Services {
        let Ground { config, clock, .. } = ground;
        let (controller, requests) = (controller.clone(), self.requests.clone());
        Services {
            clock: clock.clone(),
            cluster_id: ground.formatted.cluster_id.clone(),
            controller_listeners: config.get(&rows::CONTROLLER_LISTENER_NAMES).to_vec(),
            publisher: controller.publisher().clone(),
            replicas: self.replicas.clone(),
            produce: ProduceService {
                replicas: self.replicas.clone(),
                purgatory: self.purgatories.produce.clone(),
                metrics: self.topic_metrics.clone(),
                delayed: self.delayed.clone(),
                hot_keys: self.insight.hot_keys().clone(),
            },
            fetch: FetchService {
                replicas: self.replicas.clone(),
                clock: clock.clone(),
                purgatory: self.purgatories.fetch.clone(),
                sessions: self.sessions.clone(),
                metrics: self.topic_metrics.clone(),
                delayed: self.delayed.clone(),
                max_bytes: usize::try_from(config.get(&rows::FETCH_MAX_BYTES)).unwrap_or(0),
            },
            groups: self.groups.clone(),
            telemetry: self.telemetry.clone(),
            quotas: self.quotas.clone(),
            auto_topics: AutoTopics::new(controller.clone(), self.live.clone(), requests.clone()),
            producer_ids: ProducerIds::new(
                controller.clone(),
                requests,
                ground.node_id(),
                lifecycle.epoch().clone(),
            ),
            config: self.live.clone(),
            controller,
        }
    }
}
