//! Parsed settings of a consumer.

use std::time::Duration;

use super::assignor::Assignor;
use crate::config::{ClientConfig, Properties, duration, rows};
use crate::error::{ClientError, Result};

/// Where to start without a committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the first record.
    Earliest,
    /// Behind the last record.
    Latest,
    /// At the first record younger than this (KIP-1106).
    ByDuration(Duration),
    /// Nowhere: it is an error.
    None,
}

/// Which rebalance protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupProtocol {
    /// JoinGroup and SyncGroup; a member assigns.
    Classic,
    /// ConsumerGroupHeartbeat (KIP-848); the coordinator assigns.
    Consumer,
}

/// Settings of a consumer.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// What all clients have in common.
    pub client: ClientConfig,
    /// `group.id`.
    pub group_id: Option<String>,
    /// `group.instance.id`.
    pub group_instance_id: Option<String>,
    /// `group.protocol`.
    pub protocol: GroupProtocol,
    /// `group.remote.assignor`.
    pub remote_assignor: Option<String>,
    /// `partition.assignment.strategy`, best first.
    pub assignors: Vec<Assignor>,
    /// `auto.offset.reset`.
    pub offset_reset: OffsetReset,
    /// `enable.auto.commit`, as far as there is a group.
    pub auto_commit: bool,
    /// `auto.commit.interval.ms`.
    pub auto_commit_interval: Duration,
    /// `allow.auto.create.topics`.
    pub auto_create: bool,
    /// `exclude.internal.topics`.
    pub exclude_internal: bool,
    /// `check.crcs`.
    pub check_crcs: bool,
    /// `client.rack`.
    pub rack: Option<String>,
    /// `fetch.max.bytes`.
    pub fetch_max_bytes: i32,
    /// `fetch.max.wait.ms`.
    pub fetch_max_wait_ms: i32,
    /// `fetch.min.bytes`.
    pub fetch_min_bytes: i32,
    /// `max.partition.fetch.bytes`.
    pub max_partition_fetch_bytes: i32,
    /// `isolation.level` is read_committed.
    pub read_committed: bool,
    /// `max.poll.records`.
    pub max_poll_records: usize,
    /// `max.poll.interval.ms`.
    pub max_poll_interval: Duration,
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
}

impl ConsumerConfig {
    /// Parses `properties`.
    ///
    /// # Errors
    /// The first property whose value is not allowed.
    pub fn parse(properties: &Properties) -> Result<Self> {
        let client = ClientConfig::parse(properties)?;
        let group_id = properties.some(rows::GROUP_ID);
        let protocol = match properties.word(rows::GROUP_PROTOCOL).as_str() {
            "consumer" => GroupProtocol::Consumer,
            _ => GroupProtocol::Classic,
        };
        Ok(Self {
            client,
            auto_commit: group_id.is_some() && properties.flag(rows::ENABLE_AUTO_COMMIT)?,
            group_id,
            group_instance_id: properties.some(rows::GROUP_INSTANCE_ID),
            protocol,
            remote_assignor: properties.some(rows::GROUP_REMOTE_ASSIGNOR),
            assignors: assignors(properties)?,
            offset_reset: offset_reset(properties)?,
            auto_commit_interval: duration(properties, rows::AUTO_COMMIT_INTERVAL_MS)?,
            auto_create: properties.flag(rows::ALLOW_AUTO_CREATE)?,
            exclude_internal: properties.flag(rows::EXCLUDE_INTERNAL_TOPICS)?,
            check_crcs: properties.flag(rows::CHECK_CRCS)?,
            rack: properties.some(rows::CLIENT_RACK),
            fetch_max_bytes: int(properties, rows::FETCH_MAX_BYTES)?,
            fetch_max_wait_ms: int(properties, rows::FETCH_MAX_WAIT_MS)?,
            fetch_min_bytes: int(properties, rows::FETCH_MIN_BYTES)?,
            max_partition_fetch_bytes: int(properties, rows::MAX_PARTITION_FETCH_BYTES)?,
            read_committed: properties.word(rows::ISOLATION_LEVEL) == "read_committed",
            max_poll_records: usize::try_from(properties.amount(rows::MAX_POLL_RECORDS)?)
                .unwrap_or(usize::MAX),
            max_poll_interval: duration(properties, rows::MAX_POLL_INTERVAL_MS)?,
            session_timeout: duration(properties, rows::SESSION_TIMEOUT_MS)?,
            heartbeat_interval: duration(properties, rows::HEARTBEAT_INTERVAL_MS)?,
        })
    }
}

