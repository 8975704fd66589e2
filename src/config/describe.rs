//! What DescribeConfigs shows: each value, where it comes from, and what it would be without that
//! (`kafka.server.ConfigHelper`). Secrets and unknown keys show no value.

use crate::broker::{BrokerConfig, Overrides};
use crate::per_listener;
use crate::row::{Kind, Row, Supplier};
use crate::rows;
use crate::topic::supplied;
use crate::value::Value;

/// Where a value comes from (`DescribeConfigsResponse.ConfigSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// The topic's own.
    Topic,
    /// This broker's dynamic one.
    DynamicBroker,
    /// The dynamic one of all brokers.
    DynamicDefaultBroker,
    /// File, environment or flag.
    StaticBroker,
    /// The default.
    Default,
    /// The client metrics subscription's own.
    ClientMetrics,
    /// The group's own.
    Group,
}

impl ConfigSource {
    /// Number of the source on the wire.
    pub fn id(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
            Self::ClientMetrics => 7,
            Self::Group => 8,
        }
    }
}

/// One key of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The key.
    pub name: String,
    /// Its value; none for a secret, an unknown key and a key without value.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it is a secret; so is every key whose type is unknown.
    pub sensitive: bool,
    /// Whether it cannot be altered.
    pub read_only: bool,
    /// Type of the value; none for an unknown key, which is type 0 on the wire.
    pub kind: Option<Kind>,
    /// Everything that gives or would give the value, strongest first.
    pub synonyms: Vec<Synonym>,
    /// What the key means.
    pub doc: Option<&'static str>,
}

/// One place that gives or would give a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The key there.
    pub name: String,
    /// The value there; none for a secret.
    pub value: Option<String>,
    /// The place.
    pub source: ConfigSource,
}

/// What can be described and altered, besides a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A topic (resource type 2).
    Topic,
    /// A client metrics subscription (resource type 16).
    ClientMetrics,
    /// A group (resource type 32).
    Group,
}

impl Resource {
    /// The rows of the resource.
    pub fn rows(self) -> &'static [&'static Row] {
        match self {
            Self::Topic => rows::topic::ALL,
            Self::ClientMetrics => rows::client_metrics::ALL,
            Self::Group => rows::group::ALL,
        }
    }

    fn source(self) -> ConfigSource {
        match self {
            Self::Topic => ConfigSource::Topic,
            Self::ClientMetrics => ConfigSource::ClientMetrics,
            Self::Group => ConfigSource::Group,
        }
    }
}

impl BrokerConfig {
    /// Describes this broker: every public key, and every other one that was given.
    pub fn describe_broker(&self) -> Vec<Described> {
        let shown = rows::broker().iter().filter(|row| !row.internal || self.is_given(row.name));
        let throttles = rows::throttle::ALL.iter().filter(|row| self.is_given(row.name));
        let mut all: Vec<_> = shown.chain(throttles).map(|row| self.describe_row(row)).collect();
        all.extend(self.unknown_keys().map(|name| self.describe_other(name)));
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }

    /// Describes the dynamic defaults of all brokers (a broker resource without a name).
    pub fn describe_cluster(&self) -> Vec<Described> {
        let mut all = Vec::with_capacity(self.cluster_overrides().len());
        for (name, value) in self.cluster_overrides() {
            let row = known(name);
            let sensitive = row.is_none_or(Row::sensitive);
            let value = (!sensitive).then(|| value.clone());
            let source = ConfigSource::DynamicDefaultBroker;
            all.push(Described {
                name: name.clone(),
                value: value.clone(),
                source,
                sensitive,
                read_only: row.is_none_or(read_only),
                kind: row.map(|row| row.kind),
                synonyms: vec![Synonym { name: name.clone(), value, source }],
                doc: row.map(|row| row.doc),
            });
        }
        all
    }

    /// Describes a topic, group or subscription whose own values are `overrides`.
    pub fn describe(&self, resource: Resource, overrides: &Overrides) -> Vec<Described> {
        let shown = |row: &&&'static Row| !row.internal || overrides.contains_key(row.name);
        let rows = resource.rows().iter().filter(shown);
        rows.map(|row| self.describe_resource_row(resource, row, overrides)).collect()
    }

