//! The configuration of one node: loaded once, then read by row. Dynamic layers give a new one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::endpoints::{Endpoints, Given, Roles};
use crate::error::{ConfigError, Origin, Warning};
use crate::identity::{admin, cluster_id_text, node_id, roles, twin_ids, voters};
use crate::listener::{Address, Voter};
use crate::per_listener;
use crate::row::{Default, Effect, Key, Row};
use crate::rows;
use crate::rules;
use crate::sources::{Mode, Setting, Sources};
use crate::value::{Typed, Value};
use crate::warnings;

/// Values of dynamic keys, as the metadata holds them.
pub type Overrides = BTreeMap<String, String>;

/// Every value of a node, resolved: this broker's dynamic values over the cluster's over the static
/// ones over the defaults. Cloning is cheap but for the values; share it by `Arc`.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    values: HashMap<&'static str, Value>,
    given: Arc<BTreeMap<String, Setting>>,
    cluster: Overrides,
    broker: Overrides,
    mode: Mode,
    cluster_id: Option<String>,
    node_id: i32,
    roles: Roles,
    endpoints: Arc<Endpoints>,
    voters: Arc<[Voter]>,
    admin: Arc<[Address]>,
}

impl BrokerConfig {
    /// Checks all that was given and fills in the rest.
    ///
    /// # Errors
    /// The first value that its key cannot have, or that asks for something absent.
    pub fn load(sources: Sources) -> Result<(Self, Vec<Warning>), ConfigError> {
        let mut warnings = warnings::of_keys(&sources);
        let Sources { mode, mut settings, cluster_id } = sources.with_up_defaults();
        let values = values(&settings)?;
        let node_id = node_id(&settings)?;
        twin_ids(&mut settings);
        let roles = roles(&settings)?;
        let given = |row: &Row| settings.get(row.name);
        let filled = |row| given(row).filter(|setting| !setting.text.trim().is_empty());
        let endpoints = Given {
            mode,
            roles,
            roles_given: filled(&rows::PROCESS_ROLES.row).is_some(),
            listeners: given(&rows::LISTENERS.row),
            advertised: filled(&rows::ADVERTISED_LISTENERS.row),
            protocol_map: filled(&rows::LISTENER_SECURITY_PROTOCOL_MAP.row),
            inter_broker: filled(&rows::INTER_BROKER_LISTENER_NAME.row),
            controller_names: given(&rows::CONTROLLER_LISTENER_NAMES.row),
        }
        .resolve()?;
        let mut config = Self {
            values,
            mode,
            cluster_id: cluster_id.map(cluster_id_text).transpose()?,
            node_id,
            roles,
            endpoints: Arc::new(endpoints),
            voters: voters(&settings)?.into(),
            admin: admin(&settings)?.into(),
            given: Arc::new(settings),
            cluster: Overrides::new(),
            broker: Overrides::new(),
        };
        config.fill_required();
        rules::check(&config)?;
        warnings.extend(config.listener_warnings());
        // As long as clusters are not available, this node is the only broker.
        warnings.extend(config.replica_warnings(1));
        Ok((config, warnings))
    }

    /// Kafka's defaults with free ports: for tests of other rooms.
    ///
    /// # Errors
    /// Never, as long as the defaults are sound.
    pub fn defaults(overrides: &[&str]) -> Result<Self, ConfigError> {
        let sources = Sources::new(Mode::Server).overrides(overrides.iter().copied())?;
        Self::load(sources).map(|(config, _)| config)
    }

    /// This configuration under other dynamic layers; entries without a row or of a wrong type are
    /// left out, since they cannot be set.
    pub fn with_dynamic(&self, cluster: Overrides, broker: Overrides) -> Self {
        let mut next = self.clone();
        for row in rows::broker() {
            let text = broker
                .get(row.name)
                .or_else(|| cluster.get(row.name))
                .or_else(|| self.given.get(row.name).map(|setting| &setting.text));
            let dynamic = broker.contains_key(row.name) || cluster.contains_key(row.name);
            let was_dynamic =
                self.broker.contains_key(row.name) || self.cluster.contains_key(row.name);
            if !dynamic && !was_dynamic {
                continue;
            }
            let value = match text {
                Some(text) => read(row, text),
                None => default_value(row),
            };
            if let Some(value) = value {
                next.values.insert(row.name, value);
            }
        }
        next.cluster = cluster;
        next.broker = broker;
        next
    }

