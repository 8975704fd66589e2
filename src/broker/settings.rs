//! From configuration rows to the options of the rooms below.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pharos_base::{BrokerId, Clock};
use pharos_config::{BrokerConfig, Overrides, TopicConfig, rows};
use pharos_coordinator::{Assignor, Config as GroupConfig, MigrationPolicy};
use pharos_metadata::{ControllerSettings, supported_features};
use pharos_metrics::Registry;
use pharos_net::{Limits, QuotaLimits};
use pharos_storage::fs::Fs;
use pharos_storage::{CleanerOptions, ManagerOptions};

use crate::live_config::log_config;

/// Bytes of requests and answers in memory over all connections, unless
/// `queued.max.request.bytes` says otherwise.
const DEFAULT_BUDGET_BYTES: usize = 512 * 1024 * 1024;

/// Options of the logs.
pub fn storage(
    config: &BrokerConfig,
    fs: Arc<dyn Fs>,
    clock: Clock,
    registry: &Registry,
) -> ManagerOptions {
    let broker = config.clone();
    let defaults = ManagerOptions::new(fs, clock);
    ManagerOptions {
        registry: registry.clone(),
        config_of: Arc::new(move |_| log_config(&TopicConfig::resolve(&Overrides::new(), &broker))),
        recovery_threads: size(config.get(&rows::NUM_RECOVERY_THREADS_PER_DATA_DIR)),
        producer_id_expiration_ms: config.get(&rows::PRODUCER_ID_EXPIRATION_MS).into(),
        producer_id_expiration_check_interval_ms: config
            .get(&rows::PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS)
            .into(),
        retention_check_interval_ms: config.get(&rows::LOG_RETENTION_CHECK_INTERVAL_MS),
        flush_scheduler_interval_ms: config.get(&rows::LOG_FLUSH_SCHEDULER_INTERVAL_MS),
        recovery_point_checkpoint_interval_ms: config
            .get(&rows::LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS)
            .into(),
        log_start_checkpoint_interval_ms: config
            .get(&rows::LOG_FLUSH_START_OFFSET_CHECKPOINT_INTERVAL_MS)
            .into(),
        high_watermark_checkpoint_interval_ms: config
            .get(&rows::REPLICA_HIGH_WATERMARK_CHECKPOINT_INTERVAL_MS),
        initial_task_delay_ms: config.get(&rows::LOG_INITIAL_TASK_DELAY_MS),
        cleaner: CleanerOptions {
            enabled: config.get(&rows::LOG_CLEANER_ENABLE),
            backoff_ms: config.get(&rows::LOG_CLEANER_BACKOFF_MS),
            dedupe_buffer_bytes: usize::try_from(config.get(&rows::LOG_CLEANER_DEDUPE_BUFFER_SIZE))
                .unwrap_or(usize::MAX),
            load_factor: config.get(&rows::LOG_CLEANER_IO_BUFFER_LOAD_FACTOR),
        },
        ..defaults
    }
}

/// Limits and defaults of the controller.
pub fn controller(config: &BrokerConfig, cluster_id: &str) -> ControllerSettings {
    let seconds = config.get(&rows::LEADER_IMBALANCE_CHECK_INTERVAL_SECONDS);
    ControllerSettings {
        default_num_partitions: config.get(&rows::NUM_PARTITIONS),
        default_replication_factor: i16::try_from(config.get(&rows::DEFAULT_REPLICATION_FACTOR))
            .unwrap_or(1),
        delete_topic_enable: config.get(&rows::DELETE_TOPIC_ENABLE),
        unclean_leader_election_enable: config.get(&rows::UNCLEAN_LEADER_ELECTION_ENABLE),
        broker_session_timeout_ms: config.get(&rows::BROKER_SESSION_TIMEOUT_MS).into(),
        auto_leader_rebalance_enable: config.get(&rows::AUTO_LEADER_REBALANCE_ENABLE),
        leader_imbalance_check_interval_ms: seconds.saturating_mul(1000),
        max_idle_interval_ms: config.get(&rows::METADATA_MAX_IDLE_INTERVAL_MS).into(),
        supported_features: supported_features(),
        ..ControllerSettings::new(BrokerId(config.node_id()), cluster_id)
    }
}

