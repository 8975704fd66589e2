//! The configuration of one node: loaded once, then read by row. Dynamic layers give a new one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::endpoints::{Endpoints, Given, Roles};
use crate::error::{ConfigError, Origin, Warning};
use crate::listener::{ADDRESS, Address, Voter};
use crate::row::{Default, Effect, Key, Row};
use crate::rows;
use crate::rules;
use crate::sources::{Mode, Setting, Sources};
use crate::value::{Typed, Value};

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
        let warnings = warnings(&sources);
        let Sources { mode, settings, cluster_id } = sources.with_up_defaults();
        let values = values(&settings)?;
        let node_id = node_id(&settings)?;
        let roles = roles(&settings)?;
        let endpoints = Given {
            mode,
            roles,
            roles_given: settings.contains_key(rows::PROCESS_ROLES.row.name),
            listeners: settings.get(rows::LISTENERS.row.name),
            advertised: settings.get(rows::ADVERTISED_LISTENERS.row.name),
            protocol_map: settings.get(rows::LISTENER_SECURITY_PROTOCOL_MAP.row.name),
            inter_broker: settings.get(rows::INTER_BROKER_LISTENER_NAME.row.name),
            controller_names: settings.get(rows::CONTROLLER_LISTENER_NAMES.row.name),
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
                Some(text) => Value::parse(row.kind, text).filter(|value| row.check.passes(value)),
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
    Ok(values)
}

fn given_value(row: &Row, setting: &Setting) -> Result<Value, ConfigError> {
    let wrong = || ConfigError::row(row, &setting.text, &setting.origin);
    let value = Value::parse(row.kind, &setting.text)
        .filter(|value| row.check.passes(value))
        .ok_or_else(wrong)?;
    // An empty text for a key that may have no value is how files say "none".
    let value = match (&value, row.default) {
        (Value::Text(text), Default::Null) if text.is_empty() => Value::Null,
        _ => value,
    };
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

fn warnings(sources: &Sources) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut idle: Vec<(&'static str, Vec<String>)> = Vec::new();
    for (key, setting) in &sources.settings {
        let why = match rows::broker_row(key).map(|row| row.effect) {
            Some(Effect::NoMeaning(why)) => Some(why),
            Some(_) => continue,
            None => rows::legacy::reason(key),
        };
        let Some(why) = why else {
            let known = rows::broker().iter().filter(|row| !row.internal).map(|row| row.name);
            warnings.push(Warning::UnknownKey {
                key: key.clone(),
                nearest: pharos_base::nearest(key, known),
                origin: setting.origin.clone(),
            });
            continue;
        };
        match idle.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, keys)) => keys.push(key.clone()),
            None => idle.push((why, vec![key.clone()])),
        }
    }
    if !idle.is_empty() {
        warnings.push(Warning::NoMeaning(idle));
    }
    warnings
}

fn node_id(settings: &BTreeMap<String, Setting>) -> Result<i32, ConfigError> {
    let read = |row: &Row| {
        let setting = settings.get(row.name)?;
        let id = setting.text.trim().parse::<i32>().ok().filter(|id| *id >= 0)?;
        Some((id, setting))
    };
    match (read(&rows::NODE_ID.row), read(&rows::BROKER_ID.row)) {
        (Some((node, _)), Some((broker, given))) if node != broker => {
            let expected = format!("expected the same number as node.id, {node}");
            Err(ConfigError::rule(rows::BROKER_ID.row.name, broker, expected, &given.origin))
        }
        (Some((id, _)), _) | (None, Some((id, _))) => Ok(id),
        (None, None) => Ok(0),
    }
}

fn roles(settings: &BTreeMap<String, Setting>) -> Result<Roles, ConfigError> {
    let Some(given) = settings.get(rows::PROCESS_ROLES.row.name) else {
        return Ok(Roles { broker: true, controller: true });
    };
    let has = |role: &str| given.text.split(',').any(|entry| entry.trim() == role);
    let roles = Roles { broker: has("broker"), controller: has("controller") };
    // ZooKeeper-era and half-filled files leave the key empty.
    if !roles.broker && !roles.controller {
        return Ok(Roles { broker: true, controller: true });
    }
    Ok(roles)
}

fn voters(settings: &BTreeMap<String, Setting>) -> Result<Vec<Voter>, ConfigError> {
    let key = rows::CONTROLLER_QUORUM_VOTERS.row.name;
    let Some(given) = settings.get(key) else { return Ok(Vec::new()) };
    let refused = |entry: &str, expected: &str| {
        Err(ConfigError::rule(key, entry, expected.to_owned(), &given.origin))
    };
    let mut voters: Vec<Voter> = Vec::new();
    for entry in given.text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        match Voter::parse(entry) {
            None => return refused(entry, "expected id@host:port"),
            Some(voter) if voters.iter().any(|known| known.id == voter.id) => {
                return refused(entry, "expected each id once");
            }
            Some(voter) => voters.push(voter),
        }
    }
    Ok(voters)
}

fn admin(settings: &BTreeMap<String, Setting>) -> Result<Vec<Address>, ConfigError> {
    let row = &rows::ADMIN_LISTENERS.row;
    let default = Setting {
        text: row.default.text().unwrap_or_default().to_owned(),
        origin: Origin::Default,
    };
    let given = settings.get(row.name).unwrap_or(&default);
    let addresses = crate::endpoints::addresses(row.name, given)?;
    match addresses.iter().find(|address| address.name != "HTTP") {
        Some(other) => {
            let expected = ADDRESS.replace("NAME", "HTTP");
            Err(ConfigError::rule(row.name, other, expected, &given.origin))
        }
        None => Ok(addresses),
    }
}

fn cluster_id_text(given: Setting) -> Result<String, ConfigError> {
    let text = given.text.trim();
    let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if text.len() == 22 && text.bytes().all(sound) {
        return Ok(text.to_owned());
    }
    let expected = "expected 22 characters of URL-safe base64";
    Err(ConfigError::rule("CLUSTER_ID", text, expected, &given.origin))
}
