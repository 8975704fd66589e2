//! What does not stop the start and is worth a line: unknown keys, keys that change nothing, more
//! replicas than brokers.

use crate::broker::BrokerConfig;
use crate::error::{Origin, Warning};
use crate::per_listener;
use crate::row::Effect;
use crate::rows;
use crate::sources::Sources;

/// Unknown keys that are named, since looking for the nearest known one takes a while.
const UNKNOWN_KEYS_NAMED: usize = 100;

/// Judges the keys that were given.
pub(crate) fn of_keys(sources: &Sources) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut more = 0;
    let mut idle: Vec<(&'static str, Vec<String>)> = Vec::new();
    for (key, setting) in &sources.settings {
        let row = rows::broker_row(key).or_else(|| per_listener::row(key));
        let why = match row.map(|row| row.effect) {
            Some(Effect::NoMeaning(why)) => Some(why),
            Some(_) => continue,
            None => rows::legacy::reason(key),
        };
        let origin = setting.origin.clone();
        let Some(why) = why else {
            if warnings.len() < UNKNOWN_KEYS_NAMED {
                warnings.push(of_unknown(key, origin));
            } else {
                more += 1;
            }
            continue;
        };
        match idle.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, keys)) => keys.push(key.clone()),
            None => idle.push((why, vec![key.clone()])),
        }
    }
    if more > 0 {
        warnings.push(Warning::MoreUnknownKeys(more));
    }
    if !idle.is_empty() {
        warnings.push(Warning::NoMeaning(idle));
    }
    warnings
}

fn of_unknown(key: &str, origin: Origin) -> Warning {
    Warning::UnknownKey { key: key.to_owned(), nearest: nearest_key(key), origin }
}

/// The known key that an unknown one was most likely meant to be.
pub fn nearest_key(key: &str) -> Option<&'static str> {
    let known = rows::broker().iter().filter(|row| !row.internal).map(|row| row.name);
    pharos_base::nearest(key, known)
}

impl BrokerConfig {
    /// Values for one listener that do not act: of a key with one value for all, or of a listener
    /// that is not there.
    pub(crate) fn listener_warnings(&self) -> Vec<Warning> {
        let honoured = |key: &str| {
            per_listener::row(key).is_some_and(|row| matches!(row.effect, Effect::Honoured))
        };
        let here = |name: &str| {
            let listeners = &self.endpoints().listeners;
            listeners.iter().any(|listener| listener.address.name.to_lowercase() == name)
        };
        let given = self.given().iter().filter(|(key, _)| honoured(key));
        given
            .filter_map(|(key, setting)| {
                let why = match per_listener::acting(key) {
                    None => "the key has one value for all listeners",
                    Some(_) if per_listener::listener(key).is_some_and(here) => return None,
                    Some(_) => "there is no such listener (names are in lower case here)",
                };
                Some(Warning::PerListener { key: key.clone(), why, origin: setting.origin.clone() })
            })
            .collect()
    }

    /// Keys that ask for more replicas than `brokers` can hold: topics made with them fail.
    pub fn replica_warnings(&self, brokers: i32) -> Vec<Warning> {
        let asked = [
            (
                rows::OFFSETS_TOPIC_REPLICATION_FACTOR.row.name,
                i32::from(self.get(&rows::OFFSETS_TOPIC_REPLICATION_FACTOR)),
            ),
            (
                rows::DEFAULT_REPLICATION_FACTOR.row.name,
                self.get(&rows::DEFAULT_REPLICATION_FACTOR),
            ),
            (rows::MIN_INSYNC_REPLICAS.row.name, self.get(&rows::MIN_INSYNC_REPLICAS)),
        ];
        let above = asked.into_iter().filter(|(_, replicas)| *replicas > brokers);
        above.map(|(key, replicas)| Warning::Replicas { key, replicas, brokers }).collect()
    }
}
