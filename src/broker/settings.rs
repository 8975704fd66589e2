//! From configuration rows to the options of the rooms below.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pharos_base::{BrokerId, Clock, open_file_limit};
use pharos_config::{BrokerConfig, GroupConfig as SingleGroup, Overrides, TopicConfig, rows};
use pharos_coordinator::{Assignor, Config as GroupConfig, GroupOverrides, MigrationPolicy};
use pharos_metadata::image::{ConfigResourceType, MetadataImage, QuotaName};
use pharos_metadata::{ControllerSettings, supported_features};
use pharos_metrics::{Registry, SampleWindows};
use pharos_net::{AddressLimits, Limits, ListenerQuota, QuotaLimits};
use pharos_protocol::compression::Codec;
use pharos_storage::fs::Fs;
use pharos_storage::{CleanerOptions, ManagerOptions};

use crate::groups::GroupsOptions;
use crate::live_config::log_config;
use crate::quotas::QuotaWindows;

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
        recovery_threads: recovery_threads(config),
        max_open_files: max_open_files(open_file_limit(), defaults.max_open_files),
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
        cleaner: cleaner(config),
        ..defaults
    }
}

/// Files of segments that are kept open: as many as are wanted, but half of what the process may open
/// at most. Connections need the others.
fn max_open_files(limit: Option<u64>, wanted: usize) -> usize {
    let half = limit.map_or(wanted, |limit| usize::try_from(limit / 2).unwrap_or(wanted));
    half.min(wanted)
}

/// Threads that open and close the logs of one directory.
pub fn recovery_threads(config: &BrokerConfig) -> usize {
    size(config.get(&rows::NUM_RECOVERY_THREADS_PER_DATA_DIR))
}

/// Options of the cleaner.
pub fn cleaner(config: &BrokerConfig) -> CleanerOptions {
    let keys = config.get(&rows::LOG_CLEANER_DEDUPE_BUFFER_SIZE);
    CleanerOptions {
        enabled: config.get(&rows::LOG_CLEANER_ENABLE),
        backoff_ms: config.get(&rows::LOG_CLEANER_BACKOFF_MS),
        dedupe_buffer_bytes: usize::try_from(keys).unwrap_or(0),
        load_factor: config.get(&rows::LOG_CLEANER_IO_BUFFER_LOAD_FACTOR),
        io_buffer_bytes: size(config.get(&rows::LOG_CLEANER_IO_BUFFER_SIZE)),
        io_max_bytes_per_second: config.get(&rows::LOG_CLEANER_IO_MAX_BYTES_PER_SECOND),
        threads: size(config.get(&rows::LOG_CLEANER_THREADS)),
    }
}

/// Directories that get no new logs.
pub fn cordoned(config: &BrokerConfig) -> Vec<PathBuf> {
    config.get(&rows::CORDONED_LOG_DIRS).iter().map(PathBuf::from).collect()
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

/// The windows that quotas are measured in.
pub fn quota_windows(config: &BrokerConfig) -> QuotaWindows {
    let windows = |number: i32, seconds: i32| SampleWindows {
        number: u32::try_from(number).unwrap_or(1),
        length_ms: i64::from(seconds).saturating_mul(1000),
    };
    QuotaWindows {
        clients: windows(
            config.get(&rows::QUOTA_WINDOW_NUM),
            config.get(&rows::QUOTA_WINDOW_SIZE_SECONDS),
        ),
        controller: windows(
            config.get(&rows::CONTROLLER_QUOTA_WINDOW_NUM),
            config.get(&rows::CONTROLLER_QUOTA_WINDOW_SIZE_SECONDS),
        ),
    }
}

/// How many connections there may be, and how fast they may come; `image` holds the quotas of
/// addresses.
pub fn connection_quotas(config: &BrokerConfig, image: &MetadataImage) -> QuotaLimits {
    let count = |value: i32| u32::try_from(value).unwrap_or(0);
    let rate = config.get(&rows::MAX_CONNECTION_CREATION_RATE);
    QuotaLimits {
        max_connections: count(config.get(&rows::MAX_CONNECTIONS)),
        max_connections_per_ip: count(config.get(&rows::MAX_CONNECTIONS_PER_IP)),
        per_ip_overrides: limits_by_address(config),
        creation_rate: (rate < i32::MAX).then(|| count(rate)),
        listeners: listener_quotas(config),
        addresses: address_limits(config, image),
    }
}

/// Creation rates of addresses; names are looked up, as Kafka does.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn address_limits(config: &BrokerConfig, image: &MetadataImage) -> AddressLimits {
    let mut limits =
        AddressLimits { windows: quota_windows(config).clients, ..AddressLimits::default() };
    for (entity, own) in image.quotas() {
        let rate = own.get("connection_creation_rate").map(|rate| *rate as u32);
        let (Some(name), Some(rate)) = (&entity.ip, rate) else { continue };
        match name {
            QuotaName::Default => limits.default = Some(rate),
            QuotaName::Named(host) => match (&**host, 0).to_socket_addrs() {
                Ok(found) => {
                    let found = found.map(|address| (address.ip().to_canonical(), rate));
                    limits.by_address.extend(found);
                }
                Err(error) => {
                    tracing::warn!(%host, %error, "connection_creation_rate: unknown host");
                }
            },
        }
    }
    limits
}