    /// The value of a key.
    pub fn get<'a, T: Typed>(&'a self, key: &Key<T>) -> T::Out<'a> {
        T::read(self.value(&key.row))
    }

    /// The value of a row, whatever its type.
    pub(crate) fn value(&self, row: &Row) -> &Value {
        self.values.get(row.name).unwrap_or(&Value::Null)
    }

    /// Where the value of a key was given statically.
    pub(crate) fn origin(&self, name: &str) -> Origin {
        self.given.get(name).map_or(Origin::Default, |setting| setting.origin.clone())
    }

    /// Everything that was given statically, unknown keys included.
    pub fn given(&self) -> &BTreeMap<String, Setting> {
        &self.given
    }

    /// The dynamic default of the cluster.
    pub fn cluster_overrides(&self) -> &Overrides {
        &self.cluster
    }

    /// The dynamic values of this broker.
    pub fn broker_overrides(&self) -> &Overrides {
        &self.broker
    }

    /// How the process was started.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// `CLUSTER_ID`, when it was given.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// Number of this node: `node.id`, else `broker.id`, else 0.
    pub fn node_id(&self) -> i32 {
        self.node_id
    }

    /// What this process is; both where nothing was said.
    pub fn roles(&self) -> Roles {
        self.roles
    }

    /// What to bind and what to hand out.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// `controller.quorum.voters`; empty where none were named, which means this node alone.
    pub fn voters(&self) -> &[Voter] {
        &self.voters
    }

    /// Addresses of the admin listener; empty when there shall be none.
    pub fn admin_listeners(&self) -> &[Address] {
        &self.admin
    }

    /// Gives the keys without a default what was derived for them, so that they read and describe
    /// like any other.
    fn fill_required(&mut self) {
        let mut roles = Vec::new();
        roles.extend(self.roles.broker.then(|| "broker".to_owned()));
        roles.extend(self.roles.controller.then(|| "controller".to_owned()));
        let names = self.endpoints.controller_names.clone();
        self.values.insert(rows::NODE_ID.row.name, Value::Integer(self.node_id.into()));
        self.values.insert(rows::BROKER_ID.row.name, Value::Integer(self.node_id.into()));
        self.values.insert(rows::PROCESS_ROLES.row.name, Value::List(roles));
        self.values.insert(rows::CONTROLLER_LISTENER_NAMES.row.name, Value::List(names));
    }
}

/// The parsed default of a row; a default that its own row refuses is a mistake that a test finds.
pub(crate) fn default_value(row: &Row) -> Option<Value> {
    match row.default {
        Default::Required | Default::Null => Some(Value::Null),
        Default::Text(text) => Value::parse(row.kind, text),
    }
}

fn values(
    settings: &BTreeMap<String, Setting>,
) -> Result<HashMap<&'static str, Value>, ConfigError> {
    let mut values = HashMap::with_capacity(rows::broker().len());
    for row in rows::broker() {
        let value = match settings.get(row.name) {
            Some(setting) => given_value(row, setting)?,
            None => default_value(row).unwrap_or(Value::Null),
        };
        values.insert(row.name, value);
    }
    for (key, setting) in settings {
        if let Some(row) = per_listener::row(key) {
            given_value(row, setting).map_err(|error| error.under(key))?;
        }
    }
    Ok(values)
}

/// The value of a text; `None` when the row cannot have it. An empty text for a key that may have
/// no value is how files say "none".
pub(crate) fn read(row: &Row, text: &str) -> Option<Value> {
    let value = Value::parse(row.kind, text).filter(|value| row.check.passes(value))?;
    Some(match (&value, row.default) {
        (Value::Text(text), Default::Null) if text.is_empty() => Value::Null,
        _ => value,
    })
}

fn given_value(row: &Row, setting: &Setting) -> Result<Value, ConfigError> {
    let wrong = || ConfigError::row(row, &setting.text, &setting.origin);
    let value = read(row, &setting.text).ok_or_else(wrong)?;
    match absent(row, &value) {
        Some(expected) if setting.origin != Origin::Up => Err(ConfigError::Value {
            key: row.name.to_owned(),
            value: crate::error::Shown::of(row, &setting.text),
            expected,
            origin: setting.origin.clone(),
        }),
        _ => Ok(value),
    }
}

/// What was expected instead of a value that asks for something absent.
pub(crate) fn absent(row: &Row, value: &Value) -> Option<String> {
    let Effect::Refused { absent, harmless } = row.effect else { return None };
    if *value == Value::Null || Some(value) == default_value(row).as_ref() {
        return None;
    }
    let empty = match value {
        Value::Password(secret) => secret.reveal().is_empty(),
        value => value.shown().is_some_and(|text| text.is_empty()),
    };
    let passes = match value {
        Value::List(list) => list.iter().all(|entry| harmless.contains(&entry.as_str())),
        value => value.shown().is_some_and(|text| harmless.contains(&text.as_str())),
    };
    let expected = match row.default.text() {
        Some(text) if !text.is_empty() => format!("expected {text}: {absent} not available"),
        _ => format!("expected no value: {absent} not available"),
    };
    (!passes && !empty).then_some(expected)
}
