//! What AlterConfigs and IncrementalAlterConfigs may do, and the words of each refusal
//! (`ConfigurationControlManager`, `ControllerConfigurationValidator`, `ConfigAdminManager`).

use std::collections::BTreeSet;

use thiserror::Error;

use crate::broker::{BrokerConfig, Overrides, absent};
use crate::check::Expected;
use crate::describe::Resource;
use crate::error::{ConfigError, Shown};
use crate::row::{Kind, Row, Update};
use crate::rows;
use crate::topic::supplied;
use crate::value::Value;

/// What is altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A topic, group or subscription.
    Of(Resource),
    /// This broker.
    Broker,
    /// The defaults of all brokers: a broker resource without a name.
    Cluster,
}

/// What is done to a key (`AlterConfigOp.OpType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Gives it a value.
    Set,
    /// Takes its value away.
    Delete,
    /// Adds entries to a list.
    Append,
    /// Takes entries off a list.
    Subtract,
}

impl Operation {
    /// The operation of a number on the wire.
    pub fn from_id(id: i8) -> Option<Self> {
        Some(match id {
            0 => Self::Set,
            1 => Self::Delete,
            2 => Self::Append,
            3 => Self::Subtract,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Delete => "DELETE",
            Self::Append => "APPEND",
            Self::Subtract => "SUBTRACT",
        }
    }
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub name: String,
    /// What is done to it.
    pub operation: Operation,
    /// The value; not looked at by [`Operation::Delete`].
    pub value: Option<String>,
}

/// Why nothing was altered, by the Kafka error that says so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// INVALID_CONFIG.
    #[error("{0}")]
    InvalidConfig(String),
    /// INVALID_REQUEST.
    #[error("{0}")]
    InvalidRequest(String),
}

/// What an accepted alteration comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Altered {
    /// All values of the resource afterwards.
    pub overrides: Overrides,
    /// What differs from before, by name: the new value, or none where it was taken away. Each is
    /// one ConfigRecord.
    pub changes: Vec<(String, Option<String>)>,
}

impl Target {
    /// Applies changes one by one (IncrementalAlterConfigs).
    ///
    /// # Errors
    /// When one change, or what all come to, is refused; then nothing is altered.
    pub fn alter(
        self,
        current: &Overrides,
        changes: &[Change],
        broker: &BrokerConfig,
    ) -> Result<Altered, Refusal> {
        sound(changes)?;
        let mut next = current.clone();
        for change in changes {
            let value = change.value.as_deref().unwrap_or_default();
            match change.operation {
                Operation::Set => {
                    next.insert(change.name.clone(), value.to_owned());
                }
                Operation::Delete => {
                    next.remove(&change.name);
                }
                Operation::Append | Operation::Subtract => {
                    let list = self.edited_list(change, &next, broker)?;
                    next.insert(change.name.clone(), list);
                }
            }
        }
        let touched: Vec<_> = changes
            .iter()
            .filter(|change| change.operation != Operation::Delete)
            .map(|change| change.name.as_str())
            .collect();
        self.validate(&next, &touched, broker)?;
        Ok(altered(current, next))
    }

    /// Replaces all values (AlterConfigs).
    ///
    /// # Errors
    /// As [`Self::alter`].
    pub fn replace(
        self,
        current: &Overrides,
        entries: &[(String, Option<String>)],
        broker: &BrokerConfig,
    ) -> Result<Altered, Refusal> {
        let set = |(name, value): &(String, Option<String>)| Change {
            name: name.clone(),
            operation: Operation::Set,
            value: value.clone(),
        };
        let changes: Vec<_> = entries.iter().map(set).collect();
        let next = self.alter(&Overrides::new(), &changes, broker)?.overrides;
        Ok(altered(current, next))
    }