/// What one connection may do.
pub fn connection_limits(config: &BrokerConfig) -> Limits {
    let buffer = |bytes: i32| u32::try_from(bytes).ok().filter(|bytes| *bytes > 0);
    // Kafka's default of 100 KiB would switch the system's own tuning off; it is used only when
    // somebody asks for a size.
    let given = |name: &str| config.given().contains_key(name);
    let send = buffer(config.get(&rows::SOCKET_SEND_BUFFER_BYTES));
    let receive = buffer(config.get(&rows::SOCKET_RECEIVE_BUFFER_BYTES));
    let idle_ms = config.get(&rows::CONNECTIONS_MAX_IDLE_MS);
    Limits {
        max_request_bytes: size(config.get(&rows::SOCKET_REQUEST_MAX_BYTES)),
        budget_is_memory_pool: config.get(&rows::QUEUED_MAX_REQUEST_BYTES) > 0,
        max_idle: u64::try_from(idle_ms).map_or(Duration::MAX, Duration::from_millis),
        send_buffer_bytes: send.filter(|_| given("socket.send.buffer.bytes")),
        receive_buffer_bytes: receive.filter(|_| given("socket.receive.buffer.bytes")),
        backlog: u32::try_from(config.get(&rows::SOCKET_LISTEN_BACKLOG_SIZE)).unwrap_or(50),
        ..Limits::default()
    }
}

/// Bytes in flight over all connections.
pub fn budget_bytes(config: &BrokerConfig) -> usize {
    usize::try_from(config.get(&rows::QUEUED_MAX_REQUEST_BYTES))
        .ok()
        .filter(|bytes| *bytes > 0)
        .unwrap_or(DEFAULT_BUDGET_BYTES)
}

/// How many connections there may be.
pub fn connection_quotas(config: &BrokerConfig) -> QuotaLimits {
    let count = |value: i32| u32::try_from(value).unwrap_or(0);
    let rate = config.get(&rows::MAX_CONNECTION_CREATION_RATE);
    let overrides: HashMap<IpAddr, u32> = config
        .max_connections_per_ip_overrides()
        .into_iter()
        .filter_map(|(host, limit)| Some((host.parse().ok()?, count(limit))))
        .collect();
    QuotaLimits {
        max_connections: count(config.get(&rows::MAX_CONNECTIONS)),
        max_connections_per_ip: count(config.get(&rows::MAX_CONNECTIONS_PER_IP)),
        per_ip_overrides: overrides,
        creation_rate: (rate < i32::MAX).then(|| count(rate)),
        ..QuotaLimits::default()
    }
}

/// Settings of groups.
pub fn groups(config: &BrokerConfig) -> GroupConfig {
    let assignors = config.get(&rows::GROUP_CONSUMER_ASSIGNORS);
    let minutes = i64::from(config.get(&rows::OFFSETS_RETENTION_MINUTES));
    let policy = MigrationPolicy::parse(config.get(&rows::GROUP_CONSUMER_MIGRATION_POLICY));
    GroupConfig {
        classic_min_session_timeout_ms: config.get(&rows::GROUP_MIN_SESSION_TIMEOUT_MS),
        classic_max_session_timeout_ms: config.get(&rows::GROUP_MAX_SESSION_TIMEOUT_MS),
        classic_initial_rebalance_delay_ms: config.get(&rows::GROUP_INITIAL_REBALANCE_DELAY_MS),
        classic_max_size: size(config.get(&rows::GROUP_MAX_SIZE)),
        consumer_session_timeout_ms: config.get(&rows::GROUP_CONSUMER_SESSION_TIMEOUT_MS),
        consumer_heartbeat_interval_ms: config.get(&rows::GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS),
        consumer_max_size: size(config.get(&rows::GROUP_CONSUMER_MAX_SIZE)),
        consumer_assignors: assignors.iter().filter_map(|name| Assignor::parse(name)).collect(),
        consumer_migration_policy: policy.unwrap_or(MigrationPolicy::Bidirectional),
        offset_metadata_max_size: size(config.get(&rows::OFFSET_METADATA_MAX_BYTES)),
        offsets_retention_ms: minutes.saturating_mul(60_000),
        offsets_retention_check_interval_ms: config.get(&rows::OFFSETS_RETENTION_CHECK_INTERVAL_MS),
        ..GroupConfig::default()
    }
}

fn size(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}
