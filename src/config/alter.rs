//! What AlterConfigs and IncrementalAlterConfigs may do, and the words of each refusal
//! (`ConfigurationControlManager`, `ControllerConfigurationValidator`, `ConfigAdminManager`).

use std::collections::BTreeSet;

use thiserror::Error;

use crate::broker::{BrokerConfig, Overrides};
use crate::describe::Resource;
use crate::error::{ConfigError, Shown};
use crate::row::{Kind, Row, Update};
use crate::rows;
use crate::topic::supplied;
use crate::validation;
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
            Self::Broker | Self::Cluster => validation::broker_row(name),
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
                    validation::resource_value(
                        resource,
                        name,
                        text,
                        touched.contains(&name.as_str()),
                    )?;
                }
                match resource {
                    Resource::Topic => validation::topic_rules(next, broker),
                    Resource::Group => validation::group_rules(next, broker),
                    Resource::ClientMetrics => Ok(()),
                }
            }
            Self::Broker | Self::Cluster => {
                self.broker_keys(touched)?;
                for name in touched {
                    validation::broker_value(
                        name,
                        next.get(*name).map_or("", String::as_str),
                        broker,
                    )?;
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