    /// Checks the values that a new topic is created with.
    ///
    /// # Errors
    /// When one is refused.
    pub fn create_topic(
        entries: &[(String, Option<String>)],
        broker: &BrokerConfig,
    ) -> Result<Overrides, Refusal> {
        let nulls: Vec<_> =
            entries.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| &**name).collect();
        if !nulls.is_empty() {
            let words = format!("Null value not supported for topic configs: {}", nulls.join(","));
            return Err(Refusal::InvalidConfig(words));
        }
        let topic = Self::Of(Resource::Topic);
        Ok(topic.replace(&Overrides::new(), entries, broker)?.overrides)
    }

    fn row(self, name: &str) -> Option<&'static Row> {
        match self {
            Self::Of(resource) => rows::find(resource.rows(), name),
            Self::Broker | Self::Cluster => {
                rows::broker_row(name).or_else(|| rows::find(rows::throttle::ALL, name))
            }
        }
    }

    fn edited_list(
        self,
        change: &Change,
        current: &Overrides,
        broker: &BrokerConfig,
    ) -> Result<String, Refusal> {
        // As in Kafka, the lists of a subscription can only be set.
        let splittable = self != Self::Of(Resource::ClientMetrics);
        let row = self.row(&change.name).filter(|row| row.kind == Kind::List && splittable);
        let Some(row) = row else {
            return Err(Refusal::InvalidConfig(format!(
                "Can't {} to key {} because its type is not LIST.",
                change.operation.name(),
                Shown::text(&change.name)
            )));
        };
        let before = match (current.get(row.name), self) {
            (Some(text), _) => Value::parse(row.kind, text),
            (None, Self::Of(_)) => Some(supplied(row, broker)),
            (None, Self::Broker | Self::Cluster) => Some(broker.value(row).clone()),
        };
        let mut list = match before {
            Some(Value::List(list)) => list,
            _ => Vec::new(),
        };
        let text = change.value.as_deref().unwrap_or_default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            match change.operation {
                Operation::Subtract => list.retain(|known| known != entry),
                _ if list.iter().any(|known| known == entry) => {}
                _ => list.push(entry.to_owned()),
            }
        }
        Ok(list.join(","))
    }

    /// Checks what the values come to. Only `touched` keys are held against what a restart would
    /// refuse: what was accepted once does not block other changes.
    fn validate(
        self,
        next: &Overrides,
        touched: &[&str],
        broker: &BrokerConfig,
    ) -> Result<(), Refusal> {
        match self {
            Self::Of(resource) => {
                for (name, text) in next {
                    resource_value(resource, name, text, touched.contains(&name.as_str()))?;
                }
                match resource {
                    Resource::Topic => topic_rules(next, broker),
                    Resource::Group => group_rules(next, broker),
                    Resource::ClientMetrics => Ok(()),
                }
            }
            Self::Broker | Self::Cluster => {
                self.broker_keys(touched)?;
                for name in touched {
                    self.broker_value(name, next.get(*name).map_or("", String::as_str), broker)?;
                }
                let dynamic = match self {
                    Self::Cluster => {
                        broker.with_dynamic(next.clone(), broker.broker_overrides().clone())
                    }
                    _ => broker.with_dynamic(broker.cluster_overrides().clone(), next.clone()),
                };
                crate::rules::check(&dynamic).map_err(|error| match error {
                    ConfigError::Value { key, value, expected, .. } => Refusal::InvalidRequest(
                        format!("Invalid value {value} for configuration {key}: {expected}"),
                    ),
                    other => Refusal::InvalidRequest(other.to_string()),
                })
            }
        }
    }

    /// Which keys may change here at all.
    fn broker_keys(self, touched: &[&str]) -> Result<(), Refusal> {
        let with = |update: Update| {
            let names = touched
                .iter()
                .filter(|name| rows::broker_row(name).is_some_and(|row| row.update == update));
            names.copied().collect::<Vec<_>>().join(", ")
        };
        let read_only = with(Update::ReadOnly);
        if !read_only.is_empty() {
            let words = format!("Cannot update these configs dynamically: [{read_only}]");
            return Err(Refusal::InvalidRequest(words));
        }
        let per_broker = with(Update::PerBroker);
        if self == Self::Cluster && !per_broker.is_empty() {
            return Err(Refusal::InvalidRequest(format!(
                "Cannot update these configs at default cluster level, broker id must be \
                 specified: [{per_broker}]"
            )));
        }
        Ok(())
    }

    fn broker_value(self, name: &str, text: &str, broker: &BrokerConfig) -> Result<(), Refusal> {
        let Some(row) = self.row(name) else {
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
        Ok(())
    }
}

/// Keys that Kafka changes at run time and we do not.
const FIXED_AT_START: &[&str] = &["listeners", "listener.security.protocol.map"];

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

/// Each key once, and a value wherever one is needed.
fn sound(changes: &[Change]) -> Result<(), Refusal> {
    let mut names = BTreeSet::new();
    if !changes.iter().all(|change| names.insert(&change.name)) {
        return Err(Refusal::InvalidRequest("Error due to duplicate config keys".to_owned()));
    }
    let missing = changes
        .iter()
        .filter(|change| change.operation != Operation::Delete && change.value.is_none());
    let missing: Vec<_> = missing.map(|change| change.name.as_str()).collect();
    if !missing.is_empty() {
        let words = format!("Null value not supported for : {}", missing.join(","));
        return Err(Refusal::InvalidRequest(words));
    }
    Ok(())
}

fn altered(before: &Overrides, after: Overrides) -> Altered {
    let set = after.iter().filter(|(name, value)| before.get(*name) != Some(*value));
    let set = set.map(|(name, value)| (name.clone(), Some(value.clone())));
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    let mut changes: Vec<_> = set.chain(removed.map(|name| (name.clone(), None))).collect();
    changes.sort();
    Altered { overrides: after, changes }
}

/// The value of a row, or the words that refuse it.
fn value_of(row: &Row, text: &str) -> Result<Value, String> {
    let refused = |expected: &dyn std::fmt::Display| {
        let shown = Shown::of(row, text);
        format!("Invalid value {shown} for configuration {}: {expected}", row.name)
    };
    let value = Value::parse(row.kind, text).filter(|value| row.check.passes(value));
    let value = value.ok_or_else(|| refused(&Expected(row)))?;
    match absent(row, &value) {
        Some(expected) => Err(refused(&expected)),
        None => Ok(value),
    }
}

fn resource_value(
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

fn topic_rules(next: &Overrides, broker: &BrokerConfig) -> Result<(), Refusal> {
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
fn group_rules(next: &Overrides, broker: &BrokerConfig) -> Result<(), Refusal> {
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