fn int(properties: &Properties, row: &'static rows::Row) -> Result<i32> {
    Ok(i32::try_from(properties.number(row)?).unwrap_or(i32::MAX))
}

fn offset_reset(properties: &Properties) -> Result<OffsetReset> {
    let text = properties.text(rows::AUTO_OFFSET_RESET);
    match text.to_ascii_lowercase().as_str() {
        "earliest" => return Ok(OffsetReset::Earliest),
        "latest" => return Ok(OffsetReset::Latest),
        "none" => return Ok(OffsetReset::None),
        _ => {}
    }
    let span = text.strip_prefix("by_duration:").and_then(parse_iso_duration);
    span.map(OffsetReset::ByDuration).ok_or_else(|| ClientError::Config {
        key: rows::AUTO_OFFSET_RESET.name.to_owned(),
        value: text.to_owned(),
        expected: "earliest, latest, none or by_duration:PnDTnHnMn.nS".to_owned(),
    })
}

/// Reads an ISO 8601 duration of days to seconds, as `java.time.Duration.parse` does; negative
/// ones are refused.
pub fn parse_iso_duration(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix(['P', 'p'])?;
    let (date, time) = match rest.split_once(['T', 't']) {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (rest, ""),
    };
    let days = parts(date, &[('D', 86_400.0)])?;
    let clock = parts(time, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)])?;
    if rest.is_empty() {
        return None;
    }
    Duration::try_from_secs_f64(days + clock).ok()
}

/// Sums numbers with units, which must come in order.
fn parts(text: &str, units: &[(char, f64)]) -> Option<f64> {
    let mut seconds = 0.0;
    let mut rest = text;
    let mut units = units.iter();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, tail) = rest.split_at_checked(end)?;
        let unit = tail.chars().next()?.to_ascii_uppercase();
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok().filter(|number| number.is_finite())? * factor;
        rest = tail.get(1..)?;
    }
    Some(seconds)
}

fn assignors(properties: &Properties) -> Result<Vec<Assignor>> {
    let text = properties.text(rows::PARTITION_ASSIGNMENT_STRATEGY);
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let parsed: Option<Vec<_>> = names.map(Assignor::by_name).collect();
    parsed.filter(|list| !list.is_empty()).ok_or_else(|| ClientError::Config {
        key: rows::PARTITION_ASSIGNMENT_STRATEGY.name.to_owned(),
        value: text.to_owned(),
        expected: "range, roundrobin, sticky or cooperative-sticky (or the Java class of one)"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_durations() {
        for (text, expected) in [
            ("PT1H", Some(3600.0)),
            ("P1DT2H3M4.5S", Some(93784.5)),
            ("P2D", Some(172_800.0)),
            ("pt0.5s", Some(0.5)),
            ("P", None),
            ("PT", None),
            ("1H", None),
            ("PT1X", None),
            ("PT1S1H", None),
            ("PT-1H", None),
        ] {
            assert_eq!(parse_iso_duration(text).map(|d| d.as_secs_f64()), expected, "{text}");
        }
    }

    #[test]
    fn names_and_classes_of_assignors() {
        let mut properties = Properties::parse(
            "bootstrap.servers=a:1\npartition.assignment.strategy=class org.apache.kafka.clients.consumer.RangeAssignor,class org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
        );
        let config = ConsumerConfig::parse(&properties).unwrap();
        assert_eq!(config.assignors, [Assignor::Range, Assignor::CooperativeSticky]);
        properties.set("partition.assignment.strategy", "fair");
        assert!(ConsumerConfig::parse(&properties).is_err());
    }
}
