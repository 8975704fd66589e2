//! The broker's life as the controller sees it: registration, heartbeats, fencing, leaving.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pharos_admin::Condition;
use pharos_base::{BrokerId, TopicId};
use pharos_config::{BrokerConfig, rows};
use pharos_metadata::image::Endpoint;
use pharos_metadata::{Controller, ControllerError, FormattedDirectories, supported_features};
use pharos_protocol::messages::broker_registration_request::{Feature, Listener};
use pharos_protocol::messages::{
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest,
};
use pharos_protocol::{ApiKey, ErrorCode};
use tokio::sync::Notify;

use crate::request_metrics::RequestMetrics;

/// Versions in which the broker speaks to its controller.
const REGISTRATION_VERSION: i16 = 4;
const HEARTBEAT_VERSION: i16 = 2;
/// Pause between tries while the quorum elects its leader.
const RETRY: Duration = Duration::from_millis(5);
/// Longest time that a controlled shutdown may take.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// Why a broker does not come to life.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// The controller refused the registration.
    #[error("the controller refused to register broker {broker}: {reason}", reason = .code.name())]
    Refused {
        /// The broker.
        broker: BrokerId,
        /// Its answer.
        code: ErrorCode,
    },
    /// The controller does not answer.
    #[error("the broker was not registered in time: {0}")]
    Controller(#[from] ControllerError),
}

/// The life of one broker.
pub struct Lifecycle {
    controller: Controller,
    requests: Arc<RequestMetrics>,
    broker: BrokerId,
    cluster_id: String,
    incarnation: TopicId,
    directories: Vec<TopicId>,
    rack: Option<String>,
    epoch: Arc<AtomicI64>,
    interval: Duration,
    register_limit: Duration,
    failed: Mutex<Vec<TopicId>>,
    /// Ids of directories by their paths, and those that get no new replicas.
    ids: Vec<(PathBuf, TopicId)>,
    cordoned: Mutex<Vec<TopicId>>,
    /// Whether the controller has said that this broker has caught up.
    caught_up: AtomicBool,
    /// Told when a heartbeat has news.
    news: Notify,
    hands_over: bool,
}

impl Lifecycle {
    /// A broker that has not registered yet.
    pub fn new(
        config: &BrokerConfig,
        formatted: &FormattedDirectories,
        controller: Controller,
        requests: Arc<RequestMetrics>,
    ) -> Arc<Self> {
        let ms = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let dirs = config.log_dirs();
        Arc::new(Self {
            controller,
            requests,
            broker: BrokerId(config.node_id()),
            cluster_id: formatted.cluster_id.clone(),
            incarnation: TopicId::random(),
            directories: dirs.iter().filter_map(|dir| formatted.directory_id(dir)).collect(),
            rack: config.get(&rows::BROKER_RACK).map(str::to_owned),
            epoch: Arc::new(AtomicI64::new(-1)),
            interval: ms(config.get(&rows::BROKER_HEARTBEAT_INTERVAL_MS)),
            register_limit: ms(config.get(&rows::INITIAL_BROKER_REGISTRATION_TIMEOUT_MS)),
            failed: Mutex::default(),
            ids: formatted.directories.clone(),
            cordoned: Mutex::default(),
            caught_up: AtomicBool::new(false),
            news: Notify::new(),
            hands_over: config.get(&rows::CONTROLLED_SHUTDOWN_ENABLE),
        })
    }

    /// Epoch of the registration; −1 before it.
    pub fn epoch(&self) -> &Arc<AtomicI64> {
        &self.epoch
    }

    /// Id of the broker.
    pub fn broker(&self) -> BrokerId {
        self.broker
    }

    /// Who decides about metadata.
    pub fn controller(&self) -> &Controller {
        &self.controller
    }

    /// The log directory of this id failed: heartbeats say so from now on.
    pub fn directory_failed(&self, id: TopicId) {
        self.failed.lock().push(id);
    }

    /// The log directories that get no new replicas: the next heartbeat says so, and comes at once.
    pub fn set_cordoned(&self, dirs: &[PathBuf]) {
        let cordoned = self.ids.iter().filter(|(path, _)| dirs.contains(path));
        let cordoned: Vec<TopicId> = cordoned.map(|(_, id)| *id).collect();
        let mut told = self.cordoned.lock();
        if *told != cordoned {
            *told = cordoned;
            self.news.notify_one();
        }
    }