/// `max.connections.per.ip.overrides` by address; names are looked up, as Kafka does.
fn limits_by_address(config: &BrokerConfig) -> HashMap<IpAddr, u32> {
    let mut limits = HashMap::new();
    for (host, limit) in config.max_connections_per_ip_overrides() {
        match (host, 0).to_socket_addrs() {
            Ok(found) => {
                limits.extend(found.map(|address| (address.ip().to_canonical(), limit)));
            }
            Err(error) => {
                tracing::warn!(host, %error, "max.connections.per.ip.overrides: unknown host");
            }
        }
    }
    limits
}

/// The limits of single listeners. As in Kafka, one without a value of its own has the broker's for
/// itself, and clients cannot take the last connections from the
/// listener that brokers use, where they have one of their own.
fn listener_quotas(config: &BrokerConfig) -> HashMap<Arc<str>, ListenerQuota> {
    let count = |value: i32| u32::try_from(value).unwrap_or(0);
    let endpoints = config.endpoints();
    let several = endpoints.listeners.iter().filter(|listener| !listener.controller).count() > 1;
    let quotas = endpoints.listeners.iter().map(|listener| {
        let name = listener.address.name.as_str();
        let limit = |key| {
            let limit = config.of_listener(name, key).unwrap_or_else(|| config.get(key));
            Some(limit).filter(|limit| *limit < i32::MAX)
        };
        let quota = ListenerQuota {
            max_connections: limit(&rows::MAX_CONNECTIONS).map_or(u32::MAX, count),
            creation_rate: limit(&rows::MAX_CONNECTION_CREATION_RATE).map(count),
            protected: several && name == endpoints.inter_broker,
        };
        (name.into(), quota)
    });
    quotas.collect()
}

/// What the group coordinator is told at start.
pub fn groups_at_start(config: &BrokerConfig) -> GroupsOptions {
    let commit_ms = config.get(&rows::OFFSETS_COMMIT_TIMEOUT_MS);
    let codec = u8::try_from(config.get(&rows::OFFSETS_TOPIC_COMPRESSION_CODEC));
    let protocols = config.get(&rows::GROUP_COORDINATOR_REBALANCE_PROTOCOLS);
    GroupsOptions {
        commit_limit: Duration::from_millis(u64::try_from(commit_ms).unwrap_or(0)),
        load_bytes: size(config.get(&rows::OFFSETS_LOAD_BUFFER_SIZE)),
        codec: codec.ok().and_then(Codec::from_id).unwrap_or(Codec::None),
        consumer_protocol: protocols.iter().any(|offered| offered == "consumer"),
    }
}