    fn describe_resource_row(
        &self,
        resource: Resource,
        row: &'static Row,
        overrides: &Overrides,
    ) -> Described {
        let own = overrides.get(row.name);
        let value = match own.and_then(|text| Value::parse(row.kind, text)) {
            Some(value) => value.shown(),
            None => supplied(row, self).shown(),
        };
        let mut synonyms: Vec<_> = own
            .map(|_| Synonym {
                name: row.name.to_owned(),
                value: value.clone(),
                source: resource.source(),
            })
            .into_iter()
            .collect();
        match row.suppliers {
            [Supplier { name, .. }, ..] => synonyms.extend(self.synonyms_of(name)),
            [] if resource == Resource::Group => {
                synonyms.extend(row.default.text().map(|text| Synonym {
                    name: row.name.to_owned(),
                    value: Some(text.to_owned()),
                    source: ConfigSource::Default,
                }));
            }
            [] => {}
        }
        Described {
            name: row.name.to_owned(),
            value,
            source: synonyms.first().map_or(ConfigSource::Default, |first| first.source),
            sensitive: false,
            read_only: false,
            kind: Some(row.kind),
            synonyms,
            doc: Some(row.doc),
        }
    }

    fn describe_row(&self, row: &'static Row) -> Described {
        let synonyms = self.synonyms_of(row.name);
        let value = match known_throttle(row.name) {
            Some(_) => synonyms.first().and_then(|first| first.value.clone()),
            None => self.value(row).shown(),
        };
        Described {
            name: row.name.to_owned(),
            value,
            source: synonyms.first().map_or(ConfigSource::Default, |first| first.source),
            sensitive: row.sensitive(),
            read_only: read_only(row),
            kind: Some(row.kind),
            synonyms,
            doc: Some(row.doc),
        }
    }

    /// A key without a row of its own: that of one listener, or an unknown one.
    fn describe_other(&self, name: &str) -> Described {
        let synonyms = self.synonyms_of(name);
        let row = per_listener::acting(name);
        Described {
            name: name.to_owned(),
            value: synonyms.first().and_then(|first| first.value.clone()),
            source: synonyms.first().map_or(ConfigSource::Default, |first| first.source),
            sensitive: row.is_none(),
            read_only: row.is_none(),
            kind: row.map(|row| row.kind),
            synonyms,
            doc: row.map(|row| row.doc),
        }
    }

    fn is_given(&self, name: &str) -> bool {
        self.broker_overrides().contains_key(name)
            || self.cluster_overrides().contains_key(name)
            || self.given().contains_key(name)
    }

    /// Keys without a row that were given, each once.
    fn unknown_keys(&self) -> impl Iterator<Item = &str> {
        let layers = self.broker_overrides().keys().chain(self.cluster_overrides().keys());
        let mut names: Vec<_> = layers
            .chain(self.given().keys())
            .map(String::as_str)
            .filter(|name| rows::broker_row(name).or_else(|| known_throttle(name)).is_none())
            .collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }

    /// All places that give a broker key, strongest first, from the first that uses its own name:
    /// what a stronger one gives under another name is not shown, as in Kafka.
    fn synonyms_of(&self, name: &str) -> Vec<Synonym> {
        let family = family(name);
        let mut all = Vec::new();
        let layers: [(ConfigSource, Layer); 4] = [
            (ConfigSource::DynamicBroker, &|name| self.broker_overrides().get(name).cloned()),
            (ConfigSource::DynamicDefaultBroker, &|name| {
                self.cluster_overrides().get(name).cloned()
            }),
            (ConfigSource::StaticBroker, &|name| Some(self.given().get(name)?.text.clone())),
            (ConfigSource::Default, &|name| {
                Some(rows::broker_row(name)?.default.text()?.to_owned())
            }),
        ];
        for (source, value) in layers {
            for member in &family {
                let Some(value) = value(member) else { continue };
                let sensitive = known(member).is_none_or(Row::sensitive);
                all.push(Synonym {
                    name: (*member).to_owned(),
                    value: (!sensitive).then_some(value),
                    source,
                });
            }
        }
        all.into_iter().skip_while(|synonym| synonym.name != name).collect()
    }
}

/// Looks a key up in one layer.
type Layer<'a> = &'a dyn Fn(&str) -> Option<String>;

fn known_throttle(name: &str) -> Option<&'static Row> {
    rows::find(rows::throttle::ALL, name)
}

fn known(name: &str) -> Option<&'static Row> {
    let broker = rows::broker_row(name).or_else(|| known_throttle(name));
    broker.or_else(|| per_listener::acting(name))
}

fn read_only(row: &Row) -> bool {
    row.update == crate::Update::ReadOnly && known_throttle(row.name).is_none()
}

/// The key and the keys that stand for the same in other units, the finest first
/// (`DynamicBrokerConfig.brokerConfigSynonyms`).
fn family(name: &str) -> Vec<&str> {
    let synonyms = rows::broker_row(name).map_or(&[][..], |row| row.synonyms);
    let mut family: Vec<&str> = synonyms.iter().copied().chain([name]).collect();
    family.sort_by_key(|member| match member.rsplit('.').next() {
        Some("hours") => 3,
        Some("minutes") => 2,
        _ if member.contains("scheduler") => 1,
        _ => 0,
    });
    family
}
