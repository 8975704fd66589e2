//! Rules that bind several keys, as `KafkaConfig.validateValues` states them.

use std::path::PathBuf;

use pharos_base::HIDDEN;

use crate::admin_rules;
use crate::broker::BrokerConfig;
use crate::derived::parse_ip_overrides;
use crate::error::ConfigError;
use crate::row::Row;
use crate::rows;

/// Checks all rules.
pub(crate) fn check(config: &BrokerConfig) -> Result<(), ConfigError> {
    directories(config)?;
    quorum(config)?;
    admin_ports(config)?;
    admin_rules::check(config)?;
    timing(config)?;
    group_limits(config)?;
    single_keys(config)
}

pub(crate) fn refuse(config: &BrokerConfig, row: &Row, expected: impl Into<String>) -> ConfigError {
    let value = match row.sensitive() {
        true => HIDDEN.to_owned(),
        false => config.value(row).shown().unwrap_or_default(),
    };
    ConfigError::rule(row.name, value, expected, &config.origin(row.name))
}

fn directories(config: &BrokerConfig) -> Result<(), ConfigError> {
    let row = match config.get(&rows::LOG_DIRS) {
        Some(dirs) if !dirs.is_empty() => &rows::LOG_DIRS.row,
        _ => &rows::LOG_DIR.row,
    };
    let dirs = config.log_dirs();
    if dirs.is_empty() || dirs.iter().any(|dir| dir.as_os_str().is_empty()) {
        return Err(refuse(config, row, "expected at least one directory and no empty one"));
    }
    let twice =
        dirs.iter().enumerate().any(|(index, dir)| dirs.iter().take(index).any(|d| d == dir));
    if twice {
        return Err(refuse(config, row, "expected each directory once"));
    }
    let cordoned = config.get(&rows::CORDONED_LOG_DIRS);
    if !cordoned
        .iter()
        .all(|dir| dir == "*" || dirs.iter().any(|known| known.as_os_str() == &**dir))
    {
        let expected = "expected * or directories of log.dirs";
        return Err(refuse(config, &rows::CORDONED_LOG_DIRS.row, expected));
    }
    let open =
        |dir: &PathBuf| !cordoned.iter().any(|name| name == "*" || dir.as_os_str() == &**name);
    if !dirs.iter().any(open) {
        let expected = "expected a directory left for new partitions: there is no other broker";
        return Err(refuse(config, &rows::CORDONED_LOG_DIRS.row, expected));
    }
    Ok(())
}

/// The quorum has one voter, this node, as long as clusters are not available.
fn quorum(config: &BrokerConfig) -> Result<(), ConfigError> {
    if config.get(&rows::CONTROLLER_QUORUM_BOOTSTRAP_SERVERS).len() > 1 {
        let expected = "expected one address: clusters of several nodes are not available";
        return Err(refuse(config, &rows::CONTROLLER_QUORUM_BOOTSTRAP_SERVERS.row, expected));
    }
    let roles = config.roles();
    if !(roles.broker && roles.controller) {
        let expected = "expected broker,controller: clusters of several nodes are not available";
        return Err(refuse(config, &rows::PROCESS_ROLES.row, expected));
    }
    match config.voters() {
        [] => Ok(()),
        [one] if one.id == config.node_id() => Ok(()),
        [one] => {
            let expected = format!("expected node.id {} instead of {}", config.node_id(), one.id);
            Err(refuse(config, &rows::CONTROLLER_QUORUM_VOTERS.row, expected))
        }
        _ => {
            let expected = "expected one voter: clusters of several nodes are not available";
            Err(refuse(config, &rows::CONTROLLER_QUORUM_VOTERS.row, expected))
        }
    }
}

/// The admin listeners keep off the ports of the others.
fn admin_ports(config: &BrokerConfig) -> Result<(), ConfigError> {
    for admin in config.admin_listeners().iter().filter(|admin| admin.port != 0) {
        let listeners = &config.endpoints().listeners;
        if let Some(other) = listeners.iter().find(|other| other.address.port == admin.port) {
            let expected = format!("expected a port other than that of {}", other.address);
            return Err(refuse(config, &rows::ADMIN_LISTENERS.row, expected));
        }
    }
    Ok(())
}

