//! What the values of a resource must fulfil when they are altered, and the words that say what does
//! not.

use crate::alter::Refusal;
use crate::broker::{BrokerConfig, Overrides, absent};
use crate::check::Fault;
use crate::describe::Resource;
use crate::error::Shown;
use crate::per_listener;
use crate::row::Row;
use crate::rows;
use crate::value::Value;

/// The row of a key that a broker resource may carry.
pub(crate) fn broker_row(name: &str) -> Option<&'static Row> {
    rows::broker_row(name).or_else(|| rows::find(rows::throttle::ALL, name))
}

/// Whether a broker's key may have this value now.
pub(crate) fn broker_value(name: &str, text: &str, broker: &BrokerConfig) -> Result<(), Refusal> {
    if per_listener::row(name).is_some() && per_listener::acting(name).is_none() {
        let words = format!("Cannot update these configs dynamically: [{}]", Shown::text(name));
        return Err(Refusal::InvalidRequest(words));
    }
    let Some(row) = broker_row(name).or_else(|| per_listener::acting(name)) else {
        let words = format!("Unknown broker config name: {}", Shown::text(name));
        return Err(Refusal::InvalidRequest(words));
    };
    let value = value_of(row, text).map_err(Refusal::InvalidRequest)?;
    if FIXED_AT_START.contains(&name) && value != *broker.value(row) {
        let words = format!("Cannot update these configs while the broker runs: [{name}]");
        return Err(Refusal::InvalidRequest(words));
    }
    if let (true, Value::Integer(count)) = (THREAD_COUNTS.contains(&name), &value) {
        thread_count(row, *count, broker)?;
    }
    if CONNECTION_LIMITS.contains(&row.name) && value == Value::Integer(0) {
        return Err(Refusal::InvalidRequest(format!(
            "Invalid value org.apache.kafka.common.config.ConfigException: Invalid {} 0 for \
             configuration Invalid dynamic configuration",
            row.name
        )));
    }
    Ok(())
}

/// Keys that Kafka changes at run time and we do not.
const FIXED_AT_START: &[&str] = &["listeners", "listener.security.protocol.map"];

/// Keys that may be 0 at the start only, of all listeners or of one
/// (`ListenerConnectionQuota.validateReconfiguration`): nobody could undo it.
const CONNECTION_LIMITS: &[&str] = &["max.connections", "max.connection.creation.rate"];

/// Keys that may at most double or halve at a time (`DynamicThreadPool`).
const THREAD_COUNTS: &[&str] = &[
    "background.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
];

fn thread_count(row: &Row, count: i64, broker: &BrokerConfig) -> Result<(), Refusal> {
    let Value::Integer(current) = broker.value(row) else { return Ok(()) };
    let current = *current;
    let bound = if count > current.saturating_mul(2) {
        "greater than double"
    } else if count < current / 2 {
        "less than half"
    } else {
        return Ok(());
    };
    Err(Refusal::InvalidRequest(format!(
        "Dynamic thread count update validation failed for {}={count}, value should not be \
         {bound} the current value {current}",
        row.name
    )))
}

/// The value of a row, or the words that refuse it.
fn value_of(row: &Row, text: &str) -> Result<Value, String> {
    let refused = |expected: &dyn std::fmt::Display| {
        let shown = Shown::of(row, text);
        format!("Invalid value {shown} for configuration {}: {expected}", row.name)
    };
    let parsed = Value::parse(row.kind, text);
    let value = match parsed {
        Some(value) if row.check.passes(&value) => value,
        ref fault => return Err(refused(&Fault { row, value: fault.as_ref() })),
    };
    match absent(row, &value) {
        Some(expected) => Err(refused(&expected)),
        None => Ok(value),
    }
}

pub(crate) fn resource_value(
    resource: Resource,
    name: &str,
    text: &str,
    touched: bool,
) -> Result<(), Refusal> {
    let Some(row) = rows::find(resource.rows(), name) else {
        let name = Shown::text(name);
        return Err(match resource {
            Resource::Topic => Refusal::InvalidConfig(format!("Unknown topic config name: {name}")),
            Resource::Group => Refusal::InvalidConfig(format!("Unknown group config name: {name}")),
            Resource::ClientMetrics => {
                Refusal::InvalidRequest(format!("Unknown client metrics configuration: {name}"))
            }
        });
    };
    match value_of(row, text) {
        Ok(_) => Ok(()),
        Err(_) if !touched => Ok(()),
        // Kafka answers a wrong interval so, and everything else of a subscription the other way.
        Err(words) if row.name == "interval.ms" && Value::parse(row.kind, text).is_some() => {
            Err(Refusal::InvalidRequest(words))
        }
        Err(words) => Err(Refusal::InvalidConfig(words)),
    }
}

/// Rules that bind several values of a topic (`LogConfig.validateValues`).
pub(crate) fn topic_rules(next: &Overrides, broker: &BrokerConfig) -> Result<(), Refusal> {
    let topic = crate::TopicConfig::resolve(next, broker);
    let (least, most) = (topic.min_compaction_lag_ms, topic.max_compaction_lag_ms);
    if least > most {
        return Err(Refusal::InvalidConfig(format!(
            "conflict topic config setting min.compaction.lag.ms ({least}) > \
             max.compaction.lag.ms ({most})"
        )));
    }
    Ok(())
}

/// A group's value lies between the broker's limits, where the broker has some for it
/// (`GroupConfig.validate`).
pub(crate) fn group_rules(next: &Overrides, broker: &BrokerConfig) -> Result<(), Refusal> {
    for (name, text) in next {
        let Some((protocol, rest)) = name.split_once('.') else { continue };
        let Ok(value) = text.trim().parse::<i64>() else { continue };
        let rest = rest.strip_prefix("num.").unwrap_or(rest);
        for (word, bound) in [("min", "greater"), ("max", "less")] {
            let limit_name = format!("group.{protocol}.{word}.{rest}");
            let Some(row) = rows::broker_row(&limit_name) else { continue };
            let Value::Integer(limit) = broker.value(row) else { continue };
            if (word == "min" && value < *limit) || (word == "max" && value > *limit) {
                return Err(Refusal::InvalidConfig(format!(
                    "{name} must be {bound} than or equal to {limit_name}"
                )));
            }
        }
    }
    let group = crate::GroupConfig::resolve(next, broker);
    if group.consumer_session_timeout_ms <= group.consumer_heartbeat_interval_ms {
        let words = "consumer.session.timeout.ms must be greater than \
                     consumer.heartbeat.interval.ms";
        return Err(Refusal::InvalidConfig(words.to_owned()));
    }
    Ok(())
}