    /// Registers the broker, as soon as there is a controller.
    ///
    /// # Errors
    /// When the controller refuses or does not come.
    pub async fn register(&self, endpoints: Vec<Endpoint>) -> Result<(), LifecycleError> {
        let request = self.registration(endpoints);
        let began = Instant::now();
        let tries = async {
            loop {
                match self.controller.register_broker(request.clone()).await {
                    Ok(response) => break Ok(response),
                    Err(ControllerError::NotController { .. }) => tokio::time::sleep(RETRY).await,
                    Err(error) => break Err(error),
                }
            }
        };
        let response = tokio::time::timeout(self.register_limit, tries)
            .await
            .map_err(|_| ControllerError::TimedOut)??;
        self.requests.record_in_process(
            ApiKey::BrokerRegistration,
            REGISTRATION_VERSION,
            &request,
            began,
            &vec![(response.error_code, 1)],
        );
        let code =
            ErrorCode::from_code(response.error_code).unwrap_or(ErrorCode::UnknownServerError);
        if code != ErrorCode::None {
            return Err(LifecycleError::Refused { broker: self.broker, code });
        }
        self.epoch.store(response.broker_epoch, Ordering::Release);
        Ok(())
    }

    fn registration(&self, endpoints: Vec<Endpoint>) -> BrokerRegistrationRequest {
        BrokerRegistrationRequest {
            broker_id: self.broker.0,
            cluster_id: self.cluster_id.clone(),
            incarnation_id: self.incarnation,
            listeners: endpoints
                .into_iter()
                .map(|endpoint| Listener {
                    name: endpoint.name,
                    host: endpoint.host,
                    port: endpoint.port,
                    security_protocol: endpoint.security_protocol,
                })
                .collect(),
            features: supported_features()
                .into_iter()
                .map(|feature| Feature {
                    name: feature.name,
                    min_supported_version: feature.min,
                    max_supported_version: feature.max,
                })
                .collect(),
            rack: self.rack.clone(),
            log_dirs: self.directories.clone(),
            ..BrokerRegistrationRequest::default()
        }
    }

    /// Catches up with the metadata and asks to be unfenced.
    ///
    /// # Errors
    /// When the controller does not agree in time.
    pub async fn unfence(&self) -> Result<(), LifecycleError> {
        let tries = async {
            loop {
                let seen = self.controller.last_committed_offset();
                self.controller.publisher().wait_for(seen).await;
                let response = self.heartbeat(false).await?;
                if response.error_code == 0 && !response.is_fenced {
                    let seen = self.controller.last_committed_offset();
                    self.controller.publisher().wait_for(seen).await;
                    return Ok(());
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::time::timeout(self.register_limit, tries)
            .await
            .map_err(|_| ControllerError::TimedOut)?
    }

    async fn heartbeat(&self, leave: bool) -> Result<BrokerHeartbeatResponse, LifecycleError> {
        // As Kafka, not before it has caught up (`BrokerLifecycleManager.sendBrokerHeartbeat`).
        let caught_up = self.caught_up.load(Ordering::Acquire);
        let request = BrokerHeartbeatRequest {
            broker_id: self.broker.0,
            broker_epoch: self.epoch.load(Ordering::Acquire),
            current_metadata_offset: self.controller.publisher().load().last_offset().0,
            want_shut_down: leave,
            offline_log_dirs: self.failed.lock().clone(),
            cordoned_log_dirs: caught_up.then(|| self.cordoned.lock().clone()),
            ..BrokerHeartbeatRequest::default()
        };
        let began = Instant::now();
        let response = self.controller.broker_heartbeat(request.clone()).await?;
        self.requests.record_in_process(
            ApiKey::BrokerHeartbeat,
            HEARTBEAT_VERSION,
            &request,
            began,
            &vec![(response.error_code, 1)],
        );
        if response.is_caught_up {
            self.caught_up.store(true, Ordering::Release);
        }
        Ok(response)
    }

    /// Tells the controller that this broker lives, until the task is dropped; `unfenced` shows
    /// what it thinks.
    pub async fn keep_alive(self: Arc<Self>, unfenced: Condition) {
        let mut interval = tokio::time::interval(self.interval);
        loop {
            tokio::select! { _ = interval.tick() => {}, () = self.news.notified() => {} }
            match self.heartbeat(false).await {
                Ok(response) if response.error_code != 0 => {
                    let code = ErrorCode::from_code(response.error_code);
                    tracing::warn!(?code, "the controller refuses heartbeats");
                }
                Ok(response) if response.is_fenced => unfenced.unmet("the broker is fenced"),
                Ok(_) => unfenced.met(),
                Err(error) => tracing::warn!(%error, "a heartbeat was not answered"),
            }
        }
    }

    /// Hands leaderships over before the node stops, unless `controlled.shutdown.enable` is off.
    pub async fn leave(&self) {
        if !self.hands_over {
            return;
        }
        let tries = async {
            while let Ok(response) = self.heartbeat(true).await {
                if response.should_shut_down || response.error_code != 0 {
                    return;
                }
                let seen = self.controller.last_committed_offset();
                self.controller.publisher().wait_for(seen).await;
                tokio::time::sleep(RETRY).await;
            }
        };
        if tokio::time::timeout(LEAVE_LIMIT, tries).await.is_err() {
            tracing::warn!("the controller did not agree to the shutdown in time");
        }
    }
}