fn timing(config: &BrokerConfig) -> Result<(), ConfigError> {
    let heartbeat = config.get(&rows::BROKER_HEARTBEAT_INTERVAL_MS);
    if i64::from(heartbeat) * 2 > i64::from(config.get(&rows::BROKER_SESSION_TIMEOUT_MS)) {
        let expected = format!("expected at least twice broker.heartbeat.interval.ms, {heartbeat}");
        return Err(refuse(config, &rows::BROKER_SESSION_TIMEOUT_MS.row, expected));
    }
    let lag = config.get(&rows::REPLICA_LAG_TIME_MAX_MS);
    if i64::from(config.get(&rows::REPLICA_FETCH_WAIT_MAX_MS)) > lag {
        let expected = format!("expected at most replica.lag.time.max.ms, {lag}");
        return Err(refuse(config, &rows::REPLICA_FETCH_WAIT_MAX_MS.row, expected));
    }
    if config.log_retention_ms() == 0 {
        let given = [
            &rows::LOG_RETENTION_MS.row,
            &rows::LOG_RETENTION_MINUTES.row,
            &rows::LOG_RETENTION_HOURS.row,
        ];
        let row = given.into_iter().find(|row| config.value(row).shown().as_deref() == Some("0"));
        let row = row.unwrap_or(&rows::LOG_RETENTION_MS.row);
        return Err(refuse(config, row, "expected -1 or at least 1"));
    }
    if config.log_roll_ms() < 1 {
        return Err(refuse(config, &rows::LOG_ROLL_MS.row, "expected at least 1"));
    }
    if config.log_roll_jitter_ms() < 0 {
        return Err(refuse(config, &rows::LOG_ROLL_JITTER_MS.row, "expected at least 0"));
    }
    Ok(())
}

/// Least, default and most stand in order.
fn group_limits(config: &BrokerConfig) -> Result<(), ConfigError> {
    let triples = [
        (
            &rows::GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS,
            &rows::GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS,
            &rows::GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS,
        ),
        (
            &rows::GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS,
            &rows::GROUP_CONSUMER_SESSION_TIMEOUT_MS,
            &rows::GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS,
        ),
        (
            &rows::GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS,
            &rows::GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS,
            &rows::GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS,
        ),
    ];
    for (least, middle, most) in triples {
        let (low, value, high) = (config.get(least), config.get(middle), config.get(most));
        if low > value || value > high {
            let expected = format!(
                "expected a value from {}, {low}, to {}, {high}",
                least.row.name, most.row.name
            );
            return Err(refuse(config, &middle.row, expected));
        }
    }
    if config.get(&rows::GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS)
        >= config.get(&rows::GROUP_CONSUMER_SESSION_TIMEOUT_MS)
    {
        let expected = "expected less than group.consumer.session.timeout.ms";
        return Err(refuse(config, &rows::GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS.row, expected));
    }
    if config.get(&rows::GROUP_MIN_SESSION_TIMEOUT_MS)
        > config.get(&rows::GROUP_MAX_SESSION_TIMEOUT_MS)
    {
        let expected = "expected at most group.max.session.timeout.ms";
        return Err(refuse(config, &rows::GROUP_MIN_SESSION_TIMEOUT_MS.row, expected));
    }
    Ok(())
}

fn single_keys(config: &BrokerConfig) -> Result<(), ConfigError> {
    let queued = config.get(&rows::QUEUED_MAX_REQUEST_BYTES);
    let largest = i64::from(config.get(&rows::SOCKET_REQUEST_MAX_BYTES));
    if queued > 0 && queued < largest {
        let expected = format!("expected at least socket.request.max.bytes, {largest}");
        return Err(refuse(config, &rows::QUEUED_MAX_REQUEST_BYTES.row, expected));
    }
    if parse_ip_overrides(config.get(&rows::MAX_CONNECTIONS_PER_IP_OVERRIDES)).is_none() {
        let expected = "expected host:limit, separated by commas";
        return Err(refuse(config, &rows::MAX_CONNECTIONS_PER_IP_OVERRIDES.row, expected));
    }
    if !(0..=4).contains(&config.get(&rows::OFFSETS_TOPIC_COMPRESSION_CODEC)) {
        let expected = "expected a codec from 0 to 4";
        return Err(refuse(config, &rows::OFFSETS_TOPIC_COMPRESSION_CODEC.row, expected));
    }
    let protocols = config.get(&rows::GROUP_COORDINATOR_REBALANCE_PROTOCOLS);
    let offers = |name: &str| protocols.iter().any(|offered| offered == name);
    if !offers("classic") || offers("share") {
        let expected = "expected classic, and no share: share groups are not available";
        return Err(refuse(config, &rows::GROUP_COORDINATOR_REBALANCE_PROTOCOLS.row, expected));
    }
    for key in [&rows::SOCKET_RECEIVE_BUFFER_BYTES, &rows::SOCKET_SEND_BUFFER_BYTES] {
        let size = config.get(key);
        if size != -1 && size < 1 {
            return Err(refuse(config, &key.row, "expected -1 or at least 1"));
        }
    }
    let endpoint = config.get(&rows::OTEL_EXPORTER_OTLP_ENDPOINT).unwrap_or("http://host");
    let authority = endpoint.strip_prefix("http://").unwrap_or_default();
    if authority.is_empty() || authority.starts_with('/') {
        let row = &rows::OTEL_EXPORTER_OTLP_ENDPOINT.row;
        return Err(refuse(config, row, "expected http://host:port"));
    }
    if !matches!(config.get(&rows::METRICS_RECORDING_LEVEL), "INFO" | "DEBUG" | "TRACE") {
        let expected = "expected INFO, DEBUG or TRACE";
        return Err(refuse(config, &rows::METRICS_RECORDING_LEVEL.row, expected));
    }
    Ok(())
}