/// Settings of groups; `image` holds those of single groups.
pub fn groups(config: &BrokerConfig, image: &MetadataImage) -> GroupConfig {
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
        consumer_assignment_interval_ms: config.get(&rows::GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS),
        consumer_regex_refresh_interval_ms: config
            .get(&rows::GROUP_CONSUMER_REGEX_REFRESH_INTERVAL_MS)
            .into(),
        consumer_max_size: size(config.get(&rows::GROUP_CONSUMER_MAX_SIZE)),
        consumer_assignors: assignors.iter().filter_map(|name| Assignor::parse(name)).collect(),
        consumer_migration_policy: policy.unwrap_or(MigrationPolicy::Bidirectional),
        offset_metadata_max_size: size(config.get(&rows::OFFSET_METADATA_MAX_BYTES)),
        offsets_retention_ms: minutes.saturating_mul(60_000),
        offsets_retention_check_interval_ms: config.get(&rows::OFFSETS_RETENTION_CHECK_INTERVAL_MS),
        groups: image
            .configs()
            .filter(|(of, _)| of.kind == ConfigResourceType::Group)
            .map(|(of, set)| (of.name.clone(), group(set, config)))
            .collect(),
        ..GroupConfig::default()
    }
}

/// What is set on one group. What is not set follows the broker's values.
fn group(set: &Overrides, config: &BrokerConfig) -> GroupOverrides {
    let resolved = SingleGroup::resolve(set, config);
    let given = |key: &str, value: i32| set.contains_key(key).then_some(value);
    GroupOverrides {
        consumer_session_timeout_ms: given(
            "consumer.session.timeout.ms",
            resolved.consumer_session_timeout_ms,
        ),
        consumer_heartbeat_interval_ms: given(
            "consumer.heartbeat.interval.ms",
            resolved.consumer_heartbeat_interval_ms,
        ),
        consumer_assignment_interval_ms: given(
            "consumer.assignment.interval.ms",
            resolved.consumer_assignment_interval_ms,
        ),
    }
}

fn size(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_keep_half_of_the_file_handles() {
        assert_eq!(max_open_files(None, 4096), 4096);
        assert_eq!(max_open_files(Some(1 << 20), 4096), 4096);
        assert_eq!(max_open_files(Some(1024), 4096), 512);
    }

    #[test]
    fn hosts_have_their_own_limits() {
        let given = "max.connections.per.ip.overrides=10.0.0.1:5,::1:6,::ffff:10.0.0.2:7";
        let config = BrokerConfig::defaults(&[given]).unwrap();
        let limits = connection_quotas(&config, &MetadataImage::empty()).per_ip_overrides;
        for (address, limit) in [("10.0.0.1", 5), ("::1", 6), ("10.0.0.2", 7)] {
            assert_eq!(limits[&address.parse::<IpAddr>().unwrap()], limit, "{address}");
        }
        let named = BrokerConfig::defaults(&["max.connections.per.ip.overrides=localhost:8"]);
        let limits = connection_quotas(&named.unwrap(), &MetadataImage::empty()).per_ip_overrides;
        assert!(limits.keys().all(IpAddr::is_loopback) && !limits.is_empty(), "{limits:?}");
    }

    #[test]
    fn listeners_have_their_own_limits() {
        let config = BrokerConfig::defaults(&[
            "listeners=A://:0,B://:0",
            "listener.security.protocol.map=A:PLAINTEXT,B:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=B",
            "listener.name.a.max.connections=3",
            "listener.name.b.max.connection.creation.rate=4",
        ])
        .unwrap();
        let limits = |config: &BrokerConfig, name: &str| {
            let quota = connection_quotas(config, &MetadataImage::empty()).listeners[name].clone();
            (quota.max_connections, quota.creation_rate, quota.protected)
        };
        assert_eq!(limits(&config, "A"), (3, None, false));
        assert_eq!(limits(&config, "B"), (u32::MAX, Some(4), true));
        assert_eq!(limits(&config, "CONTROLLER"), (u32::MAX, None, false));
        let set = ("listener.name.a.max.connections".to_owned(), "5".to_owned());
        let config = config.with_dynamic([set].into(), Overrides::new());
        assert_eq!(limits(&config, "A"), (5, None, false));
        // A listener without others has nobody to be protected from.
        let config = BrokerConfig::defaults(&[]).unwrap();
        assert_eq!(limits(&config, "PLAINTEXT"), (u32::MAX, None, false));
        // What all together may have, one may have.
        let given = ["max.connections=7", "max.connection.creation.rate=8"];
        let config = BrokerConfig::defaults(&given).unwrap();
        assert_eq!(limits(&config, "PLAINTEXT"), (7, Some(8), false));
    }
}
